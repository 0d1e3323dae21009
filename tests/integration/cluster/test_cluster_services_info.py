# SPDX-License-Identifier: GPL-3.0-or-later
"""The module cluster_services_info: what it reads of services, nodes and owners in a real API server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.apiserver import ApiServer
from support.modules import ModuleServer

Json = dict[str, Any]
Read = Callable[[], Json]
MAC = "02:00:00:00:07:01"


def service(name: str, namespace: str, **spec: Any) -> Json:
    ports = [
        {"name": "web", "port": 80, "appProtocol": "http"},
        {"name": "dns", "port": 53, "protocol": "UDP"},
    ]
    metadata = {"name": name, "namespace": namespace, "labels": {"tier": "front"}}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"type": "LoadBalancer", "ports": ports, **spec},
    }


def endpoints(name: str, namespace: str, node: str) -> Json:
    """One pod that serves, and one that is ending but still serves."""
    one = {"addresses": ["10.8.64.2"], "nodeName": node, "conditions": {"ready": True, "serving": True}}
    ending = {"ready": False, "serving": True, "terminating": True}
    other = {"addresses": ["10.8.64.3"], "nodeName": node, "conditions": ending}
    other["targetRef"] = {"kind": "Pod", "name": "web-b"}
    labels = {"kubernetes.io/service-name": name}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-1", "namespace": namespace, "labels": labels},
        "addressType": "IPv4",
        "endpoints": [one, other],
    }


def owner(name: str, namespace: str, node: str) -> Json:
    interfaces = [{"name": "eth0", "mac": MAC}]
    address = {"address": "10.9.0.7", "node": node, "since": "2026-01-02T12:00:00Z", "interfaces": interfaces}
    status = {"node": node, "serviceName": name, "serviceNamespace": namespace, "addresses": [address]}
    metadata = {"name": f"l2-{name}", "namespace": namespace}
    return {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "ServiceL2Status",
        "metadata": metadata,
        "status": status,
    }


def complaint(name: str, namespace: str, when: str, message: str) -> Json:
    about = {"apiVersion": "v1", "kind": "Service", "name": name, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{abs(hash(message))}", "namespace": namespace},
        "involvedObject": about,
        "type": "Warning",
        "reason": "AllocationFailed",
        "message": message,
        "lastTimestamp": when,
    }


@pytest.fixture
def node(api_server: ApiServer, namespace: str) -> Iterator[str]:
    """A node of the test's own, drained and without its network."""
    name = f"node-{namespace}"
    labels = {"node.kubernetes.io/exclude-from-external-load-balancers": ""}
    metadata = {"name": name, "labels": labels, "annotations": {"vipcast.io/drain": "30s"}}
    api_server.apply({"apiVersion": "v1", "kind": "Node", "metadata": metadata})
    conditions = [
        {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"},
        {"type": "NetworkUnavailable", "status": "True", "reason": "NoRoute"},
    ]
    addresses = [{"type": "InternalIP", "address": "192.0.2.7"}, {"type": "Hostname", "address": name}]
    status = json.dumps({"status": {"conditions": conditions, "addresses": addresses}})
    api_server.kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", status)
    yield name
    api_server.kubectl("delete", "node", name)


@pytest.fixture
def services(api_server: ApiServer, namespace: str, node: str) -> Iterator[str]:
    """Two services: `web` has an address, an owner and pods; `waiting` has two complaints."""
    api_server.apply(
        service("web", namespace, externalTrafficPolicy="Local", sessionAffinity="ClientIP"),
        service("waiting", namespace, loadBalancerClass="vipcast.test/other"),
        {**service("inside", namespace, type="ClusterIP")},
        endpoints("web", namespace, node),
        owner("web", namespace, node),
        complaint("waiting", namespace, "2026-01-02T12:00:00Z", "the pool is full"),
        complaint("waiting", namespace, "2026-01-02T12:05:00Z", "there is no pool"),
    )
    status = json.dumps({"status": {"loadBalancer": {"ingress": [{"ip": "10.9.0.7"}]}}})
    where = ("-n", namespace, "--subresource=status", "--type=merge")
    api_server.kubectl("patch", "service", "web", *where, "-p", status)
    yield namespace
    api_server.kubectl("delete", "service", "-n", namespace, "web", "waiting", "inside")
    api_server.kubectl("delete", "-n", namespace, "servicel2status/l2-web")


@pytest.fixture
def read(call: Any) -> Read:
    """``read()``: what a task registers."""

    def called() -> Json:
        found: Json = call("cluster_services_info", check=True)
        assert not found["changed"], found
        return found

    return called


def test_a_node_is_read_with_everything_that_keeps_traffic_from_it(read: Read, node: str) -> None:
    (found,) = [each for each in read()["nodes"] if each["name"] == node]
    assert found == {
        "name": node,
        "ready": False,
        "reason": "NodeStatusUnknown",
        "drained": True,
        "excluded": True,
        "network_unavailable": True,
        "addresses": ["192.0.2.7"],
    }


def test_a_service_is_read_with_its_address_ports_and_pods(read: Read, services: str, node: str) -> None:
    found = [each for each in read()["services"] if each["namespace"] == services]
    assert [each["name"] for each in found] == ["waiting", "web"], "a ClusterIP is none of ours"
    web = found[1]
    assert (web["addresses"], web["labels"], web["complaint"]) == (["10.9.0.7"], {"tier": "front"}, "")
    assert (web["external_traffic_policy"], web["session_affinity"]) == ("Local", "ClientIP")
    assert web["load_balancer_class"] is None
    assert web["ports"] == [
        {"name": "web", "port": 80, "protocol": "TCP", "app_protocol": "http"},
        {"name": "dns", "port": 53, "protocol": "UDP", "app_protocol": ""},
    ]
    assert web["endpoints"] == [
        {"node": node, "pod": "10.8.64.2", "ready": True, "serving": True},
        {"node": node, "pod": "web-b", "ready": False, "serving": True},
    ]


def test_a_service_without_an_address_has_its_latest_warning(read: Read, services: str) -> None:
    (waiting,) = [each for each in read()["services"] if each["name"] == "waiting"]
    assert (waiting["namespace"], waiting["addresses"], waiting["endpoints"]) == (services, [], [])
    assert waiting["complaint"] == "AllocationFailed: there is no pool"
    assert waiting["load_balancer_class"] == "vipcast.test/other"


def test_the_owner_of_an_address_is_read_from_the_status(read: Read, services: str, node: str) -> None:
    (found,) = [each for each in read()["owners"] if each["service"] == f"{services}/web"]
    assert (found["address"], found["node"], found["since"]) == ("10.9.0.7", node, "2026-01-02T12:00:00Z")
    assert (found["interfaces"], found["macs"], found["foreign"]) == (["eth0"], [MAC], [])


def test_pools_are_read_with_what_advertisements_choose_them_by(
    read: Read, api_server: ApiServer, namespace: str
) -> None:
    metadata = {"namespace": namespace, "labels": {"zone": "outside"}}
    pool = {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool"}
    for name, addresses in (("b", ["10.9.1.0-10.9.1.9"]), ("a", ["10.9.2.0/24", "fd00:9::/64"])):
        api_server.apply({**pool, "metadata": {**metadata, "name": name}, "spec": {"addresses": addresses}})
    labels = {"zone": "outside"}
    assert [each for each in read()["pools"] if each["namespace"] == namespace] == [
        {"namespace": namespace, "name": "a", "labels": labels, "addresses": ["10.9.2.0/24", "fd00:9::/64"]},
        {"namespace": namespace, "name": "b", "labels": labels, "addresses": ["10.9.1.0-10.9.1.9"]},
    ]
    api_server.kubectl("delete", "ipaddresspool", "-n", namespace, "a", "b")


def test_a_cluster_without_our_kinds_has_no_owners(modules: ModuleServer, bare: ApiServer) -> None:
    found = modules("cluster_services_info", {"kubeconfig": str(bare.kubeconfig)})
    assert (found["owners"], found["services"], found["pools"]) == ([], [], [])
