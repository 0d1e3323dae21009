# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rolled-out lab does, in the order in which a person would try it.

Each step leaves the lab as it found it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.lab import CHECKOUT, Lab, Run, eventually

SERVICES = 3


@pytest.fixture(scope="module", autouse=True)
def services(lab: Lab) -> Iterator[dict[str, str]]:
    """The demonstration services and their addresses."""
    lab.playbook("lab_services", lab_services=SERVICES).expect()
    names = [f"web-{number}" for number in range(1, SERVICES + 1)]
    assert eventually(lambda: all(lab.address(name) for name in names), timeout=15)
    yield {name: str(lab.address(name)) for name in names}
    lab.playbook("lab_services", lab_services=1).expect()


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


def test_the_router_accepts_nothing_but_the_pools(lab: Lab) -> None:
    text = lab.vtysh("show running-config")
    assert "no bgp ebgp-requires-policy" not in text
    for peer in node_addresses(lab):
        assert lab.sessions()[peer]["pfxSnt"] == 0


def test_a_client_meets_every_node_and_always_gets_an_answer(lab: Lab, services: dict[str, str]) -> None:
    run = lab.playbook("verify").expect()
    report = (
        json.loads((CHECKOUT / "report/verify.json").read_text())
        if (CHECKOUT / "report/verify.json").exists()
        else None
    )
    answers = [
        lab.run(
            lab.client,
            f"for i in $(seq 40); do curl -s -m 5 http://{services['web-1']}/ -o /dev/null -D -; done",
        )
    ]
    nodes = set(re.findall(r"(?im)^x-node-name: (\S+?)\r?$", answers[0]))
    assert nodes == {lab.node_name(host) for host in lab.group("nodes")}, (run.output, report)


def test_a_second_rollout_changes_nothing(lab: Lab) -> None:
    assert lab.playbook("site").expect().changed == {}


def test_check_mode_reports_nothing_where_nothing_has_drifted(lab: Lab) -> None:
    assert lab.playbook("site", "--check", "--diff").expect().changed == {}


def test_the_death_of_a_pod_costs_no_route(lab: Lab, services: dict[str, str]) -> None:
    lab.kubectl("delete", "pod", "-n", "demo", "--wait=false", lab.pods_of("web-1")[0])
    has_next_hops(lab, services["web-1"], node_addresses(lab), timeout=5)
    lab.kubectl("rollout", "status", "-n", "demo", "deployment/web-1", "--timeout=60s")
    lab.playbook("verify").expect()


def test_without_any_pod_the_route_goes_and_with_one_it_comes_back(
    lab: Lab, services: dict[str, str]
) -> None:
    replicas = lab.get("deployment", "web-2", "-n", "demo")["spec"]["replicas"]
    lab.kubectl("scale", "-n", "demo", "deployment/web-2", "--replicas=0")
    has_next_hops(lab, services["web-2"], set())
    assert lab.address("web-2") == services["web-2"]
    lab.playbook("verify").expect()
    lab.kubectl("scale", "-n", "demo", "deployment/web-2", f"--replicas={replicas}")
    has_next_hops(lab, services["web-2"], node_addresses(lab))


def test_a_deleted_service_takes_its_route_with_it(lab: Lab, services: dict[str, str]) -> None:
    lab.kubectl("delete", "service", "-n", "demo", "web-3")
    has_next_hops(lab, services["web-3"], set(), timeout=10)
    lab.playbook("verify").expect()
    lab.playbook("lab_services", lab_services=SERVICES).expect()
    assert eventually(lambda: lab.address("web-3"), timeout=15) == services["web-3"]


def test_addresses_outlive_the_controller(lab: Lab, services: dict[str, str]) -> None:
    namespace = "metallb-system"
    lab.kubectl(
        "delete", "pod", "-n", namespace, "-l", "app.kubernetes.io/component=controller", "--wait=true"
    )
    lab.kubectl(
        "wait", "-n", namespace, "deployment/controller", "--for=condition=Available", "--timeout=60s"
    )
    assert {name: lab.address(name) for name in services} == services


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
    lab.playbook("site").expect()


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

    def test_a_pool_that_overlaps_the_nodes(self, lab: Lab) -> None:
        self.refused(
            lab,
            r"10\.31\.8\.0/24.*overlap",
            vipcast_pools=[{"name": "default", "addresses": ["10.31.8.0/24"]}],
        )

    def test_pools_that_overlap_each_other(self, lab: Lab) -> None:
        pools = [
            {"name": "default", "addresses": ["10.9.0.0/16"]},
            {"name": "other", "addresses": ["10.9.3.0-10.9.4.9"]},
        ]
        self.refused(lab, r"other.*overlap|overlap.*other", vipcast_pools=pools)

    def test_an_as_number_that_cannot_be(self, lab: Lab) -> None:
        self.refused(lab, r"vipcast_cluster_asn", vipcast_cluster_asn=0)

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

    def test_a_variable_that_nobody_knows(self, lab: Lab) -> None:
        self.refused(lab, r"vipcast_pool\b.*vipcast_pools", vipcast_pool=[])


def test_a_node_without_power_is_routed_around(lab: Lab) -> None:
    host = lab.group("nodes")[-1]
    everyone, address = node_addresses(lab), str(lab.address("web-1"))
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
