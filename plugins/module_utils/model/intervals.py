# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranges of addresses that share none, sorted: a question costs a binary search, however many there are."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from .addresses import AddressRange, IPAddress

Value = TypeVar("Value")


class Intervals(Generic[Value]):
    """Ranges, each with what it belongs to."""

    def __init__(self, entries: Iterable[tuple[AddressRange, Value]] = ()) -> None:
        self._entries: dict[int, list[tuple[int, int, Value]]] = {4: [], 6: []}
        for item, value in entries:
            self._entries[item.version].append((int(item.first), int(item.last), value))
        for found in self._entries.values():
            found.sort(key=lambda entry: entry[0])
        # A list of its own, because bisect takes a key only since Python 3.10.
        self._firsts = {version: [entry[0] for entry in found] for version, found in self._entries.items()}

    def add(self, item: AddressRange, value: Value) -> None:
        """One range more; it must share no address with the others."""
        place = bisect_left(self._firsts[item.version], int(item.first))
        self._firsts[item.version].insert(place, int(item.first))
        self._entries[item.version].insert(place, (int(item.first), int(item.last), value))

    def at(self, address: IPAddress) -> Value | None:
        """Return what the address belongs to, or None."""
        number, entries = int(address), self._entries[address.version]
        place = bisect_right(self._firsts[address.version], number)
        return entries[place - 1][2] if place and number <= entries[place - 1][1] else None

    def meeting(self, item: AddressRange) -> Iterator[Value]:
        """Yield what the ranges belong to that share an address with this one, by address."""
        first, last, entries = int(item.first), int(item.last), self._entries[item.version]
        place = bisect_right(self._firsts[item.version], first)
        if place and entries[place - 1][1] >= first:
            place -= 1
        while place < len(entries) and entries[place][0] <= last:
            yield entries[place][2]
            place += 1


__all__ = ["Intervals"]
