# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interfaces of this host, followed by rtnetlink's events, and which of them layer 2 may use."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import Enum

from vipcast.net import rtnetlink

__all__ = ["Link", "Links", "Refusal", "refusal"]

_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK = 16, 17, 18
_RTMGRP_LINK = 1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MASTER = 1, 3, 10
_IFLA_EXT_MASK, _WITHOUT_STATISTICS = 29, 1 << 3  # RTEXT_FILTER_SKIP_STATS
_MESSAGE = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, change
_ATTRIBUTE = struct.Struct("=HHI")
_ETHERNET = 1  # ARPHRD_ETHER
# linux/if.h
_IFF_UP, _IFF_BROADCAST, _IFF_LOOPBACK, _IFF_RUNNING, _IFF_NOARP = 0x1, 0x2, 0x8, 0x40, 0x80
_IFF_LOWER_UP = 0x10000
_BUFFER = 1 << 20  # a node starts a hundred pods at once
_READ = 65536


@dataclass(frozen=True, slots=True)
class Link:
    """``kind`` is ARPHRD_*, ``flags`` are IFF_*; ``master``: the index of its bridge or bond."""

    index: int
    name: str
    mac: bytes
    flags: int
    kind: int = _ETHERNET
    master: int | None = None


class Refusal(Enum):
    """Why layer 2 does not use an interface: the first one that holds. The name is what the status shows."""

    LOOPBACK = "it is the loopback"
    EXCLUDED = "its name is excluded"
    NOT_ETHERNET = "it is no Ethernet interface"
    NO_ARP = "it has no ARP"
    NO_BROADCAST = "it cannot broadcast"
    ENSLAVED = "it is part of a bridge, a bond or a VRF"
    DOWN = "it is down"
    NO_CARRIER = "it has no carrier"


_REFUSALS: tuple[tuple[Refusal, Callable[[Link], bool]], ...] = (
    (Refusal.LOOPBACK, lambda link: bool(link.flags & _IFF_LOOPBACK)),
    (Refusal.NOT_ETHERNET, lambda link: link.kind != _ETHERNET or len(link.mac) != 6),
    (Refusal.NO_ARP, lambda link: bool(link.flags & _IFF_NOARP)),
    (Refusal.NO_BROADCAST, lambda link: not link.flags & _IFF_BROADCAST),
    (Refusal.ENSLAVED, lambda link: link.master is not None),
    (Refusal.DOWN, lambda link: not link.flags & _IFF_UP),
    (Refusal.NO_CARRIER, lambda link: not (link.flags & _IFF_LOWER_UP and link.flags & _IFF_RUNNING)),
)


def refusal(link: Link, excluded: Collection[re.Pattern[str]]) -> Refusal | None:
    """``excluded``: matched at the beginning of the name."""
    if any(pattern.match(link.name) for pattern in excluded) and not link.flags & _IFF_LOOPBACK:
        return Refusal.EXCLUDED
    return next((reason for reason, holds in _REFUSALS if holds(link)), None)


class Links:
    """``links``: all interfaces by their index. Raises OSError where the kernel cannot be asked.

    ``sock``: can be read when something may have changed; then call ``read``.
    """

    def __init__(self) -> None:
        self.links: dict[int, Link] = {}
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        try:
            self.sock.setblocking(False)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self.sock.bind((0, _RTMGRP_LINK))
            # From now on every change comes as an event: what is there now cannot be missed.
            self.links = _read_all()
        except BaseException:
            self.sock.close()
            raise

    def read(self) -> bool:
        """Everything that waits; whether something that matters is different now."""
        before = dict(self.links)
        try:
            for kind, body in self._events():
                self._take(kind, body)
        except OSError:  # ENOBUFS: events were lost
            self.links = _read_all()
        return self.links != before

    def close(self) -> None:
        self.sock.close()

    def _events(self) -> Iterator[tuple[int, bytes]]:
        while True:
            try:
                data = self.sock.recv(_READ)
            except (BlockingIOError, InterruptedError):
                return
            yield from rtnetlink.messages(data)

    def _take(self, kind: int, body: bytes) -> None:
        link = _read_link(body) if kind in (_RTM_NEWLINK, _RTM_DELLINK) else None
        if link is None:
            return
        if kind == _RTM_DELLINK:
            self.links.pop(link.index, None)
        else:
            self.links[link.index] = link


def _read_all() -> dict[int, Link]:
    body = _MESSAGE.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    body += _ATTRIBUTE.pack(_ATTRIBUTE.size, _IFLA_EXT_MASK, _WITHOUT_STATISTICS)
    found = map(_read_link, rtnetlink.dump(_RTM_GETLINK, body, _RTM_NEWLINK))
    return {link.index: link for link in found if link is not None}


def _read_link(body: bytes) -> Link | None:
    """None for what tells of a part of an interface only: a bridge's port, in the bridge's family."""
    family, kind, index, flags, _change = _MESSAGE.unpack_from(body)
    attributes = dict(rtnetlink.attributes(body[_MESSAGE.size :]))
    if family != socket.AF_UNSPEC or _IFLA_IFNAME not in attributes:
        return None
    master = attributes.get(_IFLA_MASTER)
    return Link(
        index=index,
        name=attributes[_IFLA_IFNAME].rstrip(b"\0").decode(errors="replace"),
        mac=attributes.get(_IFLA_ADDRESS, b""),
        flags=flags,
        kind=kind,
        master=None if master is None else int(struct.unpack("=I", master)[0]),
    )
