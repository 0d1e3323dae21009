# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out when this node has heard everyone who is there, so that it may claim addresses."""

from __future__ import annotations

from vipcast.membership.failure_detector import FailureDetector
from vipcast.membership.gossip import Gossip
from vipcast.membership.local_node import LocalNode
from vipcast.membership.peer_link import PeerLink
from vipcast.membership.replicated_state import ReplicatedState

# Who has answered and yet does not come to an end with what it tells is waited for no longer than so many
# deaths.
SETTLE_DEATHS = 5


class Readiness:
    """``settled``: everyone who answers has told all, and who does not had the time that a dead one has."""

    def __init__(
        self, local: LocalNode, state: ReplicatedState, gossip: Gossip, detector: FailureDetector
    ) -> None:
        self.settled = False
        self._local, self._state, self._gossip, self._detector = local, state, gossip, detector
        self._started_at: float | None = None

    @property
    def started(self) -> bool:
        """Tell whether this node waits for others, or has done so."""
        return self._started_at is not None

    def begin(self, now: float) -> None:
        """Begin to wait for the others; one that goes on for another process knows who is there."""
        self._started_at = now
        if not self.settled:
            self._detector.presume(now)

    def restore(self, settled: bool) -> None:
        """Go on where an earlier process of this node ended."""
        self.settled = settled

    def work(self, now: float) -> None:
        """Look whether the waiting is over."""
        if not self.settled and self._may_settle(now):
            self.settled = True

    def timer(self, now: float) -> float | None:
        """Return when `work` may come to another result by time alone."""
        if self.settled or self._started_at is None:
            return None
        waits = (self._started_at + times * self._local.profile.dead_after for times in (1, SETTLE_DEATHS))
        return next((at for at in waits if at > now), None)

    def _may_settle(self, now: float) -> bool:
        if self._started_at is None or not self._local.keys:
            return False
        linked = [self._gossip.links[name] for name in self._gossip.linked]
        if self._detector.topology.full and all(map(self._heard_out, linked)):
            return True  # where not everyone is linked, what the others said takes a few hops
        waited, dead_after = now - self._started_at, self._local.profile.dead_after
        if waited < dead_after:
            return False
        answering = [link for link in linked if link.known]
        return all(map(self._heard_out, answering)) or waited >= SETTLE_DEATHS * dead_after

    def _heard_out(self, link: PeerLink) -> bool:
        """It has told all, and everybody's lists that show the way to it are here."""
        paired = link.name in self._state.group or link.name not in self._detector.both
        return link.told_all and paired
