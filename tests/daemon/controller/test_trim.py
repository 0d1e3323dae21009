# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what is kept of a service, and what is decided by it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vipcast.controller.trim import MAX_KEPT, TOO_LARGE, WRITER, trim_service
from vipcast.ipam.service import ALLOCATED_FROM, read_service

Json = dict[str, Any]


def service(annotations: Json | None = None, *, kind: str = "LoadBalancer", **metadata: Any) -> Json:
    named = {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7"}
    spec = {"type": kind, "clusterIPs": ["10.96.0.1"], "ports": [{"port": 80, "protocol": "TCP"}]}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {**named, "annotations": annotations, **metadata},
        "spec": spec,
        "status": {"loadBalancer": {"ingress": [{"ip": "10.9.0.1"}]}},
    }


def size(item: Json) -> int:
    return len(json.dumps(trim_service(item)))


@pytest.mark.parametrize("kind", ["LoadBalancer", "ExternalName", "ClusterIP"])
def test_what_is_not_read_is_not_kept(kind: str) -> None:
    padded = {"pad": "x" * 200_000, "metallb.io/not-ours-to-read": "y" * 50_000}
    assert size(service(padded, kind=kind)) < 1000
    labels = {f"l{number}": "v" * 60 for number in range(5000)}
    assert size(service(kind=kind, labels=labels)) < 1000


def test_a_value_that_is_too_long_is_cut_and_two_that_differ_still_differ() -> None:
    values = ["x" * 200_000, "x" * 199_999 + "y", "x" * 200_001]
    items = [trim_service(service({"metallb.io/allow-shared-ip": each})) for each in values]
    keys = {read_service(item, None, {}).want.sharing.key for item in items}  # type: ignore[union-attr]
    assert len(keys) == 3 and all(len(key) < 1000 for key in keys if key)
    assert size(service({"metallb.io/address-pool": "\x01" * 250_000})) < 5000


def test_what_decides_is_as_it_was() -> None:
    words = {"metallb.io/address-pool": "p", ALLOCATED_FROM: "p"}
    words["metallb.universe.tf/loadBalancerIPs"] = "10.9.0.9"
    item = service(words, labels={"a": "b"})
    assert read_service(trim_service(item), None, {}) == read_service(item, None, {})
    assert trim_service(item)["metadata"]["annotations"] == words


def test_a_service_with_more_than_is_kept_is_marked_and_one_with_many_ports_is_not() -> None:
    item = service()
    item["spec"]["ports"] = [
        {"port": number, "protocol": "TCP", "name": f"p{number}"} for number in range(1, 501)
    ]
    assert TOO_LARGE not in trim_service(item)
    item["spec"]["selector"] = {f"k{number}": "v" * 60 for number in range(2000)}
    kept = trim_service(item)
    assert kept[TOO_LARGE] > MAX_KEPT and len(json.dumps(kept)) < 1000
    assert kept["spec"]["type"] == "LoadBalancer"


def test_of_conditions_ours_are_kept() -> None:
    item = service()
    other = {"type": "other.example/X", "message": "m" * 9000}
    item["status"]["conditions"] = [other, {"type": "vipcast.io/A"}]
    assert trim_service(item)["status"]["conditions"] == [{"type": "vipcast.io/A"}]


def test_who_wrote_the_addresses_last_is_kept_by_name() -> None:
    def entry(manager: str, time: str, part: str) -> Json:
        fields = {"f:status": {part: {}}}
        return {"manager": manager, "time": time, "fieldsV1": fields, "subresource": "status"}

    fields = [
        entry("ours", "2026-01-01T00:00:00Z", "f:loadBalancer"),
        entry("kube-vip", "2026-01-01T00:00:09Z", "f:loadBalancer"),
        entry("kubectl", "2026-01-01T00:00:10Z", "f:conditions"),
        {"manager": "odd", "fieldsV1": {"f:status": 7}},
    ]
    assert trim_service(service(managedFields=fields))[WRITER] == "kube-vip"
    assert WRITER not in trim_service(service(managedFields=fields[2:]))
