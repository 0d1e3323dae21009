# SPDX-License-Identifier: GPL-3.0-or-later
"""The observations on the routers, as the module `bgp_router_info` returns them, read into types once.

**PRIVATE** to the collection.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._declaration.outputs import accepted_prefixes

# The three places where a next hop must be, in the order in which a route passes them.
LAYERS = ("bgp", "fib", "kernel")
LAYER_NAMES = {"bgp": "the BGP table", "fib": "FRR's FIB", "kernel": "the kernel"}

# Where "check-control-plane-failure" began to do what it says (docs/design/0013-bfd.md).
READS_THE_RIGHT_BIT = (10, 1)

# Established and yet of no use, whatever is announced; the router's own words for it are in `explanation`.
BROKEN = ("no_policy", "family_not_negotiated")
HEALTHY = "healthy"


@dataclass(frozen=True)
class FoundSession:
    """A neighbor. `state` as FRR has it, `hint` why it carries nothing, `broken` if it never can."""

    address: str
    state: str
    uptime: int | None = None
    prefixes: int | None = None
    hint: str = ""
    broken: bool = False
    hold: int | None = None  # seconds, as negotiated; None: silence is never noticed
    bfd: str | None = None  # FRR's word for its state; None: the router does not ask by BFD
    detection: float | None = None  # seconds until BFD notices silence; None: it is not up
    kept: int | None = None  # seconds for which routes are kept while the neighbor restarts
    defeated: bool = False  # whether the router takes BFD's losses for restarts

    @property
    def established(self) -> bool:
        return self.state == "Established"


@dataclass(frozen=True)
class FoundRoute:
    """Next hops of a prefix in each layer. None: the router cannot say (busybox's `ip` hides them)."""

    prefix: str
    hops: Mapping[str, frozenset[str] | None]
    weights: Mapping[str, int] = field(default_factory=dict)  # of the kernel's next hops
    unused: frozenset[str] = frozenset()  # in the BGP table as paths, but not chosen for forwarding


@dataclass(frozen=True)
class FoundRouter:
    """One router. `error`: why nothing is known of it. `hash_policy`: IP version to the kernel's value."""

    host: str
    sessions: Mapping[str, FoundSession] = field(default_factory=dict)
    routes: Mapping[str, FoundRoute] = field(default_factory=dict)
    hash_policy: Mapping[int, int | None] = field(default_factory=dict)
    error: str = ""
    listening: tuple[str, ...] = ()  # networks in which it waits for neighbors that it has no line for
    most_hops: int | None = None  # next hops that its build has for a route; None: not known


def read_routers(declared: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> list[FoundRouter]:
    """All declared routers, in their order; `results` as a loop over their hosts registered."""
    by_host = {result["item"]: result for result in results}
    return [_router(declared, one, by_host.get(one["host"])) for one in declared["routers"]]


def _router(
    declared: Mapping[str, Any], router: Mapping[str, Any], result: Mapping[str, Any] | None
) -> FoundRouter:
    host = router["host"]
    if result is None or "sessions" not in result:
        return FoundRouter(host, error=_error(result))
    filters = accepted_prefixes(declared, router["name"])
    return FoundRouter(
        host=host,
        sessions=_sessions(result["sessions"], _numbers(result.get("version", ""))),
        routes={one["prefix"]: _route(one) for one in result["routes"] if _is_ours(one["prefix"], filters)},
        hash_policy={4: result.get("hash_policy_ipv4"), 6: result.get("hash_policy_ipv6")},
        listening=tuple((result.get("configuration") or {}).get("listen_ranges", ())),
        most_hops=result.get("maximum_paths_limit"),
    )


def _error(result: Mapping[str, Any] | None) -> str:
    if result is None:
        return "it was not asked"
    return str(result.get("msg") or "its answer has no sessions").strip()


def _numbers(version: str) -> tuple[int, ...]:
    """`10.1.2` as numbers; what follows a number in a part (`1-dev`) does not count."""
    found = (re.match(r"[0-9]+", part) for part in version.split("."))
    return tuple(int(one.group()) for one in found if one)


def _sessions(entries: Sequence[Mapping[str, Any]], version: tuple[int, ...]) -> dict[str, FoundSession]:
    """One for each neighbor: of several families the one that the session runs over."""
    found: dict[str, FoundSession] = {}
    for one in entries:
        own = one["family"] == f"ipv{ipaddress.ip_address(one['address']).version}"
        if own or one["address"] not in found:
            found[one["address"]] = _session(one, version)
    return found


def _session(one: Mapping[str, Any], version: tuple[int, ...]) -> FoundSession:
    up = one["established"]
    bfd, restart = one.get("bfd") or {}, one.get("graceful_restart") or {}
    ignored = bool(bfd.get("ignored_in_restart")) and bool(restart)
    return FoundSession(
        address=one["address"],
        state="Established" if up else one["state"] or "unknown",
        uptime=one["uptime"] if up else None,
        prefixes=one["prefixes_accepted"] if up else None,
        hint=_hint(one),
        broken=up and one["reason"] in BROKEN,
        hold=one.get("hold_time") or None,
        bfd=bfd.get("state"),
        detection=bfd.get("detection_time"),
        kept=restart.get("restart_time"),
        defeated=ignored and version < READS_THE_RIGHT_BIT,
    )


def _hint(one: Mapping[str, Any]) -> str:
    if one["reason"] == HEALTHY:
        return ""
    if one["reason"] == "not_established":
        return f"it ended last because of: {one['last_reset']}" if one["last_reset"] else ""
    sentence = str(one["explanation"]).rstrip(".")
    return sentence[:1].lower() + sentence[1:]


def _is_ours(prefix: str, filters: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the nodes may announce this prefix: inside a pool, and of a length that is announced."""
    network = ipaddress.ip_network(prefix)
    for one in filters:
        pool = ipaddress.ip_network(one["prefix"])
        if network.version == pool.version and one["min_length"] <= network.prefixlen <= one["max_length"]:
            first, last = int(pool.network_address), int(pool.broadcast_address)
            if first <= int(network.network_address) <= last:
                return True
    return False


def _route(one: Mapping[str, Any]) -> FoundRoute:
    used = frozenset(one["next_hops"])
    known = frozenset(hop for path in one["paths"] for hop in path["next_hops"])
    fib = one["fib"]
    installed = frozenset(fib["next_hops"]) if fib and fib["installed"] else frozenset()
    kernel = one["kernel"]
    return FoundRoute(
        prefix=one["prefix"],
        hops={"bgp": used, "fib": installed, "kernel": _kernel(kernel)},
        weights={
            hop["gateway"]: hop.get("weight", 1) for hop in (kernel["next_hops"] if kernel else None) or ()
        },
        unused=known - used,
    )


def _kernel(route: Mapping[str, Any] | None) -> frozenset[str] | None:
    if route is None:
        return frozenset()
    if route["next_hops"] is None:
        return None
    return frozenset(hop["gateway"] for hop in route["next_hops"])
