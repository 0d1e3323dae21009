# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interfaces of this host, followed by rtnetlink's events, and which of them layer 2 may use."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from vipcast.net import rtnetlink
from vipcast.net.interface_networks import GROUPS, Network, Networks

__all__ = ["Interface", "InterfaceTable", "Refusal", "Rules", "judge"]

_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK = 16, 17, 18
_RTMGRP_LINK = 1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_INFO_KIND = 1, 3, 10, 18, 1
_IFLA_EXT_MASK, _WITHOUT_STATISTICS = 29, 1 << 3  # RTEXT_FILTER_SKIP_STATS
_MESSAGE = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, change
_ATTRIBUTE = struct.Struct("=HHI")
_ETHERNET = 1  # ARPHRD_ETHER
# linux/if.h
_IFF_UP, _IFF_BROADCAST, _IFF_LOOPBACK, _IFF_RUNNING, _IFF_NOARP = 0x1, 0x2, 0x8, 0x40, 0x80
_IFF_LOWER_UP = 0x10000
_BUFFER = 1 << 20  # a node starts a hundred pods at once
_READ = 65536
# In a turn; what is left is read in the next one.
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Interface:
    """``kind`` is ARPHRD_*, ``flags`` are IFF_*; ``master``: the index of its bridge, bond or VRF.

    ``driver``: what rtnetlink calls its kind (bridge, vxlan, vrf), empty for hardware. ``networks``: of its
    addresses; while it is down or has no carrier, those that it had.
    """

    index: int
    name: str
    mac: bytes
    flags: int
    kind: int = _ETHERNET
    master: int | None = None
    driver: str = ""
    networks: frozenset[Network] = frozenset()

    @property
    def works(self) -> bool:
        """Tell whether it is up and has a carrier."""
        return all(self.flags & flag for flag in (_IFF_UP, _IFF_LOWER_UP, _IFF_RUNNING))


class Refusal(Enum):
    """The first reason why layer 2 does not use an interface. The name is what the status shows."""

    LOOPBACK = "it is the loopback"
    EXCLUDED = "its name is excluded"
    NOT_ETHERNET = "it is no Ethernet interface"
    NO_ARP = "it has no ARP"
    NO_BROADCAST = "it cannot broadcast"
    ENSLAVED = "it is part of a bridge, a bond or a VRF"
    DOWN = "it is down"
    NO_CARRIER = "it has no carrier"
    POD_NETWORK = "it is an overlay, or a bridge that has pods or virtual machines alone"


WITHOUT_LINK = frozenset({Refusal.DOWN, Refusal.NO_CARRIER})
"""What a cable or somebody who sets it up repairs: until then it is the same interface."""

# Kinds that never lead to the network outside: linux/if_link.h and the drivers' rtnl_link_ops.
_OVERLAYS = frozenset(
    {
        *("vxlan", "geneve", "gretap", "ip6gretap", "erspan", "ip6erspan", "bareudp", "wireguard", "amt"),
        *("dummy", "ifb", "nlmon", "netkit", "netdevsim", "vcan"),
    }
)
_REFUSALS: tuple[tuple[Refusal, Callable[[Interface], bool]], ...] = (
    (Refusal.LOOPBACK, lambda link: bool(link.flags & _IFF_LOOPBACK)),
    (Refusal.NOT_ETHERNET, lambda link: link.kind != _ETHERNET or len(link.mac) != 6),
    (Refusal.NO_ARP, lambda link: bool(link.flags & _IFF_NOARP)),
    (Refusal.NO_BROADCAST, lambda link: not link.flags & _IFF_BROADCAST),
)
_STATES: tuple[tuple[Refusal, Callable[[Interface], bool]], ...] = (
    (Refusal.DOWN, lambda link: not link.flags & _IFF_UP),
    (Refusal.NO_CARRIER, lambda link: not link.works),
)


@dataclass(frozen=True, slots=True)
class Rules:
    """Regular expressions, matched at the beginning of the name.

    ``allowed`` wins: over ``excluded``, over what an interface is made of, and in a VRF.
    """

    excluded: tuple[re.Pattern[str], ...] = ()
    allowed: tuple[re.Pattern[str], ...] = ()


def judge(links: Mapping[int, Interface], rules: Rules) -> dict[int, Refusal | None]:
    """Return why each interface is not used, or None for one that is."""
    return {index: _refusal(link, links, rules) for index, link in links.items()}


def _refusal(link: Interface, links: Mapping[int, Interface], rules: Rules) -> Refusal | None:
    allowed = any(pattern.match(link.name) for pattern in rules.allowed)
    excluded = any(pattern.match(link.name) for pattern in rules.excluded)
    if excluded and not allowed and not link.flags & _IFF_LOOPBACK:
        return Refusal.EXCLUDED
    if (why := _first(_REFUSALS, link)) is not None:
        return why
    if _is_enslaved(link, links, allowed=allowed):
        return Refusal.ENSLAVED
    if not allowed and (link.driver in _OVERLAYS or _is_of_pods(link, links, rules)):
        return Refusal.POD_NETWORK
    return _first(_STATES, link)


