# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node announces, and the name of why not."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipcast.bgp.route import Route
from vipcast.model.configuration import Configuration, parse
from vipcast.speaker.decide import Decision, Snapshot, Verdict, decide
from vipcast.speaker.reasons import NotAnnounced
from vipcast.speaker.world import Endpoint, Node, Service

WEB = ("default", "web")
PLACE = "metallb-system"


def pool(name: str = "pool", *addresses: str) -> dict[str, Any]:
    spec = {"addresses": list(addresses) or ["10.9.0.0/16", "fd09::/64"]}
    return {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": _meta(name),
        "spec": spec,
    }


def peer(name: str = "tor", address: str = "10.31.254.251", **spec: Any) -> dict[str, Any]:
    essential = {"myASN": 64513, "peerASN": 64512, "peerAddress": address}
    return {
        "apiVersion": "metallb.io/v1beta2",
        "kind": "BGPPeer",
        "metadata": _meta(name),
        "spec": {**essential, **spec},
    }


def advertisement(name: str = "adv", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "BGPAdvertisement",
        "metadata": _meta(name),
        "spec": spec,
    }


def _meta(name: str) -> dict[str, str]:
    return {"name": name, "namespace": PLACE}


def configuration(*objects: dict[str, Any]) -> Configuration:
    found = parse(objects or (pool(), peer(), advertisement()))
    assert not found.refused, found.refused
    return found


def labels(**wanted: str) -> dict[str, Any]:
    return {"matchLabels": wanted}


def service(*addresses: str, key: tuple[str, str] = WEB, **more: Any) -> Service:
    parsed = tuple(ipaddress.ip_address(each) for each in addresses or ("10.9.0.1",))
    return Service(key=key, addresses=parsed, **more)


HERE = Endpoint(4, "n1", True)
THERE = Endpoint(4, "n2", True)


def snapshot(*services: Service, **changes: Any) -> Snapshot:
    every = services or (service(),)
    plain = Snapshot(
        node_name="n1",
        node=Node("n1", {"rack": "a"}),
        services={each.key: each for each in every},
        endpoints={each.key: (HERE,) for each in every},
        configuration=configuration(),
    )
    return replace(plain, **changes)


def only(decision: Decision) -> Verdict:
    ((verdict,),) = decision.verdicts.values()
    return verdict


def prefixes(decision: Decision, name: str = "tor") -> set[str]:
    return {str(route.prefix) for route in decision.routes[name]}


