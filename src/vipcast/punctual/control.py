# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The abstract Unix socket: clients that want something, and a process that wants to take over."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

from vipcast.daemon.log import Log
from vipcast.net.lines import Json, ProtocolError, line, may_speak, read_line
from vipcast.punctual import handover
from vipcast.punctual.channel import Channel
from vipcast.punctual.loop import Loop

__all__ = ["MAX_CHANNELS", "Control", "Words", "connect", "listen"]

# A speaker, the one that replaces it, an heir, a person.
MAX_CHANNELS = 8

Words = Mapping[str, Callable[[Channel, Any], None]]
"""What each message is given to, with what it says. They raise ProtocolError for what cannot be."""


def connect(name: str) -> socket.socket | None:
    """To the process in charge; None where there is none. Raises OSError, ProtocolError for a stranger."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(handover.TIMEOUT)
        sock.connect(name)
        if not may_speak(sock):
            raise ProtocolError("another user's program has the control socket")
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
    """Accepts, reads, and calls ``words``; ``gone`` is told of a client that has gone.

    ``limit``: octets of a line.
    """

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        words: Words,
        gone: Callable[[Channel], None],
        *,
        limit: int,
        log: Log,
    ) -> None:
        self.listener = listener
        self.channels: list[Channel] = []
        self._loop, self._words, self._client_gone = loop, words, gone
        self._limit, self._log = limit, log
        listener.setblocking(False)
        loop.read(listener, self._accept)

    def tell(self, message: Json, *, only: Channel | None = None) -> None:
        """Every client, or one."""
        data = line(message)
        for channel in list(self.channels) if only is None else [only]:
            channel.send(data)

    def release(self, channel: Channel) -> None:
        """It is somebody else's now."""
        self.channels.remove(channel)

    def close(self) -> None:
        self._loop.forget(self.listener)
        self.listener.close()
        for channel in self.channels:
            channel.close()

    def _accept(self, _now: float) -> None:
        try:
            sock, _name = self.listener.accept()
        except OSError:
            return
        if len(self.channels) >= MAX_CHANNELS or not may_speak(sock):
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
            self._log.warning("bad_request", why=str(error))
            channel.send(line({"error": str(error)}))

    def _act(self, channel: Channel, message: Json) -> None:
        word = next((word for word in self._words if word in message), None)
        if word is None:
            raise ProtocolError(f"none of the words {', '.join(self._words)}")
        self._words[word](channel, message[word])
