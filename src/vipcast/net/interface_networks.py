# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of this host's interfaces: those of their addresses, by rtnetlink.

Without a carrier, or set down, an interface loses its IPv6 addresses by the kernel, and often its IPv4 ones
by whoever manages it. It belongs to its network all the same: what it had is kept until it works again.
"""

from __future__ import annotations

import socket
import struct
from collections import defaultdict
from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from vipcast.net import rtnetlink

__all__ = ["GROUPS", "Network", "Networks"]

Network = IPv4Network | IPv6Network

GROUPS = 0x10 | 0x100  # RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
_RTM_NEWADDR, _RTM_DELADDR, _RTM_GETADDR = 20, 21, 22
_MESSAGE = struct.Struct("=BBBBI")  # struct ifaddrmsg: family, length of the prefix, flags, scope, index
_IFA_ADDRESS = 1
_OCTETS = {socket.AF_INET: 4, socket.AF_INET6: 16}

_Assigned = tuple[bytes, int]  # an address and the length of its prefix


class Networks:
    """``working`` below: the indices of the interfaces that are up and have a carrier."""

    def __init__(self) -> None:
        self._assigned: defaultdict[int, dict[_Assigned, Network]] = defaultdict(dict)
        self._former: defaultdict[int, set[Network]] = defaultdict(set)

    def of(self, index: int) -> frozenset[Network]:
        return frozenset({*self._assigned.get(index, {}).values(), *self._former.get(index, ())})

    def read_all(self, working: Collection[int]) -> None:
        """Read the addresses of all interfaces from the kernel. Raises OSError."""
        before, self._assigned = self._assigned, defaultdict(dict)
        for family in (socket.AF_INET, socket.AF_INET6):
            body = _MESSAGE.pack(family, 0, 0, 0, 0)
            for found in rtnetlink.dump(_RTM_GETADDR, body, _RTM_NEWADDR):
                self.take(_RTM_NEWADDR, found, working)
        for index, assigned in before.items():
            if index not in working:
                gone = assigned.keys() - self._assigned.get(index, {}).keys()
                self._former[index].update(assigned[each] for each in gone)

    def take(self, kind: int, body: bytes, working: Collection[int]) -> None:
        """Take an event; one of another kind changes nothing."""
        if kind not in (_RTM_NEWADDR, _RTM_DELADDR) or (read := _read(body)) is None:
            return
        index, assigned, network = read
        if kind == _RTM_NEWADDR:
            self._assigned[index][assigned] = network
            return
        gone = self._assigned[index].pop(assigned, None)
        if gone is not None and index not in working:
            self._former[index].add(gone)

    def forget(self, there: Collection[int], working: Collection[int]) -> None:
        """Forget former networks of interfaces that work again, and all networks of those that have gone."""
        for index in [index for index in self._former if index in working or index not in there]:
            del self._former[index]
        for index in [index for index in self._assigned if index not in there]:
            del self._assigned[index]


def _read(body: bytes) -> tuple[int, _Assigned, Network] | None:
    """Return the interface, the address and its network, or None where the network has no others in it.

    None is for one address alone, and for addresses of the link or of the host alone.
    """
    family, length, _flags, _scope, index = _MESSAGE.unpack_from(body)
    octets = dict(rtnetlink.attributes(body[_MESSAGE.size :])).get(_IFA_ADDRESS, b"")
    size = _OCTETS.get(family)
    if size is None or len(octets) != size or not 0 < length < 8 * size:
        return None
    address = ip_address(octets)
    if address.is_link_local or address.is_loopback:
        return None
    return index, (octets, length), ip_network((octets, length), strict=False)
