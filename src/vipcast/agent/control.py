# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The abstract Unix socket: clients that want something, and a process that wants to take over."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

from vipcast.agent import handover
from vipcast.agent.channel import Channel
from vipcast.agent.loop import Loop
from vipcast.daemon.log import Log
from vipcast.net.ipc import Json, ProtocolError, check, is_trusted_peer, line, read_line

__all__ = ["MAX_CHANNELS", "Control", "Handlers", "UntrustedPeerError", "connect", "listen"]

# A speaker, the one that replaces it, a successor, a person.
MAX_CHANNELS = 8

Handlers = Mapping[str, Callable[[Channel, Any], None]]
"""What each message is given to, with what it says; take_over with the whole message.

They raise ProtocolError for what cannot be.
"""


class UntrustedPeerError(ProtocolError):
    """Another user's program listens in our name."""


def connect(name: str) -> socket.socket | None:
    """Return a connection to the process in charge, or None. Raises OSError, UntrustedPeerError.

    None is for a name at which no process listens.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(handover.TIMEOUT)
        sock.connect(name)
        if not is_trusted_peer(sock):
            raise UntrustedPeerError("another user's program has the control socket")
    except ConnectionRefusedError:
        sock.close()
        return None
    except BaseException:
        sock.close()
        raise
    return sock


def listen(name: str) -> socket.socket:
    """Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(name)
        sock.listen(MAX_CHANNELS)
    except BaseException:
        sock.close()
        raise
    return sock


class Control:
    """Accepts, reads, and calls ``handlers``; ``gone`` is told of a client that has gone.

    ``limit``: octets of a line.
    """

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        handlers: Handlers,
        gone: Callable[[Channel], None],
        *,
        limit: int,
        log: Log,
    ) -> None:
        self.listener = listener
        self.channels: list[Channel] = []
        self._loop, self._handlers, self._client_gone = loop, handlers, gone
        self._limit, self._log = limit, log
        listener.setblocking(False)
        loop.read(listener, self._accept)

    def broadcast(self, message: Json, *, only: Channel | None = None) -> None:
        """Tell every client, or one."""
        data = line(message)
        for channel in list(self.channels) if only is None else [only]:
            channel.send(data)

    def detach(self, channel: Channel) -> None:
        """It is somebody else's now."""
        self.channels.remove(channel)

    def close(self) -> None:
        self._loop.unregister(self.listener)
        self.listener.close()
        for channel in self.channels:
            channel.close()

    def _accept(self, _now: float) -> None:
        try:
            sock, _name = self.listener.accept()
        except OSError:
            return
        if len(self.channels) >= MAX_CHANNELS or not is_trusted_peer(sock):
            self._log.warning("client_refused", clients=len(self.channels))
            sock.close()
            return
        channel = Channel(self._loop, sock, heard=self._heard, gone=self._gone, limit=self._limit)
        self.channels.append(channel)

    def _gone(self, channel: Channel) -> None:
        if channel in self.channels:
            self.channels.remove(channel)
            self._client_gone(channel)

    def _heard(self, channel: Channel, written: bytes) -> None:
        try:
            self._act(channel, read_line(written))
        except ProtocolError as error:
            self.refuse(channel, error)

    def refuse(self, channel: Channel, error: ProtocolError) -> None:
        """Tell a client that what it has said cannot be."""
        self._log.warning("bad_request", why=str(error))
        channel.send(line({"error": str(error)}))

    def _act(self, channel: Channel, message: Json) -> None:
        word = next((word for word in self._handlers if word in message), None)
        if word is None:
            raise ProtocolError(f"none of the words {', '.join(self._handlers)}")
        if word != "take_over":  # whose versions are others
            check(message)
        self._handlers[word](channel, message if word == "take_over" else message[word])
