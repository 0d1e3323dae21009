# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranges of addresses: what ``10.9.0.0/16`` and ``10.31.8.100 - 10.31.8.200`` mean.

Everything here counts with integers. Nothing walks a range in order to answer a question, so a /8 or an IPv6
/64 costs the same as a /32.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Union

from .texts import echo

IPAddress = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
IPNetwork = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

# What a counter of the API can hold (int64). An IPv6 /64 has more addresses than that.
MAX_COUNT = 2**63 - 1


def parse_address(text: str) -> IPAddress:
    """An address; an IPv4-mapped one (``::ffff:10.0.0.1``) is the IPv4 address, as to Go's programs.

    ``ValueError`` says what is wrong. A zone (``fe80::1%eth0``) means nothing outside its host.
    """
    found = _parse_as_written(text)
    return found if found.version == 4 else found.ipv4_mapped or found


def _parse_as_written(text: str) -> IPAddress:
    if "%" in text:
        raise ValueError(f"{echo(text)} has a zone; write the address without it")
    try:
        return ipaddress.ip_address(text.strip())
    except ValueError:
        raise ValueError(f"{echo(text)} is not an IPv4 or IPv6 address") from None


def is_buggy(address: IPAddress) -> bool:
    """Return whether old equipment may take this IPv4 address for a broadcast one (.0, .255)."""
    return address.version == 4 and int(address) % 256 in (0, 255)


@dataclass(frozen=True)
class AddressRange:
    """All addresses from ``first`` to ``last``, both included and of one family.

    ``text`` is how it was written.
    """

    first: IPAddress
    last: IPAddress
    text: str = ""

    def __str__(self) -> str:
        """Return the range as it was written, or ``first-last``."""
        return self.text or f"{self.first}-{self.last}"

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.first.version

    @property
    def size(self) -> int:
        """Return how many addresses there are."""
        return int(self.last) - int(self.first) + 1

    @property
    def buggy(self) -> int:
        """Return how many of them end in .0 or .255."""
        if self.version == 6:
            return 0
        return self._ending_in(0) + self._ending_in(255)

    def _ending_in(self, octet: int) -> int:
        return (int(self.last) - octet) // 256 - (int(self.first) - 1 - octet) // 256

    @cached_property
    def networks(self) -> tuple[IPNetwork, ...]:
        """The fewest prefixes that make exactly this range, in order."""
        return tuple(ipaddress.summarize_address_range(self.first, self.last))

    def overlaps(self, other: AddressRange) -> bool:
        """Return whether some address is in both."""
        return (
            self.version == other.version
            and int(self.first) <= int(other.last)
            and int(other.first) <= int(self.last)
        )

    def __contains__(self, address: object) -> bool:
        """Return whether the address is in the range."""
        if not isinstance(address, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
            return False
        return address.version == self.version and int(self.first) <= int(address) <= int(self.last)

    def __iter__(self) -> Iterator[IPAddress]:
        """Lazily, in order: an IPv6 /64 can be begun, if not finished."""
        make = type(self.first)
        return (make(number) for number in range(int(self.first), int(self.last) + 1))


# The whole configuration is read again whenever something of it changes: most texts are known then.
@lru_cache(maxsize=16384)
def parse_range(text: str) -> AddressRange:
    """``a/n`` or ``a-b`` (spaces are tolerated).

    ``ValueError`` says what is wrong and what would be right.
    """
    plain = text.strip()
    if "-" in plain:
        return _parse_pair(plain)
    if "/" in plain:
        return _parse_prefix(plain)
    address = _parse_as_written(plain)
    raise ValueError(f"{echo(plain)} is a single address; write {address}/{address.max_prefixlen}")


def _parse_pair(text: str) -> AddressRange:
    parts = text.split("-")
    if len(parts) != 2:
        raise ValueError(
            f"{echo(text)} is not a range; write first-last, for example 10.31.8.100-10.31.8.200"
        )
    first, last = (_parse_as_written(part.strip()) for part in parts)
    if first.version != last.version:
        raise ValueError(
            f"{echo(text)} begins with IPv{first.version} and ends with IPv{last.version}; use one family"
        )
    if int(first) > int(last):
        raise ValueError(f"{echo(text)} ends before it begins; write {last}-{first}")
    return AddressRange(first, last, text)


def _parse_prefix(text: str) -> AddressRange:
    address, _slash, length = text.partition("/")
    base = _parse_as_written(address.strip())
    # ipaddress would take a netmask too, which the API server's rules and every other tool of the cluster
    # refuse.
    if not (length.isascii() and length.isdigit()) or len(length) > 3 or int(length) > base.max_prefixlen:
        raise ValueError(
            f"{echo(text)} has no valid prefix length; IPv{base.version} has 0 to {base.max_prefixlen}"
        )
    free = base.max_prefixlen - int(length)
    first = int(base) >> free << free
    return AddressRange(type(base)(first), type(base)(first + (1 << free) - 1), text)


__all__ = [
    "MAX_COUNT",
    "AddressRange",
    "IPAddress",
    "IPNetwork",
    "is_buggy",
    "parse_address",
    "parse_range",
]
