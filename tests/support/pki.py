# SPDX-License-Identifier: GPL-3.0-or-later
"""A small certificate authority for tests, made with the openssl command (3.0 or later)."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_DAYS = "2"  # longer than any test run, short enough that a leaked key is worth nothing


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates into one folder."""

    def __init__(self, folder: Path, name: str = "test-ca") -> None:
        self.folder = folder
        self.own = self._request("ca", f"/CN={name}", ["-addext", "keyUsage=critical,keyCertSign"])

    def server(self, name: str, alternatives: str) -> Pair:
        """A server's pair; `alternatives` as openssl writes them: ``IP:127.0.0.1,DNS:localhost``."""
        use = ["-addext", "extendedKeyUsage=serverAuth", "-addext", f"subjectAltName={alternatives}"]
        return self._request(name, f"/CN={name}", [*self._signed(), *use])

    def client(self, user: str, groups: tuple[str, ...] = ()) -> Pair:
        """A client's pair: Kubernetes reads the user from CN and the groups from O."""
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
        file_name = user.replace(":", "_").replace("/", "_")
        return self._request(file_name, subject, [*self._signed(), "-addext", "extendedKeyUsage=clientAuth"])

    def signing_keys(self, name: str) -> tuple[Path, Path]:
        """A private key and its public one, for service account tokens."""
        private, public = self.folder / f"{name}.key", self.folder / f"{name}.pub"
        _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(private))
        _openssl("pkey", "-in", str(private), "-pubout", "-out", str(public))
        return private, public

    def _signed(self) -> list[str]:
        # Without basicConstraints=CA:FALSE `req -x509` would issue an authority.
        issuer = ["-CA", str(self.own.certificate), "-CAkey", str(self.own.key)]
        return [*issuer, "-addext", "basicConstraints=critical,CA:FALSE"]

    def _request(self, name: str, subject: str, more: list[str]) -> Pair:
        pair = Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", str(pair.key)]
        identity = ["-days", _DAYS, "-subj", subject, "-out", str(pair.certificate)]
        _openssl("req", "-x509", *new_key, *identity, *more)
        return pair


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
