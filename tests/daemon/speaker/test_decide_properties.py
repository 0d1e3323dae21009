# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what holds of every decision, and what a slow and simple reading of the rules says of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace

from daemon.speaker.snapshots import advertisement, configuration, labels, peer, pool, two_preferences
from hypothesis import given, settings
from hypothesis import strategies as st

from vipcast.bgp.route import Route
from vipcast.model.advertisements import BGPAdvertisement
from vipcast.model.peers import Peer
from vipcast.speaker.decide import Snapshot, decide
from vipcast.speaker.drain import Drain, Phase
from vipcast.speaker.kube_types import Endpoint, Node, Service

nodes = st.sampled_from(["n1", "n1", "n2", None])
pods = st.sampled_from(["a", "b", "c"])
endpoints = st.lists(
    st.builds(
        Endpoint, st.sampled_from([4, 6]), nodes, st.sampled_from([True, True, False]), pods, st.booleans()
    ),
    max_size=8,
).map(tuple)
# Few of them, so that services meet; some are outside of every pool.
texts = st.sampled_from(
    ["10.9.0.0", "10.9.0.1", "10.9.0.255", "10.9.200.7", "10.10.0.1", "fd09::1", "fd09::2"]
)
addresses = texts.map(ipaddress.ip_address)
keys = st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["x", "y", "z"]))
services = st.builds(
    Service,
    key=keys,
    load_balancer=st.sampled_from([True, True, True, False]),
    lb_class=st.sampled_from([None, None, None, "c"]),
    local=st.booleans(),
    labels=st.dictionaries(st.sampled_from(["a", "b"]), st.just("y")),
    addresses=st.lists(addresses, min_size=1, max_size=3, unique=True).map(tuple),
)
CONFIGURATIONS = [
    configuration(),
    configuration(
        pool(),
        peer(dualStackAddressFamily=True),
        peer("in", "10.0.0.3", peerASN=64513),
        peer("six", "fd31::1"),
        advertisement("all", communities=["1:1"], weightedByEndpoints=True),
        advertisement("some", communities=["large:1:2:3"], peers=["tor"], serviceSelectors=[labels(a="y")]),
        advertisement(
            "net", aggregationLength=30, aggregationLengthV6=126, localPref=7, weightedByEndpoints=True
        ),
    ),
    configuration(
        pool(), peer(), advertisement("a"), advertisement("w", weightedByEndpoints=True, peers=["tor"])
    ),
    two_preferences(peerASN=64513),
    configuration(
        pool(),
        peer(),
        peer("in", "10.0.0.3", peerASN=64513),
        advertisement("a", med=0, asPathPrepend=2, serviceSelectors=[labels(a="y")]),
        advertisement("b", serviceSelectors=[labels(b="y")]),
        advertisement("c", peers=["tor"], aggregationLength=24, asPathPrepend=1, localPref=5),
    ),
    configuration(pool(), peer(), peer("two", "10.0.0.2"), advertisement(aggregationLength=20)),
    configuration(pool("half", "10.9.0.0/17"), peer(), advertisement(peers=["tor"])),
]


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    every = {each.key: each for each in draw(st.lists(services, min_size=1, max_size=5))}
    return Snapshot(
        node_name="n1",
        node=draw(st.sampled_from([Node("n1"), Node("n1"), Node("n1"), Node("n1", {}, True), None])),
        services=every,
        endpoints={key: draw(endpoints) for key in every},
        configuration=draw(st.sampled_from(CONFIGURATIONS)),
        drain=draw(st.sampled_from([None, None, None, *(Drain(phase) for phase in Phase)])),
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
                assert verdict.address
                version = verdict.address.version
                able = [each for each in world.endpoints[key] if each.can_serve and each.family == version]
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


# The rules once more, slowly: facts are collected, and a route is made of what is known of its prefix.


@dataclass(frozen=True)
class Fact:
    """One reason to announce."""

    peer: Peer
    prefix: ipaddress.IPv4Network | ipaddress.IPv6Network
    advertisement: BGPAdvertisement
    service: Service

    @property
    def preference(self) -> int | None:
        return self.advertisement.local_pref if self.peer.internal else None

    @property
    def prepend(self) -> int:
        return 0 if self.peer.internal else self.advertisement.prepend

    @property
    def single(self) -> tuple[int | None, int | None, int]:
        """Return what a route has one value of."""
        return self.preference, self.advertisement.med, self.prepend


def pods_here(world: Snapshot, service: Service, version: int) -> set[str]:
    here = [
        e for e in world.endpoints[service.key] if (e.node, e.family, e.can_serve) == ("n1", version, True)
    ]
    ready = {each.address for each in here if each.ready}
    return ready or {each.address for each in here}


def may(world: Snapshot, service: Service, version: int) -> bool:
    if world.node is None or world.node.network_unavailable:
        return False
    if world.drain and world.drain.phase is not Phase.SHUTTING_DOWN:
        return False
    if not service.load_balancer or service.lb_class is not None:
        return False
    able = [each for each in world.endpoints[service.key] if each.can_serve and each.family == version]
    if not service.local:
        return bool(able)
    ready_somewhere = any(each.ready for each in able)
    return any(each.node == "n1" and (each.ready or not ready_somewhere) for each in able)


def facts_of(world: Snapshot, service: Service, address: ipaddress.IPv4Address) -> Iterator[Fact]:
    config = world.configuration
    for each in config.pools:
        for advert in config.advertisements:
            for one in config.peers:
                if (
                    address in each
                    and (advert.pools == () or each.name in advert.pools)
                    and advert.selects_service(service.labels)
                    and (advert.peers == () or one.name in advert.peers)
                    and address.version in one.families
                ):
                    length = advert.aggregation(address.version)
                    yield Fact(
                        one, ipaddress.ip_network(f"{address}/{length}", strict=False), advert, service
                    )


def expected_routes(world: Snapshot) -> dict[str, frozenset[Route]]:
    facts: list[Fact] = []
    for key in sorted(world.services):
        service = world.services[key]
        for address in service.addresses:
            new = list(facts_of(world, service, address)) if may(world, service, address.version) else []
            if not any(disagree(one, two) for one in new for two in [*new, *facts]):
                facts += new
    if world.node is None:
        return {}
    return {
        one.name: frozenset(
            route_of(world, [fact for fact in facts if (fact.peer.name, fact.prefix) == (one.name, prefix)])
            for prefix in {fact.prefix for fact in facts if fact.peer.name == one.name}
        )
        for one in world.configuration.peers
    }


def disagree(one: Fact, two: Fact) -> bool:
    same = (one.peer.name, one.prefix) == (two.peer.name, two.prefix)
    return same and one.single != two.single


def route_of(world: Snapshot, facts: list[Fact]) -> Route:
    first, leaving = facts[0], world.drain is not None
    communities = {each for fact in facts for each in fact.advertisement.communities}
    weight = None
    if any(fact.advertisement.weighted for fact in facts) and all(fact.service.local for fact in facts):
        version = first.prefix.version
        weight = 125_000.0 * len({pod for fact in facts for pod in pods_here(world, fact.service, version)})
    preference = first.preference
    if leaving:
        communities.add(0xFFFF0000)
        preference = 0 if first.peer.internal else None
    large = frozenset(each for fact in facts for each in fact.advertisement.large_communities)
    _preference, med, prepend = first.single
    return Route(first.prefix, preference, frozenset(communities), large, weight, med, prepend)


@settings(max_examples=400, deadline=None)
@given(snapshots())
def test_the_routes_are_what_the_rules_say_read_slowly(world: Snapshot) -> None:
    assert decide(world).routes == expected_routes(world)
