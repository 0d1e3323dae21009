# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the controller's decisions on a lab, from MetalLB v0.12's ConfigMap to a declared cluster.

The steps build on each other, in the order of the file.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.declarations import QUERY, SYSTEM
from support.lab import BIN, Lab, eventually, tool
from support.web import PLACE, SERVICE, WEB, deployment, service

pytestmark = [pytest.mark.declaration("bgp"), pytest.mark.in_order]

LAYER2 = """\
address-pools:
- name: default
  protocol: layer2
  addresses:
  - 10.31.8.100-10.31.8.200
"""
BGP = """\
peers:
- peer-address: 10.31.254.251
  peer-port: 179
  peer-asn: 64512
  my-asn: 64513
  hold-time: 9s
address-pools:
- name: default
  protocol: bgp
  addresses:
  - 10.9.0.0/16
"""


def config_map(text: str) -> str:
    metadata = {"name": "config", "namespace": SYSTEM}
    return json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config": text}}
    )


@pytest.fixture(scope="module", autouse=True)
def shop(lab: Lab) -> Iterator[None]:
    """The service and its pods; and at the end the lab as it was."""
    place = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": PLACE}}
    for item in (place, deployment(lab)):
        lab.kubectl("apply", "-f", "-", stdin=json.dumps(item))
    yield
    lab.kubectl("delete", "namespace", PLACE, "--wait=true")
    lab.kubectl("delete", "configmap", "config", "-n", SYSTEM, "--ignore-not-found")


def apply(lab: Lab, text: str) -> None:
    lab.kubectl("apply", "-f", "-", stdin=text)


def patch(lab: Lab, **spec: Any) -> None:
    lab.kubectl("patch", "service", SERVICE, "-n", PLACE, "-p", json.dumps({"spec": spec}))


def patch_demo(lab: Lab, **spec: Any) -> None:
    lab.kubectl("patch", "service", "web-1", "-n", "demo", "-p", json.dumps({"spec": spec}))


def condition(lab: Lab, kind: str) -> dict[str, Any]:
    found = lab.get("service", SERVICE, "-n", PLACE)["status"].get("conditions", [])
    return next((each for each in found if each["type"] == kind), {})


def events(lab: Lab, reason: str) -> list[str]:
    query = f"reason={reason},involvedObject.name={SERVICE}"
    return [each["message"] for each in lab.get("events", "-n", PLACE, "--field-selector", query)["items"]]


def state(lab: Lab) -> dict[str, Any]:
    return lab.get("configurationstate", "controller", "-n", SYSTEM).get("status", {})


def shown(lab: Lab) -> str | None:
    return lab.address(SERVICE, PLACE)


def becomes(lab: Lab, address: str | None, timeout: float = 20) -> None:
    assert eventually(lambda: shown(lab) == address, timeout=timeout), shown(lab)


def answers(lab: Lab, host: str, address: str, port: int = 80) -> str:
    """The status line's number of one request, 000 where nobody answers."""
    command = f"curl -s -m 5 -o /dev/null -w '%{{http_code}}\\n' http://{address}:{port}/ || true"
    return lab.run(host, command).strip()


def node_addresses(lab: Lab) -> set[str]:
    return {lab.node_address(host) for host in lab.group("nodes")}


def routed(lab: Lab, address: str) -> bool:
    return bool(eventually(lambda: lab.next_hops(f"{address}/32") == node_addresses(lab), timeout=60))


def addresses(lab: Lab) -> dict[str, list[str]]:
    """Return what every load balancer of the cluster shows."""
    found = lab.get("services", "-A")["items"]
    return {
        f"{item['metadata']['namespace']}/{item['metadata']['name']}": [
            entry["ip"] for entry in item["status"]["loadBalancer"].get("ingress", [])
        ]
        for item in found
        if item["spec"]["type"] == "LoadBalancer"
    }


