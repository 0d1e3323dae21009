# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes and a router in one AS, with BFD and graceful restart: weights, and what a client notices.

Each step leaves the lab as it found it. For the lab with six nodes: ``--lab inventories/lab-six-nodes``.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from statistics import mean
from typing import Any

import pytest
from support.asking import Client, changes, routes_seen, unexplained
from support.lab import Lab, eventually
from support.quiet import alone

pytestmark = pytest.mark.declaration("bfd")


@pytest.fixture(scope="module", autouse=True)
def service(lab: Lab) -> str:
    """The address of the demonstration's one service, whose pods are on all nodes."""
    address = str(eventually(lambda: lab.address("web-1"), timeout=30))
    assert eventually(lambda: lab.next_hops(address) == everyone(lab), timeout=60), lab.next_hops(address)
    return address


@pytest.fixture(scope="module")
def victim(lab: Lab) -> str:
    """The node that is drained, and whose speaker is killed."""
    return lab.group("nodes")[-2]


@pytest.fixture(scope="module")
def other(lab: Lab) -> str:
    """The node that loses its power."""
    return lab.group("nodes")[-1]


def first_of_the_pool(lab: Lab) -> str:
    """The first address of the first pool."""
    ranges = lab.variables(lab.router)["vipcast_pools"][0]["addresses"]
    return str(ranges[0]).partition("/")[0]


def everyone(lab: Lab) -> set[str]:
    return {lab.node_address(host) for host in lab.group("nodes")}


def report(lab: Lab, tmp_path: Any) -> dict[str, Any]:
    path = tmp_path / "verify.json"
    lab.playbook("verify", verify_report_path=str(path)).expect()
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_a_session_with_each_node_has_one_prefix(lab: Lab) -> None:
    found = {peer: (one["state"], one["pfxRcd"], one["remoteAs"]) for peer, one in lab.sessions().items()}
    assert found == dict.fromkeys(everyone(lab), ("Established", 1, 64512))


def test_the_first_address_of_the_pool_is_handed_out_and_has_a_next_hop_per_node(
    lab: Lab, service: str
) -> None:
    assert service == first_of_the_pool(lab)
    route = lab.run(lab.router, f"ip route show {service}")
    assert re.match(rf"{service} .*proto bgp metric 20", route), route
    assert route.count("nexthop via") == len(everyone(lab))


def test_the_client_and_the_router_get_an_answer(lab: Lab, service: str) -> None:
    asked = f'curl -s -m 5 -o /dev/null -w "%{{http_code}}\\n" http://{service}/'
    assert lab.run(lab.client, asked).strip() == "200"
    # The router has no curl, but a shell that opens connections.
    spoken = f"exec 3<>/dev/tcp/{service}/80; echo GET / HTTP/1.0 >&3; echo >&3; head -n 1 <&3"
    assert "200 OK" in lab.run(lab.router, f"bash -c '{spoken}'")


def test_the_report_says_what_a_failure_costs(lab: Lab, tmp_path: Any) -> None:
    found = report(lab, tmp_path)
    assert len(found["failures"]) == 1, "all sessions agreed on the same"
    worst = found["failures"][0]
    assert len(worst["nodes"]) == len(everyone(lab))
    # 3 x 300 ms of BFD, and the inventory's graceful_restart_time.
    assert (worst["dead_node"], worst["restart_hidden"]) == (0.9, 30)


def test_weights_in_the_routers_kernel_follow_the_pods(lab: Lab, service: str) -> None:
    items = lab.get("pods", "-n", "demo", "-l", "app.kubernetes.io/instance=web-1")["items"]
    pods = Counter(lab.node_address(pod["spec"]["nodeName"]) for pod in items)
    assert len(pods) == len(everyone(lab)) and set(pods.values()) == {1, 2}
    hops = json.loads(lab.run(lab.router, f"ip -j route show {service}"))[0]["nexthops"]
    weights = {hop["gateway"]: hop["weight"] for hop in hops}
    single = [weights[address] for address, count in pods.items() if count == 1]
    double = [weights[address] for address, count in pods.items() if count == 2]
    assert max(single) < min(double) and abs(mean(double) / mean(single) - 2) < 0.1, weights


