# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what the API says of nodes and services, reduced."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.services import (
    read_complaints,
    read_nodes,
    read_owners,
    read_services,
    with_complaints,
)


def node(name: str, ready: str = "True", **labels: str) -> dict[str, Any]:
    condition = {
        "type": "Ready",
        "status": ready,
        "reason": "KubeletReady" if ready == "True" else "NodeStatusUnknown",
    }
    return {"metadata": {"name": name, "labels": labels}, "status": {"conditions": [condition]}}


def service(kind: str = "LoadBalancer", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "default", "name": "web"},
        "spec": {"type": kind, "ports": [{"port": 80}], **spec},
        "status": {"loadBalancer": {"ingress": [{"ip": "10.9.1.1"}]}},
    }


def endpoint_slice(*endpoints: dict[str, Any], name: str = "web") -> dict[str, Any]:
    metadata = {"namespace": "default", "name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}}
    return {"metadata": metadata, "endpoints": list(endpoints)}


def endpoint(pod: str, node_name: str = "n1", **conditions: bool | None) -> dict[str, Any]:
    return {
        "addresses": ["10.8.64.2"],
        "nodeName": node_name,
        "targetRef": {"kind": "Pod", "name": pod},
        "conditions": conditions,
    }


def test_nodes_come_by_name_with_what_decides_about_traffic() -> None:
    excluded = node("b", **{"node.kubernetes.io/exclude-from-external-load-balancers": ""})
    excluded["metadata"]["annotations"] = {"vipcast.io/drain": "10s"}
    lost = node("a", ready="Unknown")
    addresses = [("InternalIP", "10.31.8.1"), ("InternalIP", "fd00:31:8::1"), ("Hostname", "a")]
    lost["status"]["addresses"] = [{"type": kind, "address": text} for kind, text in addresses]
    assert read_nodes([excluded, lost]) == [
        {
            "name": "a",
            "ready": False,
            "drained": False,
            "addresses": ["10.31.8.1", "fd00:31:8::1"],
            "excluded": False,
            "network_unavailable": False,
            "reason": "NodeStatusUnknown",
        },
        {
            "name": "b",
            "ready": True,
            "drained": True,
            "addresses": [],
            "excluded": True,
            "network_unavailable": False,
            "reason": "",
        },
    ]


def test_a_node_that_never_reported_is_not_ready() -> None:
    assert read_nodes([{"metadata": {"name": "a"}}])[0]["reason"] == "NotReady"


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "ExternalName"])
def test_other_types_of_services_do_not_count(kind: str) -> None:
    assert read_services([service(kind)], []) == []


def test_a_pending_service_has_no_address() -> None:
    pending = service()
    pending["status"] = {"loadBalancer": {}}
    assert read_services([pending], [])[0]["addresses"] == []


@pytest.mark.parametrize(
    ("conditions", "ready", "serving"),
    [
        ({}, True, True),
        ({"ready": True}, True, True),
        ({"ready": False}, False, False),
        # Terminating, and still answering: it serves, and gets no new connections while others are ready.
        ({"ready": False, "serving": True, "terminating": True}, False, True),
        ({"ready": False, "serving": False, "terminating": True}, False, False),
        ({"ready": None}, True, True),
    ],
)
def test_conditions_of_an_endpoint(conditions: dict[str, Any], ready: bool, serving: bool) -> None:
    found = read_services([service()], [endpoint_slice(endpoint("web-1", **conditions))])
    assert found[0]["endpoints"] == [{"node": "n1", "pod": "web-1", "ready": ready, "serving": serving}]


def test_a_pod_in_two_slices_is_one_endpoint_and_other_services_slices_do_not_count() -> None:
    slices = [endpoint_slice(endpoint("web-1")), endpoint_slice(endpoint("web-1"), endpoint("web-2", "n2"))]
    found = read_services([service()], [*slices, endpoint_slice(endpoint("db-1"), name="db")])
    assert [one["pod"] for one in found[0]["endpoints"]] == ["web-1", "web-2"]


def test_defaults_of_the_api_are_filled_in() -> None:
    found = read_services([service()], [])[0]
    assert found["external_traffic_policy"] == "Cluster"
    assert found["session_affinity"] == "None"
    assert found["ports"] == [{"name": "", "port": 80, "protocol": "TCP", "app_protocol": ""}]


def l2_status(node_name: str = "n1", **status: Any) -> dict[str, Any]:
    named = {"node": node_name, "serviceNamespace": "default", "serviceName": "web"}
    return {"metadata": {"name": "l2-abcde"}, "status": {**named, **status}}


def test_the_owner_is_read_from_metallbs_fields() -> None:
    assert read_owners([l2_status(interfaces=[{"name": "eth1"}])]) == [
        {
            "service": "default/web",
            "address": None,
            "node": "n1",
            "interfaces": ["eth1"],
            "macs": [],
            "since": None,
            "foreign": [],
        }
    ]


def test_each_address_has_its_own_owner_where_the_status_says_addresses() -> None:
    when = "2026-01-02T12:00:00Z"
    interfaces = [{"name": "eth1", "mac": "02:00:00:00:00:0A"}]
    first = {"address": "10.31.8.100", "node": "n1", "since": when, "interfaces": interfaces}
    addresses = [first, {"address": "fd00:31:8::100", "node": "n2", "foreign": ["02:00:00:00:00:ee"]}]
    found = read_owners([l2_status(addresses=addresses)])
    assert [(one["address"], one["node"], one["since"]) for one in found] == [
        ("10.31.8.100", "n1", when),
        ("fd00:31:8::100", "n2", None),
    ]
    assert [one["macs"] for one in found] == [["02:00:00:00:00:0a"], []]
    assert [one["foreign"] for one in found] == [[], ["02:00:00:00:00:ee"]]


def test_an_address_that_has_no_owner_has_none() -> None:
    why = {"address": "10.31.8.100", "reason": "noCandidate", "message": "nobody may"}
    assert read_owners([l2_status(addresses=[why])]) == []


def test_a_status_that_names_no_node_is_nobodys() -> None:
    assert read_owners([l2_status(""), {"metadata": {"name": "l2-fghij"}}]) == []


def event(message: str, when: str | None, **values: Any) -> dict[str, Any]:
    about = {"kind": "Service", "namespace": "default", "name": "web"}
    return {
        "involvedObject": about,
        "reason": "AllocationFailed",
        "message": message,
        "lastTimestamp": when,
        **values,
    }


def test_the_latest_warning_says_why_there_is_no_address() -> None:
    events = [
        event("new", "2026-01-02T12:00:00Z"),
        event("old", "2026-01-02T11:00:00Z"),
        event("oldest", None, eventTime="2026-01-02T10:00:00.000000Z"),
    ]
    assert read_complaints(events) == {"default/web": "AllocationFailed: new"}


def test_a_warning_about_a_service_with_an_address_is_history() -> None:
    pending = service()
    pending["status"] = {}
    complaints = {"default/web": "AllocationFailed: none is free"}
    for item, expected in ((service(), ""), (pending, "AllocationFailed: none is free")):
        (found,) = with_complaints(read_services([item], []), complaints)
        assert found["complaint"] == expected
