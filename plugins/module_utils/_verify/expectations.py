# SPDX-License-Identifier: GPL-3.0-or-later
"""The expected state of the routers, computed from the declaration and the cluster alone.

**PRIVATE** to the collection.

The rules (the load balancer follows them too, but is not asked):

* A node that is Ready and not drained has a session with every router; any other node has none.
* A service with an address out of a declared pool and an endpoint that serves has a route on each router
  that an advertisement of the pool names.
  The prefix is the address at the aggregation length. Where others keep the pools, they are the cluster's.
* Its next hops are the nodes that are Ready and not drained, have a network, and are not excluded from
  external load balancing; with externalTrafficPolicy Local only those of them with an endpoint that serves.
* A next hop is the address of the node's session. For routes of the other address family over that session it
  is the node's InternalIP of that family.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._declaration.options import selectors
from .._declaration.outputs import nodes_of, pool_ranges
from .._declaration.values import Place
from ..model.selectors import any_matches
from .others import with_cluster_pools

Data = Mapping[str, Any]


Merit = tuple[int, int, int]
_Announced = tuple[str, str, list[Data], bool, Merit]  # router's host, prefix, nodes, weighted


@dataclass(frozen=True)
class Session:
    """A BGP session between a router and a node. `up`: whether it has to be; `why` not, if it has not.

    `up` is None where nobody knows, because the cluster does not answer. `bfd` and `restart`: whether BFD and
    graceful restart are declared for it.
    """

    router: str
    node: str
    address: str
    up: bool | None
    why: str = ""
    bfd: bool = False
    restart: bool = False


@dataclass
class Route:
    """A prefix on a router, with address of each next hop to the node's name.

    `without`: name of each other node to why it is none. `nodes`: address to name of all of them.
    `endpoints` is empty where all next hops should weigh the same. `merits`: by what the router prefers some
    next hops to others, the least first.
    """

    router: str
    prefix: str
    hops: dict[str, str] = field(default_factory=dict)
    services: list[str] = field(default_factory=list)
    without: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    # Endpoints of each next hop, where its weight follows them; None: where some service's say nothing.
    endpoints: dict[str, int] | None = field(default_factory=dict)
    merits: dict[str, Merit] = field(default_factory=dict)


@dataclass(frozen=True)
class Expectations:
    """All that should be seen. `problems`: what is wrong before routers are asked."""

    sessions: tuple[Session, ...]
    routes: tuple[Route, ...]
    problems: tuple[dict[str, str], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Scope:
    """The scope of verification: services by `namespace/name` or all, and how the load balancer was set up.

    `load_balancer_class`: the one it serves; empty: services without a class.
    `ignore_exclude_label`: nodes that are excluded from external load balancing take part all the same.
    """

    services: tuple[str, ...] = ()
    load_balancer_class: str = ""
    ignore_exclude_label: bool = False

    @classmethod
    def of(cls, services: Sequence[str] | str, load_balancer_class: str, ignore_exclude_label: bool) -> Scope:
        """Read the options of the filters. `-e verify_services=a/b,c/d` is a string, and meant as a list."""
        names = services.split(",") if isinstance(services, str) else services
        return cls(
            tuple(name.strip() for name in names if name.strip()), load_balancer_class, ignore_exclude_label
        )

    def is_ours(self, service: Data) -> bool:
        return (service["load_balancer_class"] or "") == self.load_balancer_class

    def chosen(self, cluster: Data) -> list[Data]:
        """The services that are verified. One that is named is, whatever its class."""
        if self.services:
            return [service for service in cluster["services"] if service_name(service) in self.services]
        return [service for service in cluster["services"] if self.is_ours(service)]

    def unknown(self, cluster: Data) -> list[str]:
        """Names that were asked for and that no LoadBalancer service has."""
        known = {service_name(service) for service in cluster["services"]}
        return [name for name in self.services if name not in known]


def expect(declared: Data, cluster: Data, scope: Scope) -> Expectations:
    """All that should be seen."""
    cluster, declared = seen_by(scope, cluster), with_cluster_pools(declared, cluster)
    services = scope.chosen(cluster)
    why_not = {node["name"]: _why_no_session(node["name"], cluster) for node in declared["nodes"]}
    sessions = tuple(
        Session(
            router=router["host"],
            node=node["name"],
            address=node["address"],
            up=not why_not[node["name"]],
            why=why_not[node["name"]],
            bfd=bool(router.get("peer", {}).get("bfd_profile")),
            restart=bool(router.get("peer", {}).get("enable_graceful_restart")),
        )
        for router in declared["routers"]
        for node in nodes_of(declared, router)
    )
    return Expectations(
        sessions=sessions,
        routes=tuple(_routes(declared, cluster, services)),
        problems=tuple(_problems(declared, cluster, services)),
        notes=(*_notes(declared, cluster, services), *_left_out(cluster, scope)),
    )


def sessions_without_cluster(declared: Data) -> list[Session]:
    """Return the sessions that the declaration has, where the cluster does not say which have to be up."""
    return [
        Session(router["host"], node["name"], node["address"], up=None)
        for router in declared["routers"]
        for node in nodes_of(declared, router)
    ]


def seen_by(scope: Scope, cluster: Data) -> Data:
    """The cluster as a load balancer sees it that was told to ignore the label for exclusion, or was not."""
    if not scope.ignore_exclude_label:
        return cluster
    return {**cluster, "nodes": [{**node, "excluded": False} for node in cluster["nodes"]]}


def service_name(service: Data) -> str:
    """Return the name as `kubectl` shows it."""
    return f"{service['namespace']}/{service['name']}"


def serving(service: Data) -> list[Data]:
    """Endpoints that can take traffic, terminating ones included."""
    return [endpoint for endpoint in service["endpoints"] if endpoint["serving"]]


def attracting(service: Data) -> set[str]:
    """Nodes that take traffic with policy Local: those with a ready endpoint, or where there is none those
    with one that still serves.
    """
    every = serving(service)
    return {one["node"] for one in [one for one in every if one["ready"]] or every}


def pool_of(declared: Data, address: str) -> Data | None:
    """The declared pool that an address belongs to."""
    wanted = ipaddress.ip_address(address)
    for pool in declared["pools"]:
        if any(wanted in addresses for addresses in pool_ranges(pool)):
            return pool
    return None


def _cluster_node(name: str, cluster: Data) -> Data | None:
    return next((node for node in cluster["nodes"] if node["name"] == name), None)


def _why_no_session(name: str, cluster: Data) -> str:
    """Return why a node is not expected to have a session; empty where it is."""
    node = _cluster_node(name, cluster)
    if node is None:
        return "not in the cluster"
    if not node["ready"]:
        return f"not ready: {node['reason']}"
    return "drained: annotated vipcast.io/drain" if node.get("drained") else ""


def why_no_next_hop(name: str, cluster: Data, service: Data) -> str:
    """Return why a node is not expected to take a service's traffic; empty where it is."""
    node = _cluster_node(name, cluster)
    why = _why_no_session(name, cluster)
    if node is None or why:
        return why
    if node["excluded"]:
        return "labelled exclude-from-external-load-balancers"
    if node["network_unavailable"]:
        return "without a network"
    if service["external_traffic_policy"] != "Local" or name in attracting(service):
        return ""
    ending = name in {one["node"] for one in serving(service)}
    return f"without an endpoint that {'is ready' if ending else 'serves'}, and the policy is Local"


