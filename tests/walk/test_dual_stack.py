# SPDX-License-Identifier: GPL-3.0-or-later
"""Both address families over one session with each node.

Each step leaves the lab as it found it.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.lab import Lab, eventually

pytestmark = pytest.mark.declaration("bfd")

POOLS = {4: ipaddress.ip_network("10.9.0.0/16"), 6: ipaddress.ip_network("fd00:9::/64")}


@pytest.fixture(scope="module", autouse=True)
def addresses(lab: Lab) -> Iterator[dict[int, str]]:
    """The service's address of each family."""

    def given() -> dict[int, str]:
        status = lab.get("service", "web-1", "-n", "demo")["status"]["loadBalancer"]
        found = [one["ip"] for one in status.get("ingress", [])]
        return {ipaddress.ip_address(one).version: one for one in found}

    assert eventually(lambda: set(given()) == {4, 6}, timeout=30)
    yield given()


def nodes(lab: Lab, version: int) -> set[str]:
    """The nodes' addresses of a family."""
    items = lab.get("nodes")["items"]
    found = [
        one["address"] for item in items for one in item["status"]["addresses"] if one["type"] == "InternalIP"
    ]
    return {one for one in found if ipaddress.ip_address(one).version == version}


def kernel(lab: Lab, address: str) -> set[str]:
    """Next hops in the router's kernel, of either family."""
    flag = "-6" if ":" in address else "-4"
    routes = json.loads(lab.run(lab.router, f"ip {flag} -j route show {address}") or "[]")
    return {hop["gateway"] for route in routes for hop in route.get("nexthops", [route]) if "gateway" in hop}


def test_one_session_with_each_node_carries_both_families(lab: Lab) -> None:
    for family in ("ipv4", "ipv6"):
        peers = json.loads(lab.vtysh(f"show bgp {family} unicast summary json"))["peers"]
        assert {peer: (one["state"], one["pfxRcd"]) for peer, one in peers.items()} == dict.fromkeys(
            nodes(lab, 4), ("Established", 1)
        ), family


@pytest.mark.parametrize("version", [4, 6])
def test_a_service_is_a_route_with_a_next_hop_per_node(
    lab: Lab, addresses: dict[int, str], version: int
) -> None:
    address = addresses[version]
    assert ipaddress.ip_address(address) in POOLS[version]
    assert eventually(lambda: kernel(lab, address) == nodes(lab, version), timeout=30), kernel(lab, address)


@pytest.mark.parametrize("version", [4, 6])
def test_a_client_meets_every_node(lab: Lab, addresses: dict[int, str], version: int) -> None:
    place = f"[{addresses[version]}]" if version == 6 else addresses[version]
    asked = f"for i in $(seq 40); do curl -s -g -m 5 http://{place}/ -o /dev/null -D -; done"
    answers = lab.run(lab.client, asked)
    assert answers.count("200 OK") == 40
    met = set(re.findall(r"(?im)^x-node-name: (\S+?)\r?$", answers))
    assert met == {lab.node_name(host) for host in lab.group("nodes")}


def test_a_second_rollout_changes_nothing(lab: Lab) -> None:
    assert lab.playbook("site", "--skip-tags", "verify").expect().changed == {}


def test_the_report_has_both_families_and_bfd(lab: Lab, addresses: dict[int, str], tmp_path: Path) -> None:
    path = tmp_path / "verify.json"
    lab.playbook("verify", verify_report_path=str(path)).expect()
    found: dict[str, Any] = json.loads(path.read_text())
    assert {route["prefix"] for route in found["routes"]} == {
        f"{addresses[4]}/32",
        f"{addresses[6]}/128",
    }
    assert {session["bfd"] for session in found["sessions"]} == {"up"}
    assert [one["dead_node"] for one in found["failures"]] == [0.9]


# What is changed on the router by hand, and the words of the one line that names it.
DRIFTS = (
    (
        ("router bgp 64512", "address-family ipv6 unicast", "no neighbor 10.31.8.11 activate"),
        ("activate of neighbor 10.31.8.11", "ipv6 unicast", "yes"),
    ),
    (
        ("bfd", "profile VIPCAST-fast", "receive-interval 900"),
        ("receive-interval of bfd-profile VIPCAST-fast", "900"),
    ),
    (
        ("router bgp 64512", "neighbor 10.31.8.12 bfd check-control-plane-failure"),
        ("check-control-plane-failure of neighbor 10.31.8.12", "none", "set"),
    ),
)


def test_drift_of_a_family_and_of_bfd_is_named_and_repaired(lab: Lab, tmp_path: Path) -> None:
    for commands, _words in DRIFTS:
        lab.vtysh("configure terminal", *commands)
    path = tmp_path / "drift.json"
    lab.playbook("drift", drift_report_path=str(path)).expect(2)
    named = [json.dumps(one) for one in json.loads(path.read_text())["drift"]]
    assert len(named) == len(DRIFTS), named
    for _commands, words in DRIFTS:
        assert any(all(word in line for word in words) for line in named), (words, named)
    lab.playbook("site", "--tags", "router,verify").expect()
    lab.playbook("drift", drift_report_path=str(path)).expect(0)
