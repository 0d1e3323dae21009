# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from vipcast.controller.conditions import MAX_MESSAGE, _together, configuration_state, counters, status_patch
from vipcast.controller.metrics import Metrics
from vipcast.daemon.metrics import Registry
from vipcast.ipam import Allocator, Request
from vipcast.ipam.decide import Decider
from vipcast.model.configuration import VERSIONS, Configuration, parse
from vipcast.model.problems import ObjectRef, Problem
from vipcast.model.reasons import Effect, Reason

NOW = "2026-01-02T03:04:05Z"
ROOT = Path(__file__).parents[3]


def pool(name: str, *addresses: str, created: str = "") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "lb", "uid": name, "generation": 3, "creationTimestamp": created}
    spec = {"addresses": list(addresses)}
    return {
        "apiVersion": VERSIONS["IPAddressPool"],
        "kind": "IPAddressPool",
        "metadata": metadata,
        "spec": spec,
    }


def told(item: dict[str, Any], *others: dict[str, Any]) -> dict[str, tuple[str, str]]:
    patch = status_patch(item, parse([item, *others]), {}, NOW)
    assert patch is not None
    return {each["type"]: (each["status"], each["reason"]) for each in patch["status"]["conditions"]}


def test_a_good_object_is_accepted_and_fully_effective() -> None:
    assert told(pool("a", "10.0.0.0/24")) == {
        "Accepted": ("True", "Accepted"),
        "FullyEffective": ("True", "FullyEffective"),
    }


def test_a_refused_object_says_why() -> None:
    younger = pool("b", "10.0.0.0/25", created="2026-01-02T00:00:00Z")
    older = pool("a", "10.0.0.0/24", created="2026-01-01T00:00:00Z")
    assert told(younger, older)["Accepted"] == ("False", "OverlappingAddresses")
    assert told(older, younger)["Accepted"] == ("True", "Accepted")


def test_more_problems_than_a_condition_has_room_for_are_counted() -> None:
    """Such a status would be refused whole, for ever."""
    allowed = longest("ipaddresspools", "IPAddressPool")
    assert allowed == MAX_MESSAGE
    block = "2001:0db8:0000:0000:0000:0000"
    spelled = [f"{block}:0000:0001-{block}:{number:04x}:ffff" for number in range(400)]
    item = pool("b", *spelled)
    configuration = parse([item])
    problems = configuration.problems_of("IPAddressPool", "b")
    patch = status_patch(item, configuration, {}, NOW)
    assert patch is not None
    for condition in patch["status"]["conditions"]:
        message = condition["message"]
        assert len(message) <= allowed
        told, _and, more = message.rpartition("; and ")
        assert int(more.split()[0]) + told.count("spec.addresses") == len(problems) > 100


def longest(plural: str, kind: str) -> int:
    """Return how long the definition allows a condition's message to be."""
    text = (ROOT / f"roles/load_balancer/files/crds/{plural}.yml").read_text(encoding="utf-8")
    found = {int(each) for each in re.findall(r"maxLength: (\d+)", text) if int(each) > 10_000}
    assert len(found) == 1, f"{kind}: {found}"
    return found.pop()


def test_one_problem_that_is_too_long_is_cut() -> None:
    ref = ObjectRef("IPAddressPool", "lb", "a", "")
    problem = Problem(ref, "spec.addresses", Reason.UNSUPPORTED, "x" * 50_000, Effect.REFUSED)
    text = _together([problem], 1000)
    assert len(text) <= 1000 and text.endswith("...")
    text = _together([problem, problem, problem], 1000)
    assert len(text) <= 1000 and text.endswith("...; and 2 more")


def test_what_is_said_already_is_not_written_again() -> None:
    item, counts = pool("a", "10.0.0.0/24"), {"assignedIPv4": 1}
    configuration = parse([item])
    patch = status_patch(item, configuration, counts, NOW)
    assert patch is not None
    item["status"] = patch["status"]
    assert status_patch(item, configuration, counts, "2027-01-01T00:00:00Z") is None
    again = status_patch(item, configuration, {"assignedIPv4": 2}, "2027-01-01T00:00:00Z")
    assert again is not None
    assert again["status"]["conditions"] == patch["status"]["conditions"], "nothing changed but the counter"


