# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interfaces that packets to an address leave by: the kernel's answer (RTM_GETROUTE). No capability."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from vipcast.net import rtnetlink

__all__ = ["interfaces_to"]

_RTM_NEWROUTE, _RTM_GETROUTE = 24, 26
_RTA_DST, _RTA_SRC, _RTA_OIF, _RTA_MULTIPATH = 1, 2, 4, 9
# RTM_F_FIB_MATCH: the whole route, with every next hop, and not the one that this packet would take.
_WHOLE_ROUTE = 0x2000
_MESSAGE = struct.Struct("=BBBBBBBBI")  # struct rtmsg
_NEXT_HOP = struct.Struct("=HBBi")  # struct rtnexthop: length, flags, hops, interface


def interfaces_to(
    address: IPv4Address | IPv6Address, source: IPv4Address | IPv6Address | None = None
) -> frozenset[int]:
    """Return the indices of the interfaces of the route to ``address``, all of its next hops.

    ``source``: our address, where routes depend on it. Raises OSError: there is no route.
    """
    found = frozenset(_interfaces(_ask(address, source, _WHOLE_ROUTE)))
    # Where next hops are objects of their own, the kernel may name them by number alone.
    return found or frozenset(_interfaces(_ask(address, source, 0)))


def _ask(address: IPv4Address | IPv6Address, source: IPv4Address | IPv6Address | None, flags: int) -> bytes:
    family, bits = (socket.AF_INET, 32) if address.version == 4 else (socket.AF_INET6, 128)
    body = _MESSAGE.pack(family, bits, 0 if source is None else bits, 0, 0, 0, 0, 0, flags)
    body += rtnetlink.attribute(_RTA_DST, address.packed)
    if source is not None:
        body += rtnetlink.attribute(_RTA_SRC, source.packed)
    return rtnetlink.ask(_RTM_GETROUTE, body, _RTM_NEWROUTE)


def _interfaces(route: bytes) -> Iterator[int]:
    for kind, value in rtnetlink.attributes(route[_MESSAGE.size :]):
        if kind == _RTA_OIF:
            yield int(struct.unpack("=I", value)[0])
        elif kind == _RTA_MULTIPATH:
            yield from _of_next_hops(value)


def _of_next_hops(value: bytes) -> Iterator[int]:
    while len(value) >= _NEXT_HOP.size:
        length, _flags, _hops, interface = _NEXT_HOP.unpack_from(value)
        yield interface
        value = value[max((length + 3) & ~3, _NEXT_HOP.size) :]
