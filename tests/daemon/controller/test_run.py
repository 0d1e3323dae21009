# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller as a process, against a real API server."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.apiserver import ApiServer
from support.controllers import NAMESPACE, Controller, clean, prepare, until

from vipcast.controller.change import CONDITION
from vipcast.ipam.service import ALLOCATED_FROM
from vipcast.model.configuration import VERSIONS

pytestmark = pytest.mark.apiserver


def thing(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": VERSIONS[kind], "kind": kind, "metadata": metadata, "spec": spec}


def pool(name: str, *addresses: str, **fields: Any) -> dict[str, Any]:
    return thing("IPAddressPool", name, {"addresses": list(addresses), **fields})


class Cluster:
    """A namespace for services, and the controller."""

    def __init__(self, api: ApiServer, folder: Path, namespace: str) -> None:
        self.api, self.namespace = api, namespace
        self.controller = Controller(api, folder)

    def start(self) -> None:
        self.controller.start()
        until(self.controller.leads, 30)

    def service(self, name: str, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
        metadata = {"name": name, "namespace": self.namespace, "annotations": annotations or {}}
        body = {"type": "LoadBalancer", "ports": [{"port": 80}], **spec}
        return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": body}

    def apply(self, *objects: dict[str, Any]) -> None:
        self.api.apply(*objects)

    def services(self) -> dict[str, dict[str, Any]]:
        text = self.api.kubectl("get", "services", "--namespace", self.namespace, "--output=json")
        return {item["metadata"]["name"]: item for item in json.loads(text)["items"]}

    def shown(self) -> dict[str, list[str]]:
        return {
            name: [entry.get("ip") for entry in item["status"]["loadBalancer"].get("ingress", [])]
            for name, item in self.services().items()
        }

    def addresses(self) -> list[str]:
        """All that are shown, in order, repetitions too."""
        return sorted(address for shown in self.shown().values() for address in shown)

    def reason(self, name: str) -> str | None:
        conditions = self.services()[name]["status"].get("conditions", [])
        return next((each["reason"] for each in conditions if each["type"] == CONDITION), None)

    def message(self, name: str) -> str:
        conditions = self.services()[name]["status"].get("conditions", [])
        return next((str(each["message"]) for each in conditions if each["type"] == CONDITION), "")

    def delete(self, kind: str, name: str) -> None:
        namespace = self.namespace if kind == "service" else NAMESPACE
        self.api.kubectl("delete", kind, name, "--namespace", namespace, "--ignore-not-found")

    def status_of(self, kind: str, name: str) -> dict[str, Any]:
        text = self.api.kubectl("get", kind, name, "--namespace", NAMESPACE, "--output=json")
        return dict(json.loads(text).get("status", {}))

    def condition_of(self, kind: str, name: str, type_: str) -> dict[str, Any]:
        conditions = self.status_of(kind, name).get("conditions", [])
        return next((each for each in conditions if each["type"] == type_), {})

    def events(self, name: str) -> list[tuple[str, str]]:
        selector = f"--field-selector=involvedObject.name={name}"
        text = self.api.kubectl("get", "events", "--namespace", self.namespace, selector, "--output=json")
        return [(item["reason"], item["message"]) for item in json.loads(text)["items"]]


@pytest.fixture(scope="module")
def api(api_server: ApiServer) -> ApiServer:
    return prepare(api_server)


@pytest.fixture
def cluster(api: ApiServer, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    name = f"run-{abs(hash(request.node.name)) % 10**8}"
    api.kubectl("create", "namespace", name)
    found = Cluster(api, tmp_path, name)
    found.apply(pool("default", "10.31.8.100-10.31.8.103"))
    found.start()
    try:
        yield found
    finally:
        found.controller.stop()
        # Nobody collects the garbage of namespaces here, so the services go one by one.
        api.kubectl("delete", "services", "--all", "--wait=false", "--namespace", name)
        api.kubectl("delete", "namespace", name, "--wait=false")
        clean(api)


def test_services_get_keep_and_give_back_their_addresses(cluster: Cluster) -> None:
    cluster.apply(cluster.service("asked", loadBalancerIP="10.31.8.102"))
    until(lambda: cluster.shown() == {"asked": ["10.31.8.102"]})
    cluster.apply(*(cluster.service(name) for name in "abc"), cluster.service("late"))
    until(lambda: cluster.reason("late") == "PoolExhausted")
    assert cluster.shown()["asked"] == ["10.31.8.102"]
    assert cluster.addresses() == [f"10.31.8.{last}" for last in range(100, 104)]
    assert cluster.services()["asked"]["metadata"]["annotations"][ALLOCATED_FROM] == "default"
    until(lambda: ("IPAllocated", "assigned 10.31.8.102 from pool default") in cluster.events("asked"))
    until(lambda: any(reason == "AllocationFailed" for reason, _message in cluster.events("late")))
    until(lambda: cluster.status_of("ipaddresspool", "default").get("assignedIPv4") == 4)
    assert cluster.status_of("ipaddresspool", "default")["availableIPv4"] == 0
    cluster.delete("service", "asked")
    until(lambda: cluster.shown()["late"] == ["10.31.8.102"])
    assert cluster.reason("late") == "Allocated"


def test_a_service_of_another_type_is_cleaned_up(cluster: Cluster) -> None:
    cluster.apply(cluster.service("x"))
    until(lambda: cluster.shown()["x"])
    cluster.api.kubectl(
        "patch", "service", "x", "--namespace", cluster.namespace, "--patch", '{"spec":{"type":"ClusterIP"}}'
    )
    until(lambda: cluster.reason("x") is None)
    assert ALLOCATED_FROM not in cluster.services()["x"]["metadata"].get("annotations", {})
    assert cluster.shown()["x"] == []
    until(lambda: cluster.status_of("ipaddresspool", "default")["assignedIPv4"] == 0)


def test_a_pool_replaced_under_its_services_needs_no_restart(cluster: Cluster) -> None:
    cluster.apply(cluster.service("asked", loadBalancerIP="10.31.8.100"), cluster.service("any"))
    until(lambda: cluster.shown() == {"asked": ["10.31.8.100"], "any": ["10.31.8.101"]})
    cluster.apply(pool("default", "10.9.0.0/16"))
    until(lambda: cluster.shown() == {"asked": [], "any": ["10.9.0.0"]})
    assert cluster.reason("asked") == "AddressNotInAnyPool"
    until(
        lambda: (
            {reason for reason, _message in cluster.events("asked")}
            >= {"ClearAssignment", "AllocationFailed"}
        )
    )
    cluster.apply(cluster.service("asked", loadBalancerIP="10.9.1.1"))
    until(lambda: cluster.shown()["asked"] == ["10.9.1.1"])


def test_a_killed_controller_changes_nothing_when_it_returns(cluster: Cluster) -> None:
    cluster.apply(*(cluster.service(name) for name in "abcde"))
    until(lambda: len(cluster.addresses()) == 4)
    until(lambda: all(cluster.reason(name) for name in "abcde"))
    until(cluster.controller.settled)

    def versions() -> dict[str, str]:
        served = [name for name, addresses in cluster.shown().items() if addresses]
        found = cluster.services()
        return {name: found[name]["metadata"]["resourceVersion"] for name in served}

    before, waits = versions(), cluster.reason("e")
    cluster.controller.kill()
    cluster.start()
    until(cluster.controller.settled)
    assert versions() == before
    assert cluster.reason("e") == waits == "PoolExhausted"


def test_what_changed_while_no_controller_ran_is_made_up_for(cluster: Cluster) -> None:
    cluster.apply(cluster.service("keeps"), cluster.service("goes"))
    until(lambda: len(cluster.addresses()) == 2)
    kept = cluster.shown()["keeps"]
    cluster.controller.kill()
    cluster.delete("service", "goes")
    cluster.apply(*(cluster.service(name) for name in "abc"))
    bogus = {"status": {"loadBalancer": {"ingress": [{"hostname": "example.com"}, {"ip": "192.0.2.1"}]}}}
    cluster.api.kubectl(
        "patch",
        "service",
        "a",
        "--namespace",
        cluster.namespace,
        "--subresource=status",
        "--type=merge",
        "--patch",
        json.dumps(bogus),
    )
    cluster.start()
    until(lambda: len(cluster.addresses()) == 4)
    shown = cluster.shown()
    assert shown["keeps"] == kept
    assert all(address.startswith("10.31.8.10") for [address] in shown.values())
    assert len(set(cluster.addresses())) == 4


def test_a_restarted_api_server_is_caught_up_with(cluster: Cluster) -> None:
    cluster.apply(cluster.service("before"))
    until(lambda: cluster.shown()["before"])
    address = cluster.shown()["before"]
    cluster.api.restart()
    until(lambda: _applied(cluster, cluster.service("after")), 60)
    until(lambda: cluster.shown().get("after"), 60)
    assert cluster.shown()["before"] == address
    assert cluster.controller.running


def _applied(cluster: Cluster, item: dict[str, Any]) -> bool:
    try:
        cluster.apply(item)
    except RuntimeError:
        return False  # caches of the API server are not warm yet
    return True


def test_what_is_wrong_with_the_configuration_is_said_on_its_objects(cluster: Cluster) -> None:
    peer = {"myASN": 64513, "peerASN": 64512, "peerAddress": "10.31.254.251"}
    cluster.apply(
        pool("overlapping", "10.31.8.96/29"),
        thing("BGPPeer", "router", {**peer, "bfdProfile": "fast"}),
        thing("BGPAdvertisement", "dangling", {"ipAddressPools": ["defualt"]}),
    )
    until(lambda: cluster.condition_of("ipaddresspool", "overlapping", "Accepted").get("status") == "False")
    overlapping = cluster.condition_of("ipaddresspool", "overlapping", "Accepted")
    assert overlapping["reason"] == "OverlappingAddresses"
    assert "IPAddressPool default" in overlapping["message"]
    assert cluster.condition_of("ipaddresspool", "default", "Accepted")["status"] == "True"
    until(lambda: cluster.condition_of("bgppeer", "router", "FullyEffective").get("status") == "False")
    assert cluster.condition_of("bgppeer", "router", "Accepted")["status"] == "True"
    assert "bfdProfile" in cluster.condition_of("bgppeer", "router", "FullyEffective")["message"]
    until(lambda: cluster.condition_of("bgpadvertisement", "dangling", "FullyEffective"))
    dangling = cluster.condition_of("bgpadvertisement", "dangling", "FullyEffective")
    assert "did you mean default?" in dangling["message"]
    metrics = cluster.controller.metrics()
    assert 'vipcast_configuration_problems{kind="IPAddressPool",reason="OverlappingAddresses"} 1' in metrics
    cluster.delete("ipaddresspool", "default")
    until(lambda: cluster.condition_of("ipaddresspool", "overlapping", "Accepted")["status"] == "True")


def test_a_pool_made_bad_stays_in_force_as_it_was(cluster: Cluster) -> None:
    cluster.apply(pool("other", "10.40.0.0/24"), cluster.service("x"))
    until(lambda: cluster.shown()["x"] == ["10.31.8.100"])
    cluster.apply(pool("default", "10.40.0.0/24"))
    until(lambda: cluster.condition_of("ipaddresspool", "default", "Accepted").get("status") == "False")
    assert "as it was before" in cluster.condition_of("ipaddresspool", "default", "Accepted")["message"]
    assert cluster.shown()["x"] == ["10.31.8.100"]
    assert "metallb_k8s_client_config_stale_bool 1" in cluster.controller.metrics()


def test_two_hundred_services_are_served(cluster: Cluster) -> None:
    cluster.apply(pool("default", "10.32.0.0/16"))
    names = [f"s{number}" for number in range(200)]
    cluster.apply(*(cluster.service(name, allocateLoadBalancerNodePorts=False) for name in names))
    until(lambda: len(cluster.addresses()) == 200, 90)
    assert len({tuple(addresses) for addresses in cluster.shown().values()}) == 200
    assert 'metallb_allocator_addresses_in_use_total{pool="default"} 200' in cluster.controller.metrics()


def test_the_end_is_orderly(cluster: Cluster) -> None:
    assert cluster.controller.kill(signal.SIGTERM) == 0
    last = json.loads(cluster.controller.log.read_text().splitlines()[-1])
    assert last["event"] == "stopped"


def test_a_service_that_changes_its_mind_fills_neither_events_nor_log(cluster: Cluster) -> None:
    cluster.apply(cluster.service("x"))
    until(lambda: cluster.shown()["x"])
    for number in range(60):
        wish = {"metallb.io/address-pool": f"nope-{number}", "metallb.io/loadBalancerIPs": ""}
        cluster.apply(cluster.service("x", wish))
        time.sleep(0.1)  # most of them are seen by the controller one by one
    until(lambda: "'nope-" in cluster.message("x"))
    assert cluster.shown()["x"] == ["10.31.8.100"], "a slip takes nothing away"
    assert 1 < len(cluster.controller.logged("AllocationFailed")) < 30


def test_a_sharing_key_that_everybody_has_costs_nobody_the_lead(cluster: Cluster) -> None:
    """A chart puts one key on everything: all clash, most wait, and one goes after the other."""
    names = [f"s{number}" for number in range(300)]
    key = {"metallb.io/allow-shared-ip": "chart"}
    cluster.apply(*(cluster.service(name, key, allocateLoadBalancerNodePorts=False) for name in names))
    until(lambda: len(told(cluster)) == len(names), 90)
    assert len(cluster.addresses()) == 4
    holders = [name for name, shown in cluster.shown().items() if shown]
    for name in holders:
        cluster.delete("service", name)
    until(lambda: len(cluster.addresses()) == 4, 30)
    assert cluster.controller.leads() and not cluster.controller.logged("deposed")


def told(cluster: Cluster) -> list[str]:
    """The services of which it is said whether they have an address."""
    found = cluster.services().items()
    return [
        name
        for name, item in found
        if any(each["type"] == CONDITION for each in item["status"].get("conditions", ()))
    ]


def test_advertisements_conflict_on_a_node_that_both_select_and_on_no_other(cluster: Cluster) -> None:
    label = "test.vipcast.io/rack"
    selector = [{"matchLabels": {label: cluster.namespace}}]
    cluster.apply(
        thing("BGPAdvertisement", "near", {"localPref": 100}),
        thing("BGPAdvertisement", "nobody", {"localPref": 200, "nodeSelectors": selector}),
    )

    def effective() -> dict[str, Any]:
        return cluster.condition_of("bgpadvertisement", "nobody", "FullyEffective")

    until(lambda: effective().get("status") == "True")
    node = f"node-{cluster.namespace}"
    metadata = {"name": node, "labels": {label: cluster.namespace}}
    cluster.apply({"apiVersion": "v1", "kind": "Node", "metadata": metadata})
    try:
        until(lambda: effective()["reason"] == "ConflictingAdvertisement")
    finally:
        cluster.api.kubectl("delete", "node", node)
    until(lambda: effective()["status"] == "True")
