# SPDX-License-Identifier: GPL-3.0-or-later
"""A timer that tells when a process beside the speaker has been missed for too long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["GRACE_SECONDS", "AbsenceTimer"]

# The process may be on its way: both start with the node, and one takes over from another.
GRACE_SECONDS = 10.0


class AbsenceTimer:
    """`absent` is true once the process was missed for `GRACE_SECONDS`; `on_absent` is called then."""

    def __init__(self, on_absent: Callable[[], None]) -> None:
        self.absent = False
        self._on_absent = on_absent
        self._timer: asyncio.TimerHandle | None = None

    def update(self, *, missed: bool) -> None:
        """Start the timer when the process begins to be missed, and stop it when it no longer is."""
        if not missed:
            self.absent = False
            if self._timer:
                self._timer.cancel()
                self._timer = None
        elif self._timer is None and not self.absent:
            self._timer = asyncio.get_running_loop().call_later(GRACE_SECONDS, self._expire)

    def _expire(self) -> None:
        self._timer, self.absent = None, True
        self._on_absent()
