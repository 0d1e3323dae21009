# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of what is proved against which router: the suite runs by it, and docs/interop.md shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

import pytest
from daemon.interop.peers import PEERS

_Test = TypeVar("_Test", bound=Callable[..., object])


class Feature(Enum):
    """The value is what docs/interop.md says of it."""

    IPV4 = "session over IPv4; next hop, AS path, origin, no local preference (RFC 4271)"
    IPV6 = "session over IPv6 with IPv6 routes (RFC 2545, 4760)"
    INTERNAL = "internal session; local preference (RFC 4271)"
    COMMUNITIES = "communities (RFC 1997)"
    CHANGES = "changes and withdrawals, each sent once (RFC 4271)"
    RECEIVING = "routes that the router announces are taken, counted and not kept"
    FOUR_OCTETS = "AS numbers of four octets (RFC 6793)"
    BOTH_FAMILIES = "IPv4 and IPv6 routes on one session, over either"
    NEXT_HOP_IPV6 = "IPv4 routes with IPv6 next hops (RFC 8950)"
    LARGE_COMMUNITIES = "large communities (RFC 8092)"
    BANDWIDTH = "link bandwidth, transitive, to an external peer (draft-ietf-idr-link-bandwidth)"
    BANDWIDTH_INTERNAL = "link bandwidth, non-transitive, to an internal peer"
    EXTENDED_MESSAGES = "messages of up to 65,535 octets (RFC 8654)"
    OTHER_AS = "an AS number that only this router sees (local-as), and any external AS of the router's"
    PASSWORD = "TCP MD5, over IPv4 and IPv6 (RFC 2385)"
    REFRESH = "route refresh (RFC 2918)"
    ENHANCED_REFRESH = "enhanced route refresh (RFC 7313)"
    ROUTER_DIALS = "the router dials, and we wait"
    BOTH_DIAL = "both dial, and one session stays (RFC 4271 section 6.8)"
    TTL_SECURITY = "TTL security on both sides (RFC 5082)"
    TTL_TOO_LOW = "TTL security on our side alone: no session"
    UNNUMBERED = "unnumbered: neither side knows the other's address; both families with link-local next hops"
    SILENT_ROUTER = "a silent router is given up when our hold timer expires"
    SILENT_SPEAKER = "a silent speaker is given up when the router's hold timer expires, and comes back"
    OUR_SHUTDOWN = "our shutdown, with its message seen there (RFC 9003)"
    THEIR_SHUTDOWN = "the router's shutdown, with its message seen here (RFC 9003)"
    RESTART = "the router crashes and has all routes again"
    GRACEFUL_RESTART = "our process is killed and starts again: routes stay, stale ones go (RFC 4724)"
    LEAVING = "we leave for an upgrade, and routes stay; we leave for good, and they go at once (RFC 8538)"
    MANY = "10,000 prefixes"


@dataclass(frozen=True, slots=True)
class Cannot:
    """``why`` a router has no part in something, and ``seen``: how its test fails, a pattern.

    ``only``: the case of the test that fails, where others pass.
    """

    why: str
    seen: str
    only: str = ""


_KEEPS = Cannot("keeps all that it received, and never asks for it again", "prefixes_sent=1")
_NOT_LONG = Cannot("does not offer them", "ExtendedMessages")
_NOT_FOUND = Cannot(
    "sends no router advertisements, by which we would find it", "no router has advertised itself"
)
_NO_TABLE = "keeps no table of what it received"

CANNOT: dict[tuple[Feature, str], Cannot] = {
    (Feature.REFRESH, "GoBGP"): _KEEPS,
    (Feature.ENHANCED_REFRESH, "GoBGP"): Cannot("does not offer it", "EnhancedRefresh"),
    (Feature.EXTENDED_MESSAGES, "GoBGP"): _NOT_LONG,
    (Feature.EXTENDED_MESSAGES, "OpenBGPD"): _NOT_LONG,
    (Feature.NEXT_HOP_IPV6, "OpenBGPD"): Cannot("does not offer it", "takes no IPv6 next hop"),
    (Feature.BANDWIDTH_INTERNAL, "OpenBGPD"): Cannot(
        "shows a non-transitive community without its value", "bandwidth=None"
    ),
    (Feature.TTL_SECURITY, "ExaBGP"): Cannot(
        "answers a connection with the usual TTL", "no answer to the TCP"
    ),
    (Feature.UNNUMBERED, "GoBGP"): _NOT_FOUND,
    (Feature.UNNUMBERED, "ExaBGP"): _NOT_FOUND,
    (Feature.UNNUMBERED, "OpenBGPD"): _NOT_FOUND,
    (Feature.LEAVING, "ExaBGP"): Cannot(_NO_TABLE, r"paths\('10.9.0.1/32'\)", only="upgrade"),
    (Feature.GRACEFUL_RESTART, "ExaBGP"): Cannot(_NO_TABLE, r"paths\('10.9.0.1/32'\)"),
}
"""Who has no part in what. A thorough run tries it, and fails where the router can by now."""

ALWAYS = ("FRR", "BIRD")
"""The routers that every run meets; a thorough one meets all."""

TESTED: set[Feature] = set()


def proves(feature: Feature) -> Callable[[_Test], _Test]:
    """Run the test with every router: as its argument ``peer``."""
    TESTED.add(feature)
    parameters = [pytest.param(name, marks=_marks(feature, name)) for name in PEERS]
    mark: Callable[[_Test], _Test] = pytest.mark.parametrize("peer", parameters, indirect=True)
    return mark


def _marks(feature: Feature, name: str) -> list[pytest.MarkDecorator]:
    marks = [] if name in ALWAYS else [pytest.mark.thorough]
    if (cannot := CANNOT.get((feature, name))) is not None:
        marks.append(pytest.mark.cannot(cannot))
    return marks
