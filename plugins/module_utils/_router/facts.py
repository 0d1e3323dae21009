# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""FRR's JSON as facts: sessions with a verdict, the BGP table and zebra's routes.

Pure functions over what show commands print; the shapes were recorded from FRR 8.4.4 and 10.3. Other router
software says the same in documents of these shapes.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from .errors import Reason, Refusal

Json = dict[str, Any]

# FRR's names for address families in JSON.
_FAMILIES = {"ipv4Unicast": "ipv4", "ipv6Unicast": "ipv6"}


class Health(str, enum.Enum):
    """The verdict on one session in one address family; only the first one carries routes."""

    HEALTHY = "healthy"
    NO_PREFIXES = "no_prefixes"
    FILTERED = "filtered"
    NO_FAMILY = "family_not_negotiated"
    NO_POLICY = "no_policy"
    DOWN = "not_established"
    SHUT_DOWN = "shut_down"
    PREFIX_LIMIT = "prefix_limit"


_EXPLANATIONS = {
    Health.HEALTHY: "Routes are exchanged.",
    Health.NO_PREFIXES: "The session is up and the neighbor announces nothing.",
    Health.FILTERED: "The session is up, and the inbound filter refuses all that the neighbor announces.",
    Health.NO_FAMILY: "The session is up without this address family: the neighbor did not offer it.",
    Health.NO_POLICY: "The session is up; bgp ebgp-requires-policy is on and a policy is missing.",
    Health.DOWN: "The session is not up.",
    Health.SHUT_DOWN: "The session was shut down by configuration.",
    Health.PREFIX_LIMIT: "The neighbor exceeded maximum-prefix; the session stays down until it is cleared.",
}


def parse(text: str, command: str) -> Json:
    """Return what a show command printed.

    A Refusal where that is no JSON object (a daemon that is down prints a
    sentence)."""
    start = text.find("{")
    try:
        value = json.loads(text[start:]) if start >= 0 else None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        first = text.strip().splitlines()[:1] or ["nothing"]
        raise Refusal(Reason.UNREADABLE, f"'{command}' printed no JSON but: {first[0]}")
    return value


def sessions(
    summary: Json,
    neighbors: Json,
    counts: Mapping[tuple[str, str], Json],
    more: Mapping[str, Json] = MappingProxyType({}),
) -> list[Json]:
    """One entry for each neighbor and family of C(show bgp summary json).

    C(neighbors) is C(show bgp neighbors json); C(counts) has prefix counts by (family, address), where they
    were asked; C(more) has further facts by address.
    """
    found = []
    for name, family in _FAMILIES.items():
        for address, peer in sorted(summary.get(name, {}).get("peers", {}).items()):
            detail = neighbors.get(address, {})
            one = _session(name, address, peer, detail, counts.get((family, address), {}))
            found.append({**one, **more.get(address, {})})
    return found


def _session(name: str, address: str, peer: Json, detail: Json, count: Json) -> Json:
    family = _FAMILIES[name]
    accepted = int(peer.get("pfxRcd", 0))
    received = _received(count)
    health = _health(name, peer, detail, accepted, received)
    return {
        "address": address,
        "family": family,
        "remote_as": _asn(peer.get("remoteAs")),
        "description": str(peer.get("desc", "")),
        "state": str(peer.get("state", "")),
        "established": peer.get("state") == "Established",
        "since": peer.get("peerUptimeEstablishedEpoch"),
        "uptime": int(peer.get("peerUptimeMsec", 0)) // 1000,
        "prefixes_received": received,
        "prefixes_accepted": accepted,
        # None where the router does not say.
        "prefixes_sent": peer.get("pfxSnt", 0),
        "connections_established": int(peer.get("connectionsEstablished", 0)),
        "connections_dropped": int(peer.get("connectionsDropped", 0)),
        "hold_time": int(detail.get("bgpTimerHoldTimeMsecs", 0)) // 1000,
        "last_reset": str(detail.get("lastResetDueTo", "")),
        "healthy": health is Health.HEALTHY,
        "reason": health.value,
        "explanation": _EXPLANATIONS[health],
    }


def _asn(value: object) -> int | str:
    """A number, or text where the router writes AS numbers with dots."""
    return value if isinstance(value, int) else str(value)


def _received(count: Json) -> int | None:
    """Prefixes before the filter, where the router keeps them; None where nobody knows."""
    walked = count.get("ribTableWalkCounters", {}).get("Adj-in")
    return None if walked is None else int(walked)


