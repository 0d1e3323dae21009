# SPDX-License-Identifier: GPL-3.0-or-later
"""MetalLB's old ConfigMap: what each key becomes, and what is said about what is wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipcast.model.configuration import Configuration
from vipcast.model.legacy import convert, object_name
from vipcast.model.legacy_objects import parse_both
from vipcast.model.problems import Problem
from vipcast.model.reasons import Effect, Reason

NAMESPACE = "metallb-system"
PEER = {"peer-address": "10.31.254.251", "peer-asn": 64512, "my-asn": 64513}
POOL = {"name": "default", "protocol": "bgp", "addresses": ["10.9.0.0/16"]}


def specs(document: Any, **options: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """The `spec` of every object, by kind and name; nothing may be wrong."""
    found = convert(document, **options)
    assert found.problems == ()
    return {(item["kind"], item["metadata"]["name"]): item["spec"] for item in found.objects}


def peer(**fields: Any) -> dict[str, Any]:
    return {**PEER, **{name.replace("_", "-"): value for name, value in fields.items()}}


def pool(**fields: Any) -> dict[str, Any]:
    return {**POOL, **{name.replace("_", "-"): value for name, value in fields.items()}}


def judged(document: Any) -> Configuration:
    return parse_both([], convert(document), namespace=NAMESPACE)


def told(problems: tuple[Problem, ...]) -> list[tuple[str, Reason]]:
    return [(problem.field, problem.reason) for problem in problems]


# -- what is good --------------------------------------------------------------------------------------------


def test_a_bgp_pool_and_its_peer_become_three_objects() -> None:
    assert specs({"peers": [peer(hold_time="120s")], "address-pools": [POOL]}) == {
        ("BGPPeer", "peer-10.31.254.251"): {
            "peerAddress": "10.31.254.251",
            "peerASN": 64512,
            "myASN": 64513,
            "holdTime": "120s",
        },
        ("BGPAdvertisement", "default-1"): {"ipAddressPools": ["default"]},
        ("IPAddressPool", "default"): {"addresses": ["10.9.0.0/16"]},
    }


def test_every_key_of_a_peer_has_its_field() -> None:
    document = peer(
        source_address="10.31.8.1",
        peer_port=1179,
        hold_time="30s",
        keepalive_time="10s",
        router_id="10.31.8.1",
        password="secret",
        bfd_profile="fast",
        ebgp_multihop=True,
        node_selectors=[
            {"match-labels": {"rack": 7}},
            {"match-expressions": [{"key": "zone", "operator": "In", "values": ["a", 2]}]},
        ],
    )
    found = specs({"peers": [document], "bfd-profiles": [{"name": "fast"}]})
    assert found["BGPPeer", "peer-10.31.254.251-1179"] == {
        "peerAddress": "10.31.254.251",
        "peerASN": 64512,
        "myASN": 64513,
        "sourceAddress": "10.31.8.1",
        "peerPort": 1179,
        "holdTime": "30s",
        "keepaliveTime": "10s",
        "routerID": "10.31.8.1",
        "password": "secret",
        "bfdProfile": "fast",
        "ebgpMultiHop": True,
        "nodeSelectors": [
            {"matchLabels": {"rack": "7"}},
            {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "2"]}]},
        ],
    }


def test_every_key_of_a_pool_has_its_field() -> None:
    advertisements = [
        {"aggregation-length": 32, "localpref": 100, "communities": ["mine", "64512:7"]},
        {"aggregation-length": 24, "aggregation-length-v6": 64},
    ]
    document = pool(avoid_buggy_ips=True, auto_assign=False, bgp_advertisements=advertisements)
    assert specs({"address-pools": [document], "bgp-communities": {"mine": "64512:10", "other": "1:2"}}) == {
        ("Community", "bgp-communities"): {
            "communities": [{"name": "mine", "value": "64512:10"}, {"name": "other", "value": "1:2"}]
        },
        ("BGPAdvertisement", "default-1"): {
            "ipAddressPools": ["default"],
            "aggregationLength": 32,
            "localPref": 100,
            "communities": ["mine", "64512:7"],
        },
        ("BGPAdvertisement", "default-2"): {
            "ipAddressPools": ["default"],
            "aggregationLength": 24,
            "aggregationLengthV6": 64,
        },
        ("IPAddressPool", "default"): {
            "addresses": ["10.9.0.0/16"],
            "avoidBuggyIPs": True,
            "autoAssign": False,
        },
    }


def test_a_layer_2_pool_is_announced_from_everywhere_and_not_by_bgp() -> None:
    found = specs({"address-pools": [pool(protocol="layer2")]})
    assert found == {
        ("L2Advertisement", "default"): {"ipAddressPools": ["default"]},
        ("IPAddressPool", "default"): {"addresses": ["10.9.0.0/16"]},
    }


def test_every_key_of_a_bfd_profile_has_its_field() -> None:
    document = {
        "name": "fast",
        "receive-interval": 280,
        "transmit-interval": 270,
        "detect-multiplier": 4,
        "echo-interval": 62,
        "echo-mode": False,
        "passive-mode": True,
        "minimum-ttl": 250,
    }
    assert specs({"bfd-profiles": [document]}) == {
        ("BFDProfile", "fast"): {
            "receiveInterval": 280,
            "transmitInterval": 270,
            "detectMultiplier": 4,
            "echoInterval": 62,
            "echoMode": False,
            "passiveMode": True,
            "minimumTtl": 250,
        }
    }


@pytest.mark.parametrize(
    ("said", "holds", "keeps"),
    [
        ({}, None, None),
        ({"hold-time": "90s"}, "90s", None),
        ({"hold-time": "1m30s"}, "1m30s", None),
        ({"hold-time": "4.9s"}, "4s", None),  # whole seconds count
        ({"hold-time": 0}, "0s", None),
        ({"hold-time": "0"}, "0s", None),
        ({"keepalive-time": "10s"}, "90s", "10s"),  # a BGPPeer alone would hold three times that
        ({"hold-time": "9s", "keepalive-time": "3s"}, "9s", "3s"),
    ],
)
def test_timers_mean_what_they_meant(said: dict[str, Any], holds: str | None, keeps: str | None) -> None:
    spec = specs({"peers": [{**PEER, **said}]})["BGPPeer", "peer-10.31.254.251"]
    assert (spec.get("holdTime"), spec.get("keepaliveTime")) == (holds, keeps)


def test_what_says_nothing_is_left_out_and_other_words_for_true_are_known() -> None:
    found = specs(
        {
            "peers": [peer(source_address="", password=None, peer_port=0, ebgp_multihop="no")],
            "address-pools": [pool(avoid_buggy_ips="Yes", auto_assign="off")],
        }
    )
    assert found["BGPPeer", "peer-10.31.254.251"].keys() == {
        "peerAddress",
        "peerASN",
        "myASN",
        "ebgpMultiHop",
    }
    assert found["BGPPeer", "peer-10.31.254.251"]["ebgpMultiHop"] is False
    assert found["IPAddressPool", "default"]["avoidBuggyIPs"] is True
    assert found["IPAddressPool", "default"]["autoAssign"] is False


def test_a_number_is_text_where_text_is_meant() -> None:
    found = specs({"peers": [peer(password=1234)], "address-pools": [pool(name=7)]})
    assert found["BGPPeer", "peer-10.31.254.251"]["password"] == "1234"
    assert ("IPAddressPool", "7") in found


def test_names_of_peers_tell_addresses_and_ports_and_are_never_the_same() -> None:
    peers = [
        PEER,
        peer(peer_port=1179),
        peer(node_selectors=[{"match-labels": {"rack": "b"}}]),
        peer(peer_address="2001:db8::1"),
        peer(peer_address="fe80::"),
    ]
    assert [name for _kind, name in specs({"peers": peers})] == [
        "peer-10.31.254.251",
        "peer-10.31.254.251-1179",
        "peer-10.31.254.251-2",
        "peer-2001-db8--1",
        "peer-fe80",
    ]


@pytest.mark.parametrize("nothing", [None, {}, {"peers": None, "address-pools": []}])
def test_nothing_is_nothing_and_right(nothing: Any) -> None:
    assert specs(nothing) == {}


def test_names_fit_kubernetes_where_that_is_asked_for() -> None:
    document = {
        "address-pools": [pool(name="My_Pool"), pool(name="fine", addresses=["10.10.0.0/16"])],
        "peers": [peer(bfd_profile="Fast One")],
        "bfd-profiles": [{"name": "Fast One"}],
    }
    found = convert(document, rename=object_name)
    assert [item["metadata"]["name"] for item in found.objects] == [
        "fast-one",
        "peer-10.31.254.251",
        "my-pool-1",
        "fine-1",
        "my-pool",
        "fine",
    ]
    assert [problem.effect for problem in found.problems] == [Effect.INEFFECTIVE] * 2
    assert "'My_Pool'" in found.problems[1].message
    assert not parse_both([], found).refused


@given(st.text())
def test_every_object_name_is_one(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", object_name(text))
    assert object_name(object_name(text)) == object_name(text)


# -- what is bad ---------------------------------------------------------------------------------------------

BAD = [
    ({"adress-pools": []}, "adress-pools", Reason.UNKNOWN_FIELD, "did you mean address-pools?"),
    ({"peers": [peer(bfdProfile="x")]}, "peers[0].bfdProfile", Reason.UNKNOWN_FIELD, "bfd-profile?"),
    (
        {"peers": [peer(node_selectors=[{"matchLabels": {}}])]},
        "peers[0].node-selectors[0].matchLabels",
        Reason.UNKNOWN_FIELD,
        "match-labels?",
    ),
    (
        {"peers": [peer(node_selectors=[{"match-expressions": [{"key": "a", "operator": "Is"}]}])]},
        "peers[0].node-selectors[0].match-expressions[0].operator",
        Reason.BAD_SELECTOR,
        "In, NotIn",
    ),
    ({"peers": [PEER, peer(my_asn=0)]}, "peers[1].my-asn", Reason.OUT_OF_RANGE, "from 1 to"),
    ({"peers": [{**PEER, "peer-asn": None}]}, "peers[0].peer-asn", Reason.MISSING_FIELD, "AS number"),
    ({"peers": [peer(peer_address="tor-1")]}, "peers[0].peer-address", Reason.BAD_ADDRESS, "'tor-1'"),
    ({"peers": [peer(peer_address=None)]}, "peers[0].peer-address", Reason.MISSING_FIELD, "required"),
    ({"peers": [peer(hold_time=90)]}, "peers[0].hold-time", Reason.BAD_DURATION, "write 90s"),
    ({"peers": [peer(hold_time="2s")]}, "peers[0].hold-time", Reason.BAD_TIMERS, "from 3s"),
    ({"peers": [peer(hold_time="500ms")]}, "peers[0].hold-time", Reason.BAD_TIMERS, "from 3s"),
    ({"peers": [peer(router_id="x")]}, "peers[0].router-id", Reason.BAD_ADDRESS, "'x'"),
    (
        {"peers": [peer(peer_asn=64513, ebgp_multihop=True)]},
        "peers[0].ebgp-multihop",
        Reason.EXCLUSIVE_FIELDS,
        "eBGP",
    ),
    ({"peers": [PEER, PEER]}, "peers[1].peer-address", Reason.DUPLICATE_PEER, "node selectors"),
    ({"peers": {}}, "peers", Reason.WRONG_TYPE, "should be a list"),
    ({"peers": ["10.0.0.1"]}, "peers[0]", Reason.WRONG_TYPE, "should be a mapping"),
    ({"address-pools": [pool(name=None)]}, "address-pools[0].name", Reason.MISSING_FIELD, "required"),
    ({"address-pools": [pool(protocol=None)]}, "address-pools[0].protocol", Reason.MISSING_FIELD, "bgp or"),
    (
        {"address-pools": [pool(protocol="layer-2")]},
        "address-pools[0].protocol",
        Reason.UNKNOWN_PROTOCOL,
        "did you mean layer2?",
    ),
    (
        {"address-pools": [pool(protocol="layer2", bgp_advertisements=[{"localpref": 1}])]},
        "address-pools[0].bgp-advertisements",
        Reason.EXCLUSIVE_FIELDS,
        "protocol bgp",
    ),
    (
        {"address-pools": [pool(addresses=["10.9.0.0/24", "10.9.1.0/33"])]},
        "address-pools[0].addresses[1]",
        Reason.BAD_ADDRESS,
        "0 to 32",
    ),
    (
        {"address-pools": [pool(addresses=None)]},
        "address-pools[0].addresses",
        Reason.MISSING_FIELD,
        "required",
    ),
    (
        {"address-pools": [POOL, pool(name="two", addresses=["10.9.4.0-10.9.4.9"])]},
        "address-pools[1].addresses",
        Reason.OVERLAPPING_ADDRESSES,
        "default",
    ),
    ({"address-pools": [POOL, POOL]}, "address-pools[1].name", Reason.DUPLICATE_NAME, "default"),
    (
        {"address-pools": [pool(bgp_advertisements=[{}, {"aggregation-length": 33}])]},
        "address-pools[0].bgp-advertisements[1].aggregation-length",
        Reason.OUT_OF_RANGE,
        "to 32",
    ),
    (
        {"address-pools": [pool(bgp_advertisements=[{"aggregation-length": 15}])]},
        "address-pools[0].bgp-advertisements[0].aggregation-length",
        Reason.AGGREGATION_TOO_SHORT,
        "/16 or longer",
    ),
    (
        {"address-pools": [pool(bgp_advertisements=[{"localpref": 1}, {"localpref": 1}])]},
        "address-pools[0].bgp-advertisements[1]",
        Reason.DUPLICATE_VALUE,
        "repeats",
    ),
    (
        {"address-pools": [pool(bgp_advertisements=[{"communities": ["mine"]}])]},
        "address-pools[0].bgp-advertisements[0].communities[0]",
        Reason.DANGLING_REFERENCE,
        "mine",
    ),
    ({"bgp-communities": {"mine": "1:70000"}}, "bgp-communities.mine", Reason.BAD_COMMUNITY, "65535"),
    ({"bgp-communities": {"mine": 17}}, "bgp-communities.mine", Reason.BAD_COMMUNITY, "64512:100"),
    ({"bgp-communities": {"a:b": "1:2"}}, "bgp-communities.a:b", Reason.BAD_NAME, "colon"),
    ({"bgp-communities": []}, "bgp-communities", Reason.WRONG_TYPE, "mapping"),
    (
        {"bfd-profiles": [{"name": "x", "receive-interval": 5}]},
        "bfd-profiles[0].receive-interval",
        Reason.OUT_OF_RANGE,
        "from 10",
    ),
    ([1, 2], "config", Reason.UNREADABLE, "a mapping with"),
]


@pytest.mark.parametrize(("document", "path", "reason", "words"), BAD)
def test_what_is_wrong_is_said_with_its_place_in_the_config_map(
    document: Any, path: str, reason: Reason, words: str
) -> None:
    (problem,) = judged(document).problems
    assert (problem.field, problem.reason) == (path, reason)
    assert words in problem.message
    assert str(problem.object) == "ConfigMap metallb-system/config"


GOOD: dict[str, Any] = {
    "peers": [peer(peer_address="10.0.0.9")],
    "address-pools": [pool(name="good", addresses=["192.0.2.0/24"])],
    "bgp-communities": {"good": "1:2"},
    "bfd-profiles": [{"name": "good"}],
}


def beside_good(document: dict[str, Any]) -> dict[str, Any]:
    """Good entries first, then the bad ones in the same sections."""
    found = {**GOOD, **document}
    for name in GOOD.keys() & document.keys():
        good, bad = GOOD[name], document[name]
        found[name] = [*good, *bad] if isinstance(good, list) else {**good, **bad}
    return found


@pytest.mark.parametrize(
    "document",
    [bad[0] for bad in BAD if isinstance(bad[0], dict) and bad[3] not in ("should be a list", "mapping")],
)
def test_what_is_wrong_takes_nothing_else_down(document: dict[str, Any]) -> None:
    found = judged(beside_good(document))
    assert found.refused or found.problems
    assert "good" in [each.name for each in found.pools]
    assert [each.name for each in found.advertisements_for("good")] == ["good-1"]
    assert "peer-10.0.0.9" in [each.name for each in found.peers]
    assert "good" in [each.name for each in found.bfd_profiles]
    assert found.communities[0].aliases["good"] == 1 << 16 | 2


@pytest.mark.parametrize("value", [{"a": "s3cret"}, ["s3cret"], 1.5, True])
def test_a_password_is_never_shown(value: Any) -> None:
    found = judged({"peers": [peer(password=value)]})
    assert told(found.problems) == [("peers[0].password", Reason.WRONG_TYPE)]
    assert "s3cret" not in found.problems[0].message and "1.5" not in found.problems[0].message


# -- a text with a mistake -----------------------------------------------------------------------------------

SECOND = {"name": "second", "protocol": "layer2", "addresses": ["10.8.0.0/24"]}
WHOLE = {"address-pools": [POOL, SECOND], "peers": [PEER], "bgp-communities": {"far": "64512:1"}}
MISTAKES: dict[str, dict[str, Any]] = {
    "a key of the first level": {"adress-pools": WHOLE["address-pools"], "peers": [PEER]},
    "a key of an entry": {"address-pools": [POOL], "peers": [{**PEER, "peer-adress": "10.0.0.1"}]},
    "a range": {"address-pools": [POOL, {**SECOND, "name": "renamed", "addresses": ["10.8.0.0/33"]}]},
    "a value": {"address-pools": [POOL], "peers": [{**PEER, "hold-time": "1s"}]},
    "a list that is none": {"peers": "none"},
    "one entry of another name": {"address-pools": [{**SECOND, "name": "new", "protocol": "arp"}]},
}


def names(found: Configuration) -> tuple[list[str], list[str], list[str]]:
    """Pools, peers and communities in force."""
    aliases = [alias for each in found.communities for alias in each.aliases]
    return sorted(each.name for each in found.pools), [each.name for each in found.peers], aliases


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_text_with_a_mistake_removes_nothing(mistake: str) -> None:
    good = convert(WHOLE)
    before = parse_both([], good, namespace=NAMESPACE)
    bad = convert(MISTAKES[mistake], previous=good)
    now = parse_both([], bad, namespace=NAMESPACE, previous=before)
    assert names(now) == names(before) == (["default", "second"], ["peer-10.31.254.251"], ["far"])
    assert now.pools == before.pools
    assert now.refused and bad.ref in now.stale
    again = convert(MISTAKES[mistake], previous=bad)
    assert names(parse_both([], again, namespace=NAMESPACE, previous=now)) == names(before)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_text_without_mistakes_removes_what_it_does_not_say(mistake: str) -> None:
    bad = convert(MISTAKES[mistake], previous=convert(WHOLE))
    left = convert({"address-pools": [POOL]}, previous=bad)
    found = parse_both([], left, namespace=NAMESPACE)
    assert names(found) == (["default"], [], [])
    assert not found.problems and not left.kept


def test_what_a_text_with_a_mistake_says_new_is_in_force_where_nothing_is_in_its_way() -> None:
    good = convert({"address-pools": [POOL]})
    other = {**SECOND, "name": "other"}
    taken = {**POOL, "name": "taken"}
    bad = convert({"address-pools": [other, taken], "peer": []}, previous=good)
    before = parse_both([], good, namespace=NAMESPACE)
    found = parse_both([], bad, namespace=NAMESPACE, previous=before)
    assert names(found)[0] == ["default", "other"]
    assert Reason.OVERLAPPING_ADDRESSES in {each.reason for each in found.refused}


def test_without_anything_before_a_mistake_keeps_nothing() -> None:
    found = convert(MISTAKES["a key of the first level"])
    assert not found.kept
    assert [each.section for each in found.entries] == ["peers"]
