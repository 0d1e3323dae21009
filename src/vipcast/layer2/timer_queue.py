# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A timer queue with at most one deadline for each key, for thousands of keys."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

# Entries that do not count any more are let be, up to so many more than those that do.
_SLACK = 64


class TimerQueue(Generic[K]):
    """A heap, and which of its entries count. Of equal times the one that was put first comes first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, K]] = []
        self._current: dict[K, tuple[int, float]] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._current)

    def __contains__(self, key: K) -> bool:
        return key in self._current

    def due(self, key: K) -> float | None:
        return entry[1] if (entry := self._current.get(key)) else None

    def put(self, key: K, due: float) -> None:
        """Set the deadline of a key, in place of the one that it had."""
        self._number += 1
        self._current[key] = self._number, due
        heapq.heappush(self._heap, (due, self._number, key))
        if len(self._heap) > 2 * len(self._current) + _SLACK:
            self._heap = [(due, number, key) for key, (number, due) in self._current.items()]
            heapq.heapify(self._heap)

    def drop(self, key: K) -> None:
        self._current.pop(key, None)

    @property
    def next(self) -> float | None:
        """The earliest time."""
        while self._heap:
            due, number, key = self._heap[0]
            if self._current.get(key, (0, 0.0))[0] == number:
                return due
            heapq.heappop(self._heap)
        return None

    def take(self, now: float) -> K | None:
        """The one that comes first, if its time has come."""
        due = self.next
        if due is None or due > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._current[key]
        return key
