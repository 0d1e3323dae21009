# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a node announces, and the name of why not."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any

import pytest
from daemon.speaker.layer2_world import LAYER2_ALONE
from daemon.speaker.snapshots import (
    HERE,
    THERE,
    WEB,
    advertisement,
    configuration,
    l2_advertisement,
    labels,
    only,
    peer,
    pool,
    prefixes,
    service,
    snapshot,
    two_preferences,
)

from vipcast.bgp.route import Route
from vipcast.speaker.decide import Verdict, decide
from vipcast.speaker.drain import Drain, Phase
from vipcast.speaker.kube_types import Endpoint, Node, Service
from vipcast.speaker.reasons import NotAnnounced


def test_an_address_with_an_endpoint_goes_to_the_peer() -> None:
    decision = decide(snapshot())
    assert decision.routes == {"tor": frozenset({Route(ipaddress.ip_network("10.9.0.1/32"))})}
    assert only(decision) == Verdict(
        ipaddress.ip_address("10.9.0.1"), prefixes=(ipaddress.ip_network("10.9.0.1/32"),), peers=("tor",)
    )


ENDING_HERE = replace(HERE, ready=False)  # serving while it ends
REFUSALS = [
    ("no address", {"services": {WEB: Service(WEB)}}, NotAnnounced.NO_ADDRESS),
    ("a host name", {"services": {WEB: Service(WEB, unusable=("lb.example",))}}, NotAnnounced.BAD_ADDRESS),
    ("outside of all pools", {"services": {WEB: service("10.8.0.1")}}, NotAnnounced.ADDRESS_NOT_IN_POOL),
    ("node not known", {"node": None}, NotAnnounced.NODE_NOT_FOUND),
    (
        "no advertisement",
        {"configuration": configuration(pool(), peer())},
        NotAnnounced.NO_MATCHING_ADVERTISEMENT,
    ),
    (
        "advertised from other nodes",
        {"configuration": configuration(pool(), peer(), advertisement(nodeSelectors=[labels(rack="b")]))},
        NotAnnounced.NOT_OWNER,
    ),
    (
        "advertised for other services",
        {"configuration": configuration(pool(), peer(), advertisement(serviceSelectors=[labels(app="x")]))},
        NotAnnounced.NO_MATCHING_ADVERTISEMENT,
    ),
    (
        "network down",
        {"node": Node("n1", {}, network_unavailable=True)},
        NotAnnounced.NODE_NETWORK_UNAVAILABLE,
    ),
    (
        "excluded, with an empty label",
        {"node": Node("n1", {"node.kubernetes.io/exclude-from-external-load-balancers": ""})},
        NotAnnounced.NODE_EXCLUDED,
    ),
    ("withdrawn in a drain", {"drain": Drain(Phase.WITHDRAWN, 1.0)}, NotAnnounced.NODE_DRAINED),
    ("drained", {"drain": Drain(Phase.ENDED)}, NotAnnounced.NODE_DRAINED),
    ("its service proxy fails", {"data_plane": "kube-proxy is not well"}, NotAnnounced.DATA_PLANE),
    ("no endpoints", {"endpoints": {}}, NotAnnounced.NO_ENDPOINTS),
    ("none can serve", {"endpoints": {WEB: (Endpoint(4, "n1", False),)}}, NotAnnounced.NO_ENDPOINTS),
    ("only IPv6 endpoints", {"endpoints": {WEB: (Endpoint(6, "n1", True),)}}, NotAnnounced.NO_ENDPOINTS),
    (
        "local, and it is elsewhere",
        {"services": {WEB: service(local=True)}, "endpoints": {WEB: (THERE, Endpoint(4, "n1", False))}},
        NotAnnounced.NO_LOCAL_ENDPOINTS,
    ),
    (
        "local, and it is ending here while another node has a ready one",
        {"services": {WEB: service(local=True)}, "endpoints": {WEB: (ENDING_HERE, THERE)}},
        NotAnnounced.NO_LOCAL_ENDPOINTS,
    ),
    (
        "the peer is for other nodes",
        {"configuration": configuration(pool(), peer(nodeSelectors=[labels(rack="b")]), advertisement())},
        NotAnnounced.NO_MATCHING_PEER,
    ),
    (
        "the advertisement is for other peers",
        {"configuration": configuration(pool(), peer(), peer("x", "10.0.0.1", nodeSelectors=[labels(r="b")]),
                                        advertisement(peers=["x"]))},
        NotAnnounced.NO_MATCHING_PEER,
    ),
    (
        "IPv6 to an IPv4 session",
        {"services": {WEB: service("fd09::1")}, "endpoints": {WEB: (Endpoint(6, "n1", True),)}},
        NotAnnounced.NO_PEER_OF_FAMILY,
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"), [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS]
)
def test_every_refusal_has_a_name(changes: dict[str, Any], reason: NotAnnounced) -> None:
    decision = decide(snapshot(**changes))
    verdict = only(decision)
    assert verdict.reason is reason
    assert verdict.message
    assert not any(decision.routes.values())


def test_every_name_is_met_by_a_test() -> None:
    met = {reason for *_case, reason in REFUSALS} | {NotAnnounced.CONFLICTING_ADVERTISEMENTS}
    assert met | LAYER2_ALONE == set(NotAnnounced)
    assert not met & LAYER2_ALONE


def test_of_an_address_for_layer_2_alone_nothing_is_said() -> None:
    config = configuration(pool(), peer(), l2_advertisement())
    decision = decide(snapshot(configuration=config))
    assert decision.verdicts == {WEB: ()}
    assert prefixes(decision) == set()


def test_a_pool_for_both_is_announced_by_bgp_too() -> None:
    config = configuration(pool(), peer(), advertisement(), l2_advertisement())
    assert prefixes(decide(snapshot(configuration=config))) == {"10.9.0.1/32"}


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoints": {WEB: (THERE,)}},
        {"services": {WEB: service(local=True)}, "endpoints": {WEB: (THERE, HERE)}},
        {"services": {WEB: service(local=True)}, "endpoints": {WEB: (ENDING_HERE, HERE, THERE)}},
        {  # where nobody has a ready one, who still serves goes on
            "services": {WEB: service(local=True)},
            "endpoints": {WEB: (ENDING_HERE, replace(THERE, ready=False))},
        },
        {  # one of the other family is no alternative
            "services": {WEB: service(local=True)},
            "endpoints": {WEB: (ENDING_HERE, Endpoint(6, "n2", True))},
        },
        {"endpoints": {WEB: (ENDING_HERE, THERE)}},
        {
            "node": Node("n1", {"node.kubernetes.io/exclude-from-external-load-balancers": "true"}),
            "ignore_exclude": True,
        },
        {"services": {WEB: service(lb_class="vip")}, "lb_class": "vip"},
    ],
    ids=[
        "cluster policy",
        "local policy with one here",
        "local policy with a ready one and an ending one here",
        "local policy, and everywhere they are ending",
        "local policy, and the ready one is of the other family",
        "cluster policy with an ending one here",
        "exclusion ignored",
        "our class",
    ],
)
def test_what_is_announced_after_all(changes: dict[str, Any]) -> None:
    assert prefixes(decide(snapshot(**changes))) == {"10.9.0.1/32"}


