# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.objects import advert, community, peer, pool, said, thing

from vipcast.model.addresses import parse_address
from vipcast.model.configuration import VERSIONS, Configuration, parse
from vipcast.model.reasons import Effect, Reason


def preferred(**fields: Any) -> dict[str, Any]:
    return thing("L2Advertisement", "x", {"preferredNodeSelectors": [fields]})


PREFERRED = "spec.preferredNodeSelectors[0]"


def names(parts: Any) -> list[str]:
    return [part.name for part in parts]


def test_a_whole_configuration_is_read() -> None:
    found = parse([pool("default", "10.9.0.0/16"), peer("router", holdTime="9s"), advert("all")])
    assert found.problems == ()
    assert names(found.pools) == ["default"] and names(found.advertisements_for("default")) == ["all"]
    [router] = found.peers
    assert router.address == parse_address("10.31.254.251")
    assert (router.local_asn, router.remote_asn, router.port) == (64513, 64512, 179)
    assert (router.timers.hold, router.timers.keepalive) == (9.0, 3.0)


@pytest.mark.parametrize(
    ("fields", "hold", "keepalive"),
    [
        ({}, 90.0, 30.0),
        ({"holdTime": "30s"}, 30.0, 10.0),
        ({"keepaliveTime": "7s"}, 21.0, 7.0),
        ({"holdTime": "1m30s", "keepaliveTime": "90s"}, 90.0, 90.0),
        ({"holdTime": "0s"}, 0.0, 0.0),
        ({"keepaliveTime": "0s"}, 90.0, 30.0),
        ({"holdTime": "9s", "keepaliveTime": "0s"}, 9.0, 3.0),
        ({"holdTime": "4500ms"}, 4.0, 4 / 3),
        ({"keepaliveTime": "2500ms"}, 7.0, 2.5),
    ],
)
def test_timers_complete_each_other(fields: Any, hold: float, keepalive: float) -> None:
    [router] = parse([peer("router", **fields)]).peers
    assert (router.timers.hold, router.timers.keepalive) == (hold, keepalive)


def test_a_password_is_never_shown() -> None:
    [router] = parse([peer("router", password="geheim")]).peers
    assert router.password == "geheim"
    assert "geheim" not in repr(router)


