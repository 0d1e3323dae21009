# SPDX-License-Identifier: GPL-3.0-or-later
"""Work by key: each key is in work once at a time, and waits longer after each failure.

Keys belong to groups (the namespace of a service), which take turns. A key that is under way for long (an
admission webhook that hangs) is slow: it does not count among those that may be in work at once, and a group
with MOST_SLOW of them gets no more workers until one is through.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from vipcast.k8s.backoff import Backoff

__all__ = ["WorkQueue"]

K = TypeVar("K", bound=Hashable)

SLOW_SECONDS = 1.0  # in work for longer than nearly every write takes
MOST_SLOW = 4  # slow keys of one group at a time


class WorkQueue(Generic[K]):
    """Keys to be processed by a few workers; a key that is added while in work is done again after that."""

    def __init__(
        self,
        process: Callable[[K], Awaitable[bool]],
        *,
        first_pause: float = 0.05,
        group: Callable[[K], Hashable] = lambda _key: None,
        at_once: int | None = None,
    ) -> None:
        """`process` answers whether the key is done; otherwise it is tried again after a pause.

        `at_once` is how many keys that are not slow are in work at a time, where there are more workers.
        """
        self._process, self._group = process, group
        self._first_pause = first_pause
        self._lines: OrderedDict[Hashable, deque[K]] = OrderedDict()  # by group, whose turn it is first
        self._at_once = at_once
        self._idle: deque[asyncio.Future[None]] = deque()  # workers without work
        self._alarm: asyncio.TimerHandle | None = None  # when a key may have become slow
        self._queued: set[K] = set()
        self._working: dict[K, float] = {}  # since when, by time.monotonic()
        self._again: set[K] = set()
        self._pauses: dict[K, Backoff] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._finished = 0.0  # time.monotonic()

    @property
    def quiet(self) -> float:
        """Seconds since the last key was processed; 0 while one is, or waits for a worker."""
        return 0.0 if self._queued or self._working else time.monotonic() - self._finished

    def __len__(self) -> int:
        """Return how many keys are not done."""
        return len(self._queued | self._working.keys() | self._timers.keys())

    def add(self, key: K) -> None:
        """The key has to be looked at, now."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key in self._working:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._lines.setdefault(self._group(key), deque()).append(key)
            self._wake()

    def later(self, key: K, seconds: float) -> None:
        """The key has to be looked at after a while; `add` makes that now."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self.add, key)

    async def work(self) -> None:
        """One worker, until cancelled."""
        while True:
            key = await self._take()
            try:
                done = await self._process(key)
            finally:
                del self._working[key]
                self._finished = time.monotonic()
                self._wake()  # its group may go on
            self._finish(key, done)

    async def _take(self) -> K:
        while (line := self._next()) is None:
            await self._rest()
        group, keys = line
        key = keys.popleft()
        self._queued.discard(key)
        if keys:
            self._lines.move_to_end(group)
        else:
            del self._lines[group]
        self._working[key] = time.monotonic()
        self._wake()  # there may be work for another worker
        return key

    async def _rest(self) -> None:
        """Wait until there may be work."""
        if self._lines and self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(SLOW_SECONDS / 2, self._look_again)
        woken = asyncio.get_running_loop().create_future()
        self._idle.append(woken)
        await woken

    def _look_again(self) -> None:
        self._alarm = None
        self._wake()

    def _wake(self) -> None:
        """One worker looks for work; whoever finds some wakes the next."""
        while self._lines and self._idle:
            woken = self._idle.popleft()
            if not woken.done():
                woken.set_result(None)
                return

    def _next(self) -> tuple[Hashable, deque[K]] | None:
        """The first group that may have another worker."""
        slow, quick = self._slow()
        if self._at_once is not None and quick >= self._at_once:
            return None
        return next(
            ((group, keys) for group, keys in self._lines.items() if slow.get(group, 0) < MOST_SLOW), None
        )

    def _slow(self) -> tuple[dict[Hashable, int], int]:
        """Return how many keys of each group are slow, and how many keys in work are not."""
        now, found, quick = time.monotonic(), dict[Hashable, int](), 0
        for key, since in self._working.items():
            if now - since > SLOW_SECONDS:
                group = self._group(key)
                found[group] = found.get(group, 0) + 1
            else:
                quick += 1
        return found, quick

    def _finish(self, key: K, done: bool) -> None:
        again = key in self._again
        self._again.discard(key)
        if done:
            self._pauses.pop(key, None)
        if again:
            self.add(key)
        elif not done:
            self.later(key, self._pauses.setdefault(key, Backoff(first=self._first_pause)).pause())
