# SPDX-License-Identifier: GPL-3.0-or-later
"""The drain of this node as time goes on: `vipcast.speaker.drain` with a clock, a timer and a log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from vipcast.daemon.log import log_for
from vipcast.speaker.drain import Drain, Request, follow, judge
from vipcast.speaker.kube_types import Node

__all__ = ["DrainFollower"]

_log = log_for("speaker")


class DrainFollower:
    """Keeps the request from its first sight on. `on_phase` is called when the next phase begins."""

    def __init__(self, on_phase: Callable[[], None]) -> None:
        self.drain: Drain | None = None
        self._on_phase = on_phase
        self._request: Request | None = None
        self._node_seen = False
        self._timer: asyncio.TimerHandle | None = None

    def update(self, node: Node | None) -> Drain | None:
        """Return where the drain is now. A Node that is not known changes nothing that was asked for."""
        now = asyncio.get_running_loop().time()
        if node:
            first, self._node_seen = not self._node_seen, True
            self._request = follow(self._request, node.drain, now, first=first)
        before, self.drain = self.drain, judge(self._request, now)
        if self.drain != before:
            _say(self.drain)
        self._arm(self.drain.until if self.drain else None)
        return self.drain

    def _arm(self, at: float | None) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None if at is None else asyncio.get_running_loop().call_at(at, self._on_phase)


def _say(drain: Drain | None) -> None:
    phase = drain.phase.value if drain else "none"
    problem = drain.problem if drain else None
    (_log.warning if problem else _log.info)("drain", phase=phase, problem=problem)
