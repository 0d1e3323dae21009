# SPDX-License-Identifier: GPL-3.0-or-later
"""Test whether pools that are announced at layer 2 are free."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.pools import (
    edges,
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


def test_the_maker_of_the_card_is_named_where_it_is_known() -> None:
    (text,) = in_use(layer2(), [heard("c1", a103=["b8:27:eb:00:00:01"])])
    assert "is in use by b8:27:eb:00:00:01 (Raspberry Pi Foundation) on the segment of c1" in text


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


def on(network: str | None) -> list[dict[str, Any]]:
    neighbors = [{"address": "10.31.8.100", "answers": [], "network": network}]
    return [{"item": "c1", "neighbors": neighbors}, {"item": "c2", "neighbors": neighbors}]


@pytest.mark.parametrize(
    ("addresses", "network", "named"),
    [
        ("10.31.8.0/24", "10.31.8.0/24", ["10.31.8.0", "10.31.8.255"]),
        ("10.31.8.0/24", "10.31.8.64/26", ["10.31.8.64", "10.31.8.127"]),
        ("10.31.8.0/24", "10.31.0.0/16", []),
        ("10.31.8.100-10.31.8.255", "10.31.8.0/24", ["10.31.8.255"]),
        ("10.31.8.0/24", "10.31.8.0/31", []),
        ("10.31.8.0/24", None, []),
        ("fd00:31:8::/64", "fd00:31:8::/64", []),
    ],
)
def test_the_ends_of_the_hosts_own_segment_are_named(
    addresses: str, network: str | None, named: list[str]
) -> None:
    some = {**layer2(), "pools": [{"name": "near", "addresses": [addresses]}]}
    found = edges(some, on(network))
    assert [text.split()[0] for text in found] == named
    assert all(f"of the segment {network} of c1" in text for text in found)
    far = {**some, "pools": [{"name": "far", "addresses": [addresses]}]}
    assert edges(far, on(network)) == [], "at layer 2 only"


def test_an_end_that_is_never_given_is_not_named() -> None:
    some = {**layer2(), "pools": [{"name": "near", "addresses": ["10.31.8.0/24"], "avoid_buggy_ips": True}]}
    assert edges(some, on("10.31.8.0/24")) == []
    assert len(edges(some, on("10.31.8.64/26"))) == 2
