# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how to get from the API's dictionaries to types."""

from __future__ import annotations

import copy
import ipaddress
from typing import Any

import pytest

from vipcast.speaker.kube_types import (
    Endpoint,
    read_endpoints,
    read_node,
    read_service,
    service_of,
    trim_node,
    trim_service,
    trim_slice,
)

SLICE = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {
        "name": "web-abc",
        "namespace": "default",
        "resourceVersion": "7",
        "labels": {"kubernetes.io/service-name": "web", "app": "x"},
        "annotations": {"big": "x" * 100},
    },
    "addressType": "IPv4",
    "ports": [{"port": 80}],
    "endpoints": [{"addresses": ["10.8.0.1"], "nodeName": "n1", "conditions": {"ready": True}}],
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "name": "web",
        "namespace": "default",
        "resourceVersion": "8",
        "uid": "u",
        "labels": {"a": "b"},
    },
    "spec": {
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "loadBalancerClass": "c",
        "ports": [{"port": 80}],
    },
    "status": {
        "loadBalancer": {"ingress": [{"ip": "10.9.0.1"}, {"hostname": "lb.example"}, {"ip": "fd09::1"}]}
    },
}


@pytest.mark.parametrize(
    ("conditions", "able"),
    [
        ({}, True),  # absent means ready
        ({"ready": True}, True),
        ({"ready": False}, False),
        ({"ready": False, "serving": True, "terminating": True}, True),  # kube-proxy still sends there
        ({"ready": False, "serving": False, "terminating": True}, False),
        ({"ready": None, "serving": None}, True),
    ],
)
def test_an_endpoint_can_serve_when_ready_or_while_it_ends(conditions: dict[str, Any], able: bool) -> None:
    item = {**SLICE, "endpoints": [{"nodeName": "n1", "conditions": conditions}]}
    ready = conditions.get("ready") is not False
    assert read_endpoints(item) == (Endpoint(4, "n1", able, ready=ready),)


def test_a_slice_of_names_has_no_endpoints() -> None:
    assert read_endpoints({**SLICE, "addressType": "FQDN"}) == ()


def test_a_slice_without_endpoints_or_owner_is_nothing_to_stumble_over() -> None:
    assert read_endpoints({**SLICE, "endpoints": None}) == ()
    assert service_of({"metadata": {"name": "x", "namespace": "default"}}) is None
    assert service_of(SLICE) == ("default", "web")


def test_a_service_keeps_its_addresses_and_names_what_is_none() -> None:
    found = read_service(("default", "web"), SERVICE)
    assert found.addresses == (ipaddress.ip_address("10.9.0.1"), ipaddress.ip_address("fd09::1"))
    assert found.unusable == ("lb.example",)
    assert (found.load_balancer, found.local, found.lb_class) == (True, True, "c")


@pytest.mark.parametrize(("status", "down"), [("True", True), ("False", False), ("Unknown", False)])
def test_a_node_without_network_is_one_whose_condition_is_true(status: str, down: bool) -> None:
    conditions = [{"type": "Ready", "status": "True"}, {"type": "NetworkUnavailable", "status": status}]
    node = read_node({"metadata": {"name": "n1"}, "status": {"conditions": conditions}})
    assert node.network_unavailable is down


def test_slimming_changes_nothing_that_is_looked_at() -> None:
    service, piece = copy.deepcopy(SERVICE), copy.deepcopy(SLICE)
    node = {
        "metadata": {"name": "n1", "labels": {"a": "b"}},
        "status": {"images": [1] * 50, "conditions": []},
    }
    assert read_service(("default", "web"), trim_service(service)) == read_service(
        ("default", "web"), SERVICE
    )
    assert read_endpoints(trim_slice(piece)) == read_endpoints(SLICE)
    assert service_of(trim_slice(piece)) == service_of(SLICE)
    assert read_node(trim_node(copy.deepcopy(node))) == read_node(node)
    assert "images" not in trim_node(node)["status"]
    assert trim_service(service)["metadata"]["uid"] == "u"  # an Event needs it


NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "n1", "uid": "u", "labels": {"rack": "a"}},
    "spec": {"taints": [{"key": "node.kubernetes.io/out-of-service", "value": "x", "effect": "NoExecute"}]},
    "status": {
        "conditions": [
            {"type": "Ready", "status": "Unknown", "lastHeartbeatTime": "2026-01-01T00:00:00Z"},
            {"type": "MemoryPressure", "status": "False"},
        ],
        "addresses": [
            {"type": "InternalIP", "address": "10.31.8.1"},
            {"type": "Hostname", "address": "n1"},
            {"type": "InternalIP", "address": "fd31::1"},
        ],
        "images": [{"names": ["x" * 100]}],
    },
}


def test_of_a_node_its_health_and_its_own_addresses_are_read_and_kept() -> None:
    node = read_node(NODE)
    assert (node.ready, node.out_of_service, node.network_unavailable) == (False, True, False)
    assert [str(each) for each in node.addresses] == ["10.31.8.1", "fd31::1"]
    assert read_node(trim_node(NODE)) == node
    later = copy.deepcopy(NODE)
    later["status"]["conditions"][0]["lastHeartbeatTime"] = "2026-01-01T00:05:00Z"  # type: ignore[index]
    assert trim_node(later) == trim_node(NODE)


def test_a_node_that_has_said_nothing_yet_counts_as_ready() -> None:
    assert read_node({"metadata": {"name": "n1"}}).ready is True


@pytest.mark.parametrize(
    ("annotations", "shares"),
    [
        ({"metallb.io/allow-shared-ip": "k"}, True),
        ({"metallb.universe.tf/allow-shared-ip": "k"}, True),
        ({"metallb.io/allow-shared-ip": ""}, False),
        ({}, False),
    ],
)
def test_a_service_with_a_sharing_key_shares(annotations: dict[str, str], shares: bool) -> None:
    item = {**SERVICE, "metadata": {**SERVICE["metadata"], "annotations": annotations}}  # type: ignore[dict-item]
    assert read_service(("default", "web"), trim_service(item)).shares is shares
