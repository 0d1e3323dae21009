# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the objects of a kind with which a new one may be in conflict, without comparing with all.

What is found is a candidate: whoever asks judges whether the two can be in force together.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar, Union

from .advertisements import BGPAdvertisement
from .bfd import BfdProfile
from .communities import Community
from .intervals import Intervals
from .layer2 import L2Advertisement
from .peers import Peer
from .pools import Pool

Owner = TypeVar("Owner")
_Part = Union[Pool, Peer, BGPAdvertisement, L2Advertisement, BfdProfile, Community]


class Rivals(Generic[Owner]):
    """Parts in force, each with its owner; the pools among them share no address."""

    def __init__(self) -> None:
        self._owners: list[Owner] = []
        self._ranges: Intervals[int] = Intervals()
        self._words: dict[Hashable, list[int]] = {}

    def add(self, part: _Part, owner: Owner) -> None:
        """Add a part and its owner."""
        number = len(self._owners)
        self._owners.append(owner)
        for item in part.ranges if isinstance(part, Pool) else ():
            self._ranges.add(item, number)
        for word in _words(part):
            self._words.setdefault(word, []).append(number)

    def of(self, part: _Part) -> list[Owner]:
        """Return the owners that may be in conflict with this part, in the order in which they were added."""
        numbers = {number for word in _words(part) for number in self._words.get(word, ())}
        for item in part.ranges if isinstance(part, Pool) else ():
            numbers.update(self._ranges.meeting(item))
        return [self._owners[number] for number in sorted(numbers)]


def _words(part: _Part) -> Iterable[Hashable]:
    """Return values of which two parts of a kind have one in common if they are in conflict.

    Pools have none: they are in conflict where their ranges overlap.
    """
    if isinstance(part, Peer):
        return (part.router,)
    if isinstance(part, BGPAdvertisement):
        return (part.content(),)
    return part.aliases if isinstance(part, Community) else ()


__all__ = ["Rivals"]
