# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The listener for peers that connect: one socket for each IP version and VRF, shared by its peers.

A socket is opened when the first peer is expected on it and closed with the last. Connections of others are
refused (RFC 4486 section 4: Connection Rejected) and remembered: often it is a router that dials from another
address than the one that its peer here is known by.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from vipcast.bgp.peer import refusal_message
from vipcast.model.addresses import IPAddress
from vipcast.net import sockets
from vipcast.net.devices import device_is_gone
from vipcast.net.settings import PeerSettings

BGP_PORT = 179
# A port or a device that is not there may come: so often it is asked for.
RETRY = 1.0
# A device may be deleted and made again: so often it is looked whether the socket's is there.
LOOK = 5.0
# So many are taken before the rest of the program gets its turn.
_AT_ONCE = 16
# Of so many addresses we remember that they were refused, and of so many we say it: who tries one after the
# other shall not fill a log.
_STRANGERS, _SAID = 16, 64


@dataclass(frozen=True, slots=True)
class UnknownPeer:
    """Connections from an address that no peer has; seconds since 1970."""

    connections: int
    last_wall: float


@dataclass(eq=False)
class Expected:
    """A peer that is awaited. ``problem``: why it cannot be, for a person; empty where it can."""

    settings: PeerSettings
    accept: Callable[[socket.socket], None]
    changed: Callable[[], None] = lambda: None
    address: IPAddress | None = None
    problem: str = ""

    def matches(self, source: IPv6Address | IPAddress, interface: str | None) -> bool:
        if self.address is not None and self.address.packed != source.packed:
            return False
        if self.address is None and not source.is_link_local:
            return False
        wanted = self.settings.interface or getattr(self.address, "scope_id", None)
        return wanted is None or not source.is_link_local or wanted == interface


class Listener:
    """``always``: await those that we dial, too. ``met`` hears of an address once, when it is refused."""

    def __init__(
        self,
        port: int = BGP_PORT,
        *,
        always: bool = False,
        met: Callable[[IPAddress], None] = lambda _address: None,
    ) -> None:
        self.port = port
        self.always = always
        self.refused = 0
        self._met, self._said = met, 0
        self._strangers: dict[IPAddress, UnknownPeer] = {}
        self._doors: dict[tuple[int, str | None], _ListeningSocket] = {}

    def expect(
        self,
        settings: PeerSettings,
        accept: Callable[[socket.socket], None],
        changed: Callable[[], None] = lambda: None,
    ) -> Expected:
        """``accept`` is given each connection of the peer's; ``changed``: ``problem`` has changed."""
        expected = Expected(settings, accept, changed, settings.address)
        key = (6 if settings.address is None else settings.address.version, settings.vrf)
        door = self._doors.get(key)
        if door is None:
            door = self._doors[key] = _ListeningSocket(self, *key)
        door.add(expected)
        return expected

    def found(self, expected: Expected, address: IPAddress) -> None:
        """An unnumbered peer's address is known now."""
        door = self._listening_socket(expected)
        if door is not None and expected.address != address:
            door.set_key(expected, None)
            expected.address = address
            door.set_key(expected, expected.settings.password)

    def change(self, expected: Expected, settings: PeerSettings) -> None:
        """The peer has another password."""
        expected.settings = settings
        if (door := self._listening_socket(expected)) is not None:
            door.set_key(expected, settings.password)

    def forget(self, expected: Expected) -> None:
        door = self._listening_socket(expected)
        if door is not None and door.remove(expected):
            del self._doors[door.version, door.device]

    @property
    def strangers(self) -> Mapping[IPAddress, UnknownPeer]:
        """Return who was refused, the last one last; not more than a few."""
        return self._strangers

    def count_refused(self, source: IPAddress) -> None:
        self.refused += 1
        before = self._strangers.pop(source, None)
        self._strangers[source] = UnknownPeer(before.connections + 1 if before else 1, time.time())
        if len(self._strangers) > _STRANGERS:
            del self._strangers[next(iter(self._strangers))]
        if before is None and self._said < _SAID:
            self._said += 1
            self._met(source)

    def _listening_socket(self, expected: Expected) -> _ListeningSocket | None:
        return next((door for door in self._doors.values() if expected in door.guests), None)


@dataclass(eq=False)
class _ListeningSocket:
    """One listening socket, or the attempt to get one."""

    listener: Listener
    version: int
    device: str | None
    guests: list[Expected] = field(default_factory=list)
    _sock: socket.socket | None = None
    _retry: asyncio.TimerHandle | None = None

    def add(self, expected: Expected) -> None:
        self.guests.append(expected)
        if self._sock is None:
            self._open()
        else:
            self.set_key(expected, expected.settings.password)

    def remove(self, expected: Expected) -> bool:
        """Return whether nobody is awaited here any more: then the socket is closed."""
        self.guests.remove(expected)
        if self.guests:
            self.set_key(expected, None)
            return False
        if self._retry is not None:
            self._retry.cancel()
        if self._sock is not None:
            asyncio.get_running_loop().remove_reader(self._sock)
            self._sock.close()
        return True

    def set_key(self, expected: Expected, password: str | None) -> None:
        """TCP MD5 (RFC 2385): on the listening socket, since the first segment is signed already."""
        if self._sock is None or expected.settings.password is None or expected.address is None:
            return
        try:
            sockets.set_md5_key(self._sock, expected.address, password)
        except OSError as error:
            if password is not None:
                self._report(sockets.explain(error, expected.settings), expected)

    def _open(self) -> None:
        self._retry = None
        loop = asyncio.get_running_loop()
        try:
            self._sock = sockets.open_listener(self.version, self.device, self.listener.port)
        except OSError as error:
            self._retry = loop.call_later(RETRY, self._open)
            self._report(sockets.explain_listening(error, self.listener.port, self.device), *self.guests)
            return
        self._report("", *self.guests)
        for expected in self.guests:
            self.set_key(expected, expected.settings.password)
        loop.add_reader(self._sock, self._accept)
        if self.device is not None:
            self._retry = loop.call_later(LOOK, self._look)

    def _look(self) -> None:
        assert self._sock is not None
        loop = asyncio.get_running_loop()
        if not device_is_gone(self._sock):
            self._retry = loop.call_later(LOOK, self._look)
            return
        loop.remove_reader(self._sock)
        self._sock.close()
        self._sock = None
        self._open()

    @staticmethod
    def _report(problem: str, *guests: Expected) -> None:
        for expected in guests:
            if expected.problem != problem:
                expected.problem = problem
                expected.changed()

    def _accept(self) -> None:
        assert self._sock is not None
        for _again in range(_AT_ONCE):
            try:
                sock, name = self._sock.accept()
            except OSError:  # nobody is left, or who was there has gone
                return
            sock.setblocking(False)
            self._welcome(sock, name)

    def _welcome(self, sock: socket.socket, name: tuple[str, int] | tuple[str, int, int, int]) -> None:
        source = ip_address(name[0].partition("%")[0])
        try:
            interface = socket.if_indextoname(name[3]) if len(name) == 4 and name[3] else None
            expected = next((each for each in self.guests if each.matches(source, interface)), None)
            if expected is not None:
                sockets.set_options(sock, expected.settings)
        except OSError:  # it has gone again, or its interface has
            sock.close()
            return
        if expected is None:
            self.listener.count_refused(source)
            sockets.refuse(sock, refusal_message())
        else:
            expected.accept(sock)
