# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from a declaration: plain data, the cluster's objects, one router's intent.

**PRIVATE** to the collection. Everything that leaves here is made of dict, list, str, int, bool and None.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from .model.addresses import AddressRange, IPNetwork, parse_range
from .model.configuration import parse

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
    }


def _advertisement(one: Any) -> dict[str, Any]:
    return {
        "name": one.name,
        "pools": list(one.pools),
        "peers": list(one.peers),
        "aggregation_length": one.aggregation_length,
        "aggregation_length_v6": one.aggregation_length_v6,
        "local_pref": one.local_pref,
        "communities": list(one.communities),
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
    }


def cluster_objects(declared: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The manifests that make the cluster do its half: pools, peers, advertisements."""
    manifests = [
        _manifest(declared, "IPAddressPool", pool["name"], _pool_spec(pool)) for pool in declared["pools"]
    ]
    manifests += [
        _manifest(declared, "BGPPeer", router["name"], _peer_spec(declared, router), version="v1beta2")
        for router in declared["routers"]
    ]
    manifests += [
        _manifest(declared, "BGPAdvertisement", one["name"], _advertisement_spec(one))
        for one in declared["advertisements"]
    ]
    return manifests


def judge(declared: Mapping[str, Any]) -> list[str]:
    """What the load balancer itself would say against these objects: the last word."""
    return [
        str(problem) for problem in parse(cluster_objects(declared), namespace=declared["namespace"]).problems
    ]


def _manifest(
    declared: Mapping[str, Any], kind: str, name: str, spec: dict[str, Any], *, version: str = "v1beta1"
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": declared["namespace"]}
    return {"apiVersion": f"metallb.io/{version}", "kind": kind, "metadata": metadata, "spec": spec}


def _pool_spec(pool: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "addresses": list(pool["addresses"]),
        "autoAssign": pool["auto_assign"],
        "avoidBuggyIPs": pool["avoid_buggy_ips"],
    }


def _peer_spec(declared: Mapping[str, Any], router: Mapping[str, Any]) -> dict[str, Any]:
    """Durations are Go's, as the CRD of MetalLB has them: `9s`."""
    timers = declared["timers"]
    spec: dict[str, Any] = {
        "myASN": declared["cluster_asn"],
        "peerASN": router["asn"],
        "peerAddress": router["address"],
        "holdTime": f"{timers['hold']}s",
        "keepaliveTime": f"{timers['keepalive']}s",
        "connectTime": f"{timers['connect']}s",
    }
    if router.get("password"):
        spec["password"] = router["password"]
    return spec


def _advertisement_spec(one: Mapping[str, Any]) -> dict[str, Any]:
    """Only what differs from the CRD's defaults, so that the object reads like one that a person wrote."""
    spec: dict[str, Any] = {"ipAddressPools": list(one["pools"]), "peers": list(one["peers"])}
    if one["aggregation_length"] != 32:
        spec["aggregationLength"] = one["aggregation_length"]
    if one["aggregation_length_v6"] != 128:
        spec["aggregationLengthV6"] = one["aggregation_length_v6"]
    if one["local_pref"]:
        spec["localPref"] = one["local_pref"]
    if one["communities"]:
        spec["communities"] = list(one["communities"])
    return spec


def router_intent(declared: Mapping[str, Any], host: str) -> dict[str, Any]:
    """What this router should have: options of the module bgp_router. ValueError: the host is no router."""
    router = find_router(declared, host)
    return {
        "asn": router["asn"],
        "router_id": router["router_id"],
        "neighbors": [_neighbor(declared, router, node) for node in declared["nodes"]],
        "prefixes": accepted_prefixes(declared, router["name"]),
        # As many paths as there are nodes, and no more: a router's build has an upper bound (8 and 16
        # are in use), and a number above it is an unknown command there.
        "maximum_paths": len(declared["nodes"]),
        "maximum_prefix": router.get("maximum_prefix") or _capacity(declared, router["name"]),
        "timers": dict(declared["timers"]),
    }


def find_router(declared: Mapping[str, Any], host: str) -> Mapping[str, Any]:
    """The router with this name in the inventory."""
    for router in declared["routers"]:
        if router["host"] == host:
            return router
    known = ", ".join(router["host"] for router in declared["routers"])
    raise ValueError(f"{host} is not in the group routers, which has {known}")


def _neighbor(
    declared: Mapping[str, Any], router: Mapping[str, Any], node: Mapping[str, Any]
) -> dict[str, Any]:
    neighbor = {
        "address": node["address"],
        "remote_as": declared["cluster_asn"],
        "description": node["name"],
    }
    if router.get("password"):
        neighbor["password"] = router["password"]
    return neighbor


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
    """How many prefixes a node can have to announce, at most MOST_PREFIXES: more is a leak."""
    total = 0
    for entry in accepted_prefixes(declared, router):
        total += 2 ** (entry["min_length"] - ipaddress.ip_network(entry["prefix"]).prefixlen)
    return max(1, min(total, MOST_PREFIXES))
