# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that an inventory declares: pools, advertisements, peers, profiles and names of communities.

**PRIVATE** to the collection. A selector is resolved here, among the pools and nodes that are declared:
routers and reports need to know which ones are meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._cluster.kinds import BFD_PROFILE, BGP_ADVERTISEMENT, BGP_PEER, IP_ADDRESS_POOL, L2_ADVERTISEMENT
from ..model.communities import is_alias, parse_community
from ..model.selectors import any_matches
from .inventory import GROUPS, PREFIX, Inventory
from .options import read_named, read_options, selectors
from .types import Advertisement, Node, Pool
from .values import DeclarationError, Place, Refusal, as_list, as_range, as_text, nearest

# What a router of the inventory says by variables of its own, which both ends follow.
SAID_BY_VARIABLES = {
    "my_asn": "vipcast_cluster_asn",
    "peer_asn": "vipcast_router_asn",
    "dynamic_asn": "vipcast_router_asn",
    "peer_address": "vipcast_router_address",
    "hold_time": "vipcast_hold_time",
    "keepalive_time": "vipcast_keepalive_time",
    "connect_time": "vipcast_connect_time",
    "password": "vipcast_bgp_password",
}

# What a router of the inventory cannot have.
UNNUMBERED = (
    "a host of the group routers has the nodes as neighbors by their addresses, and no session over an "
    "interface (unnumbered); configure that router yourself, and declare it as one of vipcast_peers, with "
    "interface and dynamic_asn, instead of as a host"
)


def demand_distinct(pairs: Iterable[tuple[str, str]], name: str, why: str) -> None:
    """No two of (value, who says it) have the same value."""
    seen: dict[str, str] = {}
    for value, host in pairs:
        if value in seen:
            place = Place(name if name in GROUPS else PREFIX + name, f"{seen[value]} and {host}")
            raise DeclarationError(Refusal.DUPLICATE, place, f"both are {value}; {why}")
        seen[value] = host


def _items(inventory: Inventory, name: str) -> list[tuple[Any, Place]]:
    """The items of a shared list, which may be left out."""
    value, place = inventory.shared(name)
    items = [] if value is None else as_list(value, place)
    return [(item, place.at(index)) for index, item in enumerate(items)]


def _demand_names(found: Iterable[Mapping[str, Any]], variable: str) -> None:
    demand_distinct(((one["name"], one["name"]) for one in found), variable, "two cannot share a name")


# -- pools -------------------------------------------------------------------------------------------------


def read_pools(inventory: Inventory) -> tuple[Pool, ...]:
    """Read the pools of services: those of the inventory, or the ranges of pools that others keep."""
    elsewhere = inventory.shared("pool_ranges")[0]
    pools = _read_pools(inventory) if elsewhere is None else _read_ranges(inventory)
    _demand_disjoint(pools, inventory.shared("pools" if elsewhere is None else "pool_ranges")[1])
    return pools


def _read_ranges(inventory: Inventory) -> tuple[Pool, ...]:
    value, place = inventory.shared("pool_ranges")
    if inventory.shared("pools")[0] is not None:
        why = "it says that the pools are objects of somebody else's, and vipcast_pools has some; remove one"
        raise DeclarationError(Refusal.CONFLICT, place, why)
    texts = [as_text(item, place.at(index)) for index, item in enumerate(as_list(value, place))]
    if not texts:
        why = "the list is empty; routers accept what lies inside of it, such as 203.0.113.0/24, and no more"
        raise DeclarationError(Refusal.MISSING, place, why)
    return tuple(Pool(text, (text,), (as_range(text, place),), True, False, managed=False) for text in texts)


def _read_pools(inventory: Inventory) -> tuple[Pool, ...]:
    meaning = (
        "a list of pools, each with name and addresses; where somebody else applies them to the cluster, "
        "vipcast_pool_ranges says in which ranges they are"
    )
    value, place = inventory.required("pools", meaning)
    items = as_list(value, place)
    if not items:
        raise DeclarationError(
            Refusal.MISSING, place, "the list is empty; without a pool no service gets an address"
        )
    pools = tuple(_pool(item, place.at(index)) for index, item in enumerate(items))
    demand_distinct(((pool.name, pool.name) for pool in pools), "pools", "two pools cannot share a name")
    return pools