REFUSED = [
    (pool("x", "10.9.0.1"), "spec.addresses[0]", Reason.BAD_ADDRESS),
    (pool("x", "10.9.0.0/16", "10.9.1.0/24"), "spec.addresses[1]", Reason.OVERLAPPING_ADDRESSES),
    (pool("x"), "spec.addresses", Reason.MISSING_FIELD),
    (thing("IPAddressPool", "x", {"addresses": "10.9.0.0/16"}), "spec.addresses", Reason.WRONG_TYPE),
    (
        thing("IPAddressPool", "x", {"addresses": ["10.0.0.0/8"], "autoassign": False}),
        "spec.autoassign",
        Reason.UNKNOWN_FIELD,
    ),
    (peer("x", holdTime="2s"), "spec.holdTime", Reason.BAD_TIMERS),
    (peer("x", holdTime="soon"), "spec.holdTime", Reason.BAD_DURATION),
    (peer("x", keepaliveTime="91s", holdTime="90s"), "spec.keepaliveTime", Reason.BAD_TIMERS),
    (peer("x", connectTime="0s"), "spec.connectTime", Reason.BAD_TIMERS),
    (peer("x", keepaliveTime="999ms", holdTime="9s"), "spec.keepaliveTime", Reason.BAD_TIMERS),
    (
        peer("x", enableGracefulRestart=True, gracefulRestartTime="5000s"),
        "spec.gracefulRestartTime",
        Reason.BAD_TIMERS,
    ),
    (
        peer("x", enableGracefulRestart=True, gracefulRestartTime="9" * 310 + "s"),
        "spec.gracefulRestartTime",
        Reason.BAD_DURATION,
    ),
    (peer("x", holdTime="9" * 310 + "s"), "spec.holdTime", Reason.BAD_DURATION),
    (peer("x", myASN=23456), "spec.myASN", Reason.OUT_OF_RANGE),
    (peer("x", peerASN=23456), "spec.peerASN", Reason.OUT_OF_RANGE),
    (peer("x", localASN=23456), "spec.localASN", Reason.OUT_OF_RANGE),
    (
        peer("x", peerAddress="", interface="eth1", sourceAddress="192.0.2.9"),
        "spec.sourceAddress",
        Reason.EXCLUSIVE_FIELDS,
    ),
    (peer("x", myASN=0), "spec.myASN", Reason.OUT_OF_RANGE),
    (peer("x", peerASN=True), "spec.peerASN", Reason.WRONG_TYPE),
    (peer("x", sourceAddress="fd00::1"), "spec.sourceAddress", Reason.BAD_ADDRESS),
    (peer("x", password="a", passwordSecret={"name": "b"}), "spec.password", Reason.EXCLUSIVE_FIELDS),
    (
        peer("x", passwordSecret={"namespace": "lb"}),
        "spec.passwordSecret.name",
        Reason.MISSING_FIELD,
    ),
    (
        peer("x", passwordSecret={"name": "a", "namespace": "elsewhere"}),
        "spec.passwordSecret.namespace",
        Reason.WRONG_NAMESPACE,
    ),
    (peer("x", peerASN=64513, ebgpMultiHop=True), "spec.ebgpMultiHop", Reason.EXCLUSIVE_FIELDS),
    (peer("x", vrf="a/b"), "spec.vrf", Reason.BAD_NAME),
    (peer("x", localASN=0), "spec.localASN", Reason.OUT_OF_RANGE),
    (peer("x", dynamicASN="any"), "spec.dynamicASN", Reason.OUT_OF_RANGE),
    (peer("x", dynamicASN="internal"), "spec.peerASN", Reason.EXCLUSIVE_FIELDS),
    (peer("x", peerASN=None), "spec.peerASN", Reason.MISSING_FIELD),
    (peer("x", interface="eth0"), "spec.peerAddress", Reason.EXCLUSIVE_FIELDS),
    (peer("x", peerAddress=""), "spec.peerAddress", Reason.MISSING_FIELD),
    (
        peer("x", peerASN=None, dynamicASN="internal", ebgpMultiHop=True),
        "spec.ebgpMultiHop",
        Reason.EXCLUSIVE_FIELDS,
    ),
    (advert("x", communities=["no-export"]), "spec.communities[0]", Reason.DANGLING_REFERENCE),
    (advert("x", communities=["large:1:2"]), "spec.communities[0]", Reason.BAD_COMMUNITY),
    (advert("x", communities=["large:1:2:4294967296"]), "spec.communities[0]", Reason.BAD_COMMUNITY),
    (advert("x", communities=["1:70000"]), "spec.communities[0]", Reason.BAD_COMMUNITY),
    (advert("x", peers=["a", "a"]), "spec.peers[1]", Reason.DUPLICATE_VALUE),
    (
        advert("x", aggregationLength=24, serviceSelectors=[{}]),
        "spec.serviceSelectors",
        Reason.EXCLUSIVE_FIELDS,
    ),
    ({**peer("x"), "apiVersion": "metallb.io/v1"}, "apiVersion", Reason.UNSUPPORTED),
    ({**pool("x"), "apiVersion": "metallb.io/v1beta2"}, "apiVersion", Reason.UNSUPPORTED),
    (thing("L2Advertisement", "x", {"interfaces": ["a b"]}), "spec.interfaces[0]", Reason.BAD_NAME),
    (preferred(weight=0, preference={}), f"{PREFERRED}.weight", Reason.OUT_OF_RANGE),
    (preferred(weight=1), f"{PREFERRED}.preference", Reason.MISSING_FIELD),
    (thing("BFDProfile", "x", {"receiveInterval": 9}), "spec.receiveInterval", Reason.OUT_OF_RANGE),
    (thing("BFDProfile", "x", {"detectMultiplier": 1}), "spec.detectMultiplier", Reason.OUT_OF_RANGE),
    (thing("BFDProfile", "x", {"minimumTtl": 255}), "spec.minimumTtl", Reason.OUT_OF_RANGE),
    (community("x", a="1:2:3"), "spec.communities[0].value", Reason.BAD_COMMUNITY),
    (community("x", **{"a:b": "1:2"}), "spec.communities[0].name", Reason.BAD_NAME),
    (
        thing(
            "Community", "x", {"communities": [{"name": "a", "value": "1:1"}, {"name": "a", "value": "1:2"}]}
        ),
        "spec.communities[1].name",
        Reason.DUPLICATE_ALIAS,
    ),
    ({**pool("x"), "kind": "IPAdressPool"}, "kind", Reason.UNKNOWN_KIND),
]


