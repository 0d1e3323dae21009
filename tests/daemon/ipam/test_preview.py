# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what would become of each service, and why."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vipcast.daemon.legacy import read_config_map
from vipcast.ipam import Allocation, Allocator, Refusal, Request
from vipcast.ipam.preview import Change, Preview, Row, preview
from vipcast.ipam.service import ALLOCATED_FROM
from vipcast.ipam.snapshot import Source, combine

Json = dict[str, Any]
_count = itertools.count(1)


def pool(name: str, *addresses: str, uid: str = "", **spec: Any) -> Json:
    metadata = {"name": name, "namespace": "metallb-system", **({"uid": uid} if uid else {})}
    spec = {"addresses": list(addresses), **spec}
    return {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": metadata, "spec": spec}


def service(name: str, *shown: str, live: bool = True, annotations: Json | None = None, **spec: Any) -> Json:
    """One of the cluster, younger than those before; `live=False` for one that is not there yet."""
    metadata: Json = {"name": name, "namespace": "web", "annotations": annotations or {}}
    full: Json = {"type": "LoadBalancer", "ports": [{"port": 80}], **spec}
    item: Json = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": full}
    if live:
        number = next(_count)
        metadata |= {
            "uid": f"uid-{number}",
            "creationTimestamp": f"2026-01-01T{number // 60:02}:{number % 60:02}:00Z",
        }
        full.setdefault("clusterIPs", ["10.96.0.1"])
        item["status"] = {"loadBalancer": {"ingress": [{"ip": each} for each in shown]}}
    return item


def plan(*objects: Json, pools: list[Json] | None = None, lb_class: str | None = None) -> Preview:
    """`pools`: these and no others, instead of those among the objects."""
    sources = [Source("now.yml", objects)]
    if pools is not None:
        sources.append(Source("pools.yml", pools, whole=True))
    return preview(combine(sources), lb_class=lb_class)


def rows(found: Preview) -> dict[str, Row]:
    return {row.key[1]: row for row in found.rows}


def seen(found: Preview) -> dict[str, tuple[str, str]]:
    """Return what happens to each, and what it has then."""
    return {row.key[1]: (row.change.value, ",".join(row.after)) for row in found.rows}


def test_who_has_an_address_keeps_it_and_others_get_the_first_free() -> None:
    waiting, serving = service("a"), service("b", "10.0.0.0")
    found = plan(pool("one", "10.0.0.0/30"), waiting, serving)
    assert seen(found) == {"a": ("assigned", "10.0.0.1"), "b": ("kept", "10.0.0.0")}
    assert [(each.pool, each.family, each.used, each.free) for each in found.usage] == [("one", 4, 2, 2)]
    assert found.good
    assert rows(found)["a"].reason == "AutomaticPool"
    assert rows(found)["b"].reason == "Kept"


def test_a_smaller_pool_moves_or_drops_and_says_which_address_is_gone() -> None:
    services = [service("a", "10.0.0.3"), service("b", "10.0.0.2"), service("c", "10.0.0.0")]
    found = plan(pool("one", "10.0.0.0/30"), *services, pools=[pool("one", "10.0.0.0/31")])
    assert seen(found) == {"a": ("moved", "10.0.0.1"), "b": ("lost", ""), "c": ("kept", "10.0.0.0")}
    assert rows(found)["a"].why.startswith("10.0.0.3 is in no pool")
    assert "instead: first free address of pool one" in rows(found)["a"].why
    assert rows(found)["b"].reason == "PoolExhausted"
    assert "10.0.0.2 is in no pool" in rows(found)["b"].why
    assert not found.good


def test_a_renamed_pool_moves_nothing() -> None:
    known = service("a", "10.0.0.3", annotations={ALLOCATED_FROM: "one"})
    found = plan(pool("one", "10.0.0.0/30", uid="1"), known, pools=[pool("two", "10.0.0.0/30")])
    assert seen(found) == {"a": ("kept", "10.0.0.3")}
    assert (rows(found)["a"].pool_before, rows(found)["a"].pool) == ("one", "two")
    assert found.good


def test_what_is_freed_goes_to_the_oldest_that_waits() -> None:
    losing = service("z", "10.0.0.0", clusterIPs=["fd00::1"])
    found = plan(pool("one", "10.0.0.0/32"), service("b"), service("a"), losing)
    assert seen(found) == {"a": ("waits", ""), "b": ("assigned", "10.0.0.0"), "z": ("lost", "")}


def test_which_freed_address_it_is_may_not_be_certain() -> None:
    six = {"clusterIPs": ["fd00::1"]}
    losing = [service("a", "10.0.0.0", **six), service("b", "10.0.0.1", **six)]
    found = plan(pool("one", "10.0.0.0/31"), *losing, service("c"), service("d"))
    assert [rows(found)[name].certain for name in "abcd"] == [True, True, False, False]
    assert "depends on which one is free first" in rows(found)["c"].why


def test_another_class_is_not_ours_and_keeps_its_address_occupied() -> None:
    other = service("a", "10.0.0.0", loadBalancerClass="x")
    found = plan(pool("one", "10.0.0.0/31"), other, service("b"))
    assert seen(found) == {"a": ("not ours", "10.0.0.0"), "b": ("assigned", "10.0.0.1")}
    turned = plan(pool("one", "10.0.0.0/31"), other, service("b"), lb_class="x")
    assert seen(turned) == {"a": ("kept", "10.0.0.0"), "b": ("not ours", "")}


def test_services_of_other_types_are_no_rows() -> None:
    found = plan(pool("one", "10.0.0.0/31"), service("a", type="ClusterIP"))
    assert found.rows == ()


@pytest.mark.parametrize(
    ("spec", "annotations", "reason", "words"),
    [
        ({"loadBalancerIP": "10.0.1.1"}, {}, "RequestedAddress", "asked for by spec.loadBalancerIP"),
        (
            {},
            {"metallb.universe.tf/loadBalancerIPs": "10.0.1.1"},
            "RequestedAddress",
            "asked for by the annotation metallb.universe.tf/loadBalancerIPs",
        ),
        (
            {},
            {"metallb.io/address-pool": "two"},
            "RequestedPool",
            "first free address of pool two; asked for by the annotation metallb.io/address-pool",
        ),
        ({}, {}, "PinnedPool", "its serviceAllocation allows the service (priority 7)"),
        (
            {"ipFamilies": ["IPv6"]},
            {},
            "AutomaticPool",
            "first free address of pool six; tried before: three (no IPv6), one (no IPv6)",
        ),
        (
            {"ipFamilyPolicy": "PreferDualStack"},
            {"metallb.io/address-pool": "two"},
            "RequestedPool",
            "PreferDualStack, but the pool has no free IPv6 address",
        ),
        ({}, {"metallb.io/allow-shared-ip": "k"}, "PinnedPool", "shared with web/sharer (key 'k')"),
    ],
)
def test_the_rule_is_named(spec: Json, annotations: Json, reason: str, words: str) -> None:
    sharer = service(
        "sharer", "10.0.2.0", annotations={"metallb.io/allow-shared-ip": "k"}, ports=[{"port": 1}]
    )
    found = plan(
        pool("one", "10.0.0.0/30"),
        pool("two", "10.0.1.0/30", autoAssign=False),
        pool("three", "10.0.2.0/30", serviceAllocation={"priority": 7, "namespaces": ["web"]}),
        pool("six", "fd00::/120"),
        sharer,
        service("a", live=False, annotations=annotations, **spec),
    )
    assert rows(found)["a"].reason == reason
    assert words in rows(found)["a"].why


def test_a_full_pool_was_tried_before() -> None:
    found = plan(
        pool("a-full", "10.0.0.0/32"), pool("b", "10.0.1.0/30"), service("x", "10.0.0.0"), service("y")
    )
    assert rows(found)["y"].why == "first free address of pool b; tried before: a-full (full)"


def test_dual_stack_gets_the_other_family_in_its_pool() -> None:
    both = {"clusterIPs": ["10.96.0.1", "fd00::1"], "ipFamilyPolicy": "PreferDualStack"}
    known = service("a", "10.0.0.1", **both)
    found = plan(pool("one", "10.0.0.0/30", "fd00:1::/126"), known)
    assert seen(found) == {"a": ("extended", "10.0.0.1,fd00:1::")}
    assert found.good


def test_a_status_that_makes_no_sense_is_repaired() -> None:
    known = service("a")
    known["status"] = {"loadBalancer": {"ingress": [{"hostname": "a.example"}]}}
    found = plan(pool("one", "10.0.0.0/30"), known)
    row = rows(found)["a"]
    assert (row.before, row.after, row.change) == (("a.example",), ("10.0.0.0",), Change.MOVED)
    assert "was not given by the controller" in row.why


def test_a_bad_pool_leaves_the_clusters_form_in_force() -> None:
    known = service("a", "10.0.0.1")
    found = plan(
        pool("one", "10.0.0.0/30", uid="1"), known, pools=[pool("one", "10.0.0.0/30", "10.0.0.9-10.0.0.8")]
    )
    assert seen(found) == {"a": ("kept", "10.0.0.1")}
    assert [problem.field for problem in found.problems] == ["spec.addresses[1]"]
    assert not found.good


def config_map(text: str, uid: str = "") -> Json:
    metadata = {"name": "config", "namespace": "metallb-system", **({"uid": uid} if uid else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config": text}}


OLD_POOLS = """
peers: [{peer-address: 10.0.0.1}]
address-pools:
- {name: old, protocol: layer2, addresses: [10.0.0.0/30]}
- {name: two, protocol: layer2, addresses: [10.0.2.0/30]}
"""


def plan_old(*sources: list[Json], whole: list[Json] | None = None) -> Preview:
    given = [Source(str(number), objects) for number, objects in enumerate(sources)]
    given += [] if whole is None else [Source("whole", whole, whole=True)]
    return preview(combine(given, config_map=("metallb-system", "config")), read=read_config_map)


def test_pools_of_the_old_config_map_count_and_problems_of_its_peers_do_not() -> None:
    found = plan_old([config_map(OLD_POOLS), service("a", "10.0.0.2"), service("b")])
    assert seen(found) == {"a": ("kept", "10.0.0.2"), "b": ("assigned", "10.0.0.0")}
    assert found.problems == ()


def test_an_object_takes_the_place_of_the_config_maps_pool_of_that_name() -> None:
    found = plan_old([config_map(OLD_POOLS), service("a", "10.0.0.2")], [pool("old", "10.0.1.0/30")])
    assert seen(found) == {"a": ("moved", "10.0.1.0")}
    assert "ConfigMap" in str(found.problems[0])


def test_objects_instead_of_the_config_map_may_move_nothing() -> None:
    known = service("a", "10.0.0.2")
    found = plan_old([config_map(OLD_POOLS, uid="1"), known], whole=[pool("new", "10.0.0.0/30")])
    assert seen(found) == {"a": ("kept", "10.0.0.2")}
    assert found.good
    assert [each.pool for each in found.usage] == ["new"]


@pytest.mark.parametrize("bad", ["address-pools: [", OLD_POOLS.replace("10.0.0.0/30", "10.0.0.0/x")])
def test_a_config_map_that_becomes_bad_stays_as_it_was(bad: str) -> None:
    found = plan_old([config_map(OLD_POOLS, uid="1"), service("a", "10.0.0.2")], [config_map(bad)])
    assert seen(found) == {"a": ("kept", "10.0.0.2")}
    assert not found.good


def test_labels_of_namespaces_count_and_those_that_are_not_known_are_a_note() -> None:
    pinned = pool(
        "one", "10.0.0.0/30", serviceAllocation={"namespaceSelectors": [{"matchLabels": {"team": "a"}}]}
    )
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "web", "labels": {"team": "a"}},
    }
    assert seen(plan(pinned, namespace, service("a"))) == {"a": ("assigned", "10.0.0.0")}
    found = plan(pinned, service("a"))
    assert seen(found) == {"a": ("waits", "")}
    assert any("web" in note for note in found.notes)


def test_a_namespace_is_selected_by_its_name_as_the_api_server_labels_it() -> None:
    label = {"kubernetes.io/metadata.name": "web"}
    pinned = pool("one", "10.0.0.0/30", serviceAllocation={"namespaceSelectors": [{"matchLabels": label}]})
    assert seen(plan(pinned, service("a"))) == {"a": ("assigned", "10.0.0.0")}


def test_new_services_come_last_in_the_order_of_the_files() -> None:
    new = [service("z", live=False), service("y", live=False)]
    found = plan(pool("one", "10.0.0.0/30"), *new, service("x"))
    assert [rows(found)[name].after for name in "xzy"] == [("10.0.0.0",), ("10.0.0.1",), ("10.0.0.2",)]
    assert any("assumed" in note for note in found.notes)


def test_the_document_is_plain() -> None:
    document = plan(pool("one", "10.0.0.0/31"), service("a")).document()
    (row,) = document["services"]
    assert row["after"] == {"addresses": ["10.0.0.0"], "pool": "one"}
    assert row["before"] == {"addresses": [], "pool": None}
    assert document["pools"] == [{"pool": "one", "family": 4, "used": 1, "free": 1}]


def test_nothing_is_a_preview_too() -> None:
    assert plan().rows == ()
    assert seen(plan(service("a"))) == {"a": ("waits", "")}


_LEAVES = (
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "x", "10.0.0.1", "fd00::1", "IPv6"])
)
_NAMES = ("name", "namespace", "uid", "creationTimestamp", "labels", "annotations", "type", "ports", "port")
_MORE = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "loadBalancerIP", "ingress", "ip")
_ANYTHING = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(_NAMES + _MORE), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"apiVersion": st.just("v1"), "kind": st.sampled_from(["Service", "Namespace"])},
            optional={"metadata": _ANYTHING, "spec": _ANYTHING, "status": _ANYTHING},
        ),
        max_size=3,
    )
)
@settings(max_examples=300, deadline=None)
def test_nothing_that_a_file_may_say_raises(objects: list[Json]) -> None:
    typed = [{**item, "spec": {"type": "LoadBalancer", **_mapping(item.get("spec"))}} for item in objects]
    plan(pool("one", "10.0.0.0/30"), *objects, *typed)


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def test_a_pool_that_goes_costs_as_many_decisions_as_there_are_services(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each that shares waits in a line of its own; none of them is tried again for what is of no pool."""
    asked: list[object] = []
    allocate = Allocator.allocate

    def counted(self: Allocator, request: Request) -> Allocation | Refusal:
        asked.append(request)
        return allocate(self, request)

    monkeypatch.setattr(Allocator, "allocate", counted)
    keys = [{"metallb.io/allow-shared-ip": f"k{number}"} for number in range(50)]
    losing = [service(f"s{number}", f"10.0.0.{number}", annotations=key) for number, key in enumerate(keys)]
    assert len(plan(*losing, pool("one", "10.0.1.0/32")).with_(Change.LOST)) == 49
    # The plan is made twice. Each is decided at the start, and one is served while the others wait.
    assert len(asked) <= 2 * 3 * len(losing)


SHARE = {"metallb.io/allow-shared-ip": "k"}
ENDS = {
    "the policy": {"externalTrafficPolicy": "Local", "selector": {"app": "a"}},
    "a port": {"ports": [{"port": 443}]},
}


@pytest.mark.parametrize("end", [*ENDS, "the key"])
def test_who_is_edited_so_that_sharing_ends_moves_and_the_other_stays(end: str) -> None:
    older = service("older", "10.0.0.0", annotations=SHARE)
    other = service("other", "10.0.0.0", annotations=SHARE, ports=[{"port": 443}])
    edited = {**older, "spec": {**older["spec"], **ENDS.get(end, {})}}
    annotations = {} if end == "the key" else SHARE
    edited["metadata"] = {"name": "older", "namespace": "web", "annotations": annotations}
    now = Source("now.yml", [pool("p", "10.0.0.0/30", uid="1"), older, other])
    found = rows(preview(combine([now, Source("change.yml", [edited])])))
    assert (found["other"].change, found["other"].after) == (Change.KEPT, ("10.0.0.0",))
    assert (found["older"].change, found["older"].after) == (Change.MOVED, ("10.0.0.1",))
    assert all(row.certain for row in found.values())


def test_a_change_of_pools_and_services_together_is_certain_only_if_their_order_does_not_matter() -> None:
    first = service("first", "10.0.0.0")
    edited = {**first, "metadata": {"name": "first", "namespace": "web", "annotations": {}}}
    edited["spec"] = {**first["spec"], "loadBalancerIP": "10.0.1.0"}
    now = Source("now.yml", [pool("p", "10.0.0.0/30", uid="1"), first])
    found = rows(preview(combine([now, Source("change.yml", [edited, pool("q", "10.0.1.0/30")])])))
    assert (found["first"].after, found["first"].certain) == (("10.0.1.0",), True)


def test_a_request_that_can_not_be_met_is_no_good_plan_though_nothing_moves() -> None:
    kept = service("kept", "10.0.0.0", loadBalancerIP="10.9.9.9")
    found = plan(pool("p", "10.0.0.0/30", uid="1"), kept)
    row = rows(found)["kept"]
    assert (row.change, row.after, row.reason) == (Change.KEPT, ("10.0.0.0",), "AddressNotInAnyPool")
    assert "it keeps what it has" in row.why
    assert row.unmet and not found.good


def test_services_of_two_namespaces_share_unless_that_is_limited() -> None:
    one = service("one", annotations=SHARE)
    two = service("two", annotations=SHARE, ports=[{"port": 443}])
    two["metadata"]["namespace"] = "other"
    snapshot = combine([Source("now.yml", [pool("p", "10.0.0.0/30"), one, two])])
    assert rows(preview(snapshot))["two"].after == ("10.0.0.0",)
    assert rows(preview(snapshot, within_namespace=True))["two"].after == ("10.0.0.1",)
