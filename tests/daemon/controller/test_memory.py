# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that what was in force survives restarts: it is in the objects, for whoever reads them."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.objects import advert, community, peer, pool, thing

from vipcast.controller.conditions import status_patch
from vipcast.model.configuration import Configuration, parse

NOW = "2026-01-02T03:04:05Z"
Key = tuple[str, str]


class Cluster:
    """The objects as an API server keeps them, and a controller that goes on or starts anew."""

    def __init__(self) -> None:
        self.objects: dict[Key, dict[str, Any]] = {}
        self.configuration: Configuration | None = None
        self._made = 0

    def put(self, item: dict[str, Any]) -> None:
        """Make or change an object; its status is the controller's."""
        key = (item["kind"], item["metadata"]["name"])
        present = self.objects.get(key)
        if present is None:
            self._made += 1
            created = f"2026-01-01T00:{self._made // 60:02}:{self._made % 60:02}Z"
            item["metadata"] |= {"uid": str(self._made), "creationTimestamp": created, "generation": 1}
            self.objects[key] = item
        elif present["spec"] != item["spec"]:
            present["spec"] = item["spec"]
            present["metadata"]["generation"] += 1

    def delete(self, key: Key) -> None:
        self.objects.pop(key, None)

    def reconcile(self) -> Configuration:
        """Judge everything and write what is to be written."""
        self.configuration = parse(self.objects.values(), previous=self.configuration)
        for item in self.objects.values():
            patch = status_patch(item, self.configuration, {}, NOW)
            if patch is not None:
                item["status"] = _merged(item.get("status", {}), patch["status"])
        return self.configuration

    def went_through(self, *items: dict[str, Any]) -> Configuration:
        """One change after the other, each judged."""
        for item in items:
            self.put(item)
            found = self.reconcile()
        return found

    def anew(self) -> Configuration:
        """Return what somebody makes of it who has never seen it before."""
        return parse(copy.deepcopy(list(self.objects.values())))


