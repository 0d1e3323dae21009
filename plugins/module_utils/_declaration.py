# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory read as a declaration: hostvars in, typed objects out.

**PRIVATE** to the collection. `_declaration_inventory` has the variables' names, this file their meaning;
`docs/design/0001-declaration.md` has the table.

What follows from a declaration (manifests, a router's intent) is in `_declared`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ._declaration_inventory import GROUPS, PREFIX, Inventory
from ._declaration_types import Advertisement, Declaration, Node, Pool, Router, Timers
from ._declaration_values import (
    DeclarationError,
    Place,
    Refusal,
    as_address,
    as_asn,
    as_bool,
    as_community,
    as_integer,
    as_list,
    as_name,
    as_network,
    as_range,
    as_text,
    known_keys,
    nearest,
    object_name,
    range_of,
)
from .model.addresses import AddressRange, IPAddress, IPNetwork

# The kernel's TCP_MD5SIG_MAXKEYLEN (include/uapi/linux/tcp.h): a longer key is refused by setsockopt.
LONGEST_PASSWORD = 80


def read_declaration(hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> Declaration:
    """Read and check the whole declaration. Raises DeclarationError, which names variable and host."""
    inventory = Inventory(hostvars, groups)
    _demand_hosts(inventory)
    nodes, routers = _nodes(inventory), _routers(inventory)
    pools = _pools(inventory)
    asn = as_asn(*inventory.required("cluster_asn", "the AS number the speakers use, such as 64513"))
    declaration = Declaration(
        cluster_asn=asn,
        namespace=as_name(inventory.shared("namespace")[0] or "metallb-system", Place(PREFIX + "namespace")),
        kubeconfig=_kubeconfig(inventory),
        context=_optional_text(inventory, "context"),
        timers=_timers(inventory),
        pools=pools,
        advertisements=_advertisements(inventory, pools, routers, asn),
        nodes=nodes,
        routers=routers,
        clients=tuple(inventory.hosts["clients"]),
        pod_cidrs=_networks(inventory, "pod_cidrs"),
        service_cidrs=_networks(inventory, "service_cidrs"),
    )
    _check_addresses(declaration)
    return declaration


def _demand_hosts(inventory: Inventory) -> None:
    for group, who in (("nodes", "the cluster's nodes"), ("routers", "the routers that the nodes peer with")):
        if not inventory.hosts[group]:
            raise DeclarationError(
                Refusal.EMPTY_GROUP, Place(f"group {group}"), f"it has no host; it lists {who}"
            )


def _nodes(inventory: Inventory) -> tuple[Node, ...]:
    nodes = tuple(_node(inventory, host) for host in inventory.hosts["nodes"])
    _demand_distinct(
        ((node.name, node.host) for node in nodes), "node_name", "one name is one node of the cluster"
    )
    _demand_distinct(
        ((str(node.address), node.host) for node in nodes), "node_address", "each node has its own"
    )
    return nodes


def _node(inventory: Inventory, host: str) -> Node:
    place = Place(PREFIX + "node_name", f"host {host}")
    name = as_name(inventory.of(host, "node_name", host), place)
    return Node(
        name=name, host=host, address=_address_of(inventory, host, "node_address", "the routers peer")
    )


def _routers(inventory: Inventory) -> tuple[Router, ...]:
    routers = tuple(_router(inventory, host) for host in inventory.hosts["routers"])
    _demand_distinct(((router.name, router.host) for router in routers), "routers", "rename one of the hosts")
    _demand_distinct(((str(r.address), r.host) for r in routers), "router_address", "each router has its own")
    return routers


def _router(inventory: Inventory, host: str) -> Router:
    where = f"host {host}"
    asn = inventory.of(host, "router_asn")
    if asn is None:
        why = "it is required: the router's AS number, such as 64512"
        raise DeclarationError(Refusal.MISSING, Place(PREFIX + "router_asn", where), why)
    address = _address_of(inventory, host, "router_address", "the nodes peer")
    limit = inventory.of(host, "maximum_prefix")
    return Router(
        name=object_name(host, Place("group routers", where)),
        host=host,
        address=address,
        asn=as_asn(asn, Place(PREFIX + "router_asn", where)),
        router_id=_router_id(inventory, host, address),
        password=_password(inventory, host),
        maximum_prefix=None
        if limit is None
        else as_integer(limit, Place(PREFIX + "maximum_prefix", where), 1, 2**32 - 1),
    )


def _router_id(inventory: Inventory, host: str, address: IPAddress) -> str:
    """Four bytes that identify the speaker (RFC 4271, 4.2): the IPv4 address, where there is one."""
    place = Place(PREFIX + "router_id", f"host {host}")
    value = inventory.of(host, "router_id", str(address) if address.version == 4 else None)
    if value is None:
        why = "it is required where the router's address is IPv6: an IPv4 address that identifies the router"
        raise DeclarationError(Refusal.MISSING, place, why)
    identifier = as_address(value, place)
    if identifier.version != 4 or int(identifier) == 0:
        raise DeclarationError(
            Refusal.WRONG_TYPE, place, f"{value} is not usable; a router id is a non-zero IPv4 address"
        )
    return str(identifier)


def _password(inventory: Inventory, host: str) -> str | None:
    value = inventory.of(host, "bgp_password")
    if value is None or value == "":
        return None
    place = Place(PREFIX + "bgp_password", f"host {host}")
    text = as_text(value, place, secret=True)
    if len(text.encode()) > LONGEST_PASSWORD or re.search(r"\s", text):
        why = f"it has to be at most {LONGEST_PASSWORD} bytes long and without spaces"
        raise DeclarationError(Refusal.OUT_OF_RANGE, place, why)
    return text


def _address_of(inventory: Inventory, host: str, name: str, who: str) -> IPAddress:
    """The host's peering address: what is said, else how Ansible reaches it."""
    value, place = inventory.of(host, name), Place(PREFIX + name, f"host {host}")
    if value is None:
        value = inventory.plain(host, "ansible_host") or host
    try:
        return as_address(value, place)
    except DeclarationError as exc:
        why = f"{value!r} is not an IP address; set {place.what} to the address {who} with"
        raise DeclarationError(Refusal.NOT_AN_ADDRESS, place, why) from exc


def _kubeconfig(inventory: Inventory) -> str:
    """The path with `~` resolved: it names a file on the control node, where this runs."""
    value, place = inventory.shared("kubeconfig")
    return os.path.expanduser(as_text("~/.kube/config" if value is None else value, place))


def _optional_text(inventory: Inventory, name: str) -> str | None:
    value, place = inventory.shared(name)
    return None if value is None or value == "" else as_text(value, place)


def _timers(inventory: Inventory) -> Timers:
    def seconds(name: str, default: int, least: int) -> int:
        value, place = inventory.shared(name)
        return as_integer(default if value is None else value, place, least, 65535)

    # RFC 4271, 4.2: zero or at least three seconds; with zero a dead node would never be noticed.
    timers = Timers(
        seconds("hold_time", 9, 3), seconds("keepalive_time", 3, 1), seconds("connect_time", 5, 1)
    )
    if timers.keepalive * 2 > timers.hold:
        raise DeclarationError(
            Refusal.OUT_OF_RANGE,
            inventory.shared("keepalive_time")[1],
            f"{timers.keepalive} s is too long for a hold time of {timers.hold} s: one lost message would "
            f"end the session; a third of the hold time is usual ({timers.hold // 3} s)",
        )
    return timers


def _networks(inventory: Inventory, name: str) -> tuple[IPNetwork, ...] | None:
    """Ranges that a pool must not overlap; None: not said, the cluster is asked."""
    value, place = inventory.shared(name)
    if value is None:
        return None
    return tuple(as_network(item, place.at(index)) for index, item in enumerate(as_list(value, place)))


def _pools(inventory: Inventory) -> tuple[Pool, ...]:
    value, place = inventory.required("pools", "a list of pools, each with name and addresses")
    items = as_list(value, place)
    if not items:
        raise DeclarationError(
            Refusal.MISSING, place, "the list is empty; without a pool no service gets an address"
        )
    pools = tuple(_pool(item, place.at(index)) for index, item in enumerate(items))
    _demand_distinct(((pool.name, pool.name) for pool in pools), "pools", "two pools cannot share a name")
    _demand_disjoint(pools, place)
    return pools


def _pool(item: Any, place: Place) -> Pool:
    known_keys(item, ("name", "addresses", "auto_assign", "avoid_buggy_ips"), ("name", "addresses"), place)
    name = as_name(item["name"], place.key("name"))
    texts = as_list(item["addresses"], place.key("addresses"))
    if not texts:
        raise DeclarationError(
            Refusal.MISSING, place.key("addresses"), "the list is empty; give a CIDR or a range a-b"
        )
    addresses = tuple(as_text(text, place.key("addresses")) for text in texts)
    return Pool(
        name=name,
        addresses=addresses,
        ranges=tuple(as_range(text, Place(place.what, f"pool {name}")) for text in addresses),
        auto_assign=as_bool(item.get("auto_assign", True), place.key("auto_assign")),
        avoid_buggy_ips=as_bool(item.get("avoid_buggy_ips", False), place.key("avoid_buggy_ips")),
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


def _demand_distinct(pairs: Iterable[tuple[str, str]], name: str, why: str) -> None:
    seen: dict[str, str] = {}
    for value, host in pairs:
        if value in seen:
            place = Place(name if name in GROUPS else PREFIX + name, f"{seen[value]} and {host}")
            raise DeclarationError(Refusal.DUPLICATE, place, f"both are {value}; {why}")
        seen[value] = host


def _advertisements(
    inventory: Inventory, pools: Sequence[Pool], routers: Sequence[Router], asn: int
) -> tuple[Advertisement, ...]:
    value, place = inventory.shared("advertisements")
    items = [{"name": "default"}] if value is None else as_list(value, place)
    result = tuple(_advertisement(item, place.at(i), pools, routers, asn) for i, item in enumerate(items))
    _demand_distinct(((one.name, one.name) for one in result), "advertisements", "two cannot share a name")
    return result


ADVERTISEMENT_KEYS = (
    "name",
    "pools",
    "peers",
    "aggregation_length",
    "aggregation_length_v6",
    "local_pref",
    "communities",
)


def _advertisement(
    item: Any, place: Place, pools: Sequence[Pool], routers: Sequence[Router], asn: int
) -> Advertisement:
    known_keys(item, ADVERTISEMENT_KEYS, ("name",), place)
    peers = {router.host: router.name for router in routers}
    peers.update({router.name: router.name for router in routers})
    communities = as_list(item.get("communities", []), place.key("communities"))
    advertisement = Advertisement(
        name=as_name(item["name"], place.key("name")),
        pools=_chosen(item.get("pools"), {pool.name: pool.name for pool in pools}, place.key("pools")),
        peers=_chosen(item.get("peers"), peers, place.key("peers")),
        aggregation_length=as_integer(
            item.get("aggregation_length", 32), place.key("aggregation_length"), 1, 32
        ),
        aggregation_length_v6=as_integer(
            item.get("aggregation_length_v6", 128), place.key("aggregation_length_v6"), 1, 128
        ),
        local_pref=as_integer(item.get("local_pref", 0), place.key("local_pref"), 0, 2**32 - 1),
        communities=tuple(as_community(one, place.key("communities")) for one in communities),
    )
    _check_aggregation(advertisement, [p for p in pools if p.name in advertisement.pools], place)
    _check_local_pref(advertisement, routers, asn, place)
    return advertisement


def _chosen(value: Any, known: Mapping[str, str], place: Place) -> tuple[str, ...]:
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


def aggregation(advertisement: Advertisement, version: int) -> int:
    """The length of the prefixes that this advertisement announces for addresses of an IP version."""
    return advertisement.aggregation_length if version == 4 else advertisement.aggregation_length_v6


def _check_aggregation(advertisement: Advertisement, pools: Sequence[Pool], place: Place) -> None:
    """An aggregate that reaches beyond its range would draw traffic for strangers' addresses to the nodes."""
    for pool in pools:
        for one in pool.ranges:
            length, widest = (
                aggregation(advertisement, one.version),
                min(net.prefixlen for net in one.networks),
            )
            if length < widest:
                why = f"/{length} is wider than {one} of pool {pool.name}; use /{widest} or longer"
                raise DeclarationError(Refusal.OUT_OF_RANGE, place.key("aggregation_length"), why)


def _check_local_pref(
    advertisement: Advertisement, routers: Sequence[Router], asn: int, place: Place
) -> None:
    """RFC 4271, 5.1.5: LOCAL_PREF is sent inside one AS only."""
    if advertisement.local_pref and all(r.asn != asn for r in routers if r.name in advertisement.peers):
        why = f"it would never be sent: no peer of this advertisement is in AS {asn}, as it would have to be"
        raise DeclarationError(Refusal.CONFLICT, place.key("local_pref"), why)


def _check_addresses(declaration: Declaration) -> None:
    """What can only be judged with all of it read: who overlaps whom, and whose session carries what."""
    _check_one_family(declaration)
    hosts = [(node.address, node.host, "node_address") for node in declaration.nodes]
    hosts += [(router.address, router.host, "router_address") for router in declaration.routers]
    _demand_distinct(
        ((str(address), host) for address, host, _name in hosts), "node_address", "a router is not a node"
    )
    for pool in declaration.pools:
        for one in pool.ranges:
            for address, host, name in hosts:
                if address in one:
                    why = (
                        f"{address} lies inside {one} of pool {pool.name}, which has to be free of other uses"
                    )
                    raise DeclarationError(Refusal.OVERLAP, Place(PREFIX + name, f"host {host}"), why)
            _check_ranges(one, pool, declaration)


def _check_ranges(one: AddressRange, pool: Pool, declaration: Declaration) -> None:
    for name, networks in (
        ("pod_cidrs", declaration.pod_cidrs),
        ("service_cidrs", declaration.service_cidrs),
    ):
        for network in networks or ():
            if one.overlaps(range_of(network)):
                why = f"{one} overlaps {network} of {PREFIX}{name}; the cluster uses those addresses already"
                raise DeclarationError(Refusal.OVERLAP, Place(PREFIX + "pools", f"pool {pool.name}"), why)


def _check_one_family(declaration: Declaration) -> None:
    """A session over IPv4 carries IPv4 addresses, one over IPv6 IPv6: the next hops it can name."""
    version = declaration.routers[0].address.version
    for place, address in [
        (Place(PREFIX + "router_address", f"host {r.host}"), r.address) for r in declaration.routers
    ] + [(Place(PREFIX + "node_address", f"host {n.host}"), n.address) for n in declaration.nodes]:
        if address.version != version:
            why = f"{address} is IPv{address.version}, and {declaration.routers[0].host} is at IPv{version}"
            raise DeclarationError(Refusal.CONFLICT, place, why + "; a session needs one family on both ends")
    for pool in declaration.pools:
        for one in pool.ranges:
            if one.version != version:
                why = f"{one} is IPv{one.version}, but the sessions run over IPv{version}: no next hop for it"
                raise DeclarationError(Refusal.CONFLICT, Place(PREFIX + "pools", f"pool {pool.name}"), why)
