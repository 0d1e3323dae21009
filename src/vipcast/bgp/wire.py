# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Octets: a cursor that cannot run over its end, and prefixes as RFC 4271 section 4.3 writes them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Prefix = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


class MalformedError(Exception):
    """These octets are not what they should be. Whoever reads them turns it into an error of its own."""


class Family(Enum):
    """Address families by their AFI and SAFI (RFC 4760 section 3)."""

    IPV4_UNICAST = (1, 1)
    IPV6_UNICAST = (2, 1)

    @property
    def afi(self) -> int:
        return self.value[0]

    @property
    def safi(self) -> int:
        return self.value[1]

    @property
    def words(self) -> str:
        return "IPv4 unicast" if self is Family.IPV4_UNICAST else "IPv6 unicast"


FAMILIES = {family.value: family for family in Family}


def family_of(prefix: Prefix) -> Family:
    return Family.IPV4_UNICAST if prefix.version == 4 else Family.IPV6_UNICAST


class Reader:
    """A cursor over ``data``; asking for more than there is raises MalformedError."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __len__(self) -> int:
        return len(self._data) - self._position

    def take(self, count: int) -> bytes:
        if count > len(self):
            raise MalformedError(f"{count} octets announced, {len(self)} there")
        start = self._position
        self._position += count
        return self._data[start : self._position]

    def rest(self) -> bytes:
        return self.take(len(self))

    def uint(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")


def encode_prefix(prefix: Prefix) -> bytes:
    """Length in bits, then as many octets as hold that many bits."""
    length = prefix.prefixlen
    return bytes((length,)) + prefix.network_address.packed[: (length + 7) // 8]


def encode_prefixes(prefixes: Iterable[Prefix]) -> bytes:
    return b"".join(map(encode_prefix, prefixes))


def decode_prefixes(data: bytes, family: Family) -> tuple[Prefix, ...]:
    """Bits after the prefix length are irrelevant (RFC 4271 section 4.3): they are cleared, not refused."""
    reader = Reader(data)
    prefixes: list[Prefix] = []
    while reader:
        prefixes.append(_decode_prefix(reader, family))
    return tuple(prefixes)


def _decode_prefix(reader: Reader, family: Family) -> Prefix:
    size = 4 if family is Family.IPV4_UNICAST else 16
    length = reader.uint(1)
    if length > size * 8:
        raise MalformedError(f"a prefix of {length} bits in {family.words}")
    octets = reader.take((length + 7) // 8).ljust(size, b"\0")
    kind = IPv4Network if family is Family.IPV4_UNICAST else IPv6Network
    return kind((octets, length), strict=False)
