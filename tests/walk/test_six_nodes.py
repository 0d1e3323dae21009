# SPDX-License-Identifier: GPL-3.0-or-later
"""Six nodes and a router in one AS: weights, and what a client notices when something fails or leaves.

Each step leaves the lab as it found it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest
from support.asking import Client, changes, routes_seen, unexplained
from support.lab import CHECKOUT, Lab, eventually

FIRST = "172.16.10.0"
VICTIM, OTHER = "k8s-worker3", "k8s-worker4"


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(CHECKOUT / "inventories/lab-six-nodes")


@pytest.fixture(scope="module", autouse=True)
def service(lab: Lab) -> str:
    """The demonstration's one service, whose pods are on all nodes, and its address."""
    assert eventually(lambda: lab.address("web-1"), timeout=30)
    assert eventually(lambda: lab.next_hops(FIRST) == everyone(lab), timeout=60)
    return str(lab.address("web-1"))


def everyone(lab: Lab) -> set[str]:
    return {lab.node_address(host) for host in lab.group("nodes")}


def report(lab: Lab, tmp_path: Any) -> dict[str, Any]:
    path = tmp_path / "verify.json"
    lab.playbook("verify", verify_report_path=str(path)).expect()
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_six_sessions_with_one_prefix_each(lab: Lab) -> None:
    found = {peer: (one["state"], one["pfxRcd"], one["remoteAs"]) for peer, one in lab.sessions().items()}
    assert found == dict.fromkeys(everyone(lab), ("Established", 1, 64512))


def test_the_first_address_of_the_pool_is_handed_out_and_has_six_next_hops(lab: Lab, service: str) -> None:
    assert service == FIRST
    route = lab.run(lab.router, f"ip route show {FIRST}")
    assert re.match(rf"{FIRST} .*proto bgp metric 20", route), route
    assert route.count("nexthop via") == 6


def test_the_client_and_the_router_get_an_answer(lab: Lab) -> None:
    asked = f'curl -s -m 5 -o /dev/null -w "%{{http_code}}\\n" http://{FIRST}/'
    assert lab.run(lab.client, asked).strip() == "200"
    # The router has no curl, but a shell that opens connections.
    spoken = f"exec 3<>/dev/tcp/{FIRST}/80; echo GET / HTTP/1.0 >&3; echo >&3; head -n 1 <&3"
    assert "200 OK" in lab.run(lab.router, f"bash -c '{spoken}'")


def test_a_second_rollout_changes_nothing(lab: Lab) -> None:
    assert lab.playbook("site").expect().changed == {}


def test_the_report_says_what_a_failure_costs(lab: Lab, tmp_path: Any) -> None:
    found = report(lab, tmp_path)
    assert len(found["failures"]) == 1, "all six sessions agreed on the same"
    worst = found["failures"][0]
    assert len(worst["nodes"]) == 6
    # 3 x 300 ms of BFD, and the inventory's graceful_restart_time.
    assert (worst["dead_node"], worst["restart_hidden"]) == (0.9, 30)


def test_weights_in_the_routers_kernel_follow_the_pods(lab: Lab, tmp_path: Any) -> None:
    items = lab.get("pods", "-n", "demo", "-l", "app.kubernetes.io/instance=web-1")["items"]
    pods = Counter(lab.node_address(pod["spec"]["nodeName"]) for pod in items)
    assert sorted(pods.values()) == [1, 1, 1, 2, 2, 2]
    hops = json.loads(lab.run(lab.router, f"ip -j route show {FIRST}"))[0]["nexthops"]
    weights = {hop["gateway"]: hop["weight"] for hop in hops}
    single = [weights[address] for address, count in pods.items() if count == 1]
    double = [weights[address] for address, count in pods.items() if count == 2]
    assert max(single) < min(double) and abs(sum(double) / sum(single) - 2) < 0.1, weights


def drained(lab: Lab) -> dict[str, str]:
    """The nodes that were told to leave, and for how long."""
    items = lab.get("nodes")["items"]
    annotations = {item["metadata"]["name"]: item["metadata"].get("annotations", {}) for item in items}
    return {
        name: said["vipcast.io/drain"] for name, said in annotations.items() if "vipcast.io/drain" in said
    }


def test_what_has_no_other_way_is_not_drained(lab: Lab) -> None:
    run = lab.playbook("drain", drain_nodes=",".join(lab.group("nodes"))).expect(2)
    assert f"{FIRST}/32 (demo/web-1) has no next hop but those of" in run.output
    assert "Nothing was changed." in run.output
    assert drained(lab) == {}


def test_check_mode_drains_nobody(lab: Lab) -> None:
    assert lab.playbook("drain", "--check", drain_nodes=VICTIM).expect().changed == {"localhost": 1}
    assert drained(lab) == {}


def test_a_client_does_not_notice_a_drain(lab: Lab, tmp_path: Any) -> None:
    """But for a request that is under way in the millisecond in which the router's hash changes."""
    routes, client = routes_seen(lab), Client(lab, f"http://{FIRST}/")
    try:
        out = lab.playbook("drain", drain_nodes=VICTIM, drain_wait="3s", drain_cordon=True).expect()
        without = lab.next_hops(FIRST)
        again = lab.playbook("drain", drain_nodes=VICTIM, drain_cordon=True).expect()
        cordoned = lab.get("node", VICTIM)["spec"].get("unschedulable")
        expected = lab.playbook("verify", verify_probe=False)
        back = lab.playbook("drain", drain_nodes=VICTIM, drain_state="undrained").expect()
        restored = lab.next_hops(FIRST)
    finally:
        seen, moved = client.stop(), changes(routes.stop(), FIRST)
    assert (out.changed, again.changed, back.changed) == ({"localhost": 1}, {}, {"localhost": 1})
    assert without == everyone(lab) - {lab.node_address(VICTIM)}
    assert cordoned is True
    assert "unschedulable" not in lab.get("node", VICTIM)["spec"]
    assert "none (drained: annotated vipcast.io/drain)" in expected.expect().output
    assert restored == everyone(lab)
    assert seen["requests"] > 1000
    assert unexplained(seen["failures"], moved) == []
    assert len(seen["failures"]) <= len(moved)


def test_a_client_does_not_notice_a_speaker_that_is_killed(lab: Lab) -> None:
    """Graceful restart hides it: the next hop never leaves the router's kernel, and BFD goes on."""
    hop = lab.node_address(VICTIM)
    before = lab.established()[hop]
    routes, client = routes_seen(lab), Client(lab, f"http://{FIRST}/")
    try:
        lab.run(VICTIM, "kill -KILL $(pgrep -f '[v]ipcast speaker')")
        again = eventually(lambda: lab.established().get(hop, before) > before, timeout=60)
    finally:
        seen, moved = client.stop(), changes(routes.stop(), FIRST)
    assert again, "the session did not come back"
    assert moved == []
    assert seen["failures"] == []


def test_a_dead_node_is_out_long_before_the_hold_time(lab: Lab) -> None:
    hop = lab.node_address(OTHER)
    lab.playbook("lab_power", lab_host=OTHER, lab_power="off").expect()
    # The playbook alone takes seconds; without BFD it would be 39: the hold time and the restart time.
    gone = eventually(lambda: hop not in lab.next_hops(FIRST), timeout=5)
    lab.playbook("lab_power", lab_host=OTHER, lab_power="on").expect()
    assert gone, f"{hop} is still a next hop"
    assert eventually(lambda: lab.next_hops(FIRST) == everyone(lab), timeout=90)
    lab.playbook("verify").expect()
