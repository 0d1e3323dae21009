# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of candidates for an address: MetalLB's, so that speakers of both agree.

Preferred nodes come first; among equals the SHA-256 of ``node#address`` decides, compared as octets.
``address`` is the text of the service's first one: both families of a service go to one node.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["before", "digest", "order", "rank"]

Electorate = tuple[tuple[int, frozenset[str]], ...]
"""Nodes by preference, the highest first; the shape of `vipcast.layer2.api.Electorate`."""


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