@pytest.mark.parametrize(
    ("each", "lb_class"),
    [
        (service(load_balancer=False), None),
        (service(lb_class="other"), None),
        (service(), "vip"),
        (service(lb_class="other"), "vip"),
    ],
)
def test_a_service_of_somebody_else_is_not_even_judged(each: Service, lb_class: str | None) -> None:
    decision = decide(snapshot(each, lb_class=lb_class))
    assert decision.verdicts == {}
    assert prefixes(decision) == set()


def test_an_aggregate_stays_until_its_last_service_goes() -> None:
    config = configuration(pool(), peer(), advertisement(aggregationLength=24))
    one, two = service("10.9.1.1"), service("10.9.1.200", key=("default", "two"))
    both = snapshot(one, two, configuration=config)
    assert prefixes(decide(both)) == {"10.9.1.0/24"}
    assert prefixes(decide(replace(both, endpoints={one.key: (HERE,)}))) == {"10.9.1.0/24"}
    assert prefixes(decide(replace(both, endpoints={}))) == set()


def test_communities_of_two_advertisements_of_one_prefix_add_up() -> None:
    config = configuration(
        pool(), peer(), advertisement("a", communities=["1:1"]), advertisement("b", communities=["1:2"])
    )
    (route,) = decide(snapshot(configuration=config)).routes["tor"]
    assert route.communities == {1 << 16 | 1, 1 << 16 | 2}


def test_two_lengths_are_two_routes_and_each_goes_where_it_is_meant() -> None:
    config = configuration(
        pool(), peer(), peer("core", "10.31.254.252"),
        advertisement("host", peers=["tor"]),
        advertisement("net", aggregationLength=24, peers=["core", "tor"]),
    )  # fmt: skip
    decision = decide(snapshot(configuration=config))
    assert prefixes(decision, "tor") == {"10.9.0.1/32", "10.9.0.0/24"}
    assert prefixes(decision, "core") == {"10.9.0.0/24"}


def test_a_local_preference_is_for_internal_peers_only() -> None:
    inside = peer("inside", "10.31.254.252", peerASN=64513)
    config = configuration(pool(), peer(), inside, advertisement(localPref=200))
    routes = decide(snapshot(configuration=config)).routes
    assert [route.local_pref for route in routes["inside"]] == [200]
    assert [route.local_pref for route in routes["tor"]] == [None]


