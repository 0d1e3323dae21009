# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue of services without an address, in order of creation: they get what is freed.

Services that ask for the same thing wait in one line; if the first can not be served, none behind it can.
So a freed address costs as much as there are different wishes, not as much as there are services.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import Callable

from ..model.addresses import IPAddress
from .request import Holder

__all__ = ["Line", "PendingServices"]

Age = tuple[str, Holder]
Try = Callable[[Holder], bool]
Line = Hashable  # what a service asks for; equal for services that are served or refused alike


class PendingServices:
    """The lines of those who wait."""

    def __init__(self) -> None:
        self._line_of: dict[Holder, tuple[Line, Age]] = {}
        self._lines: dict[Line, list[Age]] = {}  # sorted; nobody is in there who does not wait
        self._asking: defaultdict[IPAddress, set[Line]] = defaultdict(set)
        self._anything: dict[Line, None] = {}  # lines that ask for no address by name; a set that keeps order
        self._addresses: dict[Line, tuple[IPAddress, ...]] = {}

    def __len__(self) -> int:
        """Return how many services wait."""
        return len(self._line_of)

    def add(self, age: Age, line: Line, addresses: tuple[IPAddress, ...]) -> None:
        """The service waits; `addresses` are those that its line asks for by name."""
        holder = age[1]
        if self._line_of.get(holder) == (line, age):
            return
        self.remove(holder)
        self._line_of[holder] = (line, age)
        if line not in self._lines:
            self._lines[line], self._addresses[line] = [], addresses
            for address in addresses:
                self._asking[address].add(line)
            if not addresses:
                self._anything[line] = None
        insort(self._lines[line], age)

    def remove(self, holder: Holder) -> None:
        """The service waits no more."""
        entry = self._line_of.pop(holder, None)
        if entry is None:
            return
        line, age = entry
        ages = self._lines[line]
        del ages[bisect_left(ages, age)]
        if not ages:
            self._close(line)

    def behind(self, holder: Holder) -> list[Holder]:
        """The others of the service's line, oldest first."""
        entry = self._line_of.get(holder)
        ages = self._lines[entry[0]] if entry is not None else []
        return [age[1] for age in ages if age[1] != holder]

    def serve(self, freed: Iterable[IPAddress], try_it: Try, may_help: Try = lambda _holder: True) -> None:
        """Let everybody whom these addresses may help try, oldest first; whoever succeeds waits no more.

        `may_help` is a quick answer for those who ask for no address by name: whether trying is worth it.
        """
        self._serve(
            [*self._asking_for(freed), *self._anything],
            lambda holder, line: (line not in self._anything or may_help(holder)) and try_it(holder),
        )

    def tell(self, taken: Iterable[IPAddress], try_it: Try) -> None:
        """Let those try who ask for one of these by name: another holder has it now, who may be named."""
        self._serve([*self._asking_for(taken)], lambda holder, _line: try_it(holder))

    def _serve(self, lines: list[Line], try_it: Callable[[Holder, Line], bool]) -> None:
        heads = [(age, line) for line in lines if (age := self._head(line)) is not None]
        queue = [(age, number, line) for number, (age, line) in enumerate(heads)]
        heapq.heapify(queue)
        while queue:
            age, number, line = heapq.heappop(queue)
            if not try_it(age[1], line):
                continue
            if self._line_of.get(age[1]) == (line, age):  # else it has changed lines, or left, by itself
                self.remove(age[1])
            following = self._head(line)
            if following is not None:
                heapq.heappush(queue, (following, number, line))

    def _asking_for(self, addresses: Iterable[IPAddress]) -> set[Line]:
        return {line for address in addresses for line in self._asking.get(address, ())}

    def _head(self, line: Line) -> Age | None:
        """The first of a line."""
        ages = self._lines.get(line)
        return ages[0] if ages else None

    def _close(self, line: Line) -> None:
        self._lines.pop(line, None)
        self._anything.pop(line, None)
        for address in self._addresses.pop(line, ()):
            self._asking[address].discard(line)
            if not self._asking[address]:
                del self._asking[address]
