# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The abstract Unix socket: clients that want sessions, and a process that wants to take over."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

from vipcast.bfd.settings import BadSettingsError, BfdSettings
from vipcast.bfdd import handover
from vipcast.bfdd.channel import Channel
from vipcast.bfdd.loop import Loop
from vipcast.daemon.log import log_for
from vipcast.net import bfd_protocol as protocol
from vipcast.net.bfd_protocol import Json, ProtocolError

# A speaker, the one that replaces it, an heir, a person.
MAX_CHANNELS = 8

_log = log_for("bfd")


@dataclass(frozen=True, slots=True)
class Handlers:
    """What the control socket asks of the process."""

    want: Callable[[Channel, dict[str, BfdSettings]], None]
    gone: Callable[[Channel], None]
    take_over: Callable[[Channel], None]
    taken: Callable[[Channel], None]


def connect(name: str) -> socket.socket | None:
    """To the process in charge; None where there is none. Raises OSError, ProtocolError for a stranger."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(handover.TIMEOUT)
        sock.connect(name)
        if not protocol.may_speak(sock):
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
    """Accepts, reads, and tells ``handlers``."""

    def __init__(self, loop: Loop, listener: socket.socket, handlers: Handlers) -> None:
        self.listener = listener
        self.channels: list[Channel] = []
        self._loop, self._handlers = loop, handlers
        listener.setblocking(False)
        loop.read(listener, self._accept)

    def tell(self, message: Json, *, only: Channel | None = None) -> None:
        """Every client, or one."""
        data = protocol.line(message)
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
        if len(self.channels) >= MAX_CHANNELS or not protocol.may_speak(sock):
            _log.warning("client_refused", clients=len(self.channels))
            sock.close()
            return
        self.channels.append(Channel(self._loop, sock, heard=self._heard, gone=self._gone))

    def _gone(self, channel: Channel) -> None:
        if channel in self.channels:
            self.channels.remove(channel)
            self._handlers.gone(channel)

    def _heard(self, channel: Channel, line: bytes) -> None:
        try:
            self._act(channel, protocol.read_line(line))
        except (ProtocolError, BadSettingsError) as error:
            _log.warning("bad_request", why=str(error))
            channel.send(protocol.line({"error": str(error)}))

    def _act(self, channel: Channel, message: Json) -> None:
        if "want" in message:
            self._handlers.want(channel, _read_want(message["want"]))
        elif "take_over" in message:
            if message["take_over"] != handover.VERSION:
                raise ProtocolError(f"this process hands over by version {handover.VERSION} of the protocol")
            self._handlers.take_over(channel)
        elif "taken" in message:
            self._handlers.taken(channel)
        else:
            raise ProtocolError("neither want, take_over nor taken")


def _read_want(written: object) -> dict[str, BfdSettings]:
    if not isinstance(written, dict) or not all(isinstance(value, dict) for value in written.values()):
        raise ProtocolError("want: an object of settings by name would be right")
    if len(written) > protocol.MAX_SESSIONS:
        raise ProtocolError(f"{len(written)} sessions: at most {protocol.MAX_SESSIONS}")
    return {name: protocol.read_settings(settings) for name, settings in written.items()}
