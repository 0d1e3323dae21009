# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of this host, read from the kernel: rtnetlink's RTM_GETADDR (linux/if_addr.h)."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from vipcast.bgp.wire import Family
from vipcast.model.addresses import IPAddress
from vipcast.net import rtnetlink

_RTM_NEWADDR, _RTM_GETADDR = 20, 22
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_SCOPE_UNIVERSE = 0
# IFA_F_OPTIMISTIC, IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE: not to be given to others.
_UNFIT = 0x04 | 0x08 | 0x20 | 0x40
_SECONDARY = 0x01  # IPv4: not the first of its subnet; IPv6: temporary (RFC 8981)
_MESSAGE = struct.Struct("=BBBBI")


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """``index`` is the interface's; ``flags`` are IFA_F_*; ``everywhere``: it is of global scope."""

    index: int
    address: IPAddress
    prefix_length: int
    flags: int
    everywhere: bool

    @property
    def fit(self) -> bool:
        """Return whether others may be told to send to it."""
        return self.everywhere and not self.flags & _UNFIT


def read_addresses() -> tuple[InterfaceAddress, ...]:
    """All of this network namespace, in the kernel's order. Raises OSError where it cannot be asked."""
    body = _MESSAGE.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    found = map(_address, rtnetlink.dump(_RTM_GETADDR, body, _RTM_NEWADDR))
    return tuple(each for each in found if each is not None)


def _address(body: bytes) -> InterfaceAddress | None:
    _family, prefix_length, flags, scope, index = _MESSAGE.unpack_from(body)
    attributes = dict(rtnetlink.attributes(body[_MESSAGE.size :]))
    # On a point-to-point link IFA_ADDRESS is the other end; IPv6 has no IFA_LOCAL elsewhere.
    packed = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
    if packed is None:
        return None
    if _IFA_FLAGS in attributes:
        flags = int.from_bytes(attributes[_IFA_FLAGS], sys.byteorder)
    return InterfaceAddress(index, ip_address(packed), prefix_length, flags, scope == _SCOPE_UNIVERSE)


def next_hops(
    local: IPAddress, index: int, addresses: Iterable[InterfaceAddress]
) -> dict[Family, IPv4Address | IPv6Address]:
    """Our global addresses for the families that ``local``, our end of a connection, does not serve.

    They are those of its interface: of ``index``, or where that is 0, of the one that has ``local``.
    """
    known = tuple(addresses)
    where = index or next((each.index for each in known if each.address == local), 0)
    found = {}
    for family, version in ((Family.IPV4_UNICAST, 4), (Family.IPV6_UNICAST, 6)):
        candidates = [each for each in known if each.index == where and each.address.version == version]
        best = min((each for each in candidates if each.fit), key=_rank, default=None)
        if best is not None and (local.version != version or local.is_link_local):
            found[family] = best.address
    return found


def _rank(each: InterfaceAddress) -> tuple[bool, bool]:
    """A host address may be a VIP that someone has put there: an address of a subnet is the better one."""
    return each.prefix_length == each.address.max_prefixlen, bool(each.flags & _SECONDARY)
