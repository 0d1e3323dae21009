# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of three nodes and a router that sees all of it, to be bent by tests."""

from __future__ import annotations

from typing import Any

from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.outputs import plain
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.reader import read_declaration

NODES = {"n1": "10.31.8.1", "n2": "10.31.8.11", "n3": "10.31.8.12"}
ALL = list(NODES.values())


def declared(**shared: Any) -> dict[str, Any]:
    """Three nodes, one router, one client, one pool."""
    everything = {
        "vipcast_cluster_asn": 64513,
        "vipcast_pools": [{"name": "default", "addresses": ["10.9.0.0/16"]}],
        **shared,
    }
    hostvars: dict[str, Any] = {
        name: {**everything, "ansible_host": address} for name, address in NODES.items()
    }
    hostvars["r1"] = {**everything, "ansible_host": "10.31.254.251", "vipcast_router_asn": 64512}
    hostvars["c1"] = everything
    return plain(read_declaration(hostvars, {"nodes": list(NODES), "routers": ["r1"], "clients": ["c1"]}))


def node(name: str, **values: Any) -> dict[str, Any]:
    return {
        "name": name,
        "ready": True,
        "drained": False,
        "addresses": [],
        "excluded": False,
        "network_unavailable": False,
        "reason": "",
        **values,
    }


def service(name: str = "web", *, on: tuple[str, ...] = ("n1", "n2", "n3"), **values: Any) -> dict[str, Any]:
    return {
        "namespace": "default",
        "name": name,
        "addresses": ["10.9.1.1"],
        "load_balancer_class": None,
        "external_traffic_policy": "Cluster",
        "session_affinity": "None",
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "app_protocol": ""}],
        "endpoints": [{"node": one, "pod": f"{name}-{one}", "ready": True, "serving": True} for one in on],
        **values,
    }


def cluster(*services: dict[str, Any], **nodes: dict[str, Any]) -> dict[str, Any]:
    """The services, and three ready nodes but for what is said of them by name."""
    return {"nodes": [node(name, **nodes.get(name, {})) for name in NODES], "services": list(services)}


def session(address: str, **values: Any) -> dict[str, Any]:
    return {
        "address": address,
        "family": "ipv4",
        "state": "Established",
        "established": True,
        "uptime": 42,
        "prefixes_accepted": 1,
        "reason": "healthy",
        "explanation": "Routes are exchanged.",
        "last_reset": "",
        **values,
    }


def route(
    prefix: str = "10.9.1.1/32",
    bgp: list[str] | None = None,
    fib: list[str] | None = None,
    kernel: list[str] | None = None,
    known: list[str] | None = None,
) -> dict[str, Any]:
    """A route with next hops in each layer; not given: as in the layer before, at first all three nodes."""
    bgp = ALL if bgp is None else bgp
    fib = bgp if fib is None else fib
    kernel = fib if kernel is None else kernel
    return {
        "prefix": prefix,
        "paths": [{"peer": hop, "next_hops": [hop]} for hop in (known or bgp)],
        "next_hops": bgp,
        "fib": {"installed": True, "protocol": "bgp", "next_hops": fib} if fib else None,
        "kernel": {"protocol": "bgp", "next_hops": [{"gateway": hop} for hop in kernel]} if kernel else None,
    }


def router(
    *routes: dict[str, Any], sessions: list[dict[str, Any]] | None = None, **values: Any
) -> dict[str, Any]:
    """Return what bgp_router_info says, as a loop over routers registers it."""
    return {
        "item": "r1",
        "sessions": [session(address) for address in ALL] if sessions is None else sessions,
        "routes": list(routes),
        "hash_policy_ipv4": 1,
        "hash_policy_ipv6": 1,
        **values,
    }
