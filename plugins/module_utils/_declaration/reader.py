# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory read as a declaration: hostvars in, typed objects out.

**PRIVATE** to the collection. `inventory` has the variables' names, this file their meaning;
`docs/design/0001-declaration.md` has the table.

What follows from a declaration (manifests, a router's intent) is in `outputs` and `manifests`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..model.addresses import AddressRange, IPAddress, IPNetwork
from ..model.defaults import MAX_PASSWORD, NAMESPACE
from ..model.peers import keepalive_problem
from .inventory import PREFIX, Inventory
from .objects import (
    Known,
    chosen_nodes,
    demand_distinct,
    read_advertisements,
    read_bfd_profiles,
    read_communities,
    read_l2_advertisements,
    read_peer,
    read_peers,
    read_pools,
)
from .options import as_labels
from .types import Advertisement, Declaration, Node, Pool, Router, Timers
from .values import (
    DeclarationError,
    Place,
    Refusal,
    as_address,
    as_asn,
    as_integer,
    as_list,
    as_name,
    as_network,
    as_text,
    object_name,
    range_of,
)


def read_declaration(hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> Declaration:
    """Read and check the whole declaration. Raises DeclarationError, which names variable and host."""
    inventory = Inventory(hostvars, groups)
    _demand_hosts(inventory)
    nodes = _nodes(inventory)
    routers = _routers(inventory, nodes)
    pools, communities = read_pools(inventory), read_communities(inventory)
    asn, timers = _cluster_asn(inventory), _timers(inventory)
    peers = read_peers(inventory, asn, durations(timers), nodes)
    names = _peer_names(routers, peers)
    declaration = Declaration(
        cluster_asn=asn,
        namespace=as_name(inventory.shared("namespace")[0] or NAMESPACE, Place(PREFIX + "namespace")),
        kubeconfig=_kubeconfig(inventory),
        context=_optional_text(inventory, "context"),
        timers=timers,
        pools=pools,
        advertisements=read_advertisements(inventory, Known(pools, nodes, names, communities)),
        l2_advertisements=read_l2_advertisements(inventory, pools, nodes),
        peers=peers,
        bfd_profiles=read_bfd_profiles(inventory),
        communities=communities,
        nodes=nodes,
        routers=routers,
        clients=tuple(inventory.hosts["clients"]),
        pod_cidrs=_networks(inventory, "pod_cidrs"),
        service_cidrs=_networks(inventory, "service_cidrs"),
    )
    _check_advertisements(declaration, inventory)
    _check_addresses(declaration)
    return declaration


def _cluster_asn(inventory: Inventory) -> int | None:
    """Required where a router of the inventory peers; None where nobody says it."""
    meaning = "the AS number the speakers use, such as 64513"
    if inventory.hosts["routers"]:
        return as_asn(*inventory.required("cluster_asn", meaning))
    value, place = inventory.shared("cluster_asn")
    return None if value is None else as_asn(value, place)


def _peer_names(routers: Sequence[Router], peers: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return object names by the names of a peer in advertisements: host name of the router, or object's."""
    names = {router.host: router.name for router in routers}
    names.update({router.name: router.name for router in routers})
    for peer in peers:
        if peer["name"] in names:
            why = f"{peer['name']} is a host of the group routers, which makes a peer of that name"
            raise DeclarationError(Refusal.DUPLICATE, Place(PREFIX + "peers"), why)
    return {**names, **{peer["name"]: peer["name"] for peer in peers}}


def _demand_hosts(inventory: Inventory) -> None:
    if not inventory.hosts["nodes"]:
        why = "it has no host; it lists the cluster's nodes"
        raise DeclarationError(Refusal.EMPTY_GROUP, Place("group nodes"), why)
    # Without BGP nobody has to be peered with; the peers of vipcast_peers are in somebody else's hands.
    others = inventory.shared("peers")[0] or inventory.shared("l2_advertisements")[0]
    if not inventory.hosts["routers"] and not others:
        why = "it has no host; it lists the routers that the nodes peer with"
        raise DeclarationError(Refusal.EMPTY_GROUP, Place("group routers"), why)


def _nodes(inventory: Inventory) -> tuple[Node, ...]:
    nodes = tuple(_node(inventory, host) for host in inventory.hosts["nodes"])
    demand_distinct(
        ((node.name, node.host) for node in nodes), "node_name", "one name is one node of the cluster"
    )
    demand_distinct(
        ((str(node.address), node.host) for node in nodes), "node_address", "each node has its own"
    )
    return nodes


def _node(inventory: Inventory, host: str) -> Node:
    place = Place(PREFIX + "node_name", f"host {host}")
    name = as_name(inventory.of(host, "node_name", host), place)
    said = inventory.of(host, "node_labels", {})
    labels = as_labels(said, Place(PREFIX + "node_labels", f"host {host}"))
    return Node(
        name=name,
        host=host,
        address=_address_of(inventory, host, "node_address", "the routers peer"),
        # Every kubelet sets this one.
        labels={"kubernetes.io/hostname": name, **labels},
    )


def _routers(inventory: Inventory, nodes: Sequence[Node]) -> tuple[Router, ...]:
    routers = tuple(_router(inventory, host, nodes) for host in inventory.hosts["routers"])
    demand_distinct(((router.name, router.host) for router in routers), "routers", "rename one of the hosts")
    demand_distinct(((str(r.address), r.host) for r in routers), "router_address", "each router has its own")
    return routers


def _router(inventory: Inventory, host: str, nodes: Sequence[Node]) -> Router:
    where = f"host {host}"
    asn = inventory.of(host, "router_asn")
    if asn is None:
        why = "it is required: the router's AS number, such as 64512"
        raise DeclarationError(Refusal.MISSING, Place(PREFIX + "router_asn", where), why)
    address = _address_of(inventory, host, "router_address", "the nodes peer")
    limit = inventory.of(host, "maximum_prefix")
    peer = read_peer(inventory, host)
    selected = chosen_nodes(peer, nodes, Place(PREFIX + "peer", where))
    _check_source(peer, selected, Place(PREFIX + "peer", where))
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
        peer=peer,
        nodes=selected,
    )


def _check_source(peer: Mapping[str, Any], nodes: Sequence[str], place: Place) -> None:
    """An address is one node's; the router would otherwise see several speakers behind one."""
    if "source_address" not in peer:
        return
    as_address(peer["source_address"], place.key("source_address"))
    if len(nodes) > 1:
        why = f"{len(nodes)} nodes would use it, and an address is one node's; select one by node_selectors"
        raise DeclarationError(Refusal.CONFLICT, place.key("source_address"), why)


def _router_id(inventory: Inventory, host: str, address: IPAddress) -> str | None:
    """Four bytes that identify the speaker (RFC 4271, 4.2), or None where the router's own will do."""
    place = Place(PREFIX + "router_id", f"host {host}")
    value = inventory.of(host, "router_id")
    if value is None and address.version == 4:
        return None
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
    if len(text.encode()) > MAX_PASSWORD or re.search(r"\s", text):
        why = f"it has to be at most {MAX_PASSWORD} bytes long and without spaces"
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
    why = keepalive_problem(timers.hold, timers.keepalive)
    if why is not None:
        raise DeclarationError(Refusal.OUT_OF_RANGE, inventory.shared("keepalive_time")[1], why)
    return timers


def durations(timers: Timers) -> dict[str, str]:
    """The timers as options of a peer."""
    named = {
        "hold_time": timers.hold,
        "keepalive_time": timers.keepalive,
        "connect_time": timers.connect,
    }
    return {name: f"{seconds}s" for name, seconds in named.items()}


def _networks(inventory: Inventory, name: str) -> tuple[IPNetwork, ...] | None:
    """Ranges that a pool must not overlap; None: not said, the cluster is asked."""
    value, place = inventory.shared(name)
    if value is None:
        return None
    return tuple(as_network(item, place.at(index)) for index, item in enumerate(as_list(value, place)))


def _check_advertisements(declaration: Declaration, inventory: Inventory) -> None:
    """Judge what depends on the pools and peers of an advertisement."""
    place = inventory.shared("advertisements")[1]
    for index, one in enumerate(declaration.advertisements):
        pools = [pool for pool in declaration.pools if pool.name in one.pools]
        _check_aggregation(one, pools, place.at(index))
        _check_local_pref(one, declaration, place.at(index))


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


def _check_local_pref(advertisement: Advertisement, declaration: Declaration, place: Place) -> None:
    """RFC 4271, 5.1.5: LOCAL_PREF is sent inside one AS only."""
    asn = declaration.cluster_asn
    internal = {router.name for router in declaration.routers if router.asn == asn}
    internal |= {
        peer["name"]
        for peer in declaration.peers
        if peer.get("dynamic_asn") == "internal" or peer.get("peer_asn") == peer.get("my_asn")
    }
    if advertisement.local_pref and not internal & set(advertisement.peers):
        why = f"it would never be sent: no peer of this advertisement is in AS {asn}, as it would have to be"
        raise DeclarationError(Refusal.CONFLICT, place.key("local_pref"), why)


def _check_addresses(declaration: Declaration) -> None:
    """Judge what needs the whole declaration: which pools overlap, and which session carries what."""
    _check_one_family(declaration)
    hosts = [(node.address, node.host, "node_address") for node in declaration.nodes]
    hosts += [(router.address, router.host, "router_address") for router in declaration.routers]
    demand_distinct(
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
    if not declaration.routers:
        return
    first = declaration.routers[0]
    version = first.address.version
    for place, address in [
        (Place(PREFIX + "router_address", f"host {r.host}"), r.address) for r in declaration.routers
    ] + [(Place(PREFIX + "node_address", f"host {n.host}"), n.address) for n in declaration.nodes]:
        if address.version != version:
            why = f"{address} is IPv{address.version}, and {first.host} is at IPv{version}"
            raise DeclarationError(Refusal.CONFLICT, place, why + "; a session needs one family on both ends")
    announced = _announced_to_one_family(declaration)
    for pool in declaration.pools:
        for one in pool.ranges if pool.name in announced else ():
            if one.version != version:
                why = f"{one} is IPv{one.version}, but the sessions run over IPv{version}: no next hop for it"
                raise DeclarationError(Refusal.CONFLICT, Place(PREFIX + "pools", f"pool {pool.name}"), why)


def _announced_to_one_family(declaration: Declaration) -> set[str]:
    """The pools that are announced to routers whose sessions carry their own family only."""
    single = {r.name for r in declaration.routers if not r.peer.get("dual_stack_address_family")}
    return {name for one in declaration.advertisements if single & set(one.peers) for name in one.pools}
