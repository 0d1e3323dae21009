# SPDX-License-Identifier: GPL-3.0-or-later
"""The declaration's types: what the inventory says about one cluster and its routers.

**PRIVATE** to the collection.
"""

from __future__ import annotations

from dataclasses import dataclass

from .model.addresses import AddressRange, IPAddress, IPNetwork


@dataclass(frozen=True)
class Timers:
    """BGP timers in seconds, the same on both ends."""

    hold: int
    keepalive: int
    connect: int


@dataclass(frozen=True)
class Pool:
    """An IPAddressPool. `addresses` as they were written, `ranges` the same as first and last address."""

    name: str
    addresses: tuple[str, ...]
    ranges: tuple[AddressRange, ...]
    auto_assign: bool
    avoid_buggy_ips: bool


@dataclass(frozen=True)
class Advertisement:
    """A BGPAdvertisement; `pools` and `peers` are spelled out also where the inventory says nothing (all)."""

    name: str
    pools: tuple[str, ...]
    peers: tuple[str, ...]
    aggregation_length: int
    aggregation_length_v6: int
    local_pref: int
    communities: tuple[str, ...]


@dataclass(frozen=True)
class Node:
    """A node: `name` in the cluster, `host` in the inventory, `address` that the routers peer with."""

    name: str
    host: str
    address: IPAddress


@dataclass(frozen=True)
class Router:
    """A router: `name` of its BGPPeer, `host` in the inventory, `address` that the nodes peer with."""

    name: str
    host: str
    address: IPAddress
    asn: int
    router_id: str
    password: str | None
    maximum_prefix: int | None


@dataclass(frozen=True)
class Declaration:
    """All that the inventory says about one cluster and its routers."""

    cluster_asn: int
    namespace: str
    kubeconfig: str
    context: str | None
    timers: Timers
    pools: tuple[Pool, ...]
    advertisements: tuple[Advertisement, ...]
    nodes: tuple[Node, ...]
    routers: tuple[Router, ...]
    clients: tuple[str, ...]
    pod_cidrs: tuple[IPNetwork, ...] | None
    service_cidrs: tuple[IPNetwork, ...] | None
