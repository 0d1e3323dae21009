# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Octets: a cursor that cannot run over its end, and prefixes as RFC 4271 section 4.3 writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from typing import overload

Prefix = IPv4Network | IPv6Network


class MalformedError(Exception):
    """The octets are not what they should be. Each reader turns it into an error of its own."""


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
    return prefixes.octets if isinstance(prefixes, PackedPrefixes) else b"".join(map(encode_prefix, prefixes))


class PackedPrefixes(Sequence[Prefix]):
    """Prefixes in octets: their lengths are checked at once, and they are made only when somebody looks.

    A peer may send a million that are only counted. Equal to a tuple of the same prefixes. Bits after the
    prefix length are irrelevant (RFC 4271 section 4.3): they are cleared, not refused. Raises MalformedError.
    """

    __slots__ = ("_count", "_family", "octets")

    def __init__(self, data: bytes, family: Family) -> None:
        self.octets = data
        self._family = family
        self._count = _count_prefixes(data, family)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Prefix]:
        reader = Reader(self.octets)
        while reader:
            yield _decode_prefix(reader, self._family)

    @overload
    def __getitem__(self, index: int) -> Prefix: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Prefix, ...]: ...

    def __getitem__(self, index: int | slice) -> Prefix | tuple[Prefix, ...]:
        return tuple(self)[index]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (tuple, PackedPrefixes)):
            return NotImplemented
        return len(self) == len(other) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


def _count_prefixes(data: bytes, family: Family) -> int:
    longest, size = _LONGEST[family], len(data)
    position = count = 0
    while position < size:
        bits = data[position]
        if bits > longest:
            raise MalformedError(f"a prefix of {bits} bits in {family.words}")
        position += 1 + (bits + 7) // 8
        count += 1
    if position != size:
        raise MalformedError(f"{position - size} octets of the last prefix are not there")
    return count


_LONGEST = {Family.IPV4_UNICAST: 32, Family.IPV6_UNICAST: 128}


def _decode_prefix(reader: Reader, family: Family) -> Prefix:
    length = reader.uint(1)
    octets = reader.take((length + 7) // 8).ljust(_LONGEST[family] // 8, b"\0")
    kind = IPv4Network if family is Family.IPV4_UNICAST else IPv6Network
    return kind((octets, length), strict=False)
