# SPDX-License-Identifier: GPL-3.0-or-later
"""The declaration's types: what the inventory says about one cluster and its routers.

**PRIVATE** to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..model.addresses import AddressRange, IPAddress, IPNetwork


@dataclass(frozen=True)
class Timers:
    """BGP timers in seconds, the same on both ends."""

    hold: int
    keepalive: int
    connect: int


@dataclass(frozen=True)
class Pool:
    """An IPAddressPool, or a range for those of others.

    `addresses` as they were written, `ranges` the same as first and last address.
    """

    name: str
    addresses: tuple[str, ...]
    ranges: tuple[AddressRange, ...]
    auto_assign: bool
    avoid_buggy_ips: bool
    service_allocation: Mapping[str, Any] | None = None
    # False for a range of vipcast_pool_ranges, in which somebody else makes the pools.
    managed: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Advertisement:
    """A BGPAdvertisement; `pools`, `peers` and `nodes` are spelled out also where the inventory says nothing
    (all) or selects them by their labels. `named_pools` are those that it calls by name."""

    name: str
    pools: tuple[str, ...]
    named_pools: tuple[str, ...]
    pool_selectors: tuple[Mapping[str, Any], ...]
    peers: tuple[str, ...]
    nodes: tuple[str, ...]
    node_selectors: tuple[Mapping[str, Any], ...]
    service_selectors: tuple[Mapping[str, Any], ...]
    aggregation_length: int
    aggregation_length_v6: int
    local_pref: int
    communities: tuple[str, ...]
    weighted_by_endpoints: bool
    med: int | None  # 0 is another word than none
    as_path_prepend: int
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Node:
    """A node: `name` in the cluster, `host` in the inventory, `address` that the routers peer with, `labels`
    that selectors of the declaration ask for."""

    name: str
    host: str
    address: IPAddress
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Router:
    """A router: `name` of its BGPPeer, `host` in the inventory, `address` that the nodes peer with, `peer`
    with further options of the BGPPeer, `nodes` that have a session with it."""

    name: str
    host: str
    address: IPAddress
    asn: int
    router_id: str | None
    password: str | None
    maximum_prefix: int | None
    peer: Mapping[str, Any]
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Declaration:
    """All that the inventory says about one cluster and its routers.

    What no router has to know is kept as options of its kind (`_cluster/kinds.py`), with a name.
    """

    cluster_asn: int | None
    namespace: str
    kubeconfig: str
    context: str | None
    timers: Timers
    pools: tuple[Pool, ...]
    advertisements: tuple[Advertisement, ...]
    l2_advertisements: tuple[Mapping[str, Any], ...]
    peers: tuple[Mapping[str, Any], ...]
    bfd_profiles: tuple[Mapping[str, Any], ...]
    communities: Mapping[str, str]
    nodes: tuple[Node, ...]
    routers: tuple[Router, ...]
    clients: tuple[str, ...]
    pod_cidrs: tuple[IPNetwork, ...] | None
    service_cidrs: tuple[IPNetwork, ...] | None
