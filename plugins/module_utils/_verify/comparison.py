# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparison of what is expected with what was found: each difference with its likely reason.

**PRIVATE** to the collection.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from .expectations import Expectations, Route, Session, prefix_order
from .observations import LAYER_NAMES, LAYERS, FoundRoute, FoundRouter, FoundSession

# The kernel hashes over ports too (Documentation/networking/ip-sysctl.rst, fib_multipath_hash_policy).
LAYER4_HASH = 1
FILTERED = "the speaker does not announce it, or the router's inbound filter rejects it"


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it should be."""

    where: str
    what: str
    expected: str
    found: str
    reason: str = ""

    def __str__(self) -> str:
        reason = f"; likely reason: {self.reason}" if self.reason else ""
        return f"{self.where}: {self.what}: expected {self.expected}, found {self.found}{reason}"

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def compare(expected: Expectations, routers: Sequence[FoundRouter]) -> list[Difference]:
    """All differences, by router: what hides everything else comes first."""
    found = [Difference(**problem) for problem in expected.problems]
    for router in routers:
        if router.error:
            found.append(Difference(router.host, "its BGP tables", "an answer", "none", router.error))
            continue
        sessions = [one for one in expected.sessions if one.router == router.host]
        routes = [one for one in expected.routes if one.router == router.host]
        found += _sessions(sessions, router)
        found += _routes(routes, router)
        found += _hash_policies(routes, router)
    return found


def _sessions(expected: Iterable[Session], router: FoundRouter) -> list[Difference]:
    found = []
    for session in expected:
        seen = router.sessions.get(session.address)
        what = f"session with {session.address} ({session.node})"
        if session.up and not (seen and seen.established):
            state = seen.state if seen else "no such neighbor"
            why = _why_not_up(seen, session.address, router.listening)
            found.append(Difference(router.host, what, "Established", state, why))
        elif session.up and seen and seen.broken:
            found.append(
                Difference(router.host, what, "routes to be exchanged", "Established only", seen.hint)
            )
        elif not session.up and seen and seen.established:
            reason = f"the node is {session.why}, and its speaker still runs"
            found.append(Difference(router.host, what, "none", "Established", reason))
        if session.up and seen and seen.established:
            found += _failures(session, seen, router)
    return found


def _failures(session: Session, seen: FoundSession, router: FoundRouter) -> list[Difference]:
    """Return what is declared against failures and is not in force."""
    who = f"{session.address} ({session.node})"
    found = []
    if session.bfd and seen.detection is None:
        reason = "the node's BFD does not answer: not running, or UDP port 3784 is blocked"
        found.append(Difference(router.host, f"BFD with {who}", "up", seen.bfd or "not configured", reason))
    if session.restart and seen.kept is None:
        reason = "the session began before it was declared, or the router helps nobody"
        found.append(Difference(router.host, f"graceful restart of {who}", "agreed on", "not", reason))
    if seen.defeated:
        reason = "FRR before 10.1 then takes a dead node for one that restarts; the role router removes it"
        what = f"bfd check-control-plane-failure of neighbor {session.address}"
        found.append(Difference(router.host, what, "none", "set", reason))
    return found


def _why_not_up(seen: FoundSession | None, address: str, listening: Sequence[str]) -> str:
    if seen is None:
        for network in listening:
            if ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False):
                return f"the router waits for it in {network}: the node's speaker has not dialled"
        return "the router has not been configured for this node (role router)"
    hints = {
        "Idle": "the router does not try: shut down, or no way to the node",
        "Connect": "a speaker never answers on port 179, and this one has not dialled either",
        "Active": "the node's speaker has not dialled: not running, not configured, or port 179 blocked",
        "OpenSent": "the speaker connected and says nothing: AS number or password may differ",
        "OpenConfirm": "the session is just being made",
    }
    return "; ".join(text for text in (hints.get(seen.state, ""), seen.hint) if text)


def _routes(expected: Sequence[Route], router: FoundRouter) -> list[Difference]:
    found: list[Difference] = []
    for route in expected:
        found += _one_route(route, router)
    known = {route.prefix for route in expected}
    for prefix in sorted(set(router.routes) - known, key=prefix_order):
        hops = _all_hops(router.routes[prefix])
        if hops:
            reason = "no service with an endpoint that serves has this address (any more)"
            found.append(Difference(router.host, f"route {prefix}", "none", f"via {', '.join(hops)}", reason))
    return found


def _all_hops(route: FoundRoute) -> list[str]:
    return sorted({hop for hops in route.hops.values() for hop in hops or ()} | route.unused)


def _one_route(route: Route, router: FoundRouter) -> list[Difference]:
    seen = router.routes.get(route.prefix) or FoundRoute(route.prefix, dict.fromkeys(LAYERS, frozenset()))
    missing: dict[str, list[str]] = {}
    unwanted: dict[str, list[str]] = {}
    for layer in LAYERS:
        hops = seen.hops[layer]
        if hops is None:
            continue
        for hop in sorted(set(route.hops) - hops) if _lacks(route, hops, router) else ():
            missing.setdefault(hop, []).append(layer)
        for hop in sorted(hops - set(route.hops)):
            unwanted.setdefault(hop, []).append(layer)
    found = [_missing(route, hop, layers, seen, router) for hop, layers in missing.items()]
    if not missing and not unwanted:
        found += _weights(route, seen, router)
    return found + [_unwanted(route, hop, layers, router) for hop, layers in unwanted.items()]


def _exceeds(route: Route, router: FoundRouter) -> bool:
    """Return whether a route should have more next hops than the router's build can use."""
    return router.most_hops is not None and len(route.hops) > router.most_hops


