# SPDX-License-Identifier: GPL-3.0-or-later
"""Test who may answer for an address at layer 2, and the name of why not."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any

import pytest
from daemon.speaker.layer2_world import ABC, VIP, on, world
from daemon.speaker.snapshots import (
    WEB,
    advertisement,
    configuration,
    l2_advertisement,
    labels,
    nodes,
    peer,
    pool,
    service,
    snapshot,
)
from hypothesis import given
from hypothesis import strategies as st

from vipcast.election import Electorate
from vipcast.speaker.kube_types import EXCLUDE_LABEL, Node, Service, read_service
from vipcast.speaker.layer2.decide import Layer2Decision, decide_layer2, why_not
from vipcast.speaker.reasons import NotAnnounced

SIX = ipaddress.ip_address("fd09::1")
MAIL = ("default", "mail")


def everyone(*names: str) -> Electorate:
    return ((0, frozenset(names)),)


def elected(decision: Layer2Decision, address: Any = VIP) -> Electorate:
    return decision.addresses[address].electorate


def refused(decision: Layer2Decision, key: tuple[str, str] = WEB, number: int = 0) -> NotAnnounced | None:
    refusal = decision.candidacies[key][number].refusal
    if refusal:
        assert refusal[1]
    return refusal[0] if refusal else None


def reason_of(decision: Layer2Decision, node: str, key: tuple[str, str] = WEB) -> NotAnnounced | None:
    found = why_not(decision, decision.candidacies[key][0], node)
    return found[0] if found else None


def test_with_policy_cluster_every_node_may_answer_while_any_endpoint_serves() -> None:
    decision = decide_layer2(world())
    assert elected(decision) == everyone("a", "b", "c")
    assert decision.addresses[VIP].interfaces is None
    assert decision.addresses[VIP].key == "10.9.0.1"
    assert {reason_of(decision, name) for name in ABC} == {None}


def test_with_policy_local_only_nodes_with_a_serving_endpoint_may() -> None:
    decision = decide_layer2(world(service(local=True), endpoints={WEB: (on("a"), on("b", able=False))}))
    assert elected(decision) == everyone("a")
    assert reason_of(decision, "b") is NotAnnounced.NO_LOCAL_ENDPOINTS


UNFIT = [
    ({"network_unavailable": True}, NotAnnounced.NODE_NETWORK_UNAVAILABLE),
    ({"ready": False}, NotAnnounced.NODE_NOT_READY),
    ({"out_of_service": True}, NotAnnounced.NODE_OUT_OF_SERVICE),
    ({"drain": ""}, NotAnnounced.NODE_DRAINED),
    ({"drain": "1h"}, NotAnnounced.NODE_DRAINED),
    ({"labels": {EXCLUDE_LABEL: ""}}, NotAnnounced.NODE_EXCLUDED),
]


@pytest.mark.parametrize(("changes", "reason"), UNFIT)
def test_a_node_that_is_unfit_is_no_candidate(changes: dict[str, Any], reason: NotAnnounced) -> None:
    decision = decide_layer2(world(nodes={**ABC, "b": replace(ABC["b"], **changes)}))
    assert elected(decision) == everyone("a", "c")
    assert reason_of(decision, "b") is reason


@pytest.mark.parametrize(
    ("changes", "reason"), [case for case in UNFIT if case[1] is not NotAnnounced.NODE_NOT_READY]
)
def test_where_all_are_unfit_nobody_is_a_candidate_and_that_has_a_name(
    changes: dict[str, Any], reason: NotAnnounced
) -> None:
    decision = decide_layer2(world(nodes={name: replace(node, **changes) for name, node in ABC.items()}))
    assert elected(decision) == ()
    assert refused(decision) is NotAnnounced.NO_CANDIDATE
    assert f"3 {reason.value}" in decision.candidacies[WEB][0].refusal[1]  # type: ignore[index]


def test_where_no_node_is_ready_readiness_says_nothing() -> None:
    unready = nodes("a", "b", ready=False)
    drained = {"c": Node("c", ready=False, drain="")}
    assert elected(decide_layer2(world(nodes={**unready, **drained}))) == everyone("a", "b")


def test_an_excluded_node_takes_part_where_the_label_is_ignored() -> None:
    excluded = {"a": Node("a", {EXCLUDE_LABEL: ""})}
    assert elected(decide_layer2(world(nodes=excluded, ignore_exclude=True))) == everyone("a")


SILENT = [
    ("no endpoint", {"endpoints": {}}, NotAnnounced.NO_ENDPOINTS),
    ("none can serve", {"endpoints": {WEB: (on("a", able=False),)}}, NotAnnounced.NO_ENDPOINTS),
    ("only of the other family", {"endpoints": {WEB: (on("a", 6),)}}, NotAnnounced.NO_ENDPOINTS),
    (
        "for other services",
        {"configuration": configuration(pool(), l2_advertisement(serviceSelectors=[labels(app="x")]))},
        NotAnnounced.NO_MATCHING_ADVERTISEMENT,
    ),
    (
        "shared, and chosen by labels",
        {
            "services": {WEB: service(shares=True, labels={"app": "x"})},
            "configuration": configuration(
                pool(),
                l2_advertisement(serviceSelectors=[labels(app="x")]),
                l2_advertisement("all", interfaces=["e"]),
            ),
        },
        NotAnnounced.SHARED_WITH_SELECTORS,
    ),
]


@pytest.mark.parametrize(
    ("changes", "reason"), [case[1:] for case in SILENT], ids=[case[0] for case in SILENT]
)
def test_an_address_that_nobody_may_answer_for_is_not_wanted_and_says_why(
    changes: dict[str, Any], reason: NotAnnounced
) -> None:
    decision = decide_layer2(world(**changes))
    assert decision.addresses == {}
    assert refused(decision) is reason
    assert reason_of(decision, "a") is reason


def test_service_selectors_are_fine_where_nothing_is_shared() -> None:
    config = configuration(pool(), l2_advertisement(serviceSelectors=[labels(app="x")]))
    decision = decide_layer2(world(service(labels={"app": "x"}), configuration=config))
    assert elected(decision) == everyone("a", "b", "c")


@pytest.mark.parametrize(
    "changes",
    [
        {"configuration": configuration(pool(), peer(), advertisement())},
        {"services": {WEB: service("10.8.0.1")}},
        {"services": {WEB: Service(WEB)}},
        {"services": {WEB: service(lb_class="other")}},
        {"services": {WEB: service(load_balancer=False)}},
    ],
    ids=["a pool for BGP", "outside of all pools", "no address yet", "another's class", "another type"],
)
def test_what_is_not_for_layer_2_is_not_judged(changes: dict[str, Any]) -> None:
    decision = decide_layer2(world(**changes))
    assert (decision.addresses, decision.candidacies) == ({}, {})


def test_a_pool_with_both_kinds_of_advertisements_is_answered_for_too() -> None:
    config = configuration(pool(), peer(), advertisement(), l2_advertisement())
    assert elected(decide_layer2(world(configuration=config))) == everyone("a", "b", "c")


def test_node_selectors_of_several_advertisements_add_up() -> None:
    config = configuration(
        pool(),
        l2_advertisement("one", nodeSelectors=[labels(name="a")]),
        l2_advertisement("two", nodeSelectors=[labels(name="c")]),
    )
    decision = decide_layer2(world(configuration=config))
    assert elected(decision) == everyone("a", "c")
    assert reason_of(decision, "b") is NotAnnounced.NOT_OWNER
    assert reason_of(decision, "stranger") is NotAnnounced.NODE_NOT_FOUND


def test_an_advertisement_for_no_node_leaves_nobody() -> None:
    config = configuration(pool(), l2_advertisement(nodeSelectors=[labels(name="x")]))
    decision = decide_layer2(world(configuration=config))
    assert refused(decision) is NotAnnounced.NO_CANDIDATE
    assert elected(decision) == ()


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        (["eth0"], ["eth1"], {"eth0", "eth1"}),
        (["eth0"], None, None),
        (None, None, None),
    ],
)
def test_interfaces_add_up_and_all_wins(one: Any, two: Any, expected: set[str] | None) -> None:
    specs = ({"interfaces": each} if each else {} for each in (one, two))
    advs = [
        l2_advertisement(f"l2-{number}", ipAddressPools=["pool"], **spec) for number, spec in enumerate(specs)
    ]
    advs[1]["spec"]["nodeSelectors"] = [labels(name="a"), labels(name="b")]  # two equal ones are one too many
    assert (
        decide_layer2(world(configuration=configuration(pool(), *advs))).addresses[VIP].interfaces == expected
    )


def preferred(weight: int, **wanted: str) -> dict[str, Any]:
    return {"weight": weight, "preference": labels(**wanted)}


def test_preferences_add_up_and_the_highest_comes_first() -> None:
    config = configuration(
        pool(),
        l2_advertisement("one", preferredNodeSelectors=[preferred(10, name="a"), preferred(5, name="b")]),
        l2_advertisement(
            "two", preferredNodeSelectors=[preferred(7, name="b")], nodeSelectors=[labels(name="b")]
        ),
    )
    assert elected(decide_layer2(world(configuration=config))) == (
        (12, frozenset("b")), (10, frozenset("a")), (0, frozenset("c")),
    )  # fmt: skip


def test_a_preference_counts_only_for_nodes_of_its_own_advertisement() -> None:
    config = configuration(
        pool(),
        l2_advertisement(
            "one", nodeSelectors=[labels(name="a")], preferredNodeSelectors=[preferred(9, name="b")]
        ),
        l2_advertisement("two", nodeSelectors=[labels(name="b")]),
    )
    assert elected(decide_layer2(world(configuration=config))) == everyone("a", "b")


# -- both families -------------------------------------------------------------------------------------------


def test_both_families_of_a_service_go_by_its_first_address() -> None:
    decision = decide_layer2(world(service("10.9.0.1", "fd09::1")))
    assert decision.addresses[SIX].key == decision.addresses[VIP].key == "10.9.0.1"
    assert elected(decision, SIX) is elected(decision, VIP)


def test_with_policy_local_both_families_need_the_node_while_one_slice_is_late() -> None:
    endpoints = {WEB: (on("a"), on("b"), on("b", 6), on("c", 6))}
    decision = decide_layer2(world(service("10.9.0.1", "fd09::1", local=True), endpoints=endpoints))
    assert elected(decision, VIP) == elected(decision, SIX) == everyone("b")


def test_what_an_answer_of_no_candidate_is_worth_and_whether_it_may_move_is_said() -> None:
    plain = decide_layer2(world()).addresses[VIP]
    assert (plain.local, plain.stays) == (False, False)
    endpoints = {WEB: (on("a"), on("b")), MAIL: (on("a"),)}
    local = decide_layer2(world(service(local=True), endpoints=endpoints)).addresses[VIP]
    assert (local.local, local.stays) == (True, False)
    annotated = {"metadata": {"annotations": {"vipcast.io/layer2-rebalance": "false"}}}
    assert read_service(WEB, annotated).stays and not read_service(WEB, {"metadata": {}}).stays
    pair = world(service(shares=True), replace(mail(), stays=True), endpoints=endpoints)
    assert decide_layer2(pair).addresses[VIP].stays, "one that shares the address is enough"


def test_families_without_a_node_in_common_go_their_own_ways() -> None:
    endpoints = {WEB: (on("a"), on("b", 6))}
    decision = decide_layer2(world(service("10.9.0.1", "fd09::1", local=True), endpoints=endpoints))
    assert (elected(decision, VIP), elected(decision, SIX)) == (everyone("a"), everyone("b"))


def test_a_family_without_endpoints_does_not_take_the_other_one_down() -> None:
    decision = decide_layer2(world(service("10.9.0.1", "fd09::1", local=True), endpoints={WEB: (on("a"),)}))
    assert elected(decision) == everyone("a")
    assert SIX not in decision.addresses
    assert refused(decision, number=1) is NotAnnounced.NO_ENDPOINTS


# -- shared addresses ----------------------------------------------------------------------------------------


def mail(**more: Any) -> Service:
    return service(key=MAIL, shares=True, **more)


def test_services_that_share_an_address_have_an_owner_that_fits_all() -> None:
    endpoints = {WEB: (on("a"), on("b")), MAIL: (on("b"), on("c"))}
    decision = decide_layer2(world(service(shares=True, local=True), mail(local=True), endpoints=endpoints))
    assert elected(decision) == everyone("b")
    assert reason_of(decision, "a", WEB) is NotAnnounced.SHARED_ELSEWHERE
    assert reason_of(decision, "a", MAIL) is NotAnnounced.NO_LOCAL_ENDPOINTS


def test_where_no_node_fits_all_the_first_by_name_decides_and_the_other_is_named() -> None:
    endpoints = {WEB: (on("a"),), MAIL: (on("c"),)}
    decision = decide_layer2(world(service(shares=True, local=True), mail(local=True), endpoints=endpoints))
    assert elected(decision) == everyone("c")  # of default/mail
    assert refused(decision, WEB) is NotAnnounced.SHARED_ELSEWHERE
    assert refused(decision, MAIL) is None


def test_a_service_without_endpoints_leaves_its_address_to_those_that_have_some() -> None:
    decision = decide_layer2(world(service(shares=True), mail(), endpoints={WEB: (on("a"),)}))
    assert elected(decision) == everyone("a", "b", "c")
    assert (refused(decision, WEB), refused(decision, MAIL)) == (None, NotAnnounced.NO_ENDPOINTS)


def test_equal_electorates_are_one_object() -> None:
    many = [service(f"10.9.0.{number}", key=("default", f"s{number}")) for number in range(1, 30)]
    decision = decide_layer2(world(*many))
    assert len({id(each.electorate) for each in decision.addresses.values()}) == 1


@pytest.mark.parametrize(
    ("there", "expected"), [(True, ("b",)), (False, ("a", "b"))], ids=["one is ready", "all are ending"]
)
def test_with_policy_local_a_node_whose_endpoints_are_ending_gives_the_address_up(
    there: bool, expected: tuple[str, ...]
) -> None:
    """It gives the address up before they are gone, where another node has a ready one (KEP-1669)."""
    endpoints = {WEB: (replace(on("a"), ready=False), replace(on("b"), ready=there))}
    assert elected(decide_layer2(world(service(local=True), endpoints=endpoints))) == everyone(*expected)


# -- on every node the same ----------------------------------------------------------------------------------

NODE = st.builds(
    Node,
    st.just("x"),
    st.fixed_dictionaries({"rack": st.sampled_from("ab")}),
    network_unavailable=st.booleans(),
    drain=st.none() | st.just(""),
    ready=st.booleans(),
    out_of_service=st.booleans(),
)
NAMES = "klmn"
SERVICE = st.builds(
    service,
    st.sampled_from(["10.9.0.1", "10.9.0.2"]),
    key=st.tuples(st.just("default"), st.sampled_from("stu")),
    local=st.booleans(),
    shares=st.booleans(),
)
SPEC = st.fixed_dictionaries(
    {},
    optional={
        "nodeSelectors": st.lists(st.builds(labels, rack=st.sampled_from("ab")), max_size=1),
        "preferredNodeSelectors": st.lists(
            st.builds(preferred, st.integers(1, 100), rack=st.sampled_from("ab")), max_size=2, unique_by=str
        ),
    },
)
ENDPOINTS = st.lists(st.builds(on, st.sampled_from(NAMES), able=st.booleans()), max_size=4).map(tuple)


@given(
    st.dictionaries(st.sampled_from(NAMES), NODE),
    st.lists(SERVICE, max_size=4),
    SPEC,
    st.fixed_dictionaries({("default", name): ENDPOINTS for name in "stu"}),
    st.randoms(),
)
def test_every_node_comes_to_the_same_candidates_in_whatever_order_it_learnt_of_things(
    found: dict[str, Node], services: list[Service], spec: dict[str, Any], endpoints: Any, luck: Any
) -> None:
    config = configuration(pool(), l2_advertisement(**spec))
    fixed = {name: replace(node, name=name) for name, node in found.items()}
    plain = snapshot(configuration=config, nodes=fixed, endpoints=endpoints)
    here = replace(plain, services={each.key: each for each in services}, node_name="k")
    shuffled = [*here.services.values()], [*fixed.items()]
    for each in shuffled:
        luck.shuffle(each)
    there = replace(
        here,
        node_name="l",
        node=None,
        nodes=dict(shuffled[1]),
        services={each.key: each for each in shuffled[0]},
    )
    one, other = decide_layer2(here), decide_layer2(there)
    assert one.addresses == other.addresses
    assert one.candidacies == other.candidacies
    for want in one.addresses.values():
        for _weight, names in want.electorate:
            assert names <= fixed.keys()
            assert not any(fixed[name].drain is not None or fixed[name].network_unavailable for name in names)
