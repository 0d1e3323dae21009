# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that name, repeat or contradict each other, of every kind, in every order of creation."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from support.objects import advert, community, peer, pool, said, thing

from vipcast.model.configuration import OLD_VERSIONS, Configuration, parse
from vipcast.model.reasons import Effect, Reason

POOL = pool("default", "10.9.0.0/16")


def grow(*objects: dict[str, Any]) -> Configuration:
    """The configuration after the objects were made one by one, in this order."""
    found = parse([])
    for count in range(len(objects)):
        found = parse(objects[: count + 1], previous=found)
    return found


def only_advert(found: Configuration) -> Any:
    [one] = found.advertisements
    return one


# -- every kind is read completely ---------------------------------------------------------------------------


def test_an_l2_advertisement_is_read() -> None:
    rack = {"matchLabels": {"rack": "a"}}
    spec = {
        "ipAddressPools": ["default"],
        "interfaces": ["eth0"],
        "nodeSelectors": [{"matchLabels": {"zone": "x"}}],
        "serviceSelectors": [{"matchLabels": {"app": "web"}}],
        "preferredNodeSelectors": [
            {"weight": 10, "preference": rack},
            {"weight": 5, "preference": {}},
        ],
    }
    found = parse([POOL, pool("other", "10.8.0.0/24"), thing("L2Advertisement", "l2", spec)])
    [one] = found.layer2_advertisements
    assert [found.layer2_advertisements_for(each) == (one,) for each in found.pools] == [True, False]
    assert one.interfaces == ("eth0",) and not found.refused
    assert one.selects_service({"app": "web"}) and not one.selects_service({})
    assert one.preference({"zone": "x", "rack": "a"}) == 15
    assert one.preference({"zone": "x"}) == 5
    assert one.preference({"rack": "a"}) == 0, "a preference counts among the advertisement's own nodes only"


def test_a_bfd_profile_is_read_in_seconds() -> None:
    spec = {"receiveInterval": 50, "detectMultiplier": 5, "echoMode": True}
    [one] = parse([thing("BFDProfile", "fast", spec)]).bfd_profiles
    assert (one.receive_interval, one.transmit_interval, one.echo_interval) == (0.05, 0.3, 0.05)
    assert (one.detect_multiplier, one.minimum_ttl, one.echo_mode, one.passive_mode) == (5, 254, True, False)


def test_a_peer_is_read_completely() -> None:
    spec = {
        "myASN": 64513,
        "dynamicASN": "internal",
        "interface": "eth1",
        "localASN": 64999,
        "vrf": "red",
        "bfdProfile": "fast",
        "enableGracefulRestart": True,
        "gracefulRestartTime": "1m",
        "ttlSecurityHops": 2,
        "passive": True,
        "dualStackAddressFamily": True,
    }
    [one] = parse([thing("BGPPeer", "x", spec), thing("BFDProfile", "fast")]).peers
    assert (one.address, one.remote_asn, one.dynamic_asn, one.internal) == (None, None, "internal", True)
    assert (one.interface, one.place, one.vrf, one.bfd_profile) == ("eth1", "interface eth1", "red", "fast")
    assert one.shown_asn == 64999 and one.graceful_restart and one.dual_stack
    assert (one.restart_time, one.ttl_security_hops, one.passive) == (60, 2, True)


def test_a_number_that_is_shown_decides_whether_a_session_is_internal() -> None:
    [one] = parse([peer("x", localASN=64512)]).peers
    assert one.internal
    [two] = parse([peer("x", peerASN=64513, localASN=64999)]).peers
    assert not two.internal


# -- what can be is nothing to talk of -----------------------------------------------------------------------


def test_there_is_nothing_to_say_of_an_advertisement_for_layer_2() -> None:
    found = parse([thing("L2Advertisement", "x", {"interfaces": ["eth0"]})])
    assert found.problems == () and len(found.forms) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"vrf": "red"},
        {"localASN": 1},
        {"peerASN": None, "dynamicASN": "external"},
        {"peerAddress": None, "interface": "eth0"},
        {"enableGracefulRestart": True},
        {"dualStackAddressFamily": True},
        {"passive": True, "ttlSecurityHops": 1},
    ],
)
def test_there_is_nothing_to_say_of_what_a_session_can_be(fields: dict[str, Any]) -> None:
    assert said(parse([peer("x", **fields)])) == []


def test_a_name_may_stand_for_a_large_community() -> None:
    found = parse([community("c", wide="large:1:2:3"), advert("x", communities=["wide"])])
    assert only_advert(found).large_communities == {(1, 2, 3)}
    assert said(found) == []


