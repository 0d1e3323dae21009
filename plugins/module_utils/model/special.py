# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that no service can have, and those that few clients reach: a table with names and sources."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from .addresses import AddressRange
from .intervals import Intervals


class Special(NamedTuple):
    """A block of addresses with a meaning of its own."""

    block: AddressRange
    name: str
    source: str
    usable: bool  # True: it works, and probably not as it is meant


def _special(text: str, name: str, source: str, *, usable: bool = False) -> Special:
    network = ipaddress.ip_network(text)
    return Special(AddressRange(network[0], network[-1], text), name, source, usable)


TABLE = (
    _special("0.0.0.0/8", "addresses of this network", "RFC 1122 section 3.2.1.3"),
    _special("127.0.0.0/8", "loopback addresses", "RFC 1122 section 3.2.1.3"),
    _special("169.254.0.0/16", "link-local addresses", "RFC 3927 section 2.7", usable=True),
    _special("224.0.0.0/4", "multicast addresses", "RFC 1112 section 4"),
    _special("255.255.255.255/32", "the limited broadcast address", "RFC 1122 section 3.2.1.3"),
    _special("::/128", "the unspecified address", "RFC 4291 section 2.5.2"),
    _special("::1/128", "the loopback address", "RFC 4291 section 2.5.3"),
    _special("::ffff:0:0/96", "IPv4-mapped addresses", "RFC 4291 section 2.5.5.2"),
    _special("fe80::/10", "link-local addresses", "RFC 4291 section 2.5.6", usable=True),
    _special("ff00::/8", "multicast addresses", "RFC 4291 section 2.7"),
)


_BLOCKS = Intervals((each.block, each) for each in TABLE)


def special_in(item: AddressRange) -> Special | None:
    """Return the block that decides about a range: the first that no service can have, or one that is odd."""
    found = list(_BLOCKS.meeting(item))
    return next((each for each in found if not each.usable), found[0] if found else None)


def words(item: AddressRange, special: Special) -> str:
    """Return what is wrong with a range that has addresses of a block."""
    if special.usable:
        return (
            f"{item} has {special.name} ({special.source}): no router forwards to them, so only hosts of the "
            "same segment reach such a service"
        )
    return (
        f"{item} has addresses of {special.block}, {special.name} ({special.source}), which no service can "
        "have; leave them out"
    )


__all__ = ["TABLE", "Special", "special_in", "words"]
