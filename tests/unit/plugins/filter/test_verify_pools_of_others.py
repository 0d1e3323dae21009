# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what is expected where others keep the pools: the cluster says which pool an address is from."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.filter.verify_plan import verify_plan
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.outputs import plain
from ansible_collections.vipcast.baremetal.plugins.module_utils._declaration.reader import read_declaration
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.expectations import Scope, expect
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.layer2 import expect_owners
from ansible_collections.vipcast.baremetal.tests.unit.plugins.module_utils._verify.situation import (
    NODES,
    cluster,
    service,
)

FIRST, SECOND, FAR = "10.9.1.1", "10.9.2.1", "10.9.3.1"
OURS = "metallb-system"
POOLS = [
    {"name": "one", "namespace": OURS, "labels": {}, "addresses": ["10.9.1.0/24"]},
    {"name": "two", "namespace": OURS, "labels": {"zone": "b"}, "addresses": ["10.9.2.0-10.9.2.9"]},
    {"name": "one", "namespace": "elsewhere", "labels": {}, "addresses": ["10.9.3.0/24"]},
]
BY_NAME = [
    {"name": "a", "pools": ["one"], "peers": ["r1"]},
    {"name": "b", "pools": ["two"], "peers": ["r2"]},
]
BY_LABEL = [
    {"name": "a", "pools": ["one"], "peers": ["r1"]},
    {"name": "b", "pool_selectors": [{"match_labels": {"zone": "b"}}], "peers": ["r2"]},
]


def declared(ranges: tuple[str, ...] = ("10.9.0.0/16",), **shared: Any) -> dict[str, Any]:
    """Three nodes and two routers, whose pools others keep."""
    everything = {"vipcast_cluster_asn": 64513, "vipcast_pool_ranges": list(ranges), **shared}
    hostvars: dict[str, Any] = {
        name: {**everything, "ansible_host": address} for name, address in NODES.items()
    }
    for number in (1, 2):
        address = f"10.31.254.{number}"
        hostvars[f"r{number}"] = {**everything, "ansible_host": address, "vipcast_router_asn": 64512}
    hostvars["c1"] = everything
    groups = {"nodes": list(NODES), "routers": ["r1", "r2"], "clients": ["c1"]}
    return plain(read_declaration(hostvars, groups))


def situation(*addresses: str) -> dict[str, Any]:
    """A service for each address, and the cluster's pools."""
    services = [service(f"s{number}", addresses=[text]) for number, text in enumerate(addresses)]
    return {**cluster(*services), "pools": POOLS}


def expected(one: dict[str, Any], *addresses: str) -> list[tuple[str, str]]:
    """Router and prefix of each route."""
    return [(each.router, each.prefix) for each in expect(one, situation(*addresses), Scope()).routes]


@pytest.mark.parametrize("advertisements", [BY_NAME, BY_LABEL])
def test_an_address_is_expected_at_the_peers_of_its_own_pool_alone(advertisements: list[Any]) -> None:
    found = expected(declared(vipcast_advertisements=advertisements), FIRST, SECOND)
    assert found == [("r1", "10.9.1.1/32"), ("r2", "10.9.2.1/32")]


def test_an_advertisement_that_names_no_pool_is_about_each_of_them() -> None:
    found = expected(declared(), FIRST, SECOND)
    assert found == [(router, f"{address}/32") for router in ("r1", "r2") for address in (FIRST, SECOND)]


def test_an_advertisement_of_a_pool_that_is_not_there_announces_nothing() -> None:
    gone = [{"name": "a", "pools": ["gone"]}]
    one = declared(vipcast_advertisements=gone)
    assert expected(one, FIRST) == []
    (note,) = expect(one, situation(FIRST), Scope()).notes
    assert note == "service default/s0 has 10.9.1.1, which no advertisement covers"


@pytest.mark.parametrize(
    ("ranges", "address"),
    [(("10.9.0.0/16",), FAR), (("10.9.2.0/24",), FIRST), (("10.9.1.0-10.9.1.0",), FIRST)],
)
def test_an_address_without_a_pool_inside_of_the_ranges_is_not_verified(
    ranges: tuple[str, ...], address: str
) -> None:
    one = declared(ranges)
    assert expected(one, address) == []
    (note,) = expect(one, situation(address), Scope()).notes
    assert note == (
        f"service default/s0 has {address}, which is in no IPAddressPool of metallb-system that lies in "
        "vipcast_pool_ranges: not verified"
    )


def test_a_pool_counts_as_far_as_it_lies_in_the_ranges() -> None:
    one = declared(("10.9.1.1/32", "10.9.1.3-10.9.2.0"))
    assert [prefix for router, prefix in expected(one, FIRST, "10.9.1.2", "10.9.1.4") if router == "r1"] == [
        "10.9.1.1/32",
        "10.9.1.4/32",
    ]


def test_an_address_of_a_pool_that_nobody_can_read_is_not_verified() -> None:
    broken = [{**POOLS[0], "addresses": ["10.9.1.0/33", "10.9.1.1/32"]}]
    routes = expect(declared(), {**situation(FIRST), "pools": broken}, Scope()).routes
    assert [route.prefix for route in routes] == ["10.9.1.1/32"] * 2


def test_clients_ask_for_what_is_announced_and_for_nothing_else() -> None:
    one = declared(vipcast_advertisements=BY_NAME[:1])
    assert [entry["address"] for entry in verify_plan(one, situation(FIRST, SECOND))] == [FIRST]


def test_a_segment_is_asked_for_the_pools_that_are_announced_on_it() -> None:
    one = declared(vipcast_advertisements=[], vipcast_l2_advertisements=[{"name": "c", "pools": ["two"]}])
    assert [vip.address for vip in expect_owners(one, situation(FIRST, SECOND), Scope())] == [SECOND]


def test_pools_of_the_inventory_are_believed() -> None:
    one = declared()
    own = {**one, "pools": [{**one["pools"][0], "managed": True}]}
    assert len(expected(own, FAR)) == 2
