# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets what is freed: services without an address, in order of creation.

Services that ask for the same thing wait in one line; if the first can not be served, none behind it can.
So a freed address costs as much as there are different wishes, not as much as there are services.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable

from ..model.addresses import IPAddress
from .request import Holder

__all__ = ["Line", "Waiting"]

Age = tuple[str, Holder]
Line = Hashable  # what a service asks for; equal for services that are served or refused alike


class Waiting:
    """The lines of those who wait."""

    def __init__(self) -> None:
        self._line_of: dict[Holder, tuple[Line, Age]] = {}
        self._lines: dict[Line, list[Age]] = {}
        self._asking: defaultdict[IPAddress, set[Line]] = defaultdict(set)
        self._anything: dict[Line, None] = {}  # lines that ask for no address by name; a set that keeps order
        self._addresses: dict[Line, tuple[IPAddress, ...]] = {}

    def __len__(self) -> int:
        """How many services wait."""
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
        heapq.heappush(self._lines[line], age)

    def remove(self, holder: Holder) -> None:
        """The service waits no more; it is struck from its line when it would come up."""
        entry = self._line_of.pop(holder, None)
        if entry is not None:
            self._head(entry[0])

    def behind(self, holder: Holder) -> list[Holder]:
        """The others of the service's line, oldest first."""
        entry = self._line_of.get(holder)
        if entry is None:
            return []
        ages = sorted(
            age for age in set(self._lines[entry[0]]) if self._line_of.get(age[1]) == (entry[0], age)
        )
        return [age[1] for age in ages if age[1] != holder]

    def serve(self, freed: Iterable[IPAddress], try_it: Callable[[Holder], bool]) -> None:
        """Let everybody whom these addresses may help try, oldest first; whoever succeeds waits no more."""
        self._serve([*self._asking_for(freed), *self._anything], try_it)

    def tell(self, taken: Iterable[IPAddress], try_it: Callable[[Holder], bool]) -> None:
        """Let those try who ask for one of these by name: another holder has it now, who may be named."""
        self._serve([*self._asking_for(taken)], try_it)

    def _serve(self, lines: list[Line], try_it: Callable[[Holder], bool]) -> None:
        heads = [(age, line) for line in lines if (age := self._head(line)) is not None]
        queue = [(age, number, line) for number, (age, line) in enumerate(heads)]
        heapq.heapify(queue)
        while queue:
            age, number, line = heapq.heappop(queue)
            if not try_it(age[1]):
                continue
            if self._line_of.get(age[1]) == (line, age):  # else it has changed lines, or left, by itself
                self.remove(age[1])
            following = self._head(line)
            if following is not None:
                heapq.heappush(queue, (following, number, line))

    def _asking_for(self, addresses: Iterable[IPAddress]) -> set[Line]:
        return {line for address in addresses for line in self._asking.get(address, ())}

    def _head(self, line: Line) -> Age | None:
        """The first of a line who still waits in it; an empty line is taken away."""
        ages = self._lines.get(line, [])
        while ages:
            if self._line_of.get(ages[0][1]) == (line, ages[0]):
                return ages[0]
            heapq.heappop(ages)
        self._close(line)
        return None

    def _close(self, line: Line) -> None:
        self._lines.pop(line, None)
        self._anything.pop(line, None)
        for address in self._addresses.pop(line, ()):
            self._asking[address].discard(line)
            if not self._asking[address]:
                del self._asking[address]
