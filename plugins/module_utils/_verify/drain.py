# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a drain before, during and after it: what would be lost, and what is not done yet.

**PRIVATE** to the collection. What a router should have is `expectations`' to say: it is asked what would be
there with these nodes in service, and that is compared with what routers have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .expectations import Data, Expectations, Route, Scope, expect
from .layer2 import Vip, expect_owners
from .observations import FoundRouter, read_routers


def outlook(
    declared: Data,
    cluster: Data,
    router_results: Sequence[Data],
    names: Sequence[str],
    scope: Scope | None = None,
) -> dict[str, Any]:
    """Return what stands against taking these nodes out, and how far they are, each a list of sentences.

    `nodes`: their names in the cluster; `unknown`: names that no declared node has; `lost`: addresses that
    would have no next hop or no owner left; `present`: what routers still have of them; `absent`: what they
    do not have of them and should, were they in service; `owned`: what they still own at layer 2.
    """
    scope = scope or Scope()
    nodes, unknown = _resolve(declared, names)
    routers = read_routers(declared, router_results)
    served = expect(declared, _in_service(cluster, nodes), scope)
    vips = expect_owners(declared, _in_service(cluster, nodes), scope)
    asked = [router for router in routers if any(one["item"] == router.host for one in router_results)]
    return {
        "nodes": nodes,
        "unknown": unknown,
        "lost": [
            *(text for router in asked for text in _lost(served.routes, router, nodes)),
            *_without_owner(vips, nodes),
        ],
        "present": [text for router in asked for text in _present(served, router, nodes)],
        "absent": [text for router in asked for text in _absent(served, router, nodes)],
        "owned": [f"{_named(vip)} is owned by {vip.owner}" for vip in vips if vip.owner in nodes],
    }


def _without_owner(vips: Iterable[Vip], nodes: Sequence[str]) -> list[str]:
    """The addresses of a segment that only these nodes may own."""
    only = [vip for vip in vips if vip.candidates and not set(vip.candidates) - set(nodes)]
    return [f"{_named(vip)} may be owned by {', '.join(vip.candidates)} alone" for vip in only]


def _named(vip: Vip) -> str:
    return f"{vip.address} ({', '.join(sorted(vip.services))})"


def _resolve(declared: Data, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """People call a node by its name in the cluster or in the inventory."""
    known = {node["host"]: node["name"] for node in declared["nodes"]}
    known.update({node["name"]: node["name"] for node in declared["nodes"]})
    return list(dict.fromkeys(known[name] for name in names if name in known)), [
        f"there is no node {name}; the inventory has {', '.join(sorted(set(known.values())))}"
        for name in names
        if name not in known
    ]


def _in_service(cluster: Data, names: Sequence[str]) -> dict[str, Any]:
    nodes = [{**one, "drained": False} if one["name"] in names else one for one in cluster["nodes"]]
    return {**cluster, "nodes": nodes}


def _lost(routes: Iterable[Route], router: FoundRouter, nodes: Sequence[str]) -> list[str]:
    """Another way counts if the router has it now: a node that should announce and does not is none."""
    if router.error:
        return [f"{router.host}: nothing is known of other ways: {router.error}"]
    found = []
    for route in routes:
        leaving = {hop for hop, name in route.hops.items() if name in nodes}
        if route.router != router.host or not leaving:
            continue
        if not {hop for hop in _ways(route, router) if route.nodes[hop] not in nodes}:
            services = ", ".join(sorted(route.services))
            names = ", ".join(sorted({route.hops[hop] for hop in leaving}))
            found.append(f"{router.host}: {route.prefix} ({services}) has no next hop but those of {names}")
    return found


def _ways(route: Route, router: FoundRouter) -> set[str]:
    """The next hops that the router has, and those that it knows and would use without a better one."""
    seen = router.routes.get(route.prefix)
    backups = seen.unused if seen is not None else frozenset()
    return (set(route.hops) & _kernel(router, route.prefix)) | (set(route.merits) - set(route.hops)) & backups


def _present(served: Expectations, router: FoundRouter, nodes: Sequence[str]) -> list[str]:
    if router.error:
        return [f"{router.host}: {router.error}"]
    addresses = {
        session.address: session.node
        for session in served.sessions
        if session.router == router.host and session.node in nodes
    }
    hops = {
        hop: name for route in served.routes for hop, name in route.nodes.items() if name in nodes
    } | addresses
    found = [
        f"{router.host}: the session with {address} ({name}) is Established"
        for address, name in addresses.items()
        if address in router.sessions and router.sessions[address].established
    ]
    for prefix, route in router.routes.items():
        for hop in sorted({hop for seen in route.hops.values() for hop in seen or ()} & set(hops)):
            found.append(f"{router.host}: {prefix} has the next hop {hop} ({hops[hop]})")
    return found


def _absent(served: Expectations, router: FoundRouter, nodes: Sequence[str]) -> list[str]:
    if router.error:
        return [f"{router.host}: {router.error}"]
    found = [
        f"{router.host}: no session with {one.address} ({one.node})"
        for one in served.sessions
        if one.router == router.host and one.node in nodes and one.up and not _is_up(router, one.address)
    ]
    for route in served.routes:
        for hop, name in route.hops.items() if route.router == router.host else ():
            if name in nodes and hop not in _kernel(router, route.prefix):
                found.append(f"{router.host}: {route.prefix} is without the next hop {hop} ({name})")
    return found


def _is_up(router: FoundRouter, address: str) -> bool:
    return address in router.sessions and router.sessions[address].established


def _kernel(router: FoundRouter, prefix: str) -> frozenset[str]:
    """The kernel's next hops, or zebra's where the kernel's cannot be read."""
    seen = router.routes.get(prefix)
    if seen is None:
        return frozenset()
    hops = seen.hops["kernel"]
    return (seen.hops["fib"] or frozenset()) if hops is None else hops