@pytest.mark.parametrize(("item", "field", "reason"), REFUSED)
def test_a_bad_object_is_refused_by_name_and_good_ones_stay(item: Any, field: str, reason: Reason) -> None:
    good = [pool("good", "192.0.2.0/24"), peer("good", peerAddress="192.0.2.1"), advert("good", localPref=7)]
    found = parse([*good, item])
    assert ("x", field, reason, Effect.REFUSED) in said(found)
    assert names(found.pools) == names(found.peers) == names(found.advertisements) == ["good"]
    assert not found.layer2_advertisements and not found.bfd_profiles and not found.communities


def test_of_overlapping_pools_the_older_one_is_in_force() -> None:
    young = pool("a", "10.0.0.0/24", creationTimestamp="2026-01-02T00:00:00Z")
    old = pool("b", "10.0.0.128/25", creationTimestamp="2026-01-01T00:00:00Z")
    found = parse([young, old])
    assert names(found.pools) == ["b"]
    assert said(found) == [("a", "spec.addresses", Reason.OVERLAPPING_ADDRESSES, Effect.REFUSED)]
    assert "10.0.0.128/25 of IPAddressPool b" in found.problems[0].message


def test_a_refused_field_that_no_part_has_leaves_the_object_in_force_as_it_was() -> None:
    before = parse([peer("router")])
    found = parse([peer("router", vfr="red")], previous=before)
    assert (found.peers, len(found.stale)) == (before.peers, 1)


def test_an_object_that_became_bad_stays_in_force_as_it_was() -> None:
    before = parse([pool("a", "10.0.0.0/24"), pool("b", "10.0.1.0/24")])
    found = parse([pool("a", "nonsense"), pool("b", "10.0.1.0/24")], previous=before)
    assert found.pools == before.pools
    assert [ref.name for ref in found.stale] == ["a"]


def test_an_object_that_was_changed_onto_another_does_not_take_that_one_down() -> None:
    before = parse([pool("a", "10.0.0.0/24"), pool("b", "10.0.1.0/24")])
    found = parse([pool("a", "10.0.1.0/24"), pool("b", "10.0.1.0/24")], previous=before)
    assert found.pools == before.pools
    again = parse([pool("a", "10.0.1.0/24"), pool("b", "10.0.1.0/24")], previous=found)
    assert (again.pools, again.stale) == (found.pools, found.stale)


def test_two_pools_may_change_places_in_one_step() -> None:
    before = parse([pool("a", "10.0.0.0/24"), pool("b", "10.0.1.0/24")])
    found = parse([pool("a", "10.0.1.0/24"), pool("b", "10.0.0.0/24")], previous=before)
    assert found.problems == ()


def test_a_deleted_object_is_not_kept() -> None:
    before = parse([pool("a", "10.0.0.0/24")])
    assert parse([], previous=before).pools == ()


