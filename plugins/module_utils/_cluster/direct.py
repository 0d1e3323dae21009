# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP by Python's own library, over one connection that is kept."""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import time
import typing as t
from urllib.parse import SplitResult, urlsplit

from .transport import BUSY_RETRIES, CONNECT_SECONDS, READ_SECONDS, Answer, TransportError

# RFC 9110, 10.2.3: the server says when to ask again.
BUSY = (413, 429, 503)


class DirectTransport:
    """A connection to one API server, made when it is needed."""

    def __init__(self, tls: ssl.SSLContext | None = None, server_name: str | None = None) -> None:
        """`server_name` is the name in the server's certificate, where that is not the URL's host."""
        self._tls = tls
        self._server_name = server_name
        self._connection: http.client.HTTPConnection | None = None

    def send(self, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None) -> Answer:
        """Return the answer; see `Transport`."""
        for _retry in range(BUSY_RETRIES):
            answer, later = self._ask(method, url, headers, body)
            if later is None:
                return answer
            time.sleep(later)
        return self._ask(method, url, headers, body)[0]

    def _ask(
        self, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None
    ) -> tuple[Answer, float | None]:
        """Return one answer, and in how many seconds a busy server wants to be asked again."""
        place = urlsplit(url)
        connection = self._connected(place)
        target = place.path + (f"?{place.query}" if place.query else "")
        try:
            connection.request(method, target, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, response.read()), _seconds_to_wait(response)
        except (OSError, http.client.HTTPException) as exc:
            self._close()
            raise TransportError(_reason(exc)) from exc

    def _connected(self, place: SplitResult) -> http.client.HTTPConnection:
        if self._connection is None or self._connection.sock is None or _is_dead(self._connection.sock):
            self._close()
            self._connection = self._connect_twice(place)
        return self._connection

    def _connect_twice(self, place: SplitResult) -> http.client.HTTPConnection:
        try:
            return self._connect(place)
        except ssl.SSLError as exc:
            raise TransportError(_reason(exc)) from exc
        except OSError:
            pass
        try:
            return self._connect(place)
        except OSError as exc:
            raise TransportError(_reason(exc)) from exc

    def _connect(self, place: SplitResult) -> http.client.HTTPConnection:
        host = place.hostname or ""
        connection: http.client.HTTPConnection
        if self._tls is None:
            connection = http.client.HTTPConnection(host, place.port or 80, timeout=CONNECT_SECONDS)
        else:
            connection = _Tls(host, place.port or 443, self._tls, self._server_name or host)
        connection.connect()
        connection.sock.settimeout(READ_SECONDS)
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Tls(http.client.HTTPConnection):
    """A connection by TLS; http.client's own knows no other name than the host's."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext, server_name: str) -> None:
        super().__init__(host, port, timeout=CONNECT_SECONDS)
        self._tls = tls
        self._server_name = server_name

    def connect(self) -> None:
        """Connect, and shake hands."""
        super().connect()
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._server_name)


def _is_dead(sock: socket.socket) -> bool:
    """Tell whether the server closed it: before a request nothing else can be read."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _seconds_to_wait(response: http.client.HTTPResponse) -> float | None:
    """Return what `Retry-After` says, and no more than a request may take anyway."""
    said = (response.getheader("Retry-After") or "").strip()
    if response.status not in BUSY or not said.isdecimal():
        return None
    return min(float(said), READ_SECONDS)


def _reason(exc: Exception) -> str:
    return str(exc) or type(exc).__name__


__all__ = ["DirectTransport"]
