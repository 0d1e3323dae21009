# SPDX-License-Identifier: GPL-3.0-or-later
"""MetalLB's old ConfigMap as it changes, beside objects, and with anything at all in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipcast.model.configuration import Configuration, parse
from vipcast.model.legacy import convert
from vipcast.model.legacy_objects import Conversion, parse_both
from vipcast.model.problems import Problem
from vipcast.model.reasons import Reason

NAMESPACE = "metallb-system"
PEER = {"peer-address": "10.31.254.251", "peer-asn": 64512, "my-asn": 64513}
POOL = {"name": "default", "protocol": "bgp", "addresses": ["10.9.0.0/16"]}


def peer(**fields: Any) -> dict[str, Any]:
    return {**PEER, **{name.replace("_", "-"): value for name, value in fields.items()}}


def pool(**fields: Any) -> dict[str, Any]:
    return {**POOL, **{name.replace("_", "-"): value for name, value in fields.items()}}


def told(problems: tuple[Problem, ...]) -> list[tuple[str, Reason]]:
    return [(problem.field, problem.reason) for problem in problems]


# -- what stays ----------------------------------------------------------------------------------------------


class Following:
    """A ConfigMap that changes."""

    def __init__(self) -> None:
        self.conversion: Conversion | None = None
        self.configuration: Configuration | None = None

    def says(self, document: Any, *objects: dict[str, Any]) -> Configuration:
        self.conversion = convert(document, previous=self.conversion)
        self.configuration = parse_both(
            objects, self.conversion, previous=self.configuration, namespace=NAMESPACE
        )
        return self.configuration


def test_a_bad_entry_stays_as_it_was_while_others_change() -> None:
    config = Following()
    config.says({"address-pools": [POOL, pool(name="two", addresses=["10.10.0.0/16"])], "peers": [PEER]})
    found = config.says(
        {
            "address-pools": [
                pool(protocol="bpg", addresses=["192.0.2.0/24"]),
                pool(name="two", addresses=["10.11.0.0/16"]),
            ],
            "peers": [peer(my_asn="many")],
        }
    )
    assert [str(each.ranges[0]) for each in found.pools] == ["10.9.0.0/16", "10.11.0.0/16"]
    assert [each.local_asn for each in found.peers] == [64513]
    assert [each.name for each in found.advertisements] == ["default-1", "two-1"]
    assert told(found.problems) == [
        ("address-pools[0].protocol", Reason.UNKNOWN_PROTOCOL),
        ("peers[0].my-asn", Reason.WRONG_TYPE),
    ]
    assert [str(ref) for ref in found.stale] == ["ConfigMap metallb-system/config"]
    found = config.says({"address-pools": [POOL]})
    assert found.stale == frozenset() and found.problems == ()
    assert [each.name for each in found.pools] == ["default"] and not found.peers


def test_an_entry_that_lost_its_name_stays_at_its_place() -> None:
    config = Following()
    config.says({"peers": [PEER, peer(peer_address="10.0.0.2")]})
    found = config.says({"peers": [PEER, peer(peer_address="10.0.0.")]})
    assert [each.name for each in found.peers] == ["peer-10.0.0.2", "peer-10.31.254.251"]
    # Moved to the first place by its name: what was there before is gone, when no mistake is left.
    found = config.says({"peers": [peer(peer_address="10.0.0.2"), peer(peer_address="10.0.0.")]})
    assert [each.name for each in found.peers] == ["peer-10.0.0.2", "peer-10.31.254.251"]
    found = config.says({"peers": [peer(peer_address="10.0.0.2")]})
    assert [each.name for each in found.peers] == ["peer-10.0.0.2"]


@pytest.mark.parametrize("section", ["peers", "address-pools", "bgp-communities", "bfd-profiles"])
def test_a_section_that_is_not_one_stays_as_it_was(section: str) -> None:
    good = {
        "peers": [peer(bfd_profile="fast")],
        "address-pools": [pool(bgp_advertisements=[{"communities": ["mine"]}])],
        "bgp-communities": {"mine": "64512:10"},
        "bfd-profiles": [{"name": "fast"}],
    }
    config = Following()
    before = config.says(good)
    after = config.says({**good, section: 7})
    for part in ("pools", "peers", "advertisements", "communities", "bfd_profiles"):
        assert getattr(after, part) == getattr(before, part)
    assert (section, Reason.WRONG_TYPE) in told(after.problems)


def test_a_bad_community_leaves_the_others_and_its_own_last_value() -> None:
    config = Following()
    config.says({"bgp-communities": {"a": "1:1", "b": "1:2"}})
    found = config.says({"bgp-communities": {"a": "1:x", "b": "1:3", "c": "x"}})
    assert found.communities[0].aliases == {"a": 1 << 16 | 1, "b": 1 << 16 | 3}


# -- beside objects ------------------------------------------------------------------------------------------


def thing(kind: str, name: str, spec: dict[str, Any], created: str = "") -> dict[str, Any]:
    version = "v1beta2" if kind == "BGPPeer" else "v1beta1"
    metadata = {"name": name, "namespace": NAMESPACE, "creationTimestamp": created}
    return {"apiVersion": f"metallb.io/{version}", "kind": kind, "metadata": metadata, "spec": spec}


def test_an_object_takes_the_place_of_the_entry_of_its_name() -> None:
    config = Following()
    document = {"address-pools": [POOL], "bgp-communities": {"mine": "1:1", "yours": "1:2"}}
    config.says(document)
    found = config.says(
        document,
        thing("IPAddressPool", "default", {"addresses": ["192.0.2.0/24"]}),
        thing("Community", "own", {"communities": [{"name": "mine", "value": "2:2"}]}),
    )
    assert [str(each.ranges[0]) for each in found.pools] == ["192.0.2.0/24"]
    assert found.advertisements == ()  # they were of the ConfigMap's pool
    assert [each.aliases for each in found.communities] == [{"yours": 65538}, {"mine": 131074}]
    assert told(found.problems) == [
        ("address-pools[0]", Reason.DUPLICATE_NAME),
        ("bgp-communities.mine", Reason.DUPLICATE_NAME),
    ]


def test_an_advertisement_of_its_name_takes_the_place_of_that_alone() -> None:
    advertisement = thing("BGPAdvertisement", "default-1", {"ipAddressPools": ["default"], "localPref": 7})
    found = Following().says({"address-pools": [POOL]}, advertisement)
    assert [each.name for each in found.pools] == ["default"]
    assert [each.local_pref for each in found.advertisements_for("default")] == [7]
    assert told(found.problems) == [("address-pools[0]", Reason.DUPLICATE_NAME)]


def test_an_object_elsewhere_takes_nobodys_place() -> None:
    other = thing("IPAddressPool", "default", {"addresses": ["192.0.2.0/24"]})
    other["metadata"]["namespace"] = "elsewhere"
    found = Following().says({"address-pools": [POOL]}, other)
    assert [str(each.ranges[0]) for each in found.pools] == ["10.9.0.0/16"]
    assert told(found.problems) == [("metadata.namespace", Reason.WRONG_NAMESPACE)]


def test_the_objects_of_a_config_map_take_over_one_after_another_without_a_gap() -> None:
    document = {
        "peers": [PEER],
        "address-pools": [pool(bgp_advertisements=[{"communities": ["mine"]}])],
        "bgp-communities": {"mine": "64512:10"},
    }
    config = Following()
    wanted = config.says(document)
    objects = convert(document).objects
    for number in range(1, len(objects) + 1):
        found = config.says(document, *objects[:number])
        assert found.pools == wanted.pools and found.peers == wanted.peers
        assert found.announcements == wanted.announcements
    assert config.says(None, *objects).announcements == wanted.announcements


def test_the_older_of_two_sources_keeps_addresses_that_both_want() -> None:
    younger = thing("IPAddressPool", "a", {"addresses": ["10.9.1.0/24"]}, created="2026-02-02T00:00:00Z")
    conversion = convert({"address-pools": [POOL]}, created="2026-01-01T00:00:00Z")
    found = parse_both([younger], conversion, namespace=NAMESPACE)
    assert [each.name for each in found.pools] == ["default"]
    conversion = convert({"address-pools": [POOL]}, created="2026-03-03T00:00:00Z")
    found = parse_both([younger], conversion, namespace=NAMESPACE)
    assert [each.name for each in found.pools] == ["a"]


def test_without_a_config_map_the_objects_alone_count() -> None:
    objects = [thing("IPAddressPool", "a", {"addresses": ["10.9.1.0/24"]})]
    assert parse_both(objects, None, namespace=NAMESPACE) == parse(objects, namespace=NAMESPACE)


# -- anything at all -----------------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 70000),
    st.sampled_from(["", "10.9.0.0/16", "10.0.0.1", "90s", "bgp", "layer2", "1:2", "mine", "fe80::1", "x"]),
)
KEYS = st.sampled_from(
    (
        *(
            "name",
            "protocol",
            "addresses",
            "avoid-buggy-ips",
            "auto-assign",
            "bgp-advertisements",
            "communities",
        ),
        *("localpref", "aggregation-length", "my-asn", "peer-asn", "peer-address", "peer-port", "hold-time"),
        *("keepalive-time", "router-id", "source-address", "password", "bfd-profile", "node-selectors"),
        *("match-labels", "match-expressions", "key", "operator", "values", "receive-interval", "adress"),
    )
)


def inside(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)


VALUES = st.recursive(SCALARS, inside, max_leaves=12)
ENTRIES = st.lists(st.dictionaries(KEYS, VALUES, max_size=8) | VALUES, max_size=3) | VALUES
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "peers": ENTRIES,
        "address-pools": ENTRIES,
        "bfd-profiles": ENTRIES,
        "bgp-communities": st.dictionaries(st.sampled_from(["mine", "a:b", ""]), SCALARS) | VALUES,
        "pears": VALUES,
    },
)


@given(DOCUMENTS | VALUES, DOCUMENTS | VALUES)
def test_whatever_it_says_it_is_judged_and_its_objects_are_judged_the_same(first: Any, second: Any) -> None:
    config = Following()
    config.says(first)
    found = config.says(second)
    assert all(str(problem.object) == "ConfigMap metallb-system/config" for problem in found.problems)

    alone = convert(second)
    from_map = parse_both([], alone, namespace=NAMESPACE)
    from_objects = parse(alone.objects, namespace=NAMESPACE)
    for part in ("pools", "peers", "advertisements", "layer2_advertisements", "bfd_profiles", "communities"):
        assert getattr(from_map, part) == getattr(from_objects, part)
    assert len(from_map.problems) == len(from_objects.problems) + len(alone.problems)