def test_two_peers_with_one_address_need_nodes_that_exclude_each_other() -> None:
    assert said(parse([peer("a"), peer("b")])) == [
        ("b", "spec.peerAddress", Reason.DUPLICATE_PEER, Effect.REFUSED)
    ]
    racks = [{"nodeSelectors": [{"matchLabels": {"rack": rack}}]} for rack in "12"]
    assert parse([peer("a", **racks[0]), peer("b", **racks[1])]).problems == ()
    assert parse([peer("a"), peer("b", peerPort=1179)]).problems == ()


def test_a_name_that_nothing_has_is_no_reason_to_refuse() -> None:
    found = parse([pool("default", "10.0.0.0/24"), advert("a", ipAddressPools=["defualt"], peers=["tor"])])
    assert [(field, effect) for _name, field, _message, effect in said(found)] == [
        ("spec.ipAddressPools[0]", Effect.INEFFECTIVE),
        ("spec.peers[0]", Effect.INEFFECTIVE),
    ]
    assert "did you mean default?" in found.problems[0].message
    assert found.advertisements_for("default") == ()


CONFLICTS = [
    ({"localPref": 1}, {"localPref": 2}, True),
    ({"med": 1}, {"med": 2}, True),
    ({"med": 0}, {}, True),
    ({"med": 0}, {"med": 0, "communities": ["1:1"]}, False),
    ({"asPathPrepend": 1}, {}, True),
    ({"asPathPrepend": 0}, {"communities": ["1:1"]}, False),
    ({"asPathPrepend": 1, "peers": ["a"]}, {"asPathPrepend": 2, "peers": ["b"]}, False),
    ({"localPref": 1}, {"localPref": 1, "communities": ["1:1"]}, False),
    ({"localPref": 1}, {"localPref": 2, "aggregationLength": 24}, False),
    ({"localPref": 1, "peers": ["a"]}, {"localPref": 2, "peers": ["b"]}, False),
    ({"localPref": 1, "peers": ["a"]}, {"localPref": 2}, True),
    ({"localPref": 1, "ipAddressPools": ["default"]}, {"localPref": 2, "ipAddressPools": ["other"]}, False),
    (
        {"localPref": 1, "nodeSelectors": [{"matchLabels": {"r": "1"}}]},
        {"localPref": 2, "nodeSelectors": [{"matchLabels": {"r": "2"}}]},
        False,
    ),
    ({"localPref": 1}, {"localPref": 2, "serviceSelectors": [{"matchLabels": {"a": "b"}}]}, False),
]


@pytest.mark.parametrize(("one", "two", "conflict"), CONFLICTS)
def test_two_preferences_for_one_prefix_conflict(one: Any, two: Any, conflict: bool) -> None:
    peers = [peer("a"), peer("b", peerAddress="10.0.0.2")]
    found = parse(
        [
            pool("default", "10.1.0.0/16"),
            pool("other", "10.2.0.0/16"),
            *peers,
            advert("one", **one),
            advert("two", **two),
        ]
    )
    conflicts = [item for item in said(found) if item[2] is Reason.CONFLICTING_ADVERTISEMENT]
    assert bool(conflicts) is conflict
    assert names(found.advertisements) == ["one", "two"]
    assert ("two" in names(found.advertisements_for("default"))) is (
        not conflict and two.get("ipAddressPools") != ["other"]
    )


def test_in_a_pool_of_both_families_both_lengths_must_differ() -> None:
    both = pool("default", "10.1.0.0/16", "fd00::/64")
    one, two = advert("one", localPref=1), advert("two", localPref=2, aggregationLength=24)
    assert said(parse([both, one, two]))[0][2] is Reason.CONFLICTING_ADVERTISEMENT
    two["spec"]["aggregationLengthV6"] = 96
    assert parse([both, one, two]).problems == ()


@pytest.mark.parametrize(("length", "announced"), [(24, False), (25, False), (26, True), (32, True)])
def test_an_aggregate_stays_inside_the_entry_of_its_pool(length: int, announced: bool) -> None:
    found = parse([pool("default", "3.3.3.2-3.3.3.254"), advert("a", aggregationLength=length)])
    assert bool(found.advertisements_for("default")) is announced
    assert bool(found.problems) is not announced