def _merged(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        found[name] = _merged(found.get(name), value)
    return {name: value for name, value in found.items() if value is not None}


def test_a_pool_that_was_moved_onto_another_does_not_win_by_a_restart() -> None:
    cluster = Cluster()
    cluster.put(pool("old", "10.0.0.0/24"))
    cluster.put(pool("young", "10.0.1.0/24"))
    before = cluster.reconcile()
    cluster.put(pool("old", "10.0.1.0/24"))
    assert cluster.reconcile().pools == before.pools
    assert cluster.anew().pools == before.pools, "the younger pool was in force, so it stays"


def test_a_name_means_what_it_meant_when_its_community_has_gone_and_the_controller_starts_anew() -> None:
    cluster = Cluster()
    cluster.put(community("c", transit="1:1", wide="large:1:2:3"))
    cluster.put(advert("a", communities=["transit", "64512:8", "wide"]))
    before = cluster.reconcile()
    cluster.delete(("Community", "c"))
    cluster.reconcile()
    assert cluster.objects["BGPAdvertisement", "a"]["status"]["inForce"] == {
        "communities": ["1:1", "64512:8", "large:1:2:3"]
    }
    assert cluster.anew().advertisements == before.advertisements


def test_an_object_that_was_made_anew_does_not_inherit() -> None:
    cluster = Cluster()
    cluster.put(pool("a", "10.0.0.0/24"))
    cluster.reconcile()
    cluster.delete(("IPAddressPool", "a"))
    cluster.put(pool("a", "nonsense"))
    assert cluster.reconcile().pools == ()


def test_labels_of_now_count_for_an_object_that_stays_as_it_was() -> None:
    chosen = {"ipAddressPoolSelectors": [{"matchLabels": {"tier": "gold"}}]}
    cluster = Cluster()
    cluster.put(pool("a", "10.0.0.0/24"))
    cluster.put(advert("gold", **chosen))
    cluster.reconcile()
    cluster.put(pool("a", "nonsense"))
    cluster.objects["IPAddressPool", "a"]["metadata"]["labels"] = {"tier": "gold"}
    for found in (cluster.reconcile(), cluster.anew()):
        assert [each.name for each in found.advertisements_for("a")] == ["gold"]


def test_what_is_in_force_in_an_earlier_form_is_not_taken_down_by_another_change() -> None:
    cluster = Cluster()
    cluster.put(pool("a", "10.0.1.0/24"))
    cluster.put(pool("b", "10.0.0.0/24"))
    cluster.reconcile()
    cluster.put(pool("b", "10.0.1.0/24"))  # it stays what it was
    before = cluster.reconcile()
    cluster.put(pool("a", "10.0.0.0/24", "10.0.1.0/24"))
    found = cluster.reconcile()
    assert found.pools == before.pools
    assert {problem.object.name for problem in found.problems} == {"a", "b"}
    assert cluster.anew() == found


def test_two_pools_may_change_places() -> None:
    cluster = Cluster()
    cluster.put(pool("a", "10.0.0.0/24"))
    cluster.put(pool("b", "10.0.1.0/24"))
    cluster.reconcile()
    cluster.put(pool("a", "10.0.1.0/24"))
    cluster.put(pool("b", "10.0.0.0/24"))
    assert cluster.reconcile().problems == ()


def test_who_made_room_for_another_is_judged_by_what_is_in_force_in_the_end() -> None:
    """The last change lets c say what it has long been meant to; b says the same, and is told so."""
    cluster = Cluster()
    first = (advert("b", localPref=3), advert("c", localPref=1), advert("a", localPref=2))
    found = cluster.went_through(*first, advert("c", localPref=2), advert("b", localPref=2))
    assert {problem.object.name for problem in found.problems} == {"b", "c"}
    found = cluster.went_through(advert("a", localPref=1))
    assert {each.name: each.local_pref for each in found.advertisements} == {"a": 1, "b": 3, "c": 2}
    (problem,) = found.problems
    assert problem.object.name == "b"
    assert problem.message == "says the same as BGPAdvertisement c; remove one of them"
    assert cluster.anew() == found


def test_of_several_that_a_pool_overlaps_the_oldest_is_named_each_time() -> None:
    cluster = Cluster()
    first = (pool("b", "fd00::/120"), pool("c", "10.0.0.128/25"))
    refused = (pool("b", "10.0.1.0/24", "10.0.0.128/25"), pool("c", "10.0.1.0/24", "fd00::/120"))
    found = cluster.went_through(*first, *refused, pool("a", "10.0.1.0/24"))
    (problem,) = found.problems_of("IPAddressPool", "b")
    assert "of IPAddressPool c" in problem.message
    assert cluster.anew() == found


NAMES = st.sampled_from(["a", "b", "c"])
RANGES = ["10.0.0.0/24", "10.0.0.128/25", "10.0.1.0/24", "fd00::/120", "nonsense"]
ITEMS = st.one_of(
    st.builds(pool, NAMES, st.sampled_from(RANGES)),
    st.builds(pool, NAMES, st.sampled_from(RANGES), st.sampled_from(RANGES)),
    st.builds(
        lambda name, last, port, restart: peer(
            name, peerAddress=f"10.9.0.{last}", peerPort=port, enableGracefulRestart=restart
        ),
        NAMES,
        st.sampled_from([1, 2, 999]),
        st.sampled_from([179, 1179]),
        st.booleans(),
    ),
    st.builds(
        lambda name, preference, alias: advert(name, localPref=preference, communities=[alias]),
        NAMES,
        st.sampled_from([1, 2]),
        st.sampled_from(["x", "y", "1:1", "1:70000"]),
    ),
    st.builds(
        lambda name, alias, value: community(name, **{alias: value}),
        NAMES,
        st.sampled_from(["x", "y"]),
        st.sampled_from(["1:1", "1:2", "large:1:2:3", "bad"]),
    ),
    st.builds(
        lambda name, interval: thing("BFDProfile", name, {"receiveInterval": interval}),
        NAMES,
        st.sampled_from([1, 100, 200]),
    ),
    st.builds(
        lambda name, device: thing("L2Advertisement", name, {"interfaces": [device]}),
        NAMES,
        st.sampled_from(["eth0", "eth1", "a b"]),
    ),
)
KINDS = st.sampled_from(
    ["IPAddressPool", "BGPPeer", "BGPAdvertisement", "Community", "BFDProfile", "L2Advertisement"]
)
STEPS = st.lists(st.one_of(ITEMS, ITEMS, ITEMS, st.tuples(KINDS, NAMES)), max_size=30)


@settings(deadline=None, max_examples=300)
@given(STEPS)
def test_whoever_starts_anew_comes_to_the_same_configuration(steps: list[Any]) -> None:
    cluster = Cluster()
    for step in steps:
        if isinstance(step, tuple):
            cluster.delete(step)
        else:
            cluster.put(copy.deepcopy(step))
        found = cluster.reconcile()
        assert cluster.anew() == found
        assert parse(cluster.objects.values(), previous=found) == found, "judging again changes nothing"


@settings(deadline=None, max_examples=100)
@given(STEPS)
def test_what_is_in_force_is_never_taken_down_by_a_change_of_something_else(steps: list[Any]) -> None:
    cluster = Cluster()
    for step in steps:
        before = cluster.reconcile()
        touched = step if isinstance(step, tuple) else (step["kind"], step["metadata"]["name"])
        if isinstance(step, tuple):
            cluster.delete(step)
        else:
            cluster.put(copy.deepcopy(step))
        after = cluster.reconcile()
        kept = {ref for ref in before.forms if (ref.kind, ref.name) != touched}
        assert kept <= after.forms.keys()
