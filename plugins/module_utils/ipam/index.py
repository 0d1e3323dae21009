# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pool an address is in, without asking every pool."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from ..model.addresses import IPAddress
from ..model.pools import Pool

__all__ = ["PoolIndex"]


class PoolIndex:
    """Pools never overlap, so the entries can be sorted by their first address."""

    def __init__(self, pools: Iterable[Pool]) -> None:
        self._entries: dict[int, list[tuple[int, int, Pool]]] = {4: [], 6: []}
        for pool in pools:
            for item in pool.ranges:
                self._entries[item.version].append((int(item.first), int(item.last), pool))
        for entries in self._entries.values():
            entries.sort(key=lambda entry: entry[0])
        # A list of its own, because bisect takes a key only since Python 3.10.
        self._firsts = {
            version: [entry[0] for entry in entries] for version, entries in self._entries.items()
        }

    def pool_of(self, address: IPAddress) -> Pool | None:
        """The pool that has the address, or None."""
        entries, number = self._entries[address.version], int(address)
        place = bisect_right(self._firsts[address.version], number)
        if place and number <= entries[place - 1][1]:
            return entries[place - 1][2]
        return None