class TestConfigMap:
    """The configuration of MetalLB v0.12, as it stands in many a cluster."""

    def test_objects_win_until_they_are_gone(self, lab: Lab) -> None:
        before = lab.address("web-1")
        apply(lab, config_map(BGP))
        assert eventually(lambda: "config" in state(lab).get("errorSummary", ""), timeout=20), state(lab)
        assert lab.address("web-1") == before
        lab.kubectl("delete", QUERY, "-n", SYSTEM, "--all")
        assert eventually(lambda: state(lab).get("result") == "Valid", timeout=20), state(lab)
        assert lab.address("web-1") == before
        assert eventually(lambda: set(lab.established()) == node_addresses(lab), timeout=60)
        assert routed(lab, str(before))

    def test_a_layer_2_pool_gives_the_address_that_is_asked_for(self, lab: Lab) -> None:
        # The older service would be the first to be served, so it asks for another address.
        patch_demo(lab, loadBalancerIP="10.31.8.150")
        apply(lab, config_map(LAYER2))
        apply(lab, json.dumps(service()))
        becomes(lab, "10.31.8.100")
        lab.kubectl("rollout", "status", "-n", PLACE, f"deployment/{WEB}", "--timeout=120s")
        patch_demo(lab, loadBalancerIP=None)
        assert lab.address("web-1") == "10.31.8.150"

    def test_it_answers_on_all_three_addresses(self, lab: Lab) -> None:
        spec = lab.get("service", SERVICE, "-n", PLACE)["spec"]
        host = lab.group("nodes")[0]
        port = spec["ports"][0]["nodePort"]
        for address, number in (
            ("10.31.8.100", 80),
            (spec["clusterIP"], 80),
            (lab.node_address(host), port),
        ):
            assert eventually(lambda a=address, n=number: answers(lab, host, a, n) == "200", timeout=30)

    def test_a_pool_that_is_replaced_takes_the_address_at_once_and_says_why(self, lab: Lab) -> None:
        apply(lab, config_map(BGP))
        becomes(lab, None)
        # The service that asks for nothing has moved, too, without any restart.
        assert eventually(lambda: (lab.address("web-1") or "").startswith("10.9."), timeout=20)
        refusal = condition(lab, "vipcast.io/AddressAllocated")
        assert (refusal["status"], refusal["reason"]) == ("False", "AddressNotInAnyPool")
        assert "10.31.8.100" in refusal["message"] and "default" in refusal["message"]
        assert eventually(lambda: events(lab, "ClearAssignment"), timeout=20)
        assert eventually(lambda: any("10.31.8.100" in text for text in events(lab, "AllocationFailed")), 20)

    def test_another_wish_is_served_at_once(self, lab: Lab) -> None:
        patch(lab, loadBalancerIP="10.9.1.1")
        becomes(lab, "10.9.1.1")
        assert routed(lab, "10.9.1.1")
        assert eventually(lambda: answers(lab, lab.client, "10.9.1.1") == "200", timeout=30)

    def test_a_broken_one_changes_nothing_and_is_named(self, lab: Lab) -> None:
        before = addresses(lab)
        apply(lab, config_map(BGP.replace("  protocol: bgp", "  protocol: [bgp")))
        assert eventually(lambda: state(lab).get("result") == "Invalid", timeout=20), state(lab)
        assert "config" in state(lab)["errorSummary"]
        assert addresses(lab) == before
        assert set(lab.established()) == node_addresses(lab)
        apply(lab, config_map(BGP))
        assert eventually(lambda: state(lab).get("result") == "Valid", timeout=20), state(lab)

    def test_converted_it_is_the_same(self, lab: Lab, tmp_path: Path) -> None:
        before = addresses(lab)
        manifest = tmp_path / "config.yml"
        manifest.write_text(lab.kubectl("get", "configmap", "config", "-n", SYSTEM, "-o", "yaml"))
        # The objects alone: what is said about them goes to standard error.
        program = [BIN / "vipcast", "convert", manifest]
        converted = subprocess.run(program, capture_output=True, text=True, timeout=30, check=False)
        assert converted.returncode == 0, converted.stderr
        lab.kubectl("apply", "-f", "-", stdin=converted.stdout)
        lab.kubectl("delete", "configmap", "config", "-n", SYSTEM)
        assert eventually(lambda: state(lab).get("result") == "Valid", timeout=20), state(lab)
        assert addresses(lab) == before
        assert eventually(lambda: set(lab.established()) == node_addresses(lab), timeout=60)
        assert routed(lab, "10.9.1.1")

    def test_the_declaration_takes_over(self, lab: Lab) -> None:
        before = addresses(lab)
        lab.kubectl("delete", "bgppeers,bgpadvertisements", "-n", SYSTEM, "--all")
        lab.playbook("site", "--skip-tags", "verify").expect()
        assert addresses(lab) == before
        # The plan's check mode, below, shows that nothing else differs.


class TestPlan:
    """The effect of a change of the pools is told before and true after."""

    def test_what_was_predicted_comes_true(self, lab: Lab, tmp_path: Path) -> None:
        now, pools = tmp_path / "now.yml", tmp_path / "pools.yml"
        now.write_text(lab.kubectl("get", "services,namespaces", "-A", "-o", "yaml"))
        pool = {
            "apiVersion": "metallb.io/v1beta1",
            "kind": "IPAddressPool",
            "metadata": {"name": "default", "namespace": SYSTEM},
            "spec": {"addresses": ["10.9.1.0-10.9.1.9"]},
        }
        pools.write_text(json.dumps(pool))
        planned = tool("vipcast", "plan", "-o", "json", pools, now, timeout=30)
        rows = json.loads(planned.stdout)["services"]
        predicted = {f"{row['namespace']}/{row['name']}": row["after"]["addresses"] for row in rows}
        declared = [{"name": "default", "addresses": ["10.9.1.0-10.9.1.9"]}]
        check = lab.playbook(
            "site", "--check", "--diff", "--skip-tags", "verify", vipcast_pools=declared
        ).expect()
        # The pool, and the router's filter for it.
        assert check.changed == {"localhost": 1, lab.router: 1}, check.output
        assert "demo/web-1" in check.output and predicted["demo/web-1"][0] in check.output, check.output
        before = addresses(lab)
        lab.playbook("site", "--tags", "load_balancer", vipcast_pools=declared).expect()
        assert eventually(lambda: addresses(lab) == predicted, timeout=20), (addresses(lab), predicted)
        assert predicted != before
        lab.playbook("site", "--tags", "load_balancer").expect()


