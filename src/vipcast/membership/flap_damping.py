# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A member that was away again and again is let in later each time, and so is a pair that was often lost.

This node decides that only while it has others: one that is alone takes whoever it hears.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set

from vipcast.membership.local_node import LocalNode

WINDOW = 60.0
LIMIT = 30.0


class FlapDamping:
    """``kept_out``: who is heard both ways, and not let in yet."""

    def __init__(self, local: LocalNode) -> None:
        self._local = local
        self.kept_out: dict[str, float] = {}
        self._left: dict[str, list[float]] = {}

    def left(self, names: Collection[str], *, alone: bool, now: float) -> None:
        """Take down who has left our group. Who is alone was cut off itself, and knows nothing of others."""
        if alone:
            return
        for name in names:
            lately = [at for at in self._left.get(name, ()) if at > now - WINDOW]
            if not lately or now > lately[-1] + self._local.profile.dead_after:
                self._left[name] = [*lately, now]

    def judge(self, new: Set[str], heard: Set[str], *, alone: bool, now: float) -> frozenset[str]:
        """Return whom to keep out. ``new``: heard both ways from now on; ``heard``: who is, and is single."""
        if alone:
            self.kept_out.clear()
            return frozenset()
        self.kept_out = {name: at for name, at in self.kept_out.items() if name in heard}
        for name in heard & new:
            self.kept_out.setdefault(name, now + self._wait(name, now))
        self.kept_out = {name: at for name, at in self.kept_out.items() if at > now}
        return frozenset(self.kept_out)

    def times(self, now: float) -> Iterable[float]:
        """Return when the next ones are let in."""
        return [at for at in self.kept_out.values() if at > now]

    def _wait(self, name: str, now: float) -> float:
        times = sum(at > now - WINDOW for at in self._left.get(name, ())) - 1
        return min(LIMIT, self._local.profile.dead_after * 2 ** (times - 1)) if times > 0 else 0.0
