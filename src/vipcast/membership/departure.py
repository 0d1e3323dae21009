# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a process without a successor: its addresses are given up, and everyone learns of it."""

from __future__ import annotations

from vipcast.membership.claim_manager import ClaimManager
from vipcast.membership.entries import Condition, Kind
from vipcast.membership.failure_detector import FailureDetector
from vipcast.membership.gossip import Gossip
from vipcast.membership.local_node import LocalNode
from vipcast.membership.replicated_state import ReplicatedState

# The others have acknowledged by then that we left, or do not hear us.
FAREWELL_BEATS = 3


class Departure:
    """First the others are asked to take over; when nothing is owned any more we say that we have left."""

    def __init__(
        self,
        local: LocalNode,
        state: ReplicatedState,
        gossip: Gossip,
        detector: FailureDetector,
        manager: ClaimManager,
    ) -> None:
        self._local, self._state, self._gossip = local, state, gossip
        self._detector, self._manager = detector, manager
        self._said_at: float | None = None

    def begin(self) -> None:
        """Ask to be relieved of everything."""
        self._detector.say(Condition.LEAVING)
        self._manager.leave()

    def work(self, now: float) -> None:
        """Say that we have left once nothing is owned, or we may own nothing."""
        if self._said_at is not None or not self._manager.leaving:
            return
        if not (self._state.owned.get(self._local.name) and self._manager.settled):
            self._said_at = now
            self._manager.drop_all()
            self._detector.say(Condition.LEFT)

    def over(self, now: float) -> bool:
        """Tell whether everybody that we hear knows that we have left."""
        if self._said_at is None:
            return False
        if now >= self._said_at + FAREWELL_BEATS * self._local.profile.heartbeat:
            return True
        links = (link for link in self._gossip.told.values() if self._gossip.heard(link.name, now))
        return not any((Kind.NODE, self._local.name) in link.pending for link in links)
