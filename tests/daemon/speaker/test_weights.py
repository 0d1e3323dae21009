# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes that say how many endpoints the node has, and the name of why one does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from daemon.speaker.snapshots import HERE, advertisement, configuration, only, peer, pool, service, snapshot

from vipcast.speaker.decide import Snapshot, decide
from vipcast.speaker.kube_types import Endpoint
from vipcast.speaker.reasons import NotWeighted

WEIGHTED = configuration(pool(), peer(), advertisement(weightedByEndpoints=True))
MEGABIT = 125_000.0  # octets per second


def pod(address: str, node: str = "n1", **more: Any) -> Endpoint:
    return Endpoint(4, node, **{"can_serve": True, **more}, address=address)


def local(*pods: Endpoint, **more: Any) -> Snapshot:
    web = service(local=True)
    return snapshot(web, endpoints={web.key: pods}, **{"configuration": WEIGHTED, **more})


def bandwidth(world: Snapshot) -> float | None:
    (route,) = decide(world).routes["tor"]
    return route.bandwidth


def test_a_route_weighs_as_much_as_its_node_has_endpoints() -> None:
    assert bandwidth(local(pod("10.8.0.1"))) == MEGABIT
    pods = pod("10.8.0.1"), pod("10.8.0.2"), pod("10.8.0.3"), pod("10.8.1.1", "n2")
    assert bandwidth(local(*pods)) == 3 * MEGABIT


def test_nobody_asked_for_a_weight_and_there_is_none() -> None:
    assert bandwidth(local(pod("10.8.0.1"), configuration=configuration())) is None


def test_who_is_ready_counts_and_who_is_ending_only_where_nobody_is() -> None:
    ready, ending = pod("10.8.0.1"), pod("10.8.0.2", ready=False)
    gone = pod("10.8.0.3", can_serve=False, ready=False)
    assert bandwidth(local(ready, ending, gone)) == MEGABIT
    assert bandwidth(local(ending, replace(ending, address="10.8.0.4"), gone)) == 2 * MEGABIT


def test_an_endpoint_behind_two_services_of_a_prefix_is_one() -> None:
    web, mail = service(local=True), service(local=True, key=("default", "mail"))
    endpoints = {web.key: (pod("10.8.0.1"),), mail.key: (pod("10.8.0.1"), pod("10.8.0.2"))}
    assert bandwidth(snapshot(web, mail, endpoints=endpoints, configuration=WEIGHTED)) == 2 * MEGABIT


def test_an_aggregate_weighs_what_all_of_its_services_do() -> None:
    config = configuration(pool(), peer(), advertisement(weightedByEndpoints=True, aggregationLength=24))
    web, mail = service(local=True), service("10.9.0.9", local=True, key=("default", "mail"))
    endpoints = {web.key: (pod("10.8.0.1"),), mail.key: (pod("10.8.0.2"),)}
    assert bandwidth(snapshot(web, mail, endpoints=endpoints, configuration=config)) == 2 * MEGABIT


def test_it_is_enough_that_one_advertisement_of_a_prefix_asks() -> None:
    config = configuration(
        pool(), peer(), advertisement("plain"), advertisement("weighted", weightedByEndpoints=True)
    )
    assert bandwidth(local(pod("10.8.0.1"), configuration=config)) == MEGABIT


def test_each_peer_has_the_weight_that_its_advertisements_ask_for() -> None:
    config = configuration(
        pool(), peer(), peer("core", "10.31.254.252"),
        advertisement("plain"), advertisement("weighted", weightedByEndpoints=True, peers=["core"]),
    )  # fmt: skip
    routes = decide(local(pod("10.8.0.1"), configuration=config)).routes
    assert [route.bandwidth for name in ("tor", "core") for route in routes[name]] == [None, MEGABIT]


def test_with_cluster_policy_there_is_no_weight_and_that_has_a_name() -> None:
    decision = decide(snapshot(configuration=WEIGHTED))
    assert [route.bandwidth for route in decision.routes["tor"]] == [None]
    assert only(decision).announced
    assert only(decision).unweighted is NotWeighted.CLUSTER_POLICY


def test_a_service_of_cluster_policy_takes_the_weight_of_all_that_share_its_prefix() -> None:
    web, mail = service(local=True), service(key=("default", "mail"))
    endpoints = {web.key: (pod("10.8.0.1"),), mail.key: (HERE,)}
    decision = decide(snapshot(web, mail, endpoints=endpoints, configuration=WEIGHTED))
    assert [route.bandwidth for route in decision.routes["tor"]] == [None]
    assert [each.unweighted for each in decision.verdicts[web.key]] == [NotWeighted.SHARED_PREFIX]
    assert [each.unweighted for each in decision.verdicts[mail.key]] == [NotWeighted.CLUSTER_POLICY]


@pytest.mark.parametrize("config", [configuration(), WEIGHTED])
def test_nothing_is_missing_where_the_weight_is_there_or_nobody_asked(config: Any) -> None:
    assert only(decide(local(pod("10.8.0.1"), configuration=config))).unweighted is None


def test_both_families_count_their_own_endpoints() -> None:
    config = configuration(pool(), peer(dualStackAddressFamily=True), advertisement(weightedByEndpoints=True))
    web = service("10.9.0.1", "fd09::1", local=True)
    six = [Endpoint(6, "n1", True, f"fd08::{n}") for n in range(3)]
    decision = decide(snapshot(web, endpoints={web.key: (pod("10.8.0.1"), *six)}, configuration=config))
    found = {route.prefix.version: route.bandwidth for route in decision.routes["tor"]}
    assert found == {4: MEGABIT, 6: 3 * MEGABIT}