def test_both_families_or_one_and_not_one_and_both() -> None:
    one, two = peer("x", disableMP=True), peer("x", disableMP=True, dualStackAddressFamily=True)
    assert said(parse([one])) == []
    assert said(parse([two])) == [("x", "spec.disableMP", Reason.EXCLUSIVE_FIELDS, Effect.INEFFECTIVE)]


@pytest.mark.parametrize(
    ("fields", "families"),
    [
        ({}, (4,)),
        ({"peerAddress": "2001:db8::1"}, (6,)),
        ({"dualStackAddressFamily": True}, (4, 6)),
        ({"peerAddress": None, "interface": "eth0"}, (4, 6)),
    ],
)
def test_a_session_carries_the_family_of_its_address_or_both(
    fields: dict[str, Any], families: tuple[int, ...]
) -> None:
    [one] = parse([peer("x", **fields)]).peers
    assert one.families == families


# -- communities by name -------------------------------------------------------------------------------------


def test_names_stand_for_communities_in_either_order_of_creation() -> None:
    names = community("names", transit="64512:7", wide="large:1:2:3")
    announcing = advert("a", communities=["transit", "64512:8", "wide"])
    for order in itertools.permutations([names, announcing, POOL]):
        found = grow(*order)
        one = only_advert(found)
        assert one.communities == {64512 << 16 | 7, 64512 << 16 | 8}
        assert one.large_communities == {(1, 2, 3)} and one.aliases == ()
        assert not found.refused


def test_an_advertisement_waits_for_the_name_that_it_uses() -> None:
    announcing = advert("a", communities=["transit"])
    found = parse([POOL, announcing, community("c", transfer="1:1")])
    assert said(found) == [("a", "spec.communities[0]", Reason.DANGLING_REFERENCE, Effect.REFUSED)]
    assert found.advertisements_for("default") == ()
    assert "did you mean transfer?" in found.problems[0].message


def test_a_community_that_is_deleted_leaves_the_advertisement_as_it_was() -> None:
    announcing = advert("a", communities=["transit"])
    before = parse([announcing, community("c", transit="1:1")])
    found = parse([announcing], previous=before)
    assert found.advertisements == before.advertisements
    assert found.stale == {found.problems[0].object}
    again = parse([announcing, community("other", transit="1:2")], previous=found)
    assert only_advert(again).communities == {1 << 16 | 2} and not again.problems


def test_a_community_that_becomes_bad_keeps_its_meaning() -> None:
    announcing = advert("a", communities=["transit"])
    before = parse([announcing, community("c", transit="1:1")])
    found = parse([announcing, community("c", transit="1:70000")], previous=before)
    assert found.advertisements == before.advertisements
    assert [ref.kind for ref in found.stale] == ["Community"]


def test_a_name_in_two_objects_belongs_to_the_older_one() -> None:
    old = community("b", transit="1:1")
    young = community("a", transit="1:2", other="1:3")
    old["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    young["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z"
    found = parse([young, old, advert("x", communities=["transit"])])
    assert said(found) == [("a", "spec.communities", Reason.DUPLICATE_ALIAS, Effect.REFUSED)]
    assert only_advert(found).communities == {1 << 16 | 1}
    assert "transit: in Community b too" in found.problems[0].message


def test_two_advertisements_that_mean_the_same_under_two_names_are_one_too_many() -> None:
    names = community("c", one="1:1", same="1:1")
    found = parse([names, advert("a", communities=["one"]), advert("b", communities=["same"])])
    assert said(found) == [("b", "spec", Reason.DUPLICATE_ADVERTISEMENT, Effect.REFUSED)]


# -- names that nothing has ----------------------------------------------------------------------------------

DANGLING = [
    (advert("x", ipAddressPools=["gone"]), "spec.ipAddressPools[0]"),
    (advert("x", peers=["gone"]), "spec.peers[0]"),
    (thing("L2Advertisement", "x", {"ipAddressPools": ["gone"]}), "spec.ipAddressPools[0]"),
    (peer("x", bfdProfile="gone"), "spec.bfdProfile"),
]


@pytest.mark.parametrize(("item", "field"), DANGLING)
def test_a_name_that_nothing_has_is_a_fault_and_refuses_nothing(item: Any, field: str) -> None:
    found = parse([item])
    faults = [(each.field, each.reason, each.effect) for each in found.problems]
    assert faults == [(field, Reason.DANGLING_REFERENCE, Effect.INEFFECTIVE)]
    assert len(found.forms) == 1


@pytest.mark.parametrize(("item", "field"), DANGLING)
def test_what_is_named_may_come_later(item: Any, field: str) -> None:
    later = [pool("gone", "10.7.0.0/24"), peer("gone", peerAddress="10.0.0.9"), thing("BFDProfile", "gone")]
    assert grow(item, *later).problems == ()


def test_a_profile_that_is_deleted_leaves_the_session_without_bfd() -> None:
    named = peer("x", bfdProfile="fast")
    before = parse([named, thing("BFDProfile", "fast")])
    found = parse([named], previous=before)
    assert found.peers == before.peers and found.bfd_profiles == () and not found.refused


# -- BFD echo ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "fields", "told"),
    [
        ({"echoMode": True}, {"peerAddress": "fd00::1"}, True),
        ({"echoMode": True}, {"peerAddress": "fd00::1", "dualStackAddressFamily": True}, True),
        ({"echoMode": True}, {"ebgpMultiHop": True}, True),
        ({"echoMode": True}, {"ttlSecurityHops": 1}, True),
        ({"echoMode": True}, {"ttlSecurityHops": 1, "peerASN": 64513}, False),
        ({"echoMode": True}, {"dualStackAddressFamily": True}, False),
        ({"echoMode": True}, {}, False),
        ({}, {"peerAddress": "fd00::1"}, False),
    ],
)
def test_echo_mode_is_for_ipv4_neighbors(profile: Any, fields: Any, told: bool) -> None:
    objects = [peer("x", bfdProfile="echo", **fields), thing("BFDProfile", "echo", profile)]
    for order in itertools.permutations(objects):
        reasons = [each.reason for each in parse(order).problems]
        assert reasons == ([Reason.ECHO_NOT_POSSIBLE] if told else [])
    assert not parse(objects).refused


