# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration as options of its kinds, and the manifests that these become.

**PRIVATE** to the collection. A *configuration* is a dictionary of lists: `pools`, `l2_advertisements`,
`bgp_advertisements`, `peers`, `bfd_profiles`, `communities`. Each item has `name`, perhaps `labels`, and the
options of the module for its kind (`_cluster/kinds.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._cluster.kinds import (
    BFD_PROFILE,
    BGP_ADVERTISEMENT,
    BGP_PEER,
    COMMUNITY,
    IP_ADDRESS_POOL,
    L2_ADVERTISEMENT,
)
from .options import read_named
from .secrets import naming, telling
from .values import DeclarationError, Place, Refusal, as_list, known_keys

# What others name comes first.
LISTS = {
    "pools": IP_ADDRESS_POOL,
    "bfd_profiles": BFD_PROFILE,
    "communities": COMMUNITY,
    "peers": BGP_PEER,
    "bgp_advertisements": BGP_ADVERTISEMENT,
    "l2_advertisements": L2_ADVERTISEMENT,
}
# Name of the Community that has the names of vipcast_communities.
COMMUNITY_NAME = "communities"

Data = Mapping[str, Any]
Configuration = dict[str, list[dict[str, Any]]]


def read_configuration(given: Any, prefix: str) -> Configuration:
    """Lists that a person wrote, checked by name and type; `prefix` begins the names of their variables."""
    known_keys(given, tuple(LISTS), (), Place("the configuration"))
    found: Configuration = {}
    for key, schema in LISTS.items():
        place = Place(prefix + key)
        items = as_list(given.get(key) or [], place)
        found[key] = [
            read_named(item, schema, place.at(index), required=schema.required)
            for index, item in enumerate(items)
        ]
        _demand_names(found[key], place)
    return found


def _demand_names(items: list[dict[str, Any]], place: Place) -> None:
    seen: set[str] = set()
    for item in items:
        if item["name"] in seen:
            why = f"two are called {item['name']}; rename one"
            raise DeclarationError(Refusal.DUPLICATE, place, why)
        seen.add(item["name"])


def manifests(configuration: Data, namespace: str) -> list[dict[str, Any]]:
    """The whole desired set, with the names of Secrets where peers have passwords."""
    return _manifests(_with_peers(configuration, naming), namespace)


def judged(configuration: Data, namespace: str) -> list[dict[str, Any]]:
    """The same objects for whoever judges them: with the passwords, which are not to be applied."""
    return _manifests(_with_peers(configuration, telling), namespace)


def _with_peers(configuration: Data, changed: Callable[[Data], dict[str, Any]]) -> Data:
    return {**configuration, "peers": [changed(peer) for peer in configuration.get("peers", ())]}


def _manifests(configuration: Data, namespace: str) -> list[dict[str, Any]]:
    return [
        schema.manifest(item["name"], namespace, item, item.get("labels") or None)
        for key, schema in LISTS.items()
        for item in configuration.get(key, ())
    ]


# -- from a declaration ------------------------------------------------------------------------------------


def options_of(declared: Data) -> Configuration:
    """A declaration as a configuration."""
    names = [{"name": name, "value": value} for name, value in declared.get("communities", {}).items()]
    return {
        "pools": [
            _with(pool, ("addresses", "auto_assign", "avoid_buggy_ips")) for pool in _managed(declared)
        ],
        "bfd_profiles": [dict(one) for one in declared.get("bfd_profiles", ())],
        "communities": [{"name": COMMUNITY_NAME, "communities": names}] if names else [],
        "peers": [
            *(_peer(declared, router) for router in declared["routers"]),
            *(dict(one) for one in declared.get("peers", ())),
        ],
        "bgp_advertisements": [_advertisement(one, declared) for one in declared["advertisements"]],
        "l2_advertisements": [
            _l2_advertisement(one, declared) for one in declared.get("l2_advertisements", ())
        ],
    }


def _managed(declared: Data) -> list[Data]:
    """The pools that are applied with the rest; none where others keep them."""
    return [pool for pool in declared["pools"] if pool.get("managed", True)]


def _with(item: Data, always: tuple[str, ...], *sometimes: str) -> dict[str, Any]:
    """Name and options of an object: some as they are, and those that say something."""
    found = {key: item[key] for key in ("name", *always)}
    more = ("service_allocation", "labels", *sometimes)
    return {**found, **{key: item[key] for key in more if item.get(key)}}


def _peer(declared: Data, router: Data) -> dict[str, Any]:
    """Durations are Go's, as the CRD of MetalLB has them: `9s`."""
    timers, more = declared["timers"], router.get("peer", {})
    found = {
        "name": router["name"],
        "my_asn": declared["cluster_asn"],
        "peer_asn": router["asn"],
        "peer_address": router["address"],
        "hold_time": f"{timers['hold']}s",
        "keepalive_time": f"{timers['keepalive']}s",
        "connect_time": f"{timers['connect']}s",
    }
    if router.get("password"):
        found["password"] = router["password"]
    return {**found, **more}


def _advertisement(one: Data, declared: Data) -> dict[str, Any]:
    """Only what differs from the CRD's defaults, so that the object reads like one that a person wrote."""
    said = ("node_selectors", "service_selectors", "local_pref", "communities", "weighted_by_endpoints")
    found = _with(one, ("peers",), *said, "as_path_prepend")
    if one["med"] is not None:
        found["med"] = one["med"]
    for key, default in (("aggregation_length", 32), ("aggregation_length_v6", 128)):
        if one[key] != default:
            found[key] = one[key]
    return {**found, **_selected_pools(one, one.get("named_pools"), one.get("pool_selectors"), declared)}


def _selected_pools(one: Data, named: Any, selectors: Any, declared: Data) -> dict[str, Any]:
    """Pools by name, also where all are meant; by labels where that was declared; others' as it was said."""
    if not selectors and _managed(declared):
        return {"ip_address_pools": list(one["pools"])}
    return {
        **({"ip_address_pool_selectors": list(selectors)} if selectors else {}),
        **({"ip_address_pools": list(named)} if named else {}),
    }


def _l2_advertisement(one: Data, declared: Data) -> dict[str, Any]:
    """Return the advertisement as it was declared: `pools` and `nodes` only say who is meant."""
    found = {key: value for key, value in one.items() if key not in ("pools", "nodes")}
    named, selectors = found.get("ip_address_pools"), found.get("ip_address_pool_selectors")
    return {**found, **_selected_pools(one, named, selectors, declared)}
