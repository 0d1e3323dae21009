# SPDX-License-Identifier: GPL-3.0-or-later
"""The outputs of a declaration: plain data, the cluster's objects, one router's intent.

**PRIVATE** to the collection. Everything that leaves here is made of dict, list, str, int, bool and None.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from ..model.addresses import AddressRange, IPNetwork, parse_range
from ..model.configuration import parse
from ..model.problems import Problem
from ..model.reasons import Effect, Reason
from .manifests import judged, manifests, options_of
from .secrets import passwords
from .values import DeclarationError

# The scale that Kubernetes itself is tested with ends at 10,000 services in a cluster
# (kubernetes/community, sig-scalability/configs-and-limits/thresholds.md):
# more prefixes than that from one node are a fault.
MOST_PREFIXES = 10000


def plain(declaration: Any) -> dict[str, Any]:
    """The declaration as data, in the shape of docs/design/0001-declaration.md."""
    return {
        "cluster_asn": declaration.cluster_asn,
        "namespace": declaration.namespace,
        "kubeconfig": declaration.kubeconfig,
        "context": declaration.context,
        "timers": _timers(declaration),
        "pools": [_pool(pool) for pool in declaration.pools],
        "advertisements": [_advertisement(one) for one in declaration.advertisements],
        "l2_advertisements": [dict(one) for one in declaration.l2_advertisements],
        "peers": [dict(one) for one in declaration.peers],
        "bfd_profiles": [dict(one) for one in declaration.bfd_profiles],
        "communities": dict(declaration.communities),
        "nodes": [{"name": n.name, "host": n.host, "address": str(n.address)} for n in declaration.nodes],
        "routers": [_router(router) for router in declaration.routers],
        "clients": [{"host": host} for host in declaration.clients],
        "pod_cidrs": _texts(declaration.pod_cidrs),
        "service_cidrs": _texts(declaration.service_cidrs),
    }


def _timers(declaration: Any) -> dict[str, int]:
    timers = declaration.timers
    return {"hold": timers.hold, "keepalive": timers.keepalive, "connect": timers.connect}


def _texts(networks: tuple[IPNetwork, ...] | None) -> list[str] | None:
    return None if networks is None else [str(network) for network in networks]


def _pool(pool: Any) -> dict[str, Any]:
    return {
        "name": pool.name,
        "addresses": list(pool.addresses),
        "auto_assign": pool.auto_assign,
        "avoid_buggy_ips": pool.avoid_buggy_ips,
        "service_allocation": pool.service_allocation,
        "managed": pool.managed,
        "labels": dict(pool.labels),
    }


def _advertisement(one: Any) -> dict[str, Any]:
    return {
        "name": one.name,
        "pools": list(one.pools),
        "named_pools": list(one.named_pools),
        "pool_selectors": list(one.pool_selectors),
        "peers": list(one.peers),
        "nodes": list(one.nodes),
        "node_selectors": list(one.node_selectors),
        "service_selectors": list(one.service_selectors),
        "aggregation_length": one.aggregation_length,
        "aggregation_length_v6": one.aggregation_length_v6,
        "local_pref": one.local_pref,
        "communities": list(one.communities),
        "weighted_by_endpoints": one.weighted_by_endpoints,
        "med": one.med,
        "as_path_prepend": one.as_path_prepend,
        "labels": dict(one.labels),
    }


def _router(router: Any) -> dict[str, Any]:
    return {
        "name": router.name,
        "host": router.host,
        "address": str(router.address),
        "asn": router.asn,
        "router_id": router.router_id,
        "password": router.password,
        "maximum_prefix": router.maximum_prefix,
        "peer": dict(router.peer),
        "nodes": list(router.nodes),
    }


def cluster_objects(declared: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The manifests that make the cluster do its half: the whole desired set."""
    return manifests(options_of(declared), declared["namespace"])


def judge(declared: Mapping[str, Any]) -> list[str]:
    """Return what the load balancer itself would say against these objects: the last word."""
    options = options_of(declared)
    found = parse(judged(options, declared["namespace"]), namespace=declared["namespace"])
    # What is in force and odd, such as a link-local pool, is for the object's conditions to say.
    problems = [problem for problem in found.problems if problem.effect is not Effect.DOUBTFUL]
    if not options["pools"]:
        # Names of pools are those of the cluster.
        problems = [problem for problem in problems if not _is_of_others(problem)]
    return [*map(str, problems), *_shared_secrets(options["peers"])]


def _is_of_others(problem: Problem) -> bool:
    return problem.reason is Reason.DANGLING_REFERENCE and "ipAddressPools" in problem.field


def _shared_secrets(peers: Sequence[Mapping[str, Any]]) -> list[str]:
    try:
        passwords(peers, "vipcast_peers")
    except DeclarationError as exc:
        return [str(exc)]
    return []