def _routes(declared: Data, cluster: Data, services: Sequence[Data]) -> list[Route]:
    found: dict[tuple[str, str], Route] = {}
    for service in services:
        for address in service["addresses"] if serving(service) else ():
            for router, prefix, nodes, weighted, merit in _announced(declared, address, service):
                route = found.setdefault((router, prefix), Route(router, prefix))
                _add(route, nodes, cluster, service, merit)
                _weigh(route, nodes, cluster, service, weighted)
    for route in found.values():
        _keep_best(route)
    return [found[key] for key in sorted(found, key=lambda key: (key[0], prefix_order(key[1])))]


def prefix_order(prefix: str) -> tuple[int, int, int]:
    """A key to sort prefixes by number."""
    network = ipaddress.ip_network(prefix)
    return (network.version, int(network.network_address), network.prefixlen)


def _announced(declared: Data, address: str, service: Data) -> list[_Announced]:
    """Return what each declared advertisement about an address has announced to each router."""
    pool = pool_of(declared, address)
    if pool is None:
        return []
    return [
        (
            router["host"],
            _prefix(address, one),
            nodes_of(declared, router, one),
            bool(one.get("weighted_by_endpoints")),
            _merit(one, internal=router["asn"] == declared["cluster_asn"]),
        )
        for one in declared["advertisements"]
        if pool["name"] in one["pools"] and selects_service(one, service)
        for router in declared["routers"]
        if router["name"] in one["peers"]
    ]


def _merit(advertisement: Data, *, internal: bool) -> Merit:
    """RFC 4271 section 9.1: preference, length of the path, MED; what is not said as routers take it."""
    preference = (advertisement.get("local_pref") or 100) if internal else 0
    prepend = 0 if internal else advertisement.get("as_path_prepend") or 0
    return -preference, prepend, advertisement.get("med") or 0


def _keep_best(route: Route) -> None:
    """Routers forward over equal ways; the others they know, and do not use."""
    best = min(route.merits.values(), default=None)
    for address in [each for each in route.hops if route.merits[each] != best]:
        route.without[route.hops.pop(address)] = "announced as the second best"
        if route.endpoints:
            route.endpoints.pop(address, None)


def is_announced(declared: Data, address: str, service: Data) -> bool:
    """Return whether any declared advertisement is about the address, to whomever and however it goes."""
    pool = pool_of(declared, address)
    every = [*declared["advertisements"], *declared.get("l2_advertisements", ())]
    return pool is not None and any(
        pool["name"] in one["pools"] and selects_service(one, service) for one in every
    )


def selects_service(advertisement: Data, service: Data) -> bool:
    """Return whether an advertisement is about the service: one without selectors is about every service."""
    wanted = advertisement.get("service_selectors")
    if not wanted:
        return True
    return any_matches(selectors(wanted, Place("service_selectors")), service.get("labels") or {})


