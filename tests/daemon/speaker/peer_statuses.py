# SPDX-License-Identifier: GPL-3.0-or-later
"""Statuses of BGP peers."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any

from vipcast.bgp.capabilities import Multiprotocol, RouteRefresh
from vipcast.bgp.counters import Counters
from vipcast.bgp.export import Withheld
from vipcast.bgp.fsm import State
from vipcast.bgp.route import Route
from vipcast.bgp.wire import Family
from vipcast.net.status import PeerStatus

ROUTE = Route(ipaddress.ip_network("10.9.0.1/32"))


SIX = Route(ipaddress.ip_network("fd09::1/128"))


def status(**changes: Any) -> PeerStatus:
    plain = PeerStatus(
        name="tor",
        state=State.ESTABLISHED,
        since_monotonic=1.0,
        since_wall=1767355677.0,
        last_error="we ended the session: Hold Timer Expired",
        last_error_wall=1767355600.0,
        next_attempt_monotonic=None,
        local_address=ipaddress.ip_address("10.31.254.1"),
        local_router_id=ipaddress.IPv4Address("10.31.254.1"),
        remote_router_id=ipaddress.IPv4Address("10.0.0.1"),
        hold_time=9.0,
        keepalive_time=10 / 3,
        local_capabilities=(Multiprotocol(Family.IPV4_UNICAST), RouteRefresh()),
        remote_capabilities=(Multiprotocol(Family.IPV4_UNICAST),),
        announced=frozenset({ROUTE}),
        pending=frozenset(),
        withheld={SIX: Withheld.FAMILY_NOT_NEGOTIATED},
        counters=Counters(established=2),
        remote_address=ipaddress.ip_address("10.31.254.251"),
        problem="nobody listens",
        lost="the peer ended the session: Cease/Administrative Shutdown: new fans at noon",
        lost_wall=1767355600.0,
    )
    return replace(plain, **changes)