def _pool(item: Any, place: Place) -> Pool:
    found = read_named(item, IP_ADDRESS_POOL, place, required=("addresses",))
    addresses = tuple(found["addresses"])
    if not addresses:
        raise DeclarationError(
            Refusal.MISSING, place.key("addresses"), "the list is empty; give a CIDR or a range a-b"
        )
    where = Place(place.what, f"pool {found['name']}")
    return Pool(
        name=found["name"],
        addresses=addresses,
        ranges=tuple(as_range(text, where) for text in addresses),
        auto_assign=found.get("auto_assign", True),
        avoid_buggy_ips=found.get("avoid_buggy_ips", False),
        service_allocation=found.get("service_allocation"),
        labels=found.get("labels", {}),
    )


def _demand_disjoint(pools: Sequence[Pool], place: Place) -> None:
    """No address may be in two ranges, of one pool or of two."""
    ranges = sorted(
        ((one, pool.name) for pool in pools for one in pool.ranges),
        key=lambda p: (p[0].version, int(p[0].first)),
    )
    for (left, left_pool), (right, right_pool) in zip(ranges, ranges[1:]):
        if left.overlaps(right):
            why = (
                f"{right} of pool {right_pool} overlaps {left} of pool {left_pool}; no address may be in two"
            )
            raise DeclarationError(Refusal.OVERLAP, place, why)


# -- who is meant ------------------------------------------------------------------------------------------


def chosen(value: Any, known: Mapping[str, str], place: Place) -> tuple[str, ...]:
    """Names out of those that exist; nothing said means all of them."""
    if value is None or value == []:
        return tuple(dict.fromkeys(known.values()))
    names = [as_text(name, place) for name in as_list(value, place)]
    for name in names:
        if name not in known:
            raise DeclarationError(
                Refusal.UNKNOWN_REFERENCE, place, f"there is no {name}; {nearest(name, known)}"
            )
    return tuple(dict.fromkeys(known[name] for name in names))


def _chosen_pools(found: Mapping[str, Any], pools: Sequence[Pool], place: Place) -> tuple[str, ...]:
    """The pools of an advertisement, by name and by label; nothing said means all of them.

    Of pools that others keep neither is known: it may be any of them.
    """
    if not all(pool.managed for pool in pools):
        return tuple(pool.name for pool in pools)
    known = {pool.name: pool.name for pool in pools}
    wanted = found.get("ip_address_pool_selectors")
    if not wanted:
        return chosen(found.get("ip_address_pools"), known, place.key("pools"))
    named = found.get("ip_address_pools")
    names = chosen(named, known, place.key("pools")) if named else ()
    asked = selectors(wanted, place.key("pool_selectors"))
    selected = {pool.name for pool in pools if any_matches(asked, pool.labels)}
    if not selected:
        why = "no pool of vipcast_pools has such labels; the key labels of a pool says which it has"
        raise DeclarationError(Refusal.UNKNOWN_REFERENCE, place.key("pool_selectors"), why)
    return tuple(pool.name for pool in pools if pool.name in selected or pool.name in names)


def chosen_nodes(found: Mapping[str, Any], nodes: Sequence[Node], place: Place) -> tuple[str, ...]:
    """The nodes that an object selects; nothing said means all of them."""
    wanted = found.get("node_selectors")
    if not wanted:
        return tuple(node.name for node in nodes)
    asked = selectors(wanted, place.key("node_selectors"))
    names = tuple(node.name for node in nodes if any_matches(asked, node.labels))
    if not names:
        why = "no host of the group nodes has such labels; vipcast_node_labels says which one has"
        raise DeclarationError(Refusal.UNKNOWN_REFERENCE, place.key("node_selectors"), why)
    return names


# -- advertisements ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """The names that an advertisement may use. `peers`: the objects' names by those that people use."""

    pools: Sequence[Pool]
    nodes: Sequence[Node]
    peers: Mapping[str, str]
    communities: Mapping[str, str]


def read_advertisements(inventory: Inventory, known: Known) -> tuple[Advertisement, ...]:
    """Return what is announced by BGP.

    Nothing said means everything, where there is a peer to announce it to.
    """
    value, place = inventory.shared("advertisements")
    items = as_list(value, place) if value is not None else [{"name": "default"}] if known.peers else []
    if items and not known.peers:
        why = "there is nobody to announce to: the group routers has no host, and vipcast_peers none either"
        raise DeclarationError(Refusal.EMPTY_GROUP, place, why)
    result = tuple(_advertisement(item, place.at(index), known) for index, item in enumerate(items))
    demand_distinct(((one.name, one.name) for one in result), "advertisements", "two cannot share a name")
    return result


