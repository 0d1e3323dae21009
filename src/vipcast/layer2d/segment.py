# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An interface: requests in, answers out, and what has to be open and joined for it."""

from __future__ import annotations

import errno
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from vipcast.layer2.frames import EtherType, Mac
from vipcast.layer2.kernel_filter import arp_filter, encode, ndp_filter
from vipcast.layer2.ndp import solicited_node
from vipcast.layer2.responder import Responder
from vipcast.layer2.wants import Address
from vipcast.net.links import Link
from vipcast.net.packet_sockets import Groups, attach_filter, explain, open_packet_socket

__all__ = ["HeirSegment", "Segment"]

_FRAME = 2048
# A flood on one interface leaves time for the others, and for heartbeats.
_AT_ONCE = 128
# The interface went down, or has gone: netlink tells it too.
_GONE = frozenset({errno.ENETDOWN, errno.ENODEV, errno.ENXIO})

Watch = Callable[[socket.socket, Callable[[float], None]], None]
_NONE: frozenset[Address] = frozenset()


@dataclass(slots=True)
class HeirSegment:
    """An interface's sockets, and what was joined and answered there."""

    sockets: dict[EtherType, socket.socket] = field(default_factory=dict)
    groups: list[socket.socket] = field(default_factory=list)
    joined: list[tuple[IPv6Address, int]] = field(default_factory=list)
    past: dict[Address, int] = field(default_factory=dict)

    def close(self) -> None:
        for sock in (*self.sockets.values(), *self.groups):
            sock.close()


class Segment:
    """``watch`` and ``unwatch`` are told of sockets to read from. ``problem``: in words.

    ``fresh``: something was heard since it was last set to False; `Responder.take_foreign` may have it.
    """

    def __init__(
        self, link: Link, own_macs: Set[Mac], *, watch: Watch, unwatch: Callable[[socket.socket], None]
    ) -> None:
        self.link = link
        self.responder = Responder(link.mac, own_macs)
        self.groups = Groups(link.index)
        self.sockets: dict[EtherType, socket.socket] = {}
        self.problem: str | None = None
        self.send_errors = 0
        self.fresh = False
        self._watch, self._unwatch = watch, unwatch
        self._owned = self._watched = _NONE
        self._past: Counter[Address] = Counter()  # answers of earlier times

    @property
    def name(self) -> str:
        return self.link.name

    def set_link(self, link: Link) -> None:
        """The same interface with another MAC or name."""
        self.link = link
        self.responder.mac = link.mac

    def adopt(self, sockets: Mapping[EtherType, socket.socket], past: Mapping[Address, int]) -> None:
        """Of another process: what waits in them is not lost. ``past``: how often it has answered."""
        self._past.update(past)
        for ether_type, sock in sockets.items():
            self._begin(ether_type, sock)

    # ---- which addresses ----

    def want(self, owned: Set[Address], watched: Set[Address]) -> None:
        """The whole sets: what is answered for, and what is only listened for."""
        before, self._owned = self._owned, frozenset(owned)
        watched_before, self._watched = self._watched, frozenset(watched) - self._owned
        heard_before, heard = before | watched_before, self._owned | self._watched
        # First the way in: from the first announcement on, somebody may ask.
        if heard != heard_before:
            self._listen(heard, heard_before)
        self._disown(before - self._owned)
        for address in watched_before - self._watched - self._owned:
            self.responder.unwatch(address)
        for address in self._owned - before:
            self.responder.own(address)
        for address in self._watched - (watched_before - before):
            self.responder.watch(address)

    def _disown(self, gone: Set[Address]) -> None:
        counts = self.responder.counts() if gone else {}
        for address in gone:
            self._past[address] += counts[address]
            self.responder.disown(address)

    def answered(self) -> dict[Address, int]:
        """How many answers each address had here, ever."""
        found = self.responder.counts()
        for address, count in self._past.items():
            found[address] = found.get(address, 0) + count
        return found

    def forget(self, addresses: Set[Address]) -> None:
        """They are not wanted any more."""
        for address in addresses:
            self._past.pop(address, None)

    def _listen(self, heard: Set[Address], before: Set[Address]) -> None:
        self.problem = None
        four = {each for each in heard if isinstance(each, IPv4Address)}
        six = {each for each in heard if isinstance(each, IPv6Address)}
        try:
            self._filter(EtherType.ARP, encode(arp_filter(four)) if four else None)
            self._filter(EtherType.IPV6, encode(ndp_filter(six)) if six else None)
            for address in six - before:
                self.groups.join(solicited_node(address))
        except OSError as error:
            self.problem = explain(error, self.name)
        for gone in before - heard:
            if isinstance(gone, IPv6Address):
                self.groups.leave(solicited_node(gone))

    def _filter(self, ether_type: EtherType, program: bytes | None) -> None:
        """Without an address there is no socket. Raises OSError."""
        sock = self.sockets.get(ether_type)
        if program is None:
            if sock is not None:
                self._end(self.sockets.pop(ether_type))
        elif sock is not None:
            attach_filter(sock, program)
        else:
            self._begin(ether_type, open_packet_socket(self.name, ether_type, program))

    def _begin(self, ether_type: EtherType, sock: socket.socket) -> None:
        self.sockets[ether_type] = sock
        self._watch(sock, lambda _now: self._answer(sock))

    def _end(self, sock: socket.socket) -> None:
        self._unwatch(sock)
        sock.close()

    # ---- frames ----

    def _answer(self, sock: socket.socket) -> None:
        """Whoever asks waits: nothing else is done between a request and its answer."""
        receive, answer, send = sock.recv, self.responder.answer, sock.send
        self.fresh = True
        for _each in range(_AT_ONCE):
            try:
                frame = receive(_FRAME)
            except BlockingIOError:
                return
            except OSError as error:
                self._failed(error)
                return
            reply = answer(frame)
            if reply is not None:
                try:
                    send(reply)
                except OSError as error:
                    self._failed(error)

    def send(self, frame: bytes) -> None:
        sock = self.sockets.get(EtherType.ARP if frame[12:14] == b"\x08\x06" else EtherType.IPV6)
        if sock is None:
            return
        try:
            sock.send(frame)
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        self.send_errors += 1
        if error.errno not in _GONE and error.errno not in (errno.ENOBUFS, errno.EAGAIN):
            self.problem = explain(error, self.name)

    def close(self) -> None:
        for sock in self.sockets.values():
            self._end(sock)
        self.sockets.clear()
        self.groups.close()
