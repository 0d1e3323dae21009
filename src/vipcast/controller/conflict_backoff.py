# SPDX-License-Identifier: GPL-3.0-or-later
"""The backoff of writes to a service that another writer keeps changing back.

A few writes of a service follow at once upon each other; then there is one in a second. While somebody undoes
what is written (another program writes the same status), each waits twice as long as the one before. A
service that was left alone for a while starts again. Values in, values out: the clock is the caller's.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["ConflictBackoff"]

FREE = 10  # writes in a row that do not wait
UNDONE = 3  # one that somebody has undone counts as so many
FIRST, MOST = 1.0, 60.0  # seconds of the first pause, and of the longest
QUIET = 2 * MOST  # seconds without a write after which the past is forgotten
_FEW = 1024

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class _Past:
    """The writes of one key."""

    last: float
    weight: int = 0
    pause: float = 0.0
    undone: int = 0


class ConflictBackoff(Generic[K]):
    """Writes by key."""

    def __init__(self) -> None:
        self._past: dict[K, _Past] = {}
        self._known = _FEW

    def wrote(self, key: K, now: float, *, undone: bool) -> None:
        """A write was made; `undone`: somebody had changed back what the write before it had made."""
        past = self._past.get(key)
        if past is None or now - past.last > QUIET:
            past = self._past[key] = _Past(now)
            self._forget(now)
        past.last = now
        past.undone += undone
        past.weight += UNDONE if undone else 1
        if past.weight > FREE:
            past.pause = min(MOST, past.pause * 2 or FIRST) if undone else past.pause or FIRST

    def wait(self, key: K, now: float) -> float:
        """Return how many seconds the next write of the key has to wait; 0 for none."""
        past = self._past.get(key)
        return max(0.0, past.last + past.pause - now) if past is not None else 0.0

    def undone(self, key: K) -> int:
        """Return how many writes in a row somebody has undone."""
        past = self._past.get(key)
        return past.undone if past is not None else 0

    def _forget(self, now: float) -> None:
        if len(self._past) > 2 * self._known:
            self._past = {key: past for key, past in self._past.items() if now - past.last <= QUIET}
            self._known = max(_FEW, len(self._past))