def _advertisement(item: Any, place: Place, known: Known) -> Advertisement:
    found = read_named(item, BGP_ADVERTISEMENT, place)
    for text in found.get("communities", ()):
        _check_community(text, known.communities, place.key("communities"))
    return Advertisement(
        name=found["name"],
        pools=_chosen_pools(found, known.pools, place),
        named_pools=tuple(found.get("ip_address_pools", ())),
        pool_selectors=tuple(found.get("ip_address_pool_selectors", ())),
        peers=chosen(found.get("peers"), known.peers, place.key("peers")),
        nodes=chosen_nodes(found, known.nodes, place),
        node_selectors=tuple(found.get("node_selectors", ())),
        service_selectors=tuple(found.get("service_selectors", ())),
        aggregation_length=found.get("aggregation_length", 32),
        aggregation_length_v6=found.get("aggregation_length_v6", 128),
        local_pref=found.get("local_pref", 0),
        communities=tuple(found.get("communities", ())),
        weighted_by_endpoints=found.get("weighted_by_endpoints", False),
        med=found.get("med"),
        as_path_prepend=found.get("as_path_prepend", 0),
        labels=found.get("labels", {}),
    )


def _check_community(text: str, known: Mapping[str, str], place: Place) -> None:
    """`A:B` (RFC 1997), `large:A:B:C` (RFC 8092), or a name out of vipcast_communities."""
    if not is_alias(text):
        try:
            parse_community(text)
        except ValueError as exc:
            raise DeclarationError(Refusal.WRONG_TYPE, place, str(exc)) from None
    elif text not in known:
        hint = nearest(text, known) if known else "it says none"
        why = (
            f"{text!r} is no community such as '64513:100' (RFC 1997), and no name out of "
            f"vipcast_communities; {hint}"
        )
        raise DeclarationError(Refusal.UNKNOWN_REFERENCE, place, why)


def read_l2_advertisements(
    inventory: Inventory, pools: Sequence[Pool], nodes: Sequence[Node]
) -> tuple[dict[str, Any], ...]:
    """Return what is announced by ARP and NDP, with `pools` and `nodes` spelled out."""
    result = []
    for item, place in _items(inventory, "l2_advertisements"):
        found = read_named(item, L2_ADVERTISEMENT, place)
        spelled = {"pools": _chosen_pools(found, pools, place), "nodes": chosen_nodes(found, nodes, place)}
        result.append({**found, **{key: list(names) for key, names in spelled.items()}})
    _demand_names(result, "l2_advertisements")
    return tuple(result)


# -- peers, profiles, communities --------------------------------------------------------------------------


def read_peer(inventory: Inventory, host: str) -> dict[str, Any]:
    """Return what a router of the inventory says of its BGPPeer besides its own variables."""
    value, place = inventory.of(host, "peer", {}), Place(PREFIX + "peer", f"host {host}")
    if isinstance(value, Mapping) and "interface" in value:
        raise DeclarationError(Refusal.UNKNOWN_KEY, place.key("interface"), UNNUMBERED)
    for key in value if isinstance(value, Mapping) else ():
        if key in SAID_BY_VARIABLES:
            why = f"a variable of its own says that, for both ends: {SAID_BY_VARIABLES[key]}"
            raise DeclarationError(Refusal.UNKNOWN_KEY, place.key(key), why)
    options = [option for option in BGP_PEER.options if option.name not in {*SAID_BY_VARIABLES, "interface"}]
    return read_options(value, options, place)


def read_peers(
    inventory: Inventory, asn: int | None, timers: Mapping[str, str], nodes: Sequence[Node]
) -> tuple[dict[str, Any], ...]:
    """Peers that are no host of the inventory; AS number and timers are the cluster's where none is said."""
    result = []
    for item, place in _items(inventory, "peers"):
        found = read_named(item, BGP_PEER, place)
        if not ("hold_time" in found or "keepalive_time" in found):
            found = {**{key: timers[key] for key in ("hold_time", "keepalive_time")}, **found}
        found.setdefault("connect_time", timers["connect_time"])
        if asn is not None:
            found.setdefault("my_asn", asn)
        chosen_nodes(found, nodes, place)
        result.append(found)
    _demand_names(result, "peers")
    return tuple(result)


def read_bfd_profiles(inventory: Inventory) -> tuple[dict[str, Any], ...]:
    found = [read_named(item, BFD_PROFILE, place) for item, place in _items(inventory, "bfd_profiles")]
    _demand_names(found, "bfd_profiles")
    return tuple(found)


def read_communities(inventory: Inventory) -> dict[str, str]:
    """Name to value."""
    value, place = inventory.shared("communities")
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        why = f"{value!r} should be a dictionary of names and values, such as {{no-export: '65535:65281'}}"
        raise DeclarationError(Refusal.WRONG_TYPE, place, why)
    return {"".join(str(name)): as_text(each, place.key(str(name))) for name, each in value.items()}
