# SPDX-License-Identifier: GPL-3.0-or-later
"""The scheduler of writes: which object is next, and when, so that the API server gets few of them.

    add ──SETTLE──> ready ──a token──> take ──> written: rests for CALM, doubled each time up to MOST
                                           └──> failed:  tried again after the same pauses

An object that changes and changes back within its pause is not written at all. Those of the first lane go
before those of the second. Values in, values out: the clock is the caller's.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["WriteScheduler"]

# Seconds. A new service has no endpoints for a moment, and a session goes through four states in no time.
SETTLE = 0.5
# After so long an object that was written may be written again; each time it is, twice as long, up to MOST.
# When it was left alone for a minute, that is forgotten. So a peer that comes and goes all day costs four
# writes a minute, and what is shown of it is a quarter of a minute old at most.
CALM, MOST, QUIET = 2.0, 15.0, 60.0
# Writes per second of a speaker, and how many it may save up. A hundred nodes make a thousand writes a second
# for a while when everything changes; an API server takes more, and asks for patience where it does not.
RATE, BURST = 10.0, 50.0
LANES = 2
_FEW = 1024

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class _Rest:
    """The last write of a key and how long it rests after it."""

    since: float
    seconds: float


@dataclass
class WriteScheduler(Generic[K]):
    """Keys that wait, each once; `lane` 0 goes first."""

    rate: float = RATE
    burst: float = BURST
    _waiting: dict[K, tuple[float, int]] = field(default_factory=dict)  # when it is due, its lane
    _heap: list[tuple[float, int, K]] = field(default_factory=list)
    _ready: tuple[deque[K], ...] = field(default_factory=lambda: tuple(deque() for _lane in range(LANES)))
    _queued: set[K] = field(default_factory=set)  # what is in `_ready`
    _rests: dict[K, _Rest] = field(default_factory=dict)
    _tokens: tuple[float, float] = (0.0, float("-inf"))  # how many there were when
    _count: int = 0
    _known: int = _FEW

    def __len__(self) -> int:
        """Return how many keys wait."""
        return len(self._waiting) + len(self._queued)

    def add(self, key: K, now: float, *, lane: int = 1) -> None:
        """It may not say what it should; a key that waits already keeps its place."""
        if key in self._waiting or key in self._queued:
            return
        rest = self._rests.get(key)
        due = max(now + SETTLE, rest.since + rest.seconds if rest else now)
        self._waiting[key] = due, lane
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, key))

    def take(self, now: float) -> K | None:
        """The next one, if one may be written now. Whoever takes it says `written`, `failed` or `unused`."""
        self._ripen(now)
        lane = next((lane for lane in self._ready if lane), None)
        if lane is None or self._saved(now) < 1.0:
            return None
        self._tokens = self._saved(now) - 1.0, now
        key = lane.popleft()
        self._queued.discard(key)
        return key

    def timer(self, now: float) -> float | None:
        """Return when to come again; None: when something was added."""
        if any(self._ready):
            return now + max(0.0, 1.0 - self._saved(now)) / self.rate
        return self._heap[0][0] if self._heap else None

    def written(self, key: K, now: float) -> None:
        """It was; it rests longer if that happens again and again."""
        rest = self._rests.get(key)
        fresh = rest is None or now - rest.since > QUIET
        self._rests[key] = _Rest(now, CALM if fresh or rest is None else min(MOST, 2 * rest.seconds))
        if len(self._rests) > 2 * self._known:  # of objects that are long gone nothing need be remembered
            self._rests = {each: rest for each, rest in self._rests.items() if now - rest.since <= QUIET}
            self._known = max(_FEW, len(self._rests))

    def failed(self, key: K, now: float, *, lane: int = 1) -> None:
        """It was not: again after a pause."""
        self.written(key, now)
        self.add(key, now, lane=lane)

    def unused(self, now: float) -> None:
        """Give back the turn of an object that needed no write."""
        self._tokens = min(self.burst, self._saved(now) + 1.0), now

    def hurry(self, now: float) -> None:
        """No time is left: what waits in the first lane is due at once."""
        self._tokens = self.burst, now
        for key in [key for key, (_due, lane) in self._waiting.items() if lane == 0]:
            del self._waiting[key]
            self._line_up(key, 0)
        self._heap = [entry for entry in self._heap if entry[2] in self._waiting]
        heapq.heapify(self._heap)

    def _saved(self, now: float) -> float:
        tokens, when = self._tokens
        return min(self.burst, tokens + (now - when) * self.rate)

    def _ripen(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            _due, _count, key = heapq.heappop(self._heap)
            _when, lane = self._waiting.pop(key)
            self._line_up(key, lane)

    def _line_up(self, key: K, lane: int) -> None:
        self._ready[lane].append(key)
        self._queued.add(key)