def test_two_preferences_for_one_service_conflict_and_nothing_is_announced() -> None:
    chosen = service(labels={"a": "y", "b": "y"})
    decision = decide(snapshot(chosen, configuration=two_preferences(peerASN=64513)))
    assert only(decision).reason is NotAnnounced.CONFLICTING_ADVERTISEMENTS
    assert "100" in only(decision).message
    assert "200" in only(decision).message
    assert prefixes(decision) == set()


def test_to_an_external_peer_there_is_no_preference_to_disagree_on() -> None:
    chosen = service(labels={"a": "y", "b": "y"})
    assert prefixes(decide(snapshot(chosen, configuration=two_preferences()))) == {"10.9.0.1/32"}


def test_of_two_services_that_share_an_address_the_first_by_name_sets_the_preference() -> None:
    one = service(key=("default", "a"), labels={"a": "y"})
    two = service(key=("default", "b"), labels={"b": "y"})
    decision = decide(snapshot(two, one, configuration=two_preferences(peerASN=64513)))
    assert [route.local_pref for route in decision.routes["tor"]] == [100]
    assert decision.verdicts["default", "b"][0].reason is NotAnnounced.CONFLICTING_ADVERTISEMENTS


def test_several_services_on_one_address_announce_it_while_one_of_them_may() -> None:
    web, mail = service(), service(key=("default", "mail"))
    both = snapshot(web, mail)
    for able in ({web.key: (HERE,)}, {mail.key: (THERE,)}):
        decision = decide(replace(both, endpoints=able))
        assert prefixes(decision) == {"10.9.0.1/32"}
        assert sum(each.announced for (each,) in decision.verdicts.values()) == 1
    assert prefixes(decide(replace(both, endpoints={}))) == set()


def test_large_communities_add_up_with_the_others() -> None:
    config = configuration(
        pool(), peer(),
        advertisement("a", communities=["1:1", "large:1:2:3"]),
        advertisement("b", communities=["large:4:5:6"]),
    )  # fmt: skip
    (route,) = decide(snapshot(configuration=config)).routes["tor"]
    assert route.communities == {1 << 16 | 1}
    assert route.large_communities == {(1, 2, 3), (4, 5, 6)}


def test_advertisements_of_one_prefix_add_up_for_each_peer_by_itself() -> None:
    config = configuration(
        pool(), peer(), peer("core", "10.31.254.252"),
        advertisement("all", communities=["1:1"]),
        advertisement("core", communities=["1:2"], peers=["core"]),
    )  # fmt: skip
    routes = decide(snapshot(configuration=config)).routes
    assert [route.communities for route in routes["tor"]] == [{1 << 16 | 1}]
    assert [route.communities for route in routes["core"]] == [{1 << 16 | 1, 1 << 16 | 2}]


@pytest.mark.parametrize(
    "both", [{"dualStackAddressFamily": True}, {"dualStackAddressFamily": True, "disableMP": True}]
)
def test_both_families_go_over_a_session_for_both(both: dict[str, Any]) -> None:
    config = configuration(pool(), peer(**both), advertisement())
    endpoints = {WEB: (HERE, Endpoint(6, "n1", True))}
    decision = decide(snapshot(service("10.9.0.1", "fd09::1"), configuration=config, endpoints=endpoints))
    assert prefixes(decision) == {"10.9.0.1/32", "fd09::1/128"}


def test_a_session_over_an_interface_carries_both_families() -> None:
    config = configuration(pool(), peer(address="", interface="eth0"), advertisement())
    endpoints = {WEB: (HERE, Endpoint(6, "n1", True))}
    decision = decide(snapshot(service("10.9.0.1", "fd09::1"), configuration=config, endpoints=endpoints))
    assert prefixes(decision) == {"10.9.0.1/32", "fd09::1/128"}


def test_each_family_goes_over_the_session_of_its_family() -> None:
    config = configuration(pool(), peer(), peer("six", "fd31::1"), advertisement())
    both = service("10.9.0.1", "fd09::1")
    endpoints = {WEB: (HERE, Endpoint(6, "n1", True))}
    decision = decide(snapshot(both, configuration=config, endpoints=endpoints))
    assert (prefixes(decision, "tor"), prefixes(decision, "six")) == ({"10.9.0.1/32"}, {"fd09::1/128"})


def test_every_peer_of_the_node_has_a_session_even_with_nothing_to_say() -> None:
    decision = decide(snapshot(endpoints={}))
    assert [each.name for each in decision.peers] == ["tor"]
    assert decision.routes == {"tor": frozenset()}
