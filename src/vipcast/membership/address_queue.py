# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses that are to be looked at, now and later, each once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from vipcast.layer2.timer_queue import TimerQueue
from vipcast.model.addresses import IPAddress


class AddressQueue:
    """A queue without doubles: of two addresses the one that was put first comes first."""

    def __init__(self) -> None:
        self._queue: deque[IPAddress] = deque()
        self._queued: set[IPAddress] = set()
        self._timers: TimerQueue[IPAddress] = TimerQueue()

    def __bool__(self) -> bool:
        return bool(self._queue)

    def put(self, addresses: Iterable[IPAddress]) -> None:
        """Have these looked at: something about them may have changed."""
        for address in addresses:
            if address not in self._queued:
                self._queued.add(address)
                self._queue.append(address)

    def put_at(self, address: IPAddress, at: float) -> None:
        """Have this one looked at later, and not when it was to be before."""
        if self._timers.due(address) != at:
            self._timers.put(address, at)

    def ring(self, now: float) -> None:
        """Put those whose time has come."""
        while (due := self._timers.take(now)) is not None:
            self.put([due])

    def take(self) -> IPAddress:
        """Take the first one. Raises IndexError where there is none."""
        address = self._queue.popleft()
        self._queued.discard(address)
        return address

    def timer(self, now: float) -> float | None:
        """Return when there is something to look at."""
        return now if self._queue else self._timers.next
