# SPDX-License-Identifier: GPL-3.0-or-later
"""Token buckets: so many per second, and so many at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Bucket", "Buckets"]

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class Bucket:
    """`rate` per second, `burst` at once; full at first. `at` is when it was looked at last, in seconds."""

    rate: float
    burst: float
    at: float
    tokens: float = -1.0

    def __post_init__(self) -> None:
        """Begin full."""
        if self.tokens < 0:
            self.tokens = self.burst

    def take(self, now: float) -> bool:
        """Take one, if there is one."""
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Buckets(Generic[K]):
    """A bucket for each of the `most` keys that were asked for last."""

    def __init__(self, rate: float, burst: float, most: int) -> None:
        self._rate, self._burst, self._most = rate, burst, most
        self._known: OrderedDict[K, Bucket] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are known."""
        return len(self._known)

    def take(self, key: K, now: float) -> bool:
        """Take one of the key's, if there is one."""
        bucket = self._known.get(key)
        if bucket is None:
            bucket = self._known[key] = Bucket(self._rate, self._burst, now)
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return bucket.take(now)
