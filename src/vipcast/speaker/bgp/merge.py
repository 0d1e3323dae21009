# SPDX-License-Identifier: GPL-3.0-or-later
"""One prefix from several advertisements and services is one route: what it carries, and when there is none.

Communities add up. Two local preferences, MEDs or lengths of the AS path are a conflict. A route has a
weight when one of its advertisements asks for it and all of its services have externalTrafficPolicy Local: a
node that passes packets on to every endpoint of the cluster gets the same share as any other.
"""

from __future__ import annotations

from dataclasses import dataclass

from vipcast.bgp.route import GRACEFUL_SHUTDOWN, LargeCommunity, Prefix, Route

__all__ = ["Conflict", "RouteAttributes", "Where", "merge", "route"]

# The bandwidth of one endpoint: 1 Mbit/s. Routers show (and FRR installs) what is a whole number of these.
OCTETS_PER_ENDPOINT = 125_000

Where = tuple[str, Prefix]  # a peer's name and what it gets


@dataclass(frozen=True, slots=True)
class RouteAttributes:
    """The attributes with which a prefix goes to a peer.

    `endpoints`: those on this node that get the packets;
    None where the services behind it say nothing of that."""

    local_pref: int | None = None
    communities: frozenset[int] = frozenset()
    large_communities: frozenset[LargeCommunity] = frozenset()
    weighted: bool = False
    endpoints: frozenset[str] | None = None
    med: int | None = None
    prepend: int = 0

    @property
    def bandwidth(self) -> float | None:
        """The bandwidth in octets per second."""
        if not self.weighted or self.endpoints is None:
            return None
        return float(len(self.endpoints) * OCTETS_PER_ENDPOINT)


class Conflict(Exception):  # noqa: N818 - it carries a refusal, not an error
    """Two preferences for one prefix."""


# Of what a route has one only, whatever several advertisements say, and what it is called.
_SINGLE = {"local_pref": "local preferences", "med": "MEDs", "prepend": "numbers of prepended AS numbers"}


def merge(where: Where, one: RouteAttributes, other: RouteAttributes) -> RouteAttributes:
    """Both at once. Raises Conflict."""
    if one is other or one == other:
        return one
    for name, words in _SINGLE.items():
        values = [getattr(each, name) for each in (other, one)]
        if values[0] != values[1]:
            said = " and ".join("none" if value is None else str(value) for value in values)
            raise Conflict(f"{where[1]} would go to peer {where[0]} with two {words}, {said}")
    return RouteAttributes(
        one.local_pref,
        one.communities | other.communities,
        one.large_communities | other.large_communities,
        one.weighted or other.weighted,
        None if one.endpoints is None or other.endpoints is None else one.endpoints | other.endpoints,
        one.med,
        one.prepend,
    )


def route(prefix: Prefix, how: RouteAttributes, *, internal: bool, leaving: bool) -> Route:
    """Return the route as it is sent. `leaving`: routers are asked to avoid it (RFC 8326 section 4.2)."""
    local_pref, communities = how.local_pref, how.communities
    if leaving:
        # The lowest preference is set here too: not every router acts on the community of its own AS.
        local_pref, communities = 0 if internal else None, communities | {GRACEFUL_SHUTDOWN}
    return Route(prefix, local_pref, communities, how.large_communities, how.bandwidth, how.med, how.prepend)
