# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The topology of heartbeats: which members exchange them with which others.

Up to nine members everyone does with everyone. Beyond, all members stand in four circles, each sorted by
another hash, and each exchanges heartbeats with the next one that is there on either side of it, in each
circle: eight at most. Who watches is watched, so that both compute the same pairs; each circle alone
connects everyone, and four of them make the way between any two short (random regular graphs are
expanders). Where one dies, only those next to it get another neighbor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

FULL_MESH = 9
CIRCLES = 4
_SIDES = (1, -1)

Present = Callable[[str], bool]


class Topology:
    """``names``: everyone, ourselves too."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)
        self.full = len(self.names) <= FULL_MESH
        self._circles = [] if self.full else [_circle(number, self.names) for number in range(CIRCLES)]
        self._places = [{name: place for place, name in enumerate(circle)} for circle in self._circles]

    def neighbors(self, name: str, present: Present) -> frozenset[str]:
        """The pairs of ``name``: where not all are, those that are present."""
        if self.full:
            return self.names - {name}
        found = set()
        for walk in self._walks(name):
            found.add(next((other for other in walk if present(other)), name))
        return frozenset(found - {name})

    def gaps(self, name: str, present: Present) -> list[list[str]]:
        """Return the absent members between ``name`` and its neighbors, which are tried now and then."""
        return [gap for walk in self._walks(name) if (gap := _until(walk, present))]

    def connected(self, name: str, present: Present, pair: Callable[[str, str], bool]) -> frozenset[str]:
        """Return whom ``name`` reaches over pairs of the circles alone, as far as they are good."""
        found, todo = {name}, [name]
        while todo:
            one = todo.pop()
            fresh = [
                other for other in self.neighbors(one, present) if other not in found and pair(one, other)
            ]
            found.update(fresh)
            todo += fresh
        return frozenset(found)

    def _walks(self, name: str) -> Iterator[Iterator[str]]:
        for circle, places in zip(self._circles, self._places, strict=True):
            if name in places:
                for side in _SIDES:
                    yield _walk(circle, places[name], side)


def _circle(number: int, names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: hashlib.sha256(f"{number}/{name}".encode()).digest())


def _walk(circle: list[str], place: int, side: int) -> Iterator[str]:
    return (circle[(place + side * step) % len(circle)] for step in range(1, len(circle)))


def _until(walk: Iterator[str], present: Present) -> list[str]:
    gap = []
    for name in walk:
        if present(name):
            break
        gap.append(name)
    return gap