def router_intent(declared: Mapping[str, Any], host: str) -> dict[str, Any]:
    """Return what this router should have: options of the module bgp_router.

    ValueError: the host is no router.
    """
    router = find_router(declared, host)
    nodes = nodes_of(declared, router)
    return {
        "asn": router["asn"],
        "router_id": router["router_id"],
        # A router that runs BGP already has one, and keeps it.
        "default_router_id": router["router_id"] or router["address"],
        "neighbors": [_neighbor(declared, router, node) for node in nodes],
        "prefixes": accepted_prefixes(declared, router["name"]),
        # So many at least: who else uses the router may need more, and its build may have fewer.
        "maximum_paths": len(nodes),
        "maximum_prefix": router.get("maximum_prefix") or _capacity(declared, router["name"]),
        "timers": dict(declared["timers"]),
        "bfd_profiles": _profiles(declared, router),
    }


def _profiles(declared: Mapping[str, Any], router: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The BFD profile that the router's nodes use, as the other end sees it.

    What one end sends the other receives: with the intervals exchanged both directions have exactly the
    declared ones, since the slower end of a direction decides (RFC 5880, 6.8.7).
    """
    exchanged = {"receive_interval": "transmit_interval", "transmit_interval": "receive_interval"}
    same = ("name", "detect_multiplier", "echo_mode", "echo_interval", "minimum_ttl")
    return [
        {exchanged.get(key, key): value for key, value in one.items() if key in (*same, *exchanged)}
        for one in declared.get("bfd_profiles", ())
        if one["name"] == router.get("peer", {}).get("bfd_profile")
    ]


def find_router(declared: Mapping[str, Any], host: str) -> Mapping[str, Any]:
    """The router with this name in the inventory."""
    for router in declared["routers"]:
        if router["host"] == host:
            return router
    known = ", ".join(router["host"] for router in declared["routers"])
    raise ValueError(f"{host} is not in the group routers, which has {known or 'no host'}")


def nodes_of(declared: Mapping[str, Any], *selecting: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The nodes that all of these routers and advertisements select, with the address of their sessions."""
    sources = [one["peer"]["source_address"] for one in selecting if "source_address" in one.get("peer", {})]
    return [
        {**node, "address": sources[0]} if sources else node
        for node in declared["nodes"]
        if all(node["name"] in one.get("nodes", (node["name"],)) for one in selecting)
    ]


def _neighbor(
    declared: Mapping[str, Any], router: Mapping[str, Any], node: Mapping[str, Any]
) -> dict[str, Any]:
    peer = router.get("peer", {})
    neighbor = {
        "address": node["address"],
        "remote_as": peer.get("local_asn", declared["cluster_asn"]),
        "description": node["name"],
    }
    if router.get("password"):
        neighbor["password"] = router["password"]
    return {**neighbor, **_of_the_session(peer)}


# Said of the BGPPeer, and meant for both ends under one name.
_BOTH_ENDS = ("bfd_profile", "ttl_security_hops")
# As far as a packet can go: BGPPeer has no number for it.
_ANY_HOPS = 255


def _of_the_session(peer: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the BGPPeer's options mean for the router, which connects where the nodes are passive."""
    found = {key: peer[key] for key in _BOTH_ENDS if peer.get(key) is not None}
    if peer.get("dual_stack_address_family"):
        found["families"] = ["ipv4", "ipv6"]
    if peer.get("enable_graceful_restart"):
        found["graceful_restart"] = True
    if peer.get("ebgp_multi_hop"):
        found["ebgp_multihop"] = _ANY_HOPS
    return found


def announced_networks(declared: Mapping[str, Any], router: str) -> list[tuple[AddressRange, int]]:
    """Every (range, prefix length) that is announced to the router of this name."""
    found: dict[tuple[AddressRange, int], None] = {}
    for one in declared["advertisements"]:
        if router in one["peers"]:
            for pool in declared["pools"]:
                for addresses in pool_ranges(pool) if pool["name"] in one["pools"] else ():
                    key = "aggregation_length" if addresses.version == 4 else "aggregation_length_v6"
                    found[(addresses, one[key])] = None
    return list(found)


def pool_ranges(pool: Mapping[str, Any]) -> list[AddressRange]:
    """The addresses of a pool. They have been judged before: this cannot fail on a declaration."""
    return [parse_range(text) for text in pool["addresses"]]


def accepted_prefixes(declared: Mapping[str, Any], router: str) -> list[dict[str, Any]]:
    """A router's filter: inside the pools, and of exactly the lengths that are announced."""
    entries: set[tuple[int, int, int, int, str]] = set()
    for addresses, length in announced_networks(declared, router):
        for network in addresses.networks:
            # A range such as .2-.254 has pieces smaller than its aggregate, which then is the prefix.
            prefix = network if network.prefixlen <= length else network.supernet(new_prefix=length)
            entries.add((prefix.version, int(prefix.network_address), prefix.prefixlen, length, str(prefix)))
    return [
        {"prefix": text, "min_length": length, "max_length": length}
        for _version, _number, _prefixlen, length, text in sorted(entries)
    ]


def _capacity(declared: Mapping[str, Any], router: str) -> int:
    """Return how many prefixes a node can have to announce, at most MOST_PREFIXES: more is a leak."""
    total = 0
    for entry in accepted_prefixes(declared, router):
        total += 2 ** (entry["min_length"] - ipaddress.ip_network(entry["prefix"]).prefixlen)
    return max(1, min(total, MOST_PREFIXES))
