# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The candidates for an address, and their order: MetalLB's, so that speakers of both agree.

Preferred nodes come first; among equals the SHA-256 of ``node#address`` decides, compared as octets.
``address`` is the text of the service's first one: both families of a service go to one node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

__all__ = ["AddressWant", "Electorate", "before", "digest", "order", "rank"]

Electorate = tuple[tuple[int, frozenset[str]], ...]
"""Who may answer: nodes by preference, the highest first. Addresses with the same nodes share one."""


@dataclass(frozen=True, slots=True)
class AddressWant:
    """An address that is to have an owner.

    ``key``: what the order is computed from, the service's first address (both families of a service go to
    one node). ``interfaces``: names, None for all that are eligible. ``local``: who is no candidate cannot
    serve either (externalTrafficPolicy Local), so that its answers are worth nothing. ``stays``: not moved
    to even out the load.
    """

    electorate: Electorate
    key: str
    interfaces: frozenset[str] | None = None
    local: bool = False
    stays: bool = False


def digest(node: str, key: str) -> bytes:
    return hashlib.sha256(f"{node}#{key}".encode()).digest()


def order(key: str, nodes: Iterable[str], preference: Mapping[str, int] | None = None) -> list[str]:
    """All of them, the one to answer first. ``preference``: nodes that are not in it have 0."""
    scores = preference or {}
    return sorted(nodes, key=lambda node: (-scores.get(node, 0), digest(node, key)))


def before(one: str, other: str, key: str) -> bool:
    """Return whether one comes before the other where nobody is preferred."""
    return digest(one, key) < digest(other, key)


def rank(key: str, electorate: Electorate, node: str, present: Callable[[str], bool]) -> int | None:
    """Return how many of those that are present come before ``node``; None where it is in no group."""
    ahead = 0
    for _preference, group in electorate:
        if node in group:
            mine = digest(node, key)
            return ahead + sum(digest(other, key) < mine for other in _others(group, node, present))
        ahead += sum(1 for _other in _others(group, node, present))
    return None


def _others(group: frozenset[str], node: str, present: Callable[[str], bool]) -> Iterator[str]:
    return (other for other in group if other != node and present(other))