# -- peers ---------------------------------------------------------------------------------------------------


def test_two_sessions_over_one_interface_clash() -> None:
    unnumbered = {"peerAddress": None, "interface": "eth0"}
    found = parse([peer("a", **unnumbered), peer("b", **unnumbered)])
    assert [each.field for each in found.refused] == ["spec.interface"]
    assert not parse([peer("a", **unnumbered), peer("b", **unnumbered, vrf="red")]).refused


def test_a_peer_in_both_versions_is_one_object() -> None:
    new = peer("x")
    old = {**new, "apiVersion": OLD_VERSIONS["BGPPeer"]}
    for order in ([new, old], [old, new]):
        found = parse(order)
        assert len(found.peers) == 1 and not found.problems
    different = {**peer("x", peerPort=1179), "apiVersion": OLD_VERSIONS["BGPPeer"]}
    assert [each.reason for each in parse([new, different]).refused] == [Reason.DUPLICATE_NAME]


def test_a_conflict_is_judged_the_same_when_it_is_judged_again() -> None:
    one, two = advert("one", localPref=1), advert("two", localPref=1, communities=["1:1"])
    one["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    two["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z"
    before = parse([POOL, one, two])
    changed = {**one, "spec": {"localPref": 2}}
    found = parse([POOL, changed, two], previous=before)
    assert [each.name for each in found.advertisements_for("default")] == ["one"]
    assert parse([POOL, changed, two], previous=found) == found
    assert parse([POOL, changed, two]) == found


RACK_A, RACK_B = ({"rack": "a"}, {"rack": "b"})


def on(**labels: str) -> list[dict[str, Any]]:
    return [{"matchLabels": labels}]


@pytest.mark.parametrize(
    ("one", "two", "nodes", "conflict"),
    [
        (on(rack="a"), on(disk="ssd"), None, True),
        (on(rack="a"), on(disk="ssd"), [RACK_A, RACK_B], False),
        (on(rack="a"), on(disk="ssd"), [{"rack": "a", "disk": "ssd"}], True),
        ([], on(rack="nobody"), [RACK_A, RACK_B], False),
        ([], on(rack="b"), [RACK_A, RACK_B], True),
        ([], on(rack="b"), [RACK_A], False),
        ([], [], [], False),
    ],
    ids=["unknown", "apart", "common", "selects nobody", "one of them", "one node's view", "no node at all"],
)
def test_advertisements_without_a_common_node_are_in_nobodys_way(
    one: Any, two: Any, nodes: Any, conflict: bool
) -> None:
    objects = [POOL, advert("a", localPref=100, nodeSelectors=one)]
    found = parse([*objects, advert("b", localPref=200, nodeSelectors=two)], nodes=nodes)
    announced = [each.name for each in found.advertisements_for("default")]
    assert announced == (["a"] if conflict else ["a", "b"])
    reasons = [Reason.CONFLICTING_ADVERTISEMENT] if conflict else []
    assert [each.reason for each in found.problems] == reasons
