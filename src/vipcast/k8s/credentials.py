# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials for an API server, and the address that they are for.

Tokens and certificates are files that somebody else renews (the kubelet a token about hourly), so each is
read again when its file changed, and a symlink that moved counts as a change.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from vipcast.k8s.errors import AccessError

__all__ = ["Access", "CredentialFile", "Stamp", "Tls", "Token", "load_pair"]

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class CredentialFile:
    """A token, key or certificate: in a file, or given inline."""

    path: Path | None = None
    data: bytes = b""

    def read(self) -> bytes:
        """Return what it is now. Raises AccessError when the file cannot be read."""
        try:
            return self.data if self.path is None else self.path.read_bytes()
        except (OSError, ValueError) as error:  # a name with a NUL in it
            raise AccessError(f"{self.path}: {getattr(error, 'strerror', None) or error}") from error

    def stamp(self) -> Stamp | None:
        """Differs when the file differs; None for what is inline or momentarily missing."""
        try:
            status = self.path.stat() if self.path else None
        except (OSError, ValueError):
            return None
        return (status.st_ino, status.st_mtime_ns, status.st_size) if status else None


@dataclass(slots=True)
class Token:
    """A bearer token."""

    credential_file: CredentialFile
    _stamp: Stamp | None = field(default=None, init=False)
    _value: str = field(default="", init=False)

    def __call__(self) -> str:
        """The token as it is now; the last one known while its file is missing."""
        stamp = self.credential_file.stamp()
        if not self._value or (stamp is not None and stamp != self._stamp):
            self._value, self._stamp = self.credential_file.read().decode(errors="replace").strip(), stamp
        return self._value


@dataclass(slots=True)
class Tls:
    """The certificate authority that is trusted, and the client certificate."""

    authority: CredentialFile | None = None
    certificate: CredentialFile | None = None
    key: CredentialFile | None = None
    server_name: str | None = None
    insecure: bool = False
    _context: ssl.SSLContext | None = field(default=None, init=False)
    _stamps: tuple[Stamp | None, ...] = field(default=(), init=False)

    def context(self) -> ssl.SSLContext:
        """A context for a new connection; made again when a file changed."""
        stamps = tuple(each.stamp() for each in (self.authority, self.certificate, self.key) if each)
        if self._context is None or stamps != self._stamps:
            self._context, self._stamps = self._make(), stamps
        return self._context

    def _make(self) -> ssl.SSLContext:
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._trust(context)
            self._identify(context)
        except (ssl.SSLError, UnicodeDecodeError) as error:
            raise AccessError(
                f"the certificate authority, certificate or key is not usable PEM: {error}"
            ) from error
        return context

    def _trust(self, context: ssl.SSLContext) -> None:
        if self.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        elif self.authority:
            context.load_verify_locations(cadata=self.authority.read().decode("ascii"))
        else:
            context.load_default_certs()

    def _identify(self, context: ssl.SSLContext) -> None:
        if self.certificate:
            load_pair(context, self.certificate.read(), self.key.read() if self.key else b"")


def load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Let `context` show a certificate; both are PEM. Raises ssl.SSLError when they are not, or no pair.

    OpenSSL wants a file: ours has no name and lives in memory only, so a key never reaches a disk.
    """
    descriptor = os.memfd_create("vipcast-certificate")
    try:
        os.write(descriptor, certificate + b"\n" + key)
        # Without a password a key that needs one is refused; OpenSSL would ask for it on a terminal.
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Access:
    """Everything needed to send a request."""

    server: str  # URL: https://10.8.0.1:443, perhaps with a path
    tls: Tls | None = None
    token: Callable[[], str] | None = None
    namespace: str | None = None  # of the service account or the context

    def headers(self) -> list[tuple[str, str]]:
        """Return who we are, as HTTP headers. Raises AccessError for a token that can not stand in one."""
        token = self.token() if self.token else ""
        if not (token.isascii() and token.isprintable() and " " not in token):
            raise AccessError(f"{self.server}: the token for it has characters that no token has")
        return [("authorization", f"Bearer {token}")] if token else []
