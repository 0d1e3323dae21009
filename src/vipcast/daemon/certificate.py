# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate that the metrics are served with: somebody's, in files, or one of our own.

Our own is made at the start and signed by itself: nobody can verify it, but nobody reads along either. It is
in memory only.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from pathlib import Path

from vipcast.daemon.log import log_for
from vipcast.k8s.credentials import CredentialFile, Stamp, load_pair
from vipcast.k8s.errors import AccessError

__all__ = ["CertificateError", "from_folder", "self_signed"]

DAYS = 3650  # it lives as long as its process
OPENSSL_SECONDS = 30.0  # milliseconds usually; a node that boots starts everything at once

_log = log_for("certificate")
Contexts = Callable[[], ssl.SSLContext]
_CONFIG = (
    b"[req]\ndistinguished_name = dn\n[dn]\n"  # openssl wants one, and finds none where there is no shell
)
_DNS_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_COMMON_NAME = 64  # characters; X.520's ub-common-name


class CertificateError(Exception):
    """There is no certificate to serve with."""


async def self_signed(name: str) -> Contexts:
    """One for `name`, a host's or a pod's. Raises CertificateError where the program openssl fails."""
    pem = await _openssl(_request(name))
    context = _context(pem, b"")
    return lambda: context


def from_folder(folder: Path) -> Contexts:
    """Return what ``tls.crt`` and ``tls.key`` in it are at the moment. Raises CertificateError."""
    return _Files(folder).context


class _Files:
    """A pair of files that somebody else renews."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.credential_file = tuple(CredentialFile(folder / name) for name in ("tls.crt", "tls.key"))
        self._seen = self._stamps()
        try:
            self._context = self._read()
        except _UNUSABLE as error:
            raise CertificateError(f"{folder}: {_words(error)}") from error

    def context(self) -> ssl.SSLContext:
        """Return the context of the files as they are, or of the last good ones while they are unusable."""
        if (now := self._stamps()) != self._seen:
            self._seen = now
            try:
                self._context = self._read()
                _log.info("certificate_renewed", folder=str(self._folder))
            except _UNUSABLE as error:
                _log.warning("certificate_not_usable", folder=str(self._folder), why=_words(error))
        return self._context

    def _read(self) -> ssl.SSLContext:
        return _context(*(each.read() for each in self.credential_file))

    def _stamps(self) -> tuple[Stamp | None, ...]:
        return tuple(each.stamp() for each in self.credential_file)


_UNUSABLE = (AccessError, CertificateError)


def _words(error: BaseException) -> str:
    return f"{error}; it should have tls.crt and tls.key, a certificate and its key as PEM"


def _context(certificate: bytes, key: bytes) -> ssl.SSLContext:
    """Make a TLS context with Python's ciphers. Each answer ends its connection, so no session is resumed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    try:
        load_pair(context, certificate, key)
    except ssl.SSLError as error:
        raise CertificateError(f"no certificate with its key: {error.reason or error}") from error
    return context


def _request(name: str) -> list[str]:
    subject = re.sub(r"[^A-Za-z0-9._-]", "-", name)[:_COMMON_NAME]
    names = [f"DNS:{each}" for each in (name, "localhost") if _DNS_NAME.fullmatch(each)]
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "-"]
    extensions = [
        f"subjectAltName={','.join(names)},IP:127.0.0.1",
        "basicConstraints=critical,CA:FALSE",
        "extendedKeyUsage=serverAuth",
    ]
    more = [word for extension in extensions for word in ("-addext", extension)]
    identity = ["-days", str(DAYS), "-subj", f"/CN={subject}", "-out", "-"]
    return ["req", "-x509", "-config", "-", "-sha256", *new_key, *identity, *more]


async def _openssl(arguments: list[str]) -> bytes:
    """Return what it prints. Raises CertificateError."""
    try:
        async with asyncio.timeout(OPENSSL_SECONDS):
            return await _run("openssl", arguments)
    except TimeoutError as error:
        raise CertificateError(
            f"{_NONE}: openssl is not done after {OPENSSL_SECONDS:g} s; {_REMEDY}"
        ) from error
    except OSError as error:
        raise CertificateError(f"{_NONE}: openssl: {error.strerror}; {_REMEDY}") from error


async def _run(program: str, arguments: list[str]) -> bytes:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(program, *arguments, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        made, said = await process.communicate(_CONFIG)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        why = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise CertificateError(f"{_NONE}: {program}: {why}; {_REMEDY}")
    return made


_NONE = "no certificate of our own"
_REMEDY = "give one by --metrics-cert-dir, or let everybody read the metrics by --metrics-access=open"