def test_an_advertisement_that_is_too_wide_for_one_pool_announces_the_other() -> None:
    found = parse(
        [pool("small", "10.0.0.0/28"), pool("large", "10.1.0.0/16"), advert("a", aggregationLength=24)]
    )
    assert names(found.advertisements_for("large")) == ["a"]
    assert found.advertisements_for("small") == ()


def test_pools_are_selected_by_their_labels() -> None:
    labelled = pool("a", "10.0.0.0/24", labels={"tier": "gold"})
    chosen = advert("gold", ipAddressPoolSelectors=[{"matchLabels": {"tier": "gold"}}])
    found = parse([labelled, pool("b", "10.0.1.0/24"), chosen])
    assert names(found.advertisements_for("a")) == ["gold"]
    assert found.advertisements_for("b") == ()


def test_pools_for_certain_services_come_first_by_priority() -> None:
    def at(name: str, number: int, priority: int | None) -> dict[str, Any]:
        allocation = {} if priority is None else {"serviceAllocation": {"priority": priority}}
        return thing("IPAddressPool", name, {"addresses": [f"10.0.{number}.0/24"], **allocation})

    found = parse(
        [at("plain", 1, None), at("zero", 2, 0), at("ten", 3, 10), at("five", 4, 5), at("also", 5, None)]
    )
    assert names(found.pools) == ["five", "ten", "zero", "also", "plain"]


def test_the_same_advertisement_twice_is_one_too_many() -> None:
    found = parse([advert("a", localPref=1), advert("b", localPref=1)])
    assert said(found) == [("b", "spec", Reason.DUPLICATE_ADVERTISEMENT, Effect.REFUSED)]


def test_two_objects_of_one_name_are_one_too_many() -> None:
    found = parse([pool("a", "10.0.0.0/24"), pool("a", "10.0.1.0/24")])
    assert len(found.pools) == 1
    assert found.problems[0].reason is Reason.DUPLICATE_NAME


def test_only_the_configurations_namespace_counts() -> None:
    found = parse([pool("a", "10.0.0.0/24", namespace="web")], namespace="lb")
    assert found.pools == ()
    assert found.problems[0].reason is Reason.WRONG_NAMESPACE


OBJECTS = [
    pool("a", "10.0.0.0/24", creationTimestamp="2026-01-01T00:00:00Z"),
    pool("b", "10.0.0.0/25", creationTimestamp="2026-01-02T00:00:00Z"),
    pool("c", "bad"),
    peer("a"),
    peer("b"),
    advert("a", localPref=1),
    advert("b", localPref=2),
    advert("c", localPref=1),
]


@given(st.integers(0, 2**32))
def test_the_order_of_objects_means_nothing(seed: int) -> None:
    shuffled = list(OBJECTS)
    random.Random(seed).shuffle(shuffled)
    assert parse(shuffled) == parse(OBJECTS)


PLAIN = st.sampled_from([None, True, -1, 2**40, "", "-", "/", "10.0.0.0/8", "a-b", "90s", "1:1", "\u0663"])
INNER = ["priority", "namespaces", "serviceSelectors", "other", "name", "value", "weight", "preference"]
INNER += ["matchLabels", "matchExpressions", "key", "operator", "values", "type", "status", "inForce"]
JUNK = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(INNER), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [
    "addresses",
    "serviceAllocation",
    "myASN",
    "peerASN",
    "dynamicASN",
    "peerAddress",
    "interface",
    "vrf",
]
FIELDS += [
    "holdTime",
    "nodeSelectors",
    "communities",
    "interfaces",
    "preferredNodeSelectors",
    "passwordSecret",
]
FIELDS += ["receiveInterval", "minimumTtl", "echoMode", "bfdProfile", "enableGracefulRestart", "localASN"]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.sampled_from(sorted(VERSIONS)),
    JUNK | st.dictionaries(st.sampled_from(FIELDS), JUNK),
    JUNK | st.dictionaries(st.sampled_from(["inForce", "conditions"]), JUNK),
)
def test_nothing_that_an_object_says_can_break_the_reader(kind: str, spec: Any, status: Any) -> None:
    item = {**thing(kind, "x"), "spec": spec, "status": status}
    found = parse([item, pool("good", "192.0.2.0/24")])
    assert "good" in names(found.pools)
    assert parse([item, pool("good", "192.0.2.0/24")], previous=found) == found