def test_an_address_with_an_endpoint_goes_to_the_peer() -> None:
    decision = decide(snapshot())
    assert decision.routes == {"tor": frozenset({Route(ipaddress.ip_network("10.9.0.1/32"))})}
    assert only(decision) == Verdict(
        ipaddress.ip_address("10.9.0.1"), prefixes=(ipaddress.ip_network("10.9.0.1/32"),), peers=("tor",)
    )


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
        "a peer of another routing table",
        {"configuration": configuration(pool(), peer(vrf="red"), advertisement())},
        NotAnnounced.UNSUPPORTED_PEER,
    ),
    (
        "a peer without an address",
        {"configuration": configuration(pool(), peer(address="", interface="eth0"), advertisement())},
        NotAnnounced.UNSUPPORTED_PEER,
    ),
    (
        "a large community that is not sent",
        {
            "configuration": configuration(
                pool(), peer(), advertisement(communities=["large:1:2:3"]), advertisement("b", localPref=7)
            )
        },
        NotAnnounced.UNSUPPORTED_ADVERTISEMENT,
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
    ("no endpoints", {"endpoints": {}}, NotAnnounced.NO_ENDPOINTS),
    ("none can serve", {"endpoints": {WEB: (Endpoint(4, "n1", False),)}}, NotAnnounced.NO_ENDPOINTS),
    ("only IPv6 endpoints", {"endpoints": {WEB: (Endpoint(6, "n1", True),)}}, NotAnnounced.NO_ENDPOINTS),
    (
        "local, and it is elsewhere",
        {"services": {WEB: service(local=True)}, "endpoints": {WEB: (THERE, Endpoint(4, "n1", False))}},
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


def test_a_large_community_withholds_the_address_from_the_peers_of_that_advertisement_only() -> None:
    objects = [
        peer(),
        peer("spine", "10.31.254.252"),
        advertisement(communities=["large:1:2:3"], peers=["tor"]),
    ]
    others = advertisement("others", peers=["tor", "spine"])
    decision = decide(snapshot(configuration=configuration(pool(), *objects, others)))
    assert only(decision).peers == ("spine",)
    assert decision.routes["tor"] == frozenset()


def test_every_name_is_met_by_a_test() -> None:
    met = {reason for *_case, reason in REFUSALS} | {NotAnnounced.CONFLICTING_ADVERTISEMENTS}
    assert met == set(NotAnnounced)


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoints": {WEB: (THERE,)}},
        {"services": {WEB: service(local=True)}, "endpoints": {WEB: (THERE, HERE)}},
        {
            "node": Node("n1", {"node.kubernetes.io/exclude-from-external-load-balancers": "true"}),
            "ignore_exclude": True,
        },
        {"services": {WEB: service(lb_class="vip")}, "lb_class": "vip"},
    ],
    ids=["cluster policy", "local policy with one here", "exclusion ignored", "our class"],
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


def _two_preferences(**of_peer: Any) -> Configuration:
    return configuration(
        pool(), peer(**of_peer),
        advertisement("a", localPref=100, serviceSelectors=[labels(a="y")]),
        advertisement("b", localPref=200, serviceSelectors=[labels(b="y")]),
    )  # fmt: skip


def test_two_preferences_for_one_service_conflict_and_nothing_is_announced() -> None:
    chosen = service(labels={"a": "y", "b": "y"})
    decision = decide(snapshot(chosen, configuration=_two_preferences(peerASN=64513)))
    assert only(decision).reason is NotAnnounced.CONFLICTING_ADVERTISEMENTS
    assert "100" in only(decision).message
    assert "200" in only(decision).message
    assert prefixes(decision) == set()


def test_to_an_external_peer_there_is_no_preference_to_disagree_on() -> None:
    chosen = service(labels={"a": "y", "b": "y"})
    assert prefixes(decide(snapshot(chosen, configuration=_two_preferences()))) == {"10.9.0.1/32"}


def test_of_two_services_that_share_an_address_the_first_by_name_sets_the_preference() -> None:
    one = service(key=("default", "a"), labels={"a": "y"})
    two = service(key=("default", "b"), labels={"b": "y"})
    decision = decide(snapshot(two, one, configuration=_two_preferences(peerASN=64513)))
    assert [route.local_pref for route in decision.routes["tor"]] == [100]
    assert decision.verdicts["default", "b"][0].reason is NotAnnounced.CONFLICTING_ADVERTISEMENTS


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


# Properties -------------------------------------------------------------------------------------------

nodes = st.sampled_from(["n1", "n2", None])
endpoints = st.lists(st.builds(Endpoint, st.sampled_from([4, 6]), nodes, st.booleans()), max_size=4).map(
    tuple
)
addresses = st.integers(0, 2**17).map(
    lambda number: ipaddress.IPv4Address(int(ipaddress.IPv4Address("10.9.0.0")) + number)
)
keys = st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["x", "y", "z"]))
services = st.builds(
    Service,
    key=keys,
    load_balancer=st.booleans(),
    lb_class=st.sampled_from([None, None, "c"]),
    local=st.booleans(),
    labels=st.dictionaries(st.sampled_from(["a", "b"]), st.just("y")),
    addresses=st.lists(addresses, max_size=2, unique=True).map(tuple),
)
CONFIGURATIONS = [
    configuration(),
    _two_preferences(peerASN=64513),
    configuration(pool(), peer(), peer("two", "10.0.0.2"), advertisement(aggregationLength=20)),
    configuration(pool("half", "10.9.0.0/17"), peer(), advertisement(peers=["tor"])),
]


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    every = {each.key: each for each in draw(st.lists(services, max_size=5))}
    return Snapshot(
        node_name="n1",
        node=draw(st.sampled_from([Node("n1"), Node("n1", {}, True), None])),
        services=every,
        endpoints={key: draw(endpoints) for key in every},
        configuration=draw(st.sampled_from(CONFIGURATIONS)),
    )


@given(snapshots())
def test_every_route_has_a_verdict_behind_it_and_every_announced_verdict_a_route(world: Snapshot) -> None:
    decision = decide(world)
    announced = [each for every in decision.verdicts.values() for each in every if each.announced]
    expected = {(name, prefix) for each in announced for name in each.peers for prefix in each.prefixes}
    assert {(name, route.prefix) for name, routes in decision.routes.items() for route in routes} == expected


@given(snapshots())
def test_an_announced_address_is_in_a_pool_and_has_an_endpoint_that_can_serve(world: Snapshot) -> None:
    for key, verdicts in decide(world).verdicts.items():
        for verdict in verdicts:
            if verdict.announced:
                assert any(verdict.address in each for each in world.configuration.pools)
                able = [each for each in world.endpoints[key] if each.can_serve and each.family == 4]
                assert able
                assert not world.services[key].local or any(each.node == "n1" for each in able)


@given(snapshots())
def test_there_is_one_route_per_prefix_and_the_order_of_services_is_no_matter(world: Snapshot) -> None:
    decision = decide(world)
    turned = replace(world, services=dict(reversed(world.services.items())))
    assert decide(turned) == decision
    for routes in decision.routes.values():
        assert len({route.prefix for route in routes}) == len(routes)


@given(snapshots(), st.data())
def test_a_service_that_loses_its_endpoints_leaves_nothing_of_its_own(
    world: Snapshot, data: st.DataObject
) -> None:
    if not world.services:
        return
    key = data.draw(st.sampled_from(sorted(world.services)))
    without = replace(world, endpoints={**world.endpoints, key: ()})
    gone = {other: each for other, each in world.services.items() if other != key}
    assert decide(without).routes == decide(replace(world, services=gone)).routes
