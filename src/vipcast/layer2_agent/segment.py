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
from vipcast.model.addresses import IPAddress
from vipcast.net.interfaces import Interface
from vipcast.net.packet_sockets import Groups, attach_filter, explain, open_packet_socket

__all__ = ["Segment", "SegmentState"]

_FRAME = 2048
# A flood on one interface leaves time for the others, and for heartbeats.
_AT_ONCE = 128
# The interface went down, or has gone: netlink tells it too.
_GONE = frozenset({errno.ENETDOWN, errno.ENODEV, errno.ENXIO})

Watch = Callable[[socket.socket, Callable[[float], None]], None]
_NONE: frozenset[IPAddress] = frozenset()
_UNKNOWN: frozenset[IPAddress] = frozenset({IPv4Address(0)})  # of a filter that another process has set


@dataclass(slots=True)
class SegmentState:
    """An interface's sockets, and what was joined and answered there."""

    sockets: dict[EtherType, socket.socket] = field(default_factory=dict)
    groups: list[socket.socket] = field(default_factory=list)
    joined: list[tuple[IPv6Address, int]] = field(default_factory=list)
    past: dict[IPAddress, int] = field(default_factory=dict)

    def close(self) -> None:
        for sock in (*self.sockets.values(), *self.groups):
            sock.close()


