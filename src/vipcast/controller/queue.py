# SPDX-License-Identifier: GPL-3.0-or-later
"""Work by key: each key is in work once at a time, and waits longer after each failure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from vipcast.k8s.backoff import Backoff

__all__ = ["WorkQueue"]

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Keys to be processed by a few workers; a key that is added while in work is done again after that."""

    def __init__(self, process: Callable[[K], Awaitable[bool]], *, first_pause: float = 0.05) -> None:
        """`process` answers whether the key is done; otherwise it is tried again after a pause."""
        self._process = process
        self._first_pause = first_pause
        self._queue: asyncio.Queue[K] = asyncio.Queue()
        self._queued: set[K] = set()
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._pauses: dict[K, Backoff] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._finished = 0.0  # time.monotonic()

    @property
    def quiet(self) -> float:
        """Seconds since the last key was processed; 0 while one is, or waits for a worker."""
        return 0.0 if self._queued or self._working else time.monotonic() - self._finished

    def __len__(self) -> int:
        """How many keys are not done."""
        return len(self._queued | self._working | self._timers.keys())

    def add(self, key: K) -> None:
        """The key has to be looked at, now."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key in self._working:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._queue.put_nowait(key)

    async def work(self) -> None:
        """One worker, until cancelled."""
        while True:
            key = await self._queue.get()
            self._queued.discard(key)
            self._working.add(key)
            try:
                done = await self._process(key)
            finally:
                self._working.discard(key)
                self._finished = time.monotonic()
            self._finish(key, done)

    def _finish(self, key: K, done: bool) -> None:
        again = key in self._again
        self._again.discard(key)
        if done:
            self._pauses.pop(key, None)
        if again:
            self.add(key)
        elif not done:
            pause = self._pauses.setdefault(key, Backoff(first=self._first_pause)).pause()
            self._timers[key] = asyncio.get_running_loop().call_later(pause, self.add, key)
