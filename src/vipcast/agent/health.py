# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes and the status document over HTTP, without a library: one request, one answer, the end."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

from vipcast.agent.channel import Channel
from vipcast.agent.loop import Loop
from vipcast.daemon.address import BadAddressError, parse_address

# Probes come one at a time; whoever opens more and says nothing loses them.
_CONNECTIONS = 8
_BACKLOG = 8
# Of a status document that waits for its reader.
_LIMIT = 16 << 20
_ANSWER = "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n"


def listen(address: str) -> socket.socket | None:
    """Raises BadAddressError."""
    where = parse_address(address)
    if where is None:
        return None
    host, port = where
    family = socket.AF_INET6 if host is None or ":" in host else socket.AF_INET
    try:
        return socket.create_server(
            (host or "", port), family=family, backlog=_BACKLOG, dualstack_ipv6=host is None
        )
    except OSError as error:
        raise BadAddressError(f"cannot listen on {address}: {error.strerror}") from error


def move(listener: socket.socket | None, address: str) -> socket.socket | None:
    """Listen where another process did, or at ``address`` where that is another place and free.

    Raises BadAddressError.
    """
    where = parse_address(address)
    if listener is None or where is None:
        return listen(address)
    if _is_at(listener, *where):
        return listener
    try:
        return listen(address)
    except BadAddressError:
        return listener


def _is_at(listener: socket.socket, host: str | None, port: int) -> bool:
    at = listener.getsockname()
    return int(at[1]) == port and (str(at[0]) == host or host is None)


class Health:
    """``ready`` says why not, or None; ``status`` makes the document, which is for the loopback only."""

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        *,
        ready: Callable[[], str | None],
        status: Callable[[], object],
    ) -> None:
        self.listener = listener
        self._loop, self._ready, self._status = loop, ready, status
        self._channels: list[Channel] = []
        listener.setblocking(False)
        loop.read(listener, self._accept)

    def close(self) -> None:
        self._loop.unregister(self.listener)
        self.listener.close()
        for channel in self._channels:
            channel.close()

    def _accept(self, _now: float) -> None:
        try:
            sock, _name = self.listener.accept()
        except OSError:
            return
        if len(self._channels) >= _CONNECTIONS:
            self._channels.pop(0).close()
        self._channels.append(Channel(self._loop, sock, heard=self._heard, gone=self._gone, limit=_LIMIT))

    def _gone(self, channel: Channel) -> None:
        if channel in self._channels:
            self._channels.remove(channel)

    def _heard(self, channel: Channel, line: bytes) -> None:
        words = line.split()
        if len(words) == 3 and words[2].startswith(b"HTTP/"):
            status, kind, body = self._page(words[1].decode("latin-1"), _is_local(channel.sock))
            head = _ANSWER.format(status, kind, len(body))
            channel.send(head.encode() + (b"" if words[0] == b"HEAD" else body))
        channel.finish()

    def _page(self, path: str, local: bool) -> tuple[str, str, bytes]:
        if path == "/healthz":
            return "200 OK", "text/plain", b"ok\n"
        if path == "/readyz":
            why = self._ready()
            return ("503 Service Unavailable" if why else "200 OK"), "text/plain", f"{why or 'ok'}\n".encode()
        if path == "/status" and local:
            return "200 OK", "application/json", json.dumps(self._status()).encode() + b"\n"
        return "404 Not Found", "text/plain", b"there are /healthz, /readyz and, on the loopback, /status\n"


def _is_local(sock: socket.socket) -> bool:
    host = str(sock.getpeername()[0])
    return host == "::1" or host.removeprefix("::ffff:").startswith("127.")