class Segment:
    """``watch`` and ``unwatch`` are told of sockets to read from.

    What is to be heard and what the kernel has done for it so far are two things: ``deaf`` is the difference,
    which `reach` makes smaller whenever it is called.

    ``has_new``: something was heard since it was last set to False; `Responder.take_foreign` may have it.
    """

    def __init__(
        self, link: Interface, own_macs: Set[Mac], *, watch: Watch, unwatch: Callable[[socket.socket], None]
    ) -> None:
        self.link = link
        self.responder = Responder(link.mac, own_macs)
        self.groups = Groups(link.index)
        self.sockets: dict[EtherType, socket.socket] = {}
        self.send_errors = 0
        self.has_new = False
        self._watch, self._unwatch = watch, unwatch
        self._owned = self._watched = _NONE
        self._heard: dict[EtherType, frozenset[IPAddress]] = {}  # for which the kernel lets frames through
        self._errors: dict[EtherType, str] = {}
        self._sending: str | None = None
        self._by_group: Counter[IPv6Address] = Counter()
        self._past: Counter[IPAddress] = Counter()  # answers of earlier times

    @property
    def name(self) -> str:
        return self.link.name

    def set_link(self, link: Interface) -> None:
        """The same interface with another MAC or name."""
        self.link = link
        self.responder.mac = link.mac

    def adopt(self, sockets: Mapping[EtherType, socket.socket], past: Mapping[IPAddress, int]) -> None:
        """Take over the sockets of another process: what waits in them is not lost.

        ``past``: how often it has answered.
        """
        self._past.update(past)
        for ether_type, sock in sockets.items():
            self._begin(ether_type, sock)
            self._heard[ether_type] = _UNKNOWN

    # ---- which addresses ----

    def want(self, owned: Set[IPAddress], watched: Set[IPAddress]) -> None:
        """Take the whole sets: what is answered for, and what is only listened for."""
        before, self._owned = self._owned, frozenset(owned)
        watched_before, self._watched = self._watched, frozenset(watched) - self._owned
        heard_before, heard = before | watched_before, self._owned | self._watched
        # First the way in: from the first announcement on, somebody may ask.
        if heard != heard_before:
            self._count_groups(heard - heard_before, heard_before - heard)
            self.reach()
        self._disown(before - self._owned)
        for address in watched_before - self._watched - self._owned:
            self.responder.unwatch(address)
        for address in self._owned - before:
            self.responder.own(address)
        for address in self._watched - (watched_before - before):
            self.responder.watch(address)

    def _disown(self, gone: Set[IPAddress]) -> None:
        counts = self.responder.counts() if gone else {}
        for address in gone:
            self._past[address] += counts[address]
            self.responder.disown(address)

    def answered(self) -> dict[IPAddress, int]:
        """Return how many answers each address had here, ever."""
        found = self.responder.counts()
        for address, count in self._past.items():
            found[address] = found.get(address, 0) + count
        return found

    def forget(self, addresses: Set[IPAddress]) -> None:
        """Forget addresses that are not wanted any more."""
        for address in addresses:
            self._past.pop(address, None)

    # ---- the way in ----

    @property
    def heard(self) -> frozenset[IPAddress]:
        """Return the addresses that are to be heard: what is answered for, and what is only watched."""
        return self._owned | self._watched

    @property
    def complete(self) -> bool:
        return not self._errors and not self.groups.missing

    @property
    def deaf(self) -> frozenset[IPAddress]:
        """Return the addresses that are to be heard and for which a question does not get here."""
        if self.complete:
            return _NONE
        missing, six = self.groups.missing, self._heard.get(EtherType.IPV6, _NONE)
        return frozenset(each for each in self.heard if not self._hears(each, six, missing))

    def _hears(self, address: IPAddress, six: Set[IPAddress], missing: Set[IPv6Address]) -> bool:
        if isinstance(address, IPv6Address):
            return address in six and solicited_node(address) not in missing
        return address in self._heard.get(EtherType.ARP, _NONE)

    @property
    def problem(self) -> str | None:
        """Return in words what is wrong now, not what was wrong before; None where nothing is."""
        error, missing = self.groups.error, len(self.groups.missing)
        groups = (
            f"{explain(error, self.name)}: {missing} groups are not joined" if error and missing else None
        )
        return next(iter(self._errors.values()), groups or self._sending)

    def _count_groups(self, come: Set[IPAddress], gone: Set[IPAddress]) -> None:
        """Count how many addresses have each group: several may have one."""
        self._by_group.update(solicited_node(each) for each in come if isinstance(each, IPv6Address))
        self._by_group.subtract(solicited_node(each) for each in gone if isinstance(each, IPv6Address))
        self._by_group = +self._by_group
        self.groups.wanted = frozenset(self._by_group)

    def reach(self) -> None:
        """Have the kernel do what it has not done yet, so that every address is heard."""
        heard = self.heard
        four = frozenset(each for each in heard if isinstance(each, IPv4Address))
        six = frozenset(each for each in heard if isinstance(each, IPv6Address))
        self._reach(EtherType.ARP, four, lambda: encode(arp_filter(four)))
        self._reach(EtherType.IPV6, six, lambda: encode(ndp_filter(six)))
        self.groups.reach()

    def _reach(
        self, ether_type: EtherType, wanted: frozenset[IPAddress], program: Callable[[], bytes]
    ) -> None:
        if wanted == self._heard.get(ether_type, _NONE) and ether_type not in self._errors:
            return
        self._errors.pop(ether_type, None)
        try:
            self._filter(ether_type, program() if wanted else None)
            self._heard[ether_type] = wanted
        except OSError as error:
            self._errors[ether_type] = explain(error, self.name)

    def _filter(self, ether_type: EtherType, program: bytes | None) -> None:
        """Open or close the socket, or change its filter; without a program there is none. Raises OSError."""
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
        """Answer what waits in the socket; nothing else is done between a request and its answer."""
        receive, answer, send = sock.recv, self.responder.answer, sock.send
        self.has_new = True
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
                else:
                    self._sending = None

    def send(self, frame: bytes) -> None:
        sock = self.sockets.get(EtherType.ARP if frame[12:14] == b"\x08\x06" else EtherType.IPV6)
        if sock is None:
            return
        try:
            sock.send(frame)
        except OSError as error:
            self._failed(error)
        else:
            self._sending = None

    def _failed(self, error: OSError) -> None:
        self.send_errors += 1
        if error.errno not in _GONE and error.errno not in (errno.ENOBUFS, errno.EAGAIN):
            self._sending = explain(error, self.name)

    def close(self) -> None:
        for sock in self.sockets.values():
            self._end(sock)
        self.sockets.clear()
        self.groups.close()