def drained(lab: Lab) -> dict[str, str]:
    """The nodes that were told to leave, and for how long."""
    items = lab.get("nodes")["items"]
    annotations = {item["metadata"]["name"]: item["metadata"].get("annotations", {}) for item in items}
    return {
        name: said["vipcast.io/drain"] for name, said in annotations.items() if "vipcast.io/drain" in said
    }


def test_what_has_no_other_way_is_not_drained(lab: Lab, service: str) -> None:
    run = lab.playbook("drain", drain_nodes=",".join(lab.group("nodes"))).expect(2)
    assert f"{service}/32 (demo/web-1) has no next hop but those of" in run.output
    assert "Nothing was changed." in run.output
    assert drained(lab) == {}


def test_check_mode_drains_nobody(lab: Lab, victim: str) -> None:
    assert lab.playbook("drain", "--check", drain_nodes=victim).expect().changed == {"localhost": 1}
    assert drained(lab) == {}


def test_a_client_does_not_notice_a_drain(lab: Lab, service: str, victim: str) -> None:
    """No request fails but one that is under way in the millisecond in which the router's hash changes."""
    with alone():
        routes, client = routes_seen(lab), Client(lab, f"http://{service}/")
        try:
            out = lab.playbook("drain", drain_nodes=victim, drain_wait="3s", drain_cordon=True).expect()
            without = lab.next_hops(service)
            again = lab.playbook("drain", drain_nodes=victim, drain_cordon=True).expect()
            cordoned = lab.get("node", victim)["spec"].get("unschedulable")
            expected = lab.playbook("verify", verify_probe=False)
            back = lab.playbook("drain", drain_nodes=victim, drain_state="undrained").expect()
            restored = lab.next_hops(service)
        finally:
            seen, moved = client.stop(), changes(routes.stop(), service)
    assert (out.changed, again.changed, back.changed) == ({"localhost": 1}, {}, {"localhost": 1})
    assert without == everyone(lab) - {lab.node_address(victim)}
    assert cordoned is True
    assert "unschedulable" not in lab.get("node", victim)["spec"]
    assert "none (drained: annotated vipcast.io/drain)" in expected.expect().output
    assert restored == everyone(lab)
    assert seen["requests"] > 1000
    assert unexplained(seen["failures"], moved) == []
    assert len(seen["failures"]) <= len(moved)


def came_back(lab: Lab, hop: str, drops: int) -> bool:
    """Return whether a node's session is Established and went down more than ``drops`` times."""
    session = lab.sessions()[hop]
    return bool(session["state"] == "Established" and session["connectionsDropped"] > drops)


def test_a_client_does_not_notice_a_speaker_that_is_killed(lab: Lab, service: str, victim: str) -> None:
    """Graceful restart hides it: the next hop never leaves the router's kernel, and BFD goes on."""
    hop = lab.node_address(victim)
    with alone():
        before = lab.sessions()[hop]["connectionsDropped"]
        routes, client = routes_seen(lab), Client(lab, f"http://{service}/")
        try:
            lab.run(victim, "kill -KILL $(pgrep -f '[v]ipcast speaker')")
            again = eventually(lambda: came_back(lab, hop, before), timeout=60)
        finally:
            seen, moved = client.stop(), changes(routes.stop(), service)
    assert again, "the session did not come back"
    assert moved == []
    assert seen["failures"] == []


def test_a_dead_node_is_out_long_before_the_hold_time(lab: Lab, service: str, other: str) -> None:
    hop = lab.node_address(other)
    with alone():
        lab.power(other, "off")
        try:
            # Without BFD it would be 39 s: the hold time and the restart time.
            gone = eventually(lambda: hop not in lab.next_hops(service), timeout=5)
        finally:
            lab.power(other, "on")
    assert gone, f"{hop} is still a next hop"
    assert eventually(lambda: lab.next_hops(service) == everyone(lab), timeout=90)
    lab.playbook("verify").expect()
