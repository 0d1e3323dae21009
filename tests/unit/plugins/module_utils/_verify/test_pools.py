# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether pools that are announced at layer 2 are free."""

from __future__ import annotations

from typing import Any

from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.pools import (
    in_use,
    not_asked,
    unused_addresses,
)

from .situation import cluster, declared, service

POOLS = [
    {"name": "near", "addresses": ["10.31.8.100-10.31.8.104", "fd00:31:8::/64"]},
    {"name": "far", "addresses": ["10.9.0.0/16"]},
]


def layer2() -> dict[str, Any]:
    near = [{"name": "near", "pools": ["near"]}]
    return declared(vipcast_pools=POOLS, vipcast_advertisements=[], vipcast_l2_advertisements=near)


def heard(host: str, **macs: list[str]) -> dict[str, Any]:
    """`a100=[...]`: who answers for 10.31.8.100."""
    neighbors = [
        {"address": f"10.31.8.{name[1:]}", "answers": [{"mac": mac} for mac in found]}
        for name, found in macs.items()
    ]
    return {"item": host, "neighbors": neighbors}


def test_what_no_service_has_is_asked_for_and_only_of_layer_2_pools() -> None:
    taken = service(addresses=["10.31.8.101"])
    assert unused_addresses(layer2(), cluster(taken), 2) == [
        "10.31.8.100",
        "10.31.8.102",
        "fd00:31:8::",
        "fd00:31:8::1",
    ]


def test_a_range_that_ends_is_asked_for_to_its_end() -> None:
    found = unused_addresses(layer2(), cluster(), 100)
    assert found[:5] == [f"10.31.8.{last}" for last in range(100, 105)]
    assert len(found) == 105


def test_without_layer_2_nothing_is_asked_for() -> None:
    assert unused_addresses(declared(), cluster(), 10) == []


def test_an_address_that_somebody_has_is_named_once() -> None:
    one, two = "02:00:00:00:00:01", "02:00:00:00:00:02"
    results = [heard("c1", a100=[], a103=[one, two]), heard("c2", a103=[one, two])]
    assert in_use(layer2(), results) == [
        f"10.31.8.103 of pool near is in use by {one} and {two} on the segment of c1"
    ]


def test_of_many_the_first_are_named() -> None:
    pools = [{"name": "near", "addresses": ["10.31.8.0/24"]}]
    some = {**layer2(), "pools": [{**pools[0]}]}
    found = in_use(some, [heard("c1", **{f"a{last}": ["02:00:00:00:00:01"] for last in range(10, 20)})])
    assert len(found) == 6
    assert found[-1] == "5 more addresses of pool near are in use"


def test_who_could_not_ask_says_why_and_who_is_not_on_the_segment_does_not() -> None:
    results = [{"item": "c1", "msg": "no scapy"}, {"item": "c2", "neighbors": []}]
    assert not_asked(results) == ["host c1 could not ask the segment whether the pools are free: no scapy"]
