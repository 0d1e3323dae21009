# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration as a real API server and a real controller have it: what is said, and what survives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.apiserver import ApiServer
from support.controllers import NAMESPACE, Controller, clean, prepare, until
from support.objects import PEER, thing

from vipcast.model.configuration import OLD_VERSIONS

pytestmark = pytest.mark.apiserver


def made(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {**thing(kind, name, spec), "metadata": {"name": name, "namespace": NAMESPACE}}


def pool(name: str, *addresses: str) -> dict[str, Any]:
    return made("IPAddressPool", name, {"addresses": list(addresses)})


def service(name: str, **annotations: str) -> dict[str, Any]:
    notes = {f"metallb.io/{key}": value for key, value in annotations.items()}
    metadata = {"name": name, "namespace": "default", "annotations": notes}
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


class Cluster:
    """The configuration's namespace, and a controller."""

    def __init__(self, api: ApiServer, folder: Path) -> None:
        self.api, self.controller = api, Controller(api, folder)

    def start(self) -> None:
        self.controller.start()
        until(self.controller.leads, 30)

    def get(self, kind: str, name: str, namespace: str = NAMESPACE) -> Any:
        return json.loads(self.api.kubectl("get", kind, name, "--namespace", namespace, "--output=json"))

    def status(self, kind: str, name: str) -> Any:
        return self.get(kind, name).get("status", {})

    def accepted(self, kind: str, name: str) -> str:
        """The condition's status, with its reason; about this generation."""
        item = self.get(kind, name)
        for each in item.get("status", {}).get("conditions", []):
            if (each["type"], each["observedGeneration"]) == ("Accepted", item["metadata"]["generation"]):
                return f"{each['status']} {each['reason']}"
        return "not judged yet"

    def address(self, name: str) -> str:
        ingress = self.get("service", name, "default")["status"]["loadBalancer"].get("ingress", [])
        return ingress[0]["ip"] if ingress else ""

    def result(self) -> str:
        names = self.api.kubectl("get", "configurationstates", "--namespace", NAMESPACE, "--output=name")
        return self.status("configurationstates", "controller").get("result", "") if names else ""


@pytest.fixture(scope="module")
def api(api_server: ApiServer) -> ApiServer:
    return prepare(api_server)


@pytest.fixture
def cluster(api: ApiServer, tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(api, tmp_path)
    found.start()
    try:
        yield found
    finally:
        found.controller.stop()
        api.kubectl("delete", "services", "one", "two", "--namespace", "default", "--ignore-not-found")
        clean(api)


def test_the_last_good_form_of_a_pool_survives_a_killed_controller(cluster: Cluster) -> None:
    cluster.api.apply(pool("old", "10.31.8.100-10.31.8.103"))
    until(lambda: cluster.accepted("ipaddresspool", "old") == "True Accepted")
    cluster.api.apply(pool("young", "10.31.9.0/24"), service("one", **{"address-pool": "old"}))
    until(lambda: cluster.accepted("ipaddresspool", "young") == "True Accepted")
    until(lambda: cluster.address("one") == "10.31.8.100")
    until(lambda: cluster.result() == "Valid")
    cluster.api.apply(pool("old", "10.31.9.0/24"))
    until(lambda: cluster.accepted("ipaddresspool", "old") == "False OverlappingAddresses")
    assert cluster.status("ipaddresspool", "old")["inForce"] == {
        "addresses": ["10.31.8.100-10.31.8.103"],
        "autoAssign": True,
        "avoidBuggyIPs": False,
    }
    until(lambda: cluster.result() == "Invalid")
    summary = cluster.status("configurationstates", "controller")["errorSummary"]
    assert summary.startswith("IPAddressPool metallb-system/old: spec.addresses: 10.31.9.0/24 overlaps")
    cluster.controller.kill()
    cluster.start()
    cluster.api.apply(service("two", **{"address-pool": "old"}))
    until(lambda: cluster.address("two") == "10.31.8.101")
    assert cluster.address("one") == "10.31.8.100"
    assert cluster.accepted("ipaddresspool", "young") == "True Accepted"
    cluster.api.apply(pool("old", "10.31.8.96/28"))
    until(lambda: cluster.accepted("ipaddresspool", "old") == "True Accepted")
    assert "inForce" not in cluster.status("ipaddresspool", "old")
    until(lambda: cluster.result() == "Valid")


def test_a_community_may_come_later_and_its_meaning_stays_when_it_goes(cluster: Cluster) -> None:
    cluster.api.apply(made("BGPAdvertisement", "far", {"communities": ["no-transit"]}))
    until(lambda: cluster.accepted("bgpadvertisement", "far") == "False DanglingReference")
    names = [{"name": "no-transit", "value": "64512:7"}]
    cluster.api.apply(made("Community", "names", {"communities": names}))
    until(lambda: cluster.accepted("bgpadvertisement", "far") == "True Accepted")
    until(lambda: cluster.result() == "Valid")
    cluster.api.kubectl("delete", "community", "names", "--namespace", NAMESPACE)
    until(lambda: cluster.accepted("bgpadvertisement", "far") == "False DanglingReference")
    assert cluster.status("bgpadvertisement", "far")["inForce"]["communities"] == ["64512:7"]
    until(lambda: cluster.result() == "Invalid")


def test_every_kind_gets_its_conditions_and_what_is_not_supported_is_no_fault(cluster: Cluster) -> None:
    old = made("BGPPeer", "router", {**PEER, "peerPort": 0, "bfdProfile": "fast", "vrf": "red"})
    cluster.api.apply(
        made("L2Advertisement", "l2", {"interfaces": ["eth0"]}),
        made("BFDProfile", "fast", {"receiveInterval": 50}),
        made("Community", "names", {"communities": [{"name": "wide", "value": "large:1:2:3"}]}),
        made("BGPAdvertisement", "far", {"communities": ["wide"]}),
        {**old, "apiVersion": OLD_VERSIONS["BGPPeer"]},
    )
    for kind, name in (
        ("l2advertisement", "l2"),
        ("bfdprofile", "fast"),
        ("community", "names"),
        ("bgpadvertisement", "far"),
        ("bgppeers.v1beta1.metallb.io", "router"),
    ):
        until(lambda kind=kind, name=name: cluster.accepted(kind, name) == "True Accepted")
    until(lambda: cluster.result() == "Valid")
    assert effective(cluster, "bgppeer", "router") == ("True", "FullyEffective")
    assert effective(cluster, "l2advertisement", "l2") == ("True", "FullyEffective")


def effective(cluster: Cluster, kind: str, name: str) -> tuple[str, str]:
    conditions = cluster.status(kind, name)["conditions"]
    [found] = [each for each in conditions if each["type"] == "FullyEffective"]
    return found["status"], found["reason"]
