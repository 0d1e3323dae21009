# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from vipcast.controller.conditions import counters, status_patch
from vipcast.controller.metrics import Metrics
from vipcast.daemon.metrics import Registry
from vipcast.ipam import Allocator, Request
from vipcast.ipam.decide import Decider
from vipcast.model.configuration import VERSIONS, parse

NOW = "2026-01-02T03:04:05Z"


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
    metrics.collect(decider, configuration)
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
    ):
        assert line + "\n" in text