def _first(table: tuple[tuple[Refusal, Callable[[Interface], bool]], ...], link: Interface) -> Refusal | None:
    return next((reason for reason, holds in table if holds(link)), None)


def _is_enslaved(link: Interface, links: Mapping[int, Interface], *, allowed: bool) -> bool:
    """Tell whether the interface is part of another one, at which its frames come in.

    That is so with a bridge's port. What is part of a VRF has its own frames: it may be allowed.
    """
    master = None if link.master is None else links.get(link.master)
    return link.master is not None and not (allowed and master is not None and master.driver == "vrf")


def _is_of_pods(link: Interface, links: Mapping[int, Interface], rules: Rules) -> bool:
    """Tell whether it is a bridge without a port that leads outside: docker0, cni0, br-1a2b3c, virbr0."""
    if link.driver != "bridge":
        return False
    ports = (port for port in links.values() if port.master == link.index and port.driver != "tun")
    alone = (_refusal(replace(port, master=None), links, rules) for port in ports)
    return not any(why is None or why in WITHOUT_LINK for why in alone)


class InterfaceTable:
    """``links``: all interfaces by their index. Raises OSError where the kernel cannot be asked.

    ``sock``: can be read when something may have changed; then call ``read``.
    """

    def __init__(self) -> None:
        self.links: dict[int, Interface] = {}
        self._networks = Networks()
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        try:
            self.sock.setblocking(False)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self.sock.bind((0, _RTMGRP_LINK | GROUPS))
            # From now on every change comes as an event: what is there now cannot be missed.
            self._read_all()
        except BaseException:
            self.sock.close()
            raise

    def read(self) -> bool:
        """Read what waits; return whether something that matters is different now."""
        before = dict(self.links)
        try:
            for kind, body in self._events():
                self._take(kind, body)
        except OSError:  # ENOBUFS: events were lost
            self._read_all()
        self._place_networks()
        return self.links != before

    def close(self) -> None:
        self.sock.close()

    def _events(self) -> Iterator[tuple[int, bytes]]:
        for _each in range(_AT_ONCE):
            try:
                data = self.sock.recv(_READ)
            except (BlockingIOError, InterruptedError):
                return
            yield from rtnetlink.messages(data)

    def _read_all(self) -> None:
        self.links = _dump_links()
        self._networks.read_all(_working(self.links))
        self._place_networks()

    def _place_networks(self) -> None:
        """Put the networks into the links; forget the former ones of a link that works again."""
        self._networks.forget(self.links.keys(), _working(self.links))
        for index, link in self.links.items():
            if (networks := self._networks.of(index)) != link.networks:
                self.links[index] = replace(link, networks=networks)

    def _take(self, kind: int, body: bytes) -> None:
        self._networks.take(kind, body, _working(self.links))
        link = _read_link(body) if kind in (_RTM_NEWLINK, _RTM_DELLINK) else None
        if link is None:
            return
        if kind == _RTM_DELLINK:
            self.links.pop(link.index, None)
        else:
            self.links[link.index] = replace(link, networks=self._networks.of(link.index))


def _working(links: Mapping[int, Interface]) -> frozenset[int]:
    return frozenset(index for index, link in links.items() if link.works)


def _dump_links() -> dict[int, Interface]:
    body = _MESSAGE.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    body += _ATTRIBUTE.pack(_ATTRIBUTE.size, _IFLA_EXT_MASK, _WITHOUT_STATISTICS)
    found = map(_read_link, rtnetlink.dump(_RTM_GETLINK, body, _RTM_NEWLINK))
    return {link.index: link for link in found if link is not None}


def _read_link(body: bytes) -> Interface | None:
    """Return the link; None for what tells of a part of an interface only.

    That is a bridge's port, in the bridge's family.
    """
    family, kind, index, flags, _change = _MESSAGE.unpack_from(body)
    attributes = dict(rtnetlink.attributes(body[_MESSAGE.size :]))
    if family != socket.AF_UNSPEC or _IFLA_IFNAME not in attributes:
        return None
    master = attributes.get(_IFLA_MASTER)
    return Interface(
        index=index,
        name=attributes[_IFLA_IFNAME].rstrip(b"\0").decode(errors="replace"),
        mac=attributes.get(_IFLA_ADDRESS, b""),
        flags=flags,
        kind=kind,
        master=None if master is None else int(struct.unpack("=I", master)[0]),
        driver=_driver(attributes.get(_IFLA_LINKINFO, b"")),
    )


def _driver(information: bytes) -> str:
    kind = dict(rtnetlink.attributes(information)).get(_IFLA_INFO_KIND, b"")
    return kind.rstrip(b"\0").decode(errors="replace")