def _prefix(address: str, advertisement: Data) -> str:
    version = ipaddress.ip_address(address).version
    length = advertisement["aggregation_length" if version == 4 else "aggregation_length_v6"]
    return str(ipaddress.ip_network(f"{address}/{length}", strict=False))


def _add(route: Route, nodes: Sequence[Data], cluster: Data, service: Data, merit: Merit) -> None:
    """A service's share of a route: several may share an aggregate, and then the next hops of each count."""
    if service_name(service) not in route.services:
        route.services.append(service_name(service))
    for node in nodes:
        address = _next_hop(node, route.prefix, cluster)
        route.nodes[address] = node["name"]
        why = why_no_next_hop(node["name"], cluster, service)
        if not why:
            route.hops[address] = node["name"]
            route.merits[address] = min(merit, route.merits.get(address, merit))
            route.without.pop(node["name"], None)
        elif address not in route.hops:
            route.without[node["name"]] = why


def _weigh(route: Route, nodes: Sequence[Data], cluster: Data, service: Data, weighted: bool) -> None:
    """Endpoints of a node count once for each service; with policy Cluster, or without being asked, nothing.

    Those that are ready count, or else those that end and still serve: what kube-proxy sends to.
    """
    if not weighted or service["external_traffic_policy"] != "Local" or route.endpoints is None:
        route.endpoints = None
        return
    for node in nodes:
        here = [one for one in serving(service) if one["node"] == node["name"]]
        address = _next_hop(node, route.prefix, cluster)
        if here and address in route.hops:
            count = len([one for one in here if one["ready"]] or here)
            route.endpoints[address] = route.endpoints.get(address, 0) + count


def _next_hop(node: Data, prefix: str, cluster: Data) -> str:
    """The node's address in the prefix's family, as FRR writes it."""
    version = ipaddress.ip_network(prefix).version
    known = _cluster_node(node["name"], cluster) or {}
    for address in (node["address"], *known.get("addresses", ())):
        if ipaddress.ip_address(address).version == version:
            return str(ipaddress.ip_address(address))
    return str(node["address"])


def _problems(declared: Data, cluster: Data, services: Sequence[Data]) -> list[dict[str, str]]:
    """Faults that are seen before any router is asked: `{where, what, expected, found, reason}`."""
    found = []
    for node in declared["nodes"]:
        if _cluster_node(node["name"], cluster) is None:
            known = ", ".join(one["name"] for one in cluster["nodes"])
            reason = (
                f"the cluster's nodes are {known}; vipcast_node_name says which one host {node['host']} is"
            )
            found.append(_problem("cluster", f"node {node['name']}", "a node of the cluster", "none", reason))
    for service in services:
        if not service["addresses"]:
            reason = "no pool has the address it asks for, or none is free; its events say which"
            reason = service.get("complaint") or reason
            found.append(
                _problem("cluster", f"service {service_name(service)}", "an address", "pending", reason)
            )
    return found


def _problem(where: str, what: str, expected: str, found: str, reason: str) -> dict[str, str]:
    return {"where": where, "what": what, "expected": expected, "found": found, "reason": reason}


def _notes(declared: Data, cluster: Data, services: Sequence[Data]) -> list[str]:
    """Return what is no fault of the rollout, and explains what the report shows or leaves out."""
    names = {node["name"] for node in declared["nodes"]}
    nothing = "no session and no next hop" if declared["routers"] else "no address of a service"
    notes = [
        f"node {node['name']} is not in the inventory: no router peers with it"
        for node in cluster["nodes"]
        if declared["routers"] and node["name"] not in names
    ]
    notes += [
        f"node {node['name']} is {why}: {nothing} is expected"
        for node in declared["nodes"]
        if (why := _why_no_session(node["name"], cluster))
    ]
    for service in services:
        notes += _service_notes(declared, service)
    return notes


def _left_out(cluster: Data, scope: Scope) -> list[str]:
    """Services that another load balancer has to serve."""
    if scope.services:
        return []
    return [
        f"service {service_name(one)} has the class {one['load_balancer_class'] or '(none)'}, not ours"
        for one in cluster["services"]
        if not scope.is_ours(one)
    ]


def _pool(declared: Data) -> str:
    """Name the kind of pool that an address should be from."""
    if "pools_of" not in declared:
        return "declared pool"
    return f"IPAddressPool of {declared['pools_of']} that lies in vipcast_pool_ranges"


def _service_notes(declared: Data, service: Data) -> list[str]:
    notes = []
    for address in service["addresses"]:
        if pool_of(declared, address) is None:
            what = f"{address}, which is in no {_pool(declared)}: not verified"
            notes.append(f"service {service_name(service)} has {what}")
        elif not is_announced(declared, address, service):
            notes.append(f"service {service_name(service)} has {address}, which no advertisement covers")
    if service["addresses"] and not serving(service):
        nothing = "no route" if declared["routers"] else "nobody who answers"
        notes.append(f"service {service_name(service)} has no endpoint that serves: {nothing} is expected")
    return notes
