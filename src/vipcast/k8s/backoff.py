# SPDX-License-Identifier: GPL-3.0-or-later
"""The delays before the next try."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

__all__ = ["Backoff"]


@dataclass(slots=True)
class Backoff:
    """Doubling pauses in seconds with jitter, so that the nodes of a cluster don't come back all at once."""

    first: float = 0.2
    most: float = 20.0  # an API server that returns is found again within this
    _next: float = field(default=0.0, init=False)

    def pause(self) -> float:
        """The next pause: between half of the present step and all of it."""
        self._next = min(self.most, self._next * 2 or self.first)
        return self._next * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """It worked: start again with the first step."""
        self._next = 0.0
