# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status of a peering, for ``vipcast status``, metrics and the API."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from vipcast.bgp.capabilities import Capability
from vipcast.bgp.counters import Counters
from vipcast.bgp.export import Withheld
from vipcast.bgp.fsm import State
from vipcast.bgp.route import Route


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A snapshot. ``*_monotonic`` are the event loop's seconds, ``*_wall`` seconds since 1970.

    ``announced`` has been sent on this session and not been withdrawn; BGP acknowledges nothing, so that is
    as far as anyone here can tell. ``pending`` waits for its turn or for the session; ``withheld`` cannot be
    sent on this session, each with the reason. Together they are the desired set, but for a withdrawal in
    progress.
    The negotiated times are None where there is no session. ``remote_address``: where the peer is, if that is
    known. ``lost``: what ended the last session that was up, and ``lost_wall`` when; before the first
    one that is when the peering was made. ``last_error`` is what has failed since.
    ``problem``: what is wrong on our side until someone repairs it; empty where nothing is.
    """

    name: str
    state: State
    since_monotonic: float
    since_wall: float
    last_error: str
    last_error_wall: float | None
    next_attempt_monotonic: float | None
    local_address: IPv4Address | IPv6Address | None
    local_router_id: IPv4Address | None
    remote_router_id: IPv4Address | None
    hold_time: float | None
    keepalive_time: float | None
    local_capabilities: tuple[Capability, ...]
    remote_capabilities: tuple[Capability, ...]
    announced: frozenset[Route]
    pending: frozenset[Route]
    withheld: dict[Route, Withheld]
    counters: Counters
    remote_address: IPv4Address | IPv6Address | None = None
    problem: str = ""
    lost: str = ""
    lost_wall: float = 0.0

    @property
    def established(self) -> bool:
        return self.state is State.ESTABLISHED