def _refused(detail: Json) -> bool:
    """Return whether the filter refused anything so far, as newer versions count it."""
    return bool(detail.get("prefixStats", {}).get("inboundFiltered"))


def _health(name: str, peer: Json, detail: Json, accepted: int, received: int | None) -> Health:
    state = str(peer.get("state", ""))
    if state != "Established":
        by_state = {"Idle (Admin)": Health.SHUT_DOWN, "Idle (PfxCt)": Health.PREFIX_LIMIT}
        return by_state.get(state, by_state.get(_idle(peer), Health.DOWN))
    if not _negotiated(name, detail):
        return Health.NO_FAMILY
    if peer.get("peerState") == "Policy":
        return Health.NO_POLICY
    if accepted:
        return Health.HEALTHY
    return Health.FILTERED if received or (received is None and _refused(detail)) else Health.NO_PREFIXES


def _idle(peer: Json) -> str:
    """Some versions say why a session is idle in C(peerState)."""
    return {"Admin": "Idle (Admin)", "PfxCt": "Idle (PfxCt)"}.get(str(peer.get("peerState")), "")


def _negotiated(name: str, detail: Json) -> bool:
    """The summary calls a family that was never negotiated OK; the capabilities know better."""
    capabilities = detail.get("neighborCapabilities")
    if not isinstance(capabilities, dict):
        return True
    families = capabilities.get("multiprotocolExtensions", {})
    # A speaker without the extension at all means IPv4 unicast (RFC 4760, section 8).
    if not isinstance(families, dict) or not families:
        return name == "ipv4Unicast"
    return bool(families.get(name, {}).get("advertisedAndReceived"))


def router_id(summary: Mapping[Any, Json]) -> str | None:
    """The router's identifier, from a summary of any family."""
    found = (part["routerId"] for part in summary.values() if isinstance(part, dict) and "routerId" in part)
    return next(found, None)


def wants_counts(neighbors: Json) -> list[tuple[str, str]]:
    """(family, address) of established sessions of which the router keeps what was received before the
    filter."""
    return [
        (family, address)
        for address, detail in sorted(neighbors.items())
        if isinstance(detail, dict) and detail.get("bgpState") == "Established"
        for name, family in _FAMILIES.items()
        if detail.get("addressFamilyInfo", {}).get(name, {}).get("inboundSoftConfigPermit")
    ]


def table(document: Json) -> dict[str, list[Json]]:
    """Paths by prefix, from the whole table or from the answer about one prefix: FRR shapes the two
    differently."""
    if "paths" in document:
        return {str(document["prefix"]): [_path(path) for path in document["paths"]]}
    return {prefix: [_path(path) for path in paths] for prefix, paths in document.get("routes", {}).items()}


def _path(path: Json) -> Json:
    best = path.get("bestpath", False)
    is_best = bool(best.get("overall")) if isinstance(best, dict) else bool(best)
    aspath = path.get("aspath", {})
    hops = path.get("nexthops", [])
    return {
        "peer": path.get("peerId") or path.get("peer", {}).get("peerId"),
        "valid": bool(path.get("valid")),
        "best": is_best,
        # 8.4 leaves "multipath" out of the best path of several; it is one of them all the same.
        "multipath": bool(path.get("multipath")),
        "as_path": str(path.get("path", aspath.get("string", ""))),
        "next_hops": [
            hop["ip"] for hop in hops if hop.get("used", True) and "ip" in hop and not _link_local(hop)
        ],
    }


def _link_local(hop: Json) -> bool:
    return hop.get("scope") == "link-local"


def used_next_hops(paths: Iterable[Json]) -> list[str]:
    """The next hops that BGP hands to the kernel: those of the best path and of its equals."""
    hops = (
        hop
        for path in paths
        if path["valid"] and (path["best"] or path["multipath"])
        for hop in path["next_hops"]
    )
    return sorted(set(hops))


def fib(document: Json) -> dict[str, Json]:
    """Zebra's selected routes by prefix; C(next_hops) are those that it installed."""
    found = {}
    for prefix, routes in document.items():
        for route in routes if isinstance(routes, list) else []:
            if route.get("selected"):
                found[prefix] = _fib_route(route)
    return found


def _fib_route(route: Json) -> Json:
    hops = [hop for hop in route.get("nexthops", []) if hop.get("fib") and hop.get("active")]
    return {
        "installed": bool(route.get("installed")),
        "protocol": str(route.get("protocol", "")),
        "distance": int(route.get("distance", 0)),
        "next_hops": sorted(str(hop.get("ip", hop.get("interfaceName", ""))) for hop in hops),
    }
