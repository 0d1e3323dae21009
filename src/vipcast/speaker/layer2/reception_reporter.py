# SPDX-License-Identifier: GPL-3.0-or-later
"""Says which nodes hear nothing: in the log, as Events on the Nodes.

A node that hears nobody says so itself, where its speaker still gets to the API server. The others hear it,
and that it does not hear them; of these one says it, the first by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vipcast.daemon.log import log_for
from vipcast.k8s import Json, Recorder
from vipcast.layer2.api import Layer2Status

__all__ = ["SAY_AFTER_SECONDS", "HearingReporter"]

# A cable that is plugged in, or a node that comes back, is heard in one direction for a moment.
SAY_AFTER_SECONDS = 5.0
_LOOK = (
    "look at what it receives: `ip -s link` (frames, errors, drops), the receiving side of cable and optics, "
    "the switch's port, and what may drop the UDP of the heartbeats on the way in (a firewall, an ACL)"
)
_log = log_for("speaker")


class HearingReporter:
    """``find``: a Node by its name."""

    def __init__(self, recorder: Recorder, node: str, find: Callable[[str], Json | None]) -> None:
        self._recorder, self._node, self._find = recorder, node, find
        self._since: dict[str, float] = {}
        self._told: set[str] = set()

    def update(self, status: Layer2Status, now: float) -> float | None:
        """Tell what has been so for a while, once. Return when to ask again; seconds of any clock."""
        found = set(self._not_hearing(status))
        self._since = {name: self._since.get(name, now) for name in found}
        self._told &= found
        waiting = {name: self._since[name] + SAY_AFTER_SECONDS for name in found - self._told}
        for name in sorted(name for name, at in waiting.items() if now >= at):
            self._told.add(name)
            self._tell(name)
        return min((at for name, at in waiting.items() if name not in self._told), default=None)

    def _not_hearing(self, status: Layer2Status) -> Iterator[str]:
        if status.deaf:
            yield self._node
        alive = [name for name, each in status.members.items() if each.state == "alive"]
        if self._node == min(alive, default=None):
            yield from (
                name for name, each in status.members.items() if each.one_way and each.state != "alive"
            )

    def _tell(self, name: str) -> None:
        _log.warning("layer2_not_hearing", member=name)
        if item := self._find(name):
            self._recorder.record(item, "layer2NotHearing", self._message(name), warning=True)

    def _message(self, name: str) -> str:
        if name == self._node:
            what = "this node receives nothing: it takes no address over, and announces none"
        else:
            what = f'node "{self._node}" hears this node, which does not hear it: others have its addresses'
        return f"{what}; {_LOOK}"