def _lacks(route: Route, hops: frozenset[str], router: FoundRouter) -> bool:
    """Return whether a layer has fewer next hops than it can: a router's build has an upper bound."""
    enough = router.most_hops if router.most_hops and _exceeds(route, router) else len(route.hops)
    return len(hops & set(route.hops)) < enough


# FRR gives the kernel whole numbers that add up to 100 or so: a share can be that much off.
SHARE = 0.02


def _weights(route: Route, seen: FoundRoute, router: FoundRouter) -> list[Difference]:
    """Each next hop's share against its share of the endpoints."""
    total, weights = sum((route.endpoints or {}).values()), sum(seen.weights.values())
    if not total or not weights or len(route.hops) < 2 or _exceeds(route, router):
        return []
    found = []
    for hop, count in sorted((route.endpoints or {}).items()):
        share, real = count / total, seen.weights.get(hop, 0) / weights
        if abs(share - real) > SHARE:
            what = f"weight of next hop {hop} ({route.hops[hop]}) for {route.prefix}"
            reason = "the router does not use the bandwidth of the routes, or not all of them say one"
            wanted = f"{share:.0%} ({count} of {total} endpoints)"
            found.append(Difference(router.host, what, wanted, f"{real:.0%}", reason))
    return found


def _in(layers: Sequence[str]) -> str:
    names = [LAYER_NAMES[layer] for layer in layers]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _missing(
    route: Route, hop: str, layers: Sequence[str], seen: FoundRoute, router: FoundRouter
) -> Difference:
    what = f"next hop {hop} ({route.hops[hop]}) for {route.prefix} in {_in(layers)}"
    return Difference(router.host, what, "there", "missing", _why_missing(hop, layers, seen, router))


def _why_missing(hop: str, layers: Sequence[str], seen: FoundRoute, router: FoundRouter) -> str:
    """The first layer that lacks it says where to look."""
    session = router.sessions.get(hop)
    if layers[0] == "bgp":
        if session is None or not session.established:
            return f"its session is {session.state if session else 'not configured'}"
        if hop in seen.unused:
            return (
                "BGP knows the path and does not use it: maximum-paths too small, or paths of unequal merit"
            )
        return session.hint or FILTERED
    if layers[0] == "fib":
        return (
            "zebra does not use it: another protocol has a better route, or the next hop cannot be resolved"
        )
    return "zebra has not put it into the kernel, or something else changed the kernel's route"


def _unwanted(route: Route, hop: str, layers: Sequence[str], router: FoundRouter) -> Difference:
    node = route.nodes.get(hop, "")
    what = f"next hop {hop}{f' ({node})' if node else ''} for {route.prefix} in {_in(layers)}"
    reason = (
        f"the node is {route.without[node]}" if node in route.without else "no declared node has this address"
    )
    return Difference(router.host, what, "none", "there", reason)


def _hash_policies(routes: Sequence[Route], router: FoundRouter) -> list[Difference]:
    """Only where it matters: some route has several next hops."""
    versions = sorted({6 if ":" in route.prefix else 4 for route in routes if len(route.hops) > 1})
    found = []
    for version in versions:
        value = router.hash_policy.get(version)
        if value is not None and value != LAYER4_HASH:
            name = f"net.ipv{version}.fib_multipath_hash_policy"
            reason = "with 0 all connections of one client to an address take the same next hop"
            found.append(
                Difference(router.host, name, str(LAYER4_HASH), str(value), reason if value == 0 else "")
            )
    return found