def written(item: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """The object after a merge patch of its status (RFC 7396)."""
    return {**item, "status": merged(item.get("status"), patch["status"])}


def merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        found[name] = merged(found.get(name), value)
    return {name: value for name, value in found.items() if value is not None}


def changed(item: dict[str, Any], **spec: Any) -> dict[str, Any]:
    metadata = {**item["metadata"], "generation": item["metadata"]["generation"] + 1}
    return {**item, "metadata": metadata, "spec": spec}


def judged(item: dict[str, Any], previous: Configuration | None) -> tuple[dict[str, Any], Configuration]:
    found = parse([item], previous=previous)
    patch = status_patch(item, found, {}, NOW)
    return (written(item, patch) if patch else item), found


def test_the_last_good_form_is_kept_in_the_object_until_it_is_good_again() -> None:
    item, before = judged(pool("a", "10.0.0.0/24"), None)
    assert "inForce" not in item["status"]
    item, before = judged(changed(item, addresses=["nonsense"], autoAssign=False), before)
    assert item["status"]["inForce"] == {"addresses": ["10.0.0.0/24"]}
    assert "stays in force as it was before" in item["status"]["conditions"][0]["message"]
    after_a_restart = parse([item])
    assert after_a_restart.pools == before.pools and after_a_restart.stale == before.stale
    item, _configuration = judged(changed(item, addresses=["10.0.1.0/24"], autoAssign=False), before)
    assert "inForce" not in item["status"]


def test_another_form_in_force_leaves_nothing_of_the_one_before() -> None:
    item = pool("a", "10.0.0.0/24")
    item["spec"]["serviceAllocation"] = {"priority": 1, "namespaces": ["x"]}
    item, before = judged(item, None)
    item, before = judged(changed(item, addresses=["bad"]), before)
    item["spec"] = {"addresses": ["10.0.1.0/24"], "serviceAllocation": {"priority": 2}}
    good = parse([item], previous=before)  # seen, and changed again before anything was written
    item, _configuration = judged(changed(item, addresses=["bad"]), good)
    assert item["status"]["inForce"] == {
        "addresses": ["10.0.1.0/24"],
        "serviceAllocation": {"priority": 2},
    }


def test_nothing_is_said_of_an_object_that_has_changed_since_it_was_judged() -> None:
    item = pool("a", "10.0.0.0/24")
    found = parse([item])
    assert status_patch(changed(item, addresses=["nonsense"]), found, {}, NOW) is None
    assert status_patch(pool("new", "10.0.1.0/24"), found, {}, NOW) is None


def state_of(configuration: Configuration | None, item: dict[str, Any] | None = None) -> dict[str, Any]:
    found = configuration_state(configuration, item or {}, NOW)
    assert found is not None
    return found


def reasons_in(state: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in state["conditions"]}


def test_a_configuration_without_faults_is_valid() -> None:
    state = state_of(parse([pool("a", "10.0.0.0/24")]))
    assert (state["result"], state["errorSummary"]) == ("Valid", "")
    assert reasons_in(state) == {
        "configReconcilerValid": ("True", "Reconciled"),
        "poolReconcilerValid": ("True", "Reconciled"),
    }


def test_every_fault_is_a_line_with_kind_name_and_field() -> None:
    profile = {**pool("fast"), "kind": "BFDProfile", "spec": {"receiveInterval": 1}}
    state = state_of(parse([pool("a", "10.0.0.0/33"), profile]))
    assert state["result"] == "Invalid"
    first, second = state["errorSummary"].splitlines()
    assert first.startswith("BFDProfile lb/fast: spec.receiveInterval: ")
    assert second.startswith("IPAddressPool lb/a: spec.addresses[0]: ")
    assert set(reasons_in(state).values()) == {("False", "ConfigurationError")}


def test_a_fault_beside_the_pools_leaves_the_pools_valid() -> None:
    advert = {**pool("x"), "kind": "BGPAdvertisement", "spec": {"ipAddressPools": ["nowhere"]}}
    state = state_of(parse([pool("a", "10.0.0.0/24"), advert]))
    assert state["result"] == "Invalid"
    assert reasons_in(state)["poolReconcilerValid"] == ("True", "Reconciled")


def test_what_is_not_supported_yet_is_no_fault() -> None:
    layer2 = {**pool("x"), "kind": "L2Advertisement", "spec": {}}
    assert state_of(parse([pool("a", "10.0.0.0/24"), layer2]))["result"] == "Valid"


def test_before_anything_was_read_nothing_is_known() -> None:
    state = state_of(None)
    assert state["result"] == "Unknown"
    assert set(reasons_in(state).values()) == {("Unknown", "UnknownError")}


def test_a_state_that_says_so_already_is_not_written_again() -> None:
    configuration = parse([pool("a", "10.0.0.0/24")])
    item = {"metadata": {"name": "controller"}, "status": state_of(configuration)}
    assert configuration_state(configuration, item, "2027-01-01T00:00:00Z") is None
    worse = configuration_state(parse([pool("a", "bad")]), item, "2027-01-01T00:00:00Z")
    assert worse is not None and worse["conditions"][0]["lastTransitionTime"] == "2027-01-01T00:00:00Z"
    del item["status"]["errorSummary"]  # type: ignore[attr-defined]
    assert configuration_state(configuration, item, NOW) is None, "an empty text may be left out"


def test_a_very_long_list_of_faults_says_how_many_more_there_are() -> None:
    state = state_of(parse([pool(f"p{number}", "bad") for number in range(1000)]))
    last = state["errorSummary"].splitlines()[-1]
    lines = len(state["errorSummary"].splitlines())
    assert last == f"and {1000 - (lines - 1)} more"
    assert len(state["errorSummary"]) < 20000


def test_counters_fit_into_the_api() -> None:
    allocator = Allocator(parse([pool("a", "10.0.0.0/30", "2001:db8::/32")]).pools)
    allocator.allocate(Request(("d", "x"), (4,)))
    assert counters(allocator, "a") == {
        "assignedIPv4": 1,
        "availableIPv4": 3,
        "assignedIPv6": 0,
        "availableIPv6": 2**63 - 1,
    }
    assert set(counters(allocator, "unknown").values()) == {0}


def test_metrics_have_the_names_that_dashboards_know() -> None:
    registry, decider = Registry(), Decider()
    metrics = Metrics(registry)
    item = pool("a", "10.0.0.0/30", "fd00::/127")
    configuration = parse([item, pool("b", "bad")])
    decider.allocator.configure(configuration.pools)
    decider.allocator.allocate(Request(("d", "x"), (4, 6)))
    metrics.collect(decider, configuration, leads=True)
    text = registry.render()
    for line in (
        'metallb_allocator_addresses_total{pool="a"} 6',
        'metallb_allocator_addresses_in_use_total{pool="a"} 2',
        'metallb_allocator_ipv4_addresses_total{pool="a"} 4',
        'metallb_allocator_ipv6_addresses_in_use_total{pool="a"} 1',
        'metallb_allocator_services_allocated_total{pool="a"} 1',
        "metallb_k8s_client_config_loaded_bool 1",
        "metallb_k8s_client_config_stale_bool 0",
        'vipcast_configuration_problems{kind="IPAddressPool",reason="BadAddress"} 1',
        'leader_election_master_status{name="vipcast-controller"} 1',
    ):
        assert line + "\n" in text


def test_a_standby_counts_nothing_that_the_leader_counts() -> None:
    registry = Registry()
    metrics = Metrics(registry)
    metrics.collect(Decider(), parse([pool("a", "bad")]), leads=True)
    metrics.collect(None, parse([pool("a", "bad")]), leads=False)
    text = registry.render()
    assert 'leader_election_master_status{name="vipcast-controller"} 0\n' in text
    assert "metallb_k8s_client_config_loaded_bool 1\n" in text
    assert "vipcast_configuration_problems{" not in text and 'pool="a"' not in text


def test_a_pool_with_many_mistakes_has_a_condition_that_the_api_takes() -> None:
    ranges = [f"2001:db8:{number:x}:ffff:ffff:ffff:ffff:0-2001:db8:{number:x}::1" for number in range(400)]
    item = pool("many", *ranges)
    patch = status_patch(item, parse([item]), {}, NOW)
    assert patch is not None
    for condition in patch["status"]["conditions"]:
        assert len(condition["message"]) <= 32768
        assert condition["message"].endswith(" more")