class TestNodePorts:
    """``allocateLoadBalancerNodePorts: false`` on a service that has them already."""

    def test_ports_that_stay_behind_are_named(self, lab: Lab) -> None:
        patch(lab, allocateLoadBalancerNodePorts=False)
        assert eventually(lambda: condition(lab, "vipcast.io/NodePortsReleased"), timeout=20)
        left = condition(lab, "vipcast.io/NodePortsReleased")
        port = lab.get("service", SERVICE, "-n", PLACE)["spec"]["ports"][0]["nodePort"]
        assert left["status"] == "False" and str(port) in left["message"]
        host = lab.group("nodes")[0]
        assert answers(lab, host, lab.node_address(host), port) == "200"

    def test_they_go_where_the_setting_says_so(self, lab: Lab) -> None:
        host = lab.group("nodes")[0]
        port = lab.get("service", SERVICE, "-n", PLACE)["spec"]["ports"][0]["nodePort"]
        lab.playbook("site", "--tags", "load_balancer", load_balancer_release_node_ports=True).expect()
        assert eventually(
            lambda: not lab.get("service", SERVICE, "-n", PLACE)["spec"]["ports"][0].get("nodePort"),
            timeout=30,
        )
        assert eventually(lambda: answers(lab, host, lab.node_address(host), port) == "000", timeout=30)
        assert answers(lab, lab.client, "10.9.1.1") == "200"
        # There is nothing left to say.
        assert eventually(lambda: condition(lab, "vipcast.io/NodePortsReleased") == {}, timeout=20)


class TestLeader:
    """Two controllers, one of which decides."""

    def lease(self, lab: Lab) -> dict[str, Any]:
        return lab.get("lease", "vipcast-controller", "-n", SYSTEM)["spec"]

    def kill_leader(self, lab: Lab) -> None:
        """SIGKILL to the process, by the node on which the leader's pod is."""
        holder = self.lease(lab)["holderIdentity"]
        pods = lab.get("pods", "-n", SYSTEM, "-l", "app.kubernetes.io/component=controller")["items"]
        pod = next(pod for pod in pods if holder.startswith(pod["metadata"]["name"]))
        container = pod["status"]["containerStatuses"][0]["containerID"].partition("//")[2]
        host = next(host for host in lab.group("nodes") if lab.node_name(host) == pod["spec"]["nodeName"])
        lab.run(host, f"ctr --namespace k8s.io tasks kill --signal SIGKILL {container}")

    def test_there_are_two(self, lab: Lab) -> None:
        ready = lab.get("deployment", "controller", "-n", SYSTEM)["status"]["readyReplicas"]
        assert ready == 2

    def test_a_killed_leader_is_replaced_and_no_address_changes(self, lab: Lab) -> None:
        before, transitions = addresses(lab), self.lease(lab).get("leaseTransitions", 0)
        self.kill_leader(lab)
        late = service()
        late["metadata"]["name"] = "late"
        del late["spec"]["loadBalancerIP"]
        apply(lab, json.dumps(late))
        assert eventually(lambda: lab.address("late", PLACE), timeout=15)
        assert self.lease(lab)["leaseTransitions"] > transitions
        lab.kubectl("delete", "service", "late", "-n", PLACE)
        assert addresses(lab) == before


def test_a_typed_module_shows_what_it_would_change(lab: Lab) -> None:
    options = {
        "name": "default",
        "namespace": SYSTEM,
        "addresses": ["10.9.0.0/16", "10.10.0.0/24"],
        "kubeconfig": str(lab.kubeconfig),
    }
    done = tool(
        "ansible", "localhost", "-m", "vipcast.baremetal.ip_address_pool", "-a", json.dumps(options),
        "--check", "--diff", timeout=60,
    )  # fmt: skip
    assert done.returncode == 0 and "10.10.0.0/24" in done.stdout and "CHANGED" in done.stdout, done.stdout
    pool = lab.get("ipaddresspool", "default", "-n", SYSTEM)
    assert pool["spec"]["addresses"] == ["10.9.0.0/16"]


def test_in_the_end_the_declaration_is_all_that_there_is(lab: Lab) -> None:
    """The rollout undoes what the steps before it have set; test_drift.py looks at what is left."""
    lab.playbook("site", "--skip-tags", "verify").expect()


@pytest.mark.thorough
def test_in_the_end_nothing_has_drifted(lab: Lab, tmp_path: Path) -> None:
    lab.playbook("drift", drift_report_path=str(tmp_path / "drift.json")).expect(0)
    lab.playbook("verify").expect()
