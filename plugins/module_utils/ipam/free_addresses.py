# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The next free address of a pool, without looking at all of them.

    given once or skipped          never looked at
    ├──────────────────────────┤cursor├─────────────────────┤
        ^freed   ^freed  (a heap)

Everything before the cursor is taken, avoided or in the heap, so the first free address is the smallest of
the heap or the cursor's. Order is that of the pool's entries as written, and by number inside an entry.
"""

from __future__ import annotations

import heapq
from collections.abc import Container

from ..model.addresses import IPAddress
from ..model.intervals import Intervals
from ..model.pools import Pool

__all__ = ["FreeAddresses", "Position"]

Position = tuple[int, int]  # entry of the pool, address as a number


class FreeAddresses:
    """The addresses of one family in a pool."""

    def __init__(self, pool: Pool, version: int) -> None:
        self.pool = pool
        self.size = pool.size(version)
        self._ranges = [item for item in pool.ranges if item.version == version]
        self._cursor: Position = (0, int(self._ranges[0].first)) if self._ranges else (0, 0)
        self._order = Intervals((item, index) for index, item in enumerate(self._ranges))
        self._freed: list[Position] = []
        self._known: set[Position] = set()  # what is in the heap, so that nothing is there twice

    def position(self, address: IPAddress) -> Position:
        """Return where the address, which must be of this pool, comes in the order."""
        return (self._order.at(address) or 0, int(address))

    def address(self, position: Position) -> IPAddress:
        """Return the address of a place."""
        return type(self._ranges[position[0]].first)(position[1])

    def free(self, address: IPAddress) -> None:
        """The address, which must be of this pool, may be given again."""
        position = self.position(address)
        if position < self._cursor and position not in self._known:
            self._known.add(position)
            heapq.heappush(self._freed, position)

    def first_free(self, taken: Container[IPAddress]) -> IPAddress | None:
        """The first address in order that is not taken, or None; the same again, until it is taken."""
        return self._first_freed(taken) or self._next(taken)

    def _first_freed(self, taken: Container[IPAddress]) -> IPAddress | None:
        while self._freed:
            address = self.address(self._freed[0])
            if address not in taken and not self.pool.avoids(address):
                return address
            self._known.discard(heapq.heappop(self._freed))
        return None

    def _next(self, taken: Container[IPAddress]) -> IPAddress | None:
        """Moves the cursor over what is taken; each address is passed once in the life of the pool."""
        index, number = self._cursor
        while index < len(self._ranges):
            last = int(self._ranges[index].last)
            while number <= last:
                address = self.address((index, number))
                if address not in taken and not self.pool.avoids(address):
                    self._cursor = (index, number)
                    return address
                number += 1
            index += 1
            number = int(self._ranges[index].first) if index < len(self._ranges) else 0
        self._cursor = (index, number)
        return None
