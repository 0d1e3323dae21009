# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a rolled-out lab does, in the order in which a person would try it.

Each step leaves the lab as it found it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.declarations import SYSTEM
from support.lab import Lab, Run, eventually
from support.quiet import alone
from support.web import apply

pytestmark = pytest.mark.declaration("bgp")

SERVICES = 3
# A pool that is not declared.
OUTSIDE = "10.77.0.0/24"


@pytest.fixture(scope="module", autouse=True)
def services(lab: Lab) -> Iterator[dict[str, str]]:
    """The demonstration services and their addresses."""
    lab.playbook("lab_services", lab_services=SERVICES).expect()
    names = [f"web-{number}" for number in range(1, SERVICES + 1)]
    assert eventually(lambda: all(lab.address(name) for name in names), timeout=15)
    yield {name: str(lab.address(name)) for name in names}
    lab.playbook("lab_services", lab_services=1).expect()


def service(name: str, **annotations: str) -> dict[str, Any]:
    """Return a service of a test's own, with the pods of web-1."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "demo", "annotations": annotations},
        "spec": {
            "type": "LoadBalancer",
            "selector": {"app.kubernetes.io/instance": "web-1"},
            "ports": [{"port": 80, "targetPort": "http"}],
        },
    }


def node_addresses(lab: Lab) -> set[str]:
    return {lab.node_address(host) for host in lab.group("nodes")}


def has_next_hops(lab: Lab, address: str, expected: set[str], timeout: float = 30) -> bool:
    found = eventually(lambda: lab.next_hops(f"{address}/32") == expected, timeout=timeout)
    assert found, f"{address}/32: {lab.next_hops(f'{address}/32')}, expected {expected}"
    return True


def test_every_node_has_a_session_with_the_router(lab: Lab) -> None:
    sessions = lab.sessions()
    assert {
        peer for peer, facts in sessions.items() if facts["state"] == "Established" and facts["pfxRcd"]
    } == node_addresses(lab)


def test_every_service_is_a_route_with_a_next_hop_per_node(lab: Lab, services: dict[str, str]) -> None:
    assert len(set(services.values())) == SERVICES
    for address in services.values():
        has_next_hops(lab, address, node_addresses(lab))


def test_bgp_has_a_path_per_service_and_node(lab: Lab, services: dict[str, str]) -> None:
    table = json.loads(lab.vtysh("show bgp ipv4 unicast json"))["routes"]
    assert {prefix: len(paths) for prefix, paths in table.items()} == {
        f"{address}/32": len(node_addresses(lab)) for address in services.values()
    }


def undeclared(kind: str, **spec: Any) -> dict[str, Any]:
    """Return an object of the configuration that is made by hand."""
    place = {"name": "outside", "namespace": SYSTEM}
    return {"apiVersion": "metallb.io/v1beta1", "kind": kind, "metadata": place, "spec": spec}


@pytest.fixture
def outside(lab: Lab) -> Iterator[str]:
    """The address of a service, from a pool that nobody declared: every node announces it."""
    pool = undeclared("IPAddressPool", addresses=[OUTSIDE], autoAssign=False)
    advertisement = undeclared("BGPAdvertisement", ipAddressPools=["outside"])
    apply(lab, pool, advertisement, service("outside", **{"metallb.io/address-pool": "outside"}))
    yield str(eventually(lambda: lab.address("outside"), timeout=20))
    lab.kubectl("delete", "service", "outside", "-n", "demo")
    for kind in ("bgpadvertisement", "ipaddresspool"):
        lab.kubectl("delete", f"{kind}.metallb.io", "outside", "-n", SYSTEM)


def received(lab: Lab, peer: str) -> set[str]:
    """Return the prefixes that a neighbor has announced to the router, accepted or not."""
    said = json.loads(lab.vtysh(f"show bgp ipv4 unicast neighbors {peer} received-routes json"))
    return set(said["receivedRoutes"])


def test_the_router_sends_nothing_and_accepts_nothing_but_the_pools(
    lab: Lab, services: dict[str, str], outside: str
) -> None:
    assert "no bgp ebgp-requires-policy" not in lab.vtysh("show running-config")
    prefix, peers = f"{outside}/32", node_addresses(lab)
    assert eventually(lambda: all(prefix in received(lab, peer) for peer in peers), timeout=20)
    accepted = json.loads(lab.vtysh("show bgp ipv4 unicast json"))["routes"]
    assert set(accepted) == {f"{address}/32" for address in services.values()}
    assert lab.next_hops(prefix) == set()
    assert {peer: lab.sessions()[peer]["pfxSnt"] for peer in peers} == dict.fromkeys(peers, 0)


def test_a_client_meets_every_node_and_always_gets_an_answer(
    lab: Lab, services: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "verify.json"
    run = lab.playbook("verify", verify_report_path=str(path)).expect()
    found = json.loads(path.read_text())
    assert found["ok"] and found["probes"] and run.changed == {}, run.output
    asked = f"for i in $(seq 40); do curl -s -m 5 http://{services['web-1']}/ -o /dev/null -D -; done"
    answers = lab.run(lab.client, asked)
    assert answers.count("200 OK") == 40
    nodes = set(re.findall(r"(?im)^x-node-name: (\S+?)\r?$", answers))
    assert nodes == {lab.node_name(host) for host in lab.group("nodes")}, run.output


def test_a_second_rollout_changes_nothing(lab: Lab) -> None:
    assert lab.playbook("site", "--skip-tags", "verify").expect().changed == {}


def test_check_mode_reports_nothing_where_nothing_has_drifted(lab: Lab) -> None:
    assert lab.playbook("site", "--check", "--diff").expect().changed == {}


def test_the_death_of_a_pod_costs_no_route(lab: Lab, services: dict[str, str]) -> None:
    lab.kubectl("delete", "pod", "-n", "demo", "--wait=false", lab.pods_of("web-1")[0])
    has_next_hops(lab, services["web-1"], node_addresses(lab), timeout=5)
    lab.kubectl("rollout", "status", "-n", "demo", "deployment/web-1", "--timeout=60s")


def test_without_any_pod_or_service_there_is_no_route_and_the_report_agrees(
    lab: Lab, services: dict[str, str]
) -> None:
    replicas = lab.get("deployment", "web-2", "-n", "demo")["spec"]["replicas"]
    lab.kubectl("scale", "-n", "demo", "deployment/web-2", "--replicas=0")
    lab.kubectl("delete", "service", "-n", "demo", "web-3")
    has_next_hops(lab, services["web-3"], set(), timeout=10)
    has_next_hops(lab, services["web-2"], set())
    assert lab.address("web-2") == services["web-2"]
    lab.playbook("verify").expect()
    lab.kubectl("scale", "-n", "demo", "deployment/web-2", f"--replicas={replicas}")
    has_next_hops(lab, services["web-2"], node_addresses(lab))
    lab.playbook("lab_services", lab_services=SERVICES).expect()
    assert eventually(lambda: lab.address("web-3"), timeout=15) == services["web-3"]
    has_next_hops(lab, services["web-3"], node_addresses(lab))


def holder(lab: Lab) -> str:
    """Return the pod of the controller that decides."""
    spec = lab.get("lease", "vipcast-controller", "-n", SYSTEM)["spec"]
    return str(spec.get("holderIdentity", ""))


def versions(lab: Lab, names: set[str]) -> dict[str, str]:
    """Return the resourceVersion of each service: one that was written has another."""
    items = lab.get("services", "-n", "demo")["items"]
    found = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items}
    return {name: found[name] for name in names}


def test_addresses_outlive_the_controller(lab: Lab, services: dict[str, str]) -> None:
    """Judged when another has begun to decide: it has given an address to a service that is new."""
    before, written = holder(lab), versions(lab, set(services))
    selected = ("-l", "app.kubernetes.io/component=controller")
    lab.kubectl("delete", "pod", "-n", SYSTEM, *selected, "--wait=true")
    assert eventually(lambda: holder(lab) not in ("", before), timeout=60)
    apply(lab, service("late"))
    try:
        assert eventually(lambda: lab.address("late"), timeout=60)
        assert {name: lab.address(name) for name in services} == services
        assert versions(lab, set(services)) == written
    finally:
        lab.kubectl("delete", "service", "late", "-n", "demo")
    lab.kubectl("wait", "-n", SYSTEM, "deployment/controller", "--for=condition=Available", "--timeout=60s")


def test_a_replaced_pool_moves_services_without_a_restart(lab: Lab, services: dict[str, str]) -> None:
    """A service that asks for an address which no pool has any more waits, until it asks for another."""
    first = services["web-1"]
    lab.kubectl(
        "patch", "service", "-n", "demo", "web-1", "-p", json.dumps({"spec": {"loadBalancerIP": first}})
    )
    pool = {"vipcast_pools": [{"name": "default", "addresses": ["10.9.128.0/24"]}]}
    lab.playbook("site", "--skip-tags", "verify", **pool).expect()
    assert eventually(lambda: lab.address("web-1") is None, timeout=20)
    assert eventually(lambda: (lab.address("web-2") or "").startswith("10.9.128."), timeout=20)
    lab.kubectl(
        "patch",
        "service",
        "-n",
        "demo",
        "web-1",
        "-p",
        json.dumps({"spec": {"loadBalancerIP": "10.9.128.77"}}),
    )
    assert eventually(lambda: lab.address("web-1") == "10.9.128.77", timeout=10)
    has_next_hops(lab, "10.9.128.77", node_addresses(lab))
    lab.kubectl(
        "patch", "service", "-n", "demo", "web-1", "-p", json.dumps({"spec": {"loadBalancerIP": None}})
    )
    lab.playbook("site", "--skip-tags", "verify").expect()


class TestBadInput:
    """Each stops with a message that names what is wrong, before anything is changed."""

    def refused(self, lab: Lab, message: str, *arguments: str, **variables: object) -> Run:
        generation = lab.get("ipaddresspools,bgppeers", "-n", "metallb-system")["items"]
        run = lab.playbook("site", *arguments, **variables)
        assert run.returncode != 0, run.output
        assert re.search(message, run.output), run.output
        assert run.changed == {}, run.output
        assert lab.get("ipaddresspools,bgppeers", "-n", "metallb-system")["items"] == generation
        return run

    def test_an_as_number_that_is_not_the_routers(self, lab: Lab) -> None:
        self.refused(lab, r"64999", vipcast_router_asn=64999)

    def test_a_router_that_nobody_reaches(self, lab: Lab, tmp_path: Path) -> None:
        inventory = tmp_path / "unreachable.yml"
        inventory.write_text(
            json.dumps({"all": {"hosts": {lab.router: {"ansible_host": "127.0.0.1", "ansible_port": 9}}}})
        )
        self.refused(lab, rf"- router {lab.router}: Ansible cannot reach it", f"-i{inventory}")

    def test_a_broken_kubeconfig(self, lab: Lab, tmp_path: Path) -> None:
        broken = tmp_path / "kubeconfig"
        broken.write_text("apiVersion: v1\nkind: Config\nclusters: [\n")
        self.refused(lab, re.escape(str(broken)), vipcast_kubeconfig=str(broken))


def test_a_node_without_power_is_routed_around(lab: Lab) -> None:
    host = lab.group("nodes")[-1]
    everyone, address = node_addresses(lab), str(lab.address("web-1"))
    with alone():
        lab.playbook("lab_power", lab_host=host, lab_power="off").expect()
        try:
            has_next_hops(lab, address, everyone - {lab.node_address(host)}, timeout=30)
            run = lab.playbook("verify", verify_timeout=120).expect()
            assert re.search(rf"{re.escape(lab.node_name(host))}.*(?i:not ready|notready)", run.output), (
                run.output
            )
        finally:
            lab.playbook("lab_power", lab_host=host, lab_power="on").expect()
        has_next_hops(lab, address, everyone, timeout=120)
    lab.kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=120s")
    lab.playbook("verify", verify_timeout=120).expect()