@pytest.mark.parametrize(
    "kind", ["BGPSessionState", "ConfigurationState", "ServiceL2Status", "ServiceBGPStatus"]
)
def test_what_the_load_balancer_writes_is_no_part_of_the_configuration(kind: str) -> None:
    assert parse([{**pool("x"), "kind": kind}]) == Configuration()


def nested(depth: int) -> Any:
    found: Any = "\\"
    for _level in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize("depth", [5, 36, 400, 5000])
@pytest.mark.parametrize("place", ["addresses", "serviceAllocation", "extra"])
def test_lists_in_each_other_cost_little_and_are_refused(depth: int, place: str) -> None:
    """A backslash is there because it doubles in each text of a text."""
    value = {"namespaces": [nested(depth)]} if place == "serviceAllocation" else [nested(depth)]
    found = parse([pool("good", "10.9.0.0/24"), thing("IPAddressPool", "bad", {place: value})])
    assert [each.name for each in found.pools] == ["good"]
    assert found.refused and {each.object.name for each in found.problems} == {"bad"}
    assert sum(len(str(each)) for each in found.problems) < 4000


LONG = "\x01" * 100_000


@pytest.mark.parametrize(
    "item",
    [
        pool("bad", LONG),
        pool("bad", f"10.0.0.0/{'1' * 100_000}"),
        thing("IPAddressPool", "bad", {"addresses": ["10.0.0.0/24"], LONG: 1}),
        thing("IPAddressPool", "bad", {"addresses": [{"x": [LONG] * 10}]}),
        thing("IPAddressPool", "bad", {"addresses": LONG}),
        thing("BGPPeer", "bad", {"myASN": 64513, "peerASN": 64512, "peerAddress": LONG}),
        thing("BGPPeer", "bad", {"myASN": 64513, "peerASN": 64512, "interface": LONG}),
        thing(
            "BGPPeer", "bad", {"myASN": 64513, "peerASN": 64512, "peerAddress": "10.0.0.1", "holdTime": LONG}
        ),
        thing("BGPAdvertisement", "bad", {"communities": [LONG]}),
        thing("BGPAdvertisement", "bad", {"communities": [LONG + ":"]}),
        thing("BGPAdvertisement", "bad", {"ipAddressPools": [LONG]}),
        thing(
            "BGPAdvertisement",
            "bad",
            {"nodeSelectors": [{"matchExpressions": [{"key": "a", "operator": LONG}]}]},
        ),
        thing("BGPAdvertisement", "bad", {"nodeSelectors": [{LONG: LONG}]}),
        thing("Community", "bad", {"communities": [{"name": LONG, "value": LONG}]}),
        {**pool("bad", "10.0.0.0/24"), "kind": LONG},
        {**pool("bad", "10.0.0.0/24"), "apiVersion": LONG},
        {**pool("bad", "10.0.0.0/24"), "metadata": {"name": LONG, "namespace": LONG, "labels": {LONG: 1}}},
    ],
)
def test_whatever_an_object_says_what_is_said_of_it_stays_short(item: dict[str, Any]) -> None:
    found = parse([item], namespace="lb")
    assert found.problems
    for problem in found.problems:
        assert len(problem.message) <= 1024 and len(problem.field) <= 253
        assert len(str(problem)) <= 3000
        assert "\x01" not in problem.message
