# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a peer that outlives its connections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from vipcast.bgp.backoff import Backoff
from vipcast.bgp.counters import Counters
from vipcast.bgp.negotiation import SessionSettings
from vipcast.bgp.rib import AdjRibOut


@dataclass(slots=True)
class PeerState:
    """Shared by the sessions of one peer, of which one at most is Established at a time.

    ``restarting``: no session has come up since the process began (RFC 4724 section 4.1).
    ``last_error_at`` is of the clock that the sessions are given.
    """

    backoff: Backoff
    restarting: bool = False
    rib: AdjRibOut = field(default_factory=AdjRibOut)
    counters: Counters = field(default_factory=Counters)
    last_error: str = ""
    last_error_at: float | None = None

    @classmethod
    def of(cls, settings: SessionSettings, jitter: Callable[[], float]) -> PeerState:
        return cls(Backoff(settings.connect_time, jitter), settings.restarting)
