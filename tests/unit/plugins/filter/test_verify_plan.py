# SPDX-License-Identifier: GPL-3.0-or-later
"""Test which ports are asked, as what, and how often."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.filter.verify_plan import verify_plan
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.sampling import (
    requests_for_share,
    requests_to_meet,
)
from ansible_collections.vipcast.baremetal.tests.unit.plugins.module_utils._verify.situation import (
    cluster,
    declared,
    service,
)


def port(number: int = 80, name: str = "", protocol: str = "TCP", app_protocol: str = "") -> dict[str, Any]:
    return {"name": name, "port": number, "protocol": protocol, "app_protocol": app_protocol}


@pytest.mark.parametrize(
    ("asked", "protocol"),
    [
        (port(80), "http"),
        (port(8080), "http"),
        (port(9000, name="http"), "http"),
        (port(9000, name="http-admin"), "http"),
        (port(9000, app_protocol="http"), "http"),
        (port(9000), "tcp"),
        (port(443, name="https"), "tcp"),
        (port(8080, name="https-alt"), "tcp"),
        (port(80, app_protocol="kubernetes.io/h2c"), "tcp"),
        (port(5432, name="postgres"), "tcp"),
    ],
)
def test_what_is_spoken_on_a_port(asked: dict[str, Any], protocol: str) -> None:
    (entry,) = verify_plan(declared(), cluster(service(ports=[asked])))
    assert (entry["protocol"], entry["port"], entry["client"]) == (protocol, asked["port"], "c1")


def test_nothing_is_asked_where_nothing_can_answer() -> None:
    for silent in (
        service(ports=[port(53, protocol="UDP")]),
        service(on=()),
        service(addresses=[]),
        service(addresses=["172.16.0.1"]),
    ):
        assert verify_plan(declared(), cluster(silent)) == []


def test_an_address_is_asked_for_where_it_is_announced_by_bgp_or_on_the_segment() -> None:
    layer_2 = declared(vipcast_advertisements=[], vipcast_l2_advertisements=[{"name": "all"}])
    assert [one["address"] for one in verify_plan(layer_2, cluster(service()))] == ["10.9.1.1"]
    assert verify_plan(declared(vipcast_advertisements=[]), cluster(service())) == []


def test_enough_requests_to_meet_each_of_the_next_hops_and_pods() -> None:
    (entry,) = verify_plan(declared(), cluster(service()))
    assert entry["requests"] == requests_to_meet(3, 0.0001) == 26
    (fixed,) = verify_plan(declared(), cluster(service()), requests=5)
    assert fixed["requests"] == 5
    # One pod behind three next hops: it is the next hops that have to be met.
    (few,) = verify_plan(declared(), cluster(service(on=("n1",))))
    assert few["requests"] == 26


def test_crowded_pods_of_one_node_take_more_requests_with_the_policy_local() -> None:
    crowd = service(on=("n1", "n2"), external_traffic_policy="Local")
    crowd["endpoints"] += [
        {"node": "n1", "pod": f"more-{n}", "ready": True, "serving": True} for n in range(3)
    ]
    (entry,) = verify_plan(declared(), cluster(crowd))
    # Half of the traffic comes to n1, where four pods share it.
    assert entry["requests"] == requests_for_share(1 / 8, 5, 0.0001)
