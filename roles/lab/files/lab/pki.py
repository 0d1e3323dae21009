# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and certificates: the cluster's, with kubeadm's names, subjects and uses, and ssh's."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = datetime.timedelta(days=3650)
# A host whose clock is a little behind must not find a certificate that is not valid yet.
BACKDATED = datetime.timedelta(hours=1)
USES = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in PEM."""

    certificate: str
    key: str


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    form, plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, plain).decode()


def _subject(name: str, groups: tuple[str, ...]) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _draft(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    draft = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    draft = draft.not_valid_before(now - BACKDATED).not_valid_after(now + LIFETIME)
    return draft.serial_number(x509.random_serial_number())


def _usage(*, authority: bool) -> x509.KeyUsage:
    no = dict.fromkeys(
        ("content_commitment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
    )
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        **no,
    )


class Authority:
    """A certificate authority that lives as long as this object: nobody keeps its key."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _subject(name, ())
        draft = _draft(self._name, self._name, self._key)
        draft = draft.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        draft = draft.add_extension(_usage(authority=True), critical=True)
        signed = draft.sign(self._key, hashes.SHA256())
        self.pair = Pair(signed.public_bytes(serialization.Encoding.PEM).decode(), _pem(self._key))

    def issue(
        self,
        name: str,
        *groups: str,
        names: tuple[str, ...] = (),
        addresses: tuple[IPv4Address | IPv6Address, ...] = (),
    ) -> Pair:
        """A certificate for the user `name` in `groups`, or for a server with these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        draft = _draft(_subject(name, groups), self._name, key)
        draft = draft.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        draft = draft.add_extension(_usage(authority=False), critical=True)
        draft = draft.add_extension(x509.ExtendedKeyUsage(USES), critical=False)
        alternatives = [*map(x509.DNSName, names), *map(x509.IPAddress, addresses)]
        if alternatives:
            draft = draft.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        signed = draft.sign(self._key, hashes.SHA256())
        return Pair(signed.public_bytes(serialization.Encoding.PEM).decode(), _pem(key))


def token_keys() -> Pair:
    """The keys that service account tokens are signed with: here the certificate is the bare public key."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return Pair(key.public_key().public_bytes(serialization.Encoding.PEM, form).decode(), _pem(key))


def ssh_keys(comment: str) -> Pair:
    """A pair of ssh keys: here the certificate is the public key's line, with its comment."""
    key = ed25519.Ed25519PrivateKey.generate()
    plain, form = serialization.NoEncryption(), serialization.PrivateFormat.OpenSSH
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    private = key.private_bytes(serialization.Encoding.PEM, form, plain).decode()
    return Pair(f"{public.decode()} {comment}", private)
