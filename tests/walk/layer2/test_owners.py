# SPDX-License-Identifier: GPL-3.0-or-later
"""Layer 2 without any BGP: who has an address, and what becomes of it when nodes go and come.

The judges are the tools of a person on the segment: arping, ndisc6, the kernel's neighbor table, curl. Each
step leaves the lab as it found it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.asking import Client, moves, neighbors_seen, unexplained
from support.declarations import SYSTEM
from support.lab import Lab, eventually
from support.owners import (
    DEMO,
    NEIGHBOR,
    VIP,
    answering,
    answers_alone,
    control_plane,
    owner,
    remembered,
    settled,
    statuses,
)
from support.quiet import alone
from support.segment import curl
from support.web import PLACE, SERVICE, WEB, apply, service

each_family = pytest.mark.parametrize("version", [4, 6])


@pytest.fixture(scope="module")
def gateway(lab: Lab) -> str:
    """The host between the segment and the client, which the declaration does not know."""
    hosts = lab.group("bystanders")
    return next(host for host in hosts if lab.variables(host)["lab_kind"] == "router")


def verified(lab: Lab, tmp_path: Path, **more: Any) -> dict[str, Any]:
    path = tmp_path / "verify.json"
    lab.playbook("verify", verify_report_path=str(path), **more).expect()
    return dict(json.loads(path.read_text()))


# -- from nothing to an answer ----------------------------------------------------------------------------


def test_no_route_of_another_declaration_is_left(lab: Lab, gateway: str) -> None:
    """The router keeps neighbors that nobody declares any more, but nobody announces anything to it."""
    shown = "ip route show proto bgp; ip -6 route show proto bgp"
    assert eventually(lambda: lab.run(gateway, shown).strip() == "", timeout=60), lab.run(gateway, shown)


def test_kube_proxy_has_strict_arp(lab: Lab) -> None:
    text = lab.get("configmap", "kube-proxy", "-n", "kube-system")["data"]["config.conf"]
    assert re.search(r"(?m)^\s+strictARP: true$", text)


def test_a_layer_2_process_runs_on_every_node(lab: Lab) -> None:
    status = lab.get("daemonset", "layer2", "-n", SYSTEM)["status"]
    assert status["numberReady"] == status["desiredNumberScheduled"] == len(lab.group("nodes"))


def test_it_answers_on_the_vip_the_cluster_ip_and_the_node_port(lab: Lab) -> None:
    spec = lab.get("service", SERVICE, "-n", PLACE)["spec"]
    node = lab.group("nodes")[0]
    assert curl(lab, NEIGHBOR, VIP) == "200"
    assert curl(lab, lab.group("clients")[1], VIP) == "200", "through the gateway"
    assert curl(lab, node, VIP) == "200"
    assert curl(lab, node, spec["clusterIP"]) == "200"
    assert curl(lab, NEIGHBOR, lab.node_address(node), spec["ports"][0]["nodePort"]) == "200"


@each_family
def test_it_answers_in_both_families(lab: Lab, version: int) -> None:
    assert curl(lab, NEIGHBOR, DEMO[version]) == "200"


# -- where is the VIP? ------------------------------------------------------------------------------------


def test_one_node_answers_and_it_is_the_one_that_the_status_names(lab: Lab, macs: dict[str, str]) -> None:
    name = settled(lab, macs)
    curl(lab, NEIGHBOR, VIP)
    assert macs[str(remembered(lab, VIP))] == name


@each_family
def test_both_families_of_a_service_have_one_owner(lab: Lab, macs: dict[str, str], version: int) -> None:
    name = owner(lab, "web-1", "demo")
    assert name is not None
    assert answers_alone(lab, macs, DEMO[version]) == name


def test_the_status_says_address_interface_and_mac(lab: Lab, macs: dict[str, str]) -> None:
    name = settled(lab, macs)
    (status,) = statuses(lab)
    (address,) = status["addresses"]
    (interface,) = address["interfaces"]
    assert (address["address"], address["node"], interface["name"]) == (VIP, name, "eth0")
    assert macs[interface["mac"]] == name
    assert address["since"]


def test_status_tells_people_who_has_what(lab: Lab, macs: dict[str, str]) -> None:
    name = settled(lab, macs)
    mac = next(mac for mac, node in macs.items() if node == name)
    for flags in ((), ("--check",)):
        run = lab.playbook("status", *flags).expect()
        assert re.search(rf"{re.escape(VIP)} +{PLACE}/{SERVICE} +{name} .*{mac}", run.output), run.output
        assert re.search(rf"(?s)Who else could answer.*{re.escape(VIP)}", run.output), run.output
        assert run.changed == {}


def test_verify_agrees_and_says_so(lab: Lab, macs: dict[str, str], tmp_path: Path) -> None:
    name = settled(lab, macs)
    found = verified(lab, tmp_path)
    assert (found["ok"], found["sessions"], found["routes"]) == (True, [], [])
    owned = {one["address"]: one for one in found["owners"]}
    assert set(owned) == {VIP, *DEMO.values()}
    assert owned[VIP]["owner"] == name
    for one in owned.values():
        # The client behind the gateway cannot ask, the one on the segment can.
        (asked,) = one["asked"]
        assert asked["client"] == NEIGHBOR
        assert [answer["nodes"] for answer in asked["answers"]] == [[one["owner"]]]


def test_a_service_without_node_ports_is_reached_too(lab: Lab) -> None:
    portless = service(allocateLoadBalancerNodePorts=False, loadBalancerIP="10.31.8.180")
    portless["metadata"]["name"] = "portless"
    apply(lab, portless)
    try:
        assert eventually(lambda: curl(lab, NEIGHBOR, "10.31.8.180") == "200", timeout=30)
        assert "nodePort" not in lab.get("service", "portless", "-n", PLACE)["spec"]["ports"][0]
    finally:
        lab.kubectl("delete", "service", "portless", "-n", PLACE)
    assert eventually(lambda: answering(lab, "10.31.8.180") == set(), timeout=15)


def test_a_second_rollout_changes_nothing(lab: Lab) -> None:
    assert lab.playbook("site", "--skip-tags", "verify").expect().changed == {}


@pytest.mark.thorough
def test_check_mode_reports_nothing(lab: Lab) -> None:
    assert lab.playbook("site", "--check", "--diff").expect().changed == {}


# -- what must not go unnoticed ---------------------------------------------------------------------------


def test_a_stranger_with_the_address_is_named(lab: Lab, macs: dict[str, str], gateway: str) -> None:
    name = settled(lab, macs)
    stranger = lab.run(gateway, "cat /sys/class/net/eth0/address").strip()
    lab.run(gateway, f"ip address add {VIP}/32 dev eth0")
    try:
        # Who asks sees both, however soon the first one answers.
        assert answering(lab, VIP) == {stranger, *(mac for mac, node in macs.items() if node == name)}
        run = lab.playbook("verify", verify_timeout=0).expect(2)
        assert stranger in run.output
        assert "somebody else on the segment has this address" in run.output
    finally:
        lab.run(gateway, f"ip address del {VIP}/32 dev eth0")
    # What the neighbor remembers would be right again with the owner's next refresh.
    lab.run(NEIGHBOR, f"ip neighbor flush to {VIP} dev eth0")
    settled(lab, macs)


def test_a_pool_that_somebody_uses_is_refused(lab: Lab, gateway: str) -> None:
    lab.run(gateway, "ip address add 10.31.8.199/32 dev eth0")
    try:
        run = lab.playbook("site", "--tags", "preflight").expect(2)
        assert re.search(r"10\.31\.8\.199 of pool default is in use", run.output), run.output
        assert run.changed == {}
    finally:
        lab.run(gateway, "ip address del 10.31.8.199/32 dev eth0")


# -- what moves an address, and what does not -------------------------------------------------------------


def settled_on_a_worker(lab: Lab, macs: dict[str, str]) -> str:
    """The owner, which is not the node with the API server: that one is asked to go first."""
    name, control = settled(lab, macs), lab.node_name(control_plane(lab))
    if name == control:
        lab.kubectl("annotate", "node", control, "vipcast.io/drain=1s")
        assert eventually(lambda: answers_alone(lab, macs) not in (None, control), timeout=20)
        lab.kubectl("annotate", "node", control, "vipcast.io/drain-")
        name = settled(lab, macs)
    assert name != control
    return name


UNIT = "/etc/systemd/system/kube-controller-manager.service"
# Seconds for which a node may be silent. What is done while the API is away takes less than half of them: a
# kubelet says every ten seconds that it is there, and tries again in longer and longer intervals.
GRACE = 120


@pytest.fixture
def patient(lab: Lab) -> Iterator[None]:
    """A cluster that waits GRACE seconds before it gives a silent node up."""
    control = control_plane(lab)
    restart = "systemctl daemon-reload && systemctl restart kube-controller-manager"
    grace = f"s/node-monitor-grace-period=[0-9]+s/node-monitor-grace-period={GRACE}s/"
    lab.run(control, f"cp {UNIT} /root/unit && sed -Ei {grace} {UNIT} && {restart}")
    lab.run(control, f"grep -q grace-period={GRACE}s {UNIT}")
    yield
    lab.run(control, f"mv /root/unit {UNIT} && {restart}")


@pytest.mark.usefixtures("patient")
def test_an_api_that_is_away_moves_nothing(lab: Lab, macs: dict[str, str]) -> None:
    """Stop it for less time than a node may be silent: one that is not ready loses its addresses."""
    name, control = settled(lab, macs), control_plane(lab)
    with alone():
        client = Client(lab, f"http://{VIP}/", host=NEIGHBOR, rate=100)
        since = time.monotonic()
        try:
            # Asked to end it would first wait for everybody who watches.
            lab.run(
                control, "systemctl stop --no-block kube-apiserver; systemctl kill -s KILL kube-apiserver"
            )
            time.sleep(5)
            answered = answers_alone(lab, macs)
            assert not answers_at_all(lab), "the API was not away"
        finally:
            lab.run(control, "systemctl start kube-apiserver")
            back = eventually(lambda: answers_at_all(lab), timeout=60)
            away = time.monotonic() - since
            seen = client.stop()
    assert back and away < GRACE / 2, f"the API was away for {away:.0f} s: too long for this step"
    assert answered == name, json.dumps(statuses(lab))
    assert seen["failures"] == []
    assert eventually(lambda: ready(lab), timeout=90)
    # The status says why: what evens the load out, or a node that was kept from running, needs no API.
    assert settled(lab, macs) == name, json.dumps(statuses(lab))


def answers_at_all(lab: Lab) -> bool:
    """Return whether the API server says that it is ready."""
    try:
        return lab.kubectl("get", "--raw", "/readyz", "--request-timeout=2s").strip() == "ok"
    except AssertionError:
        return False


def ready(lab: Lab) -> bool:
    """Return whether the API answers, and all nodes are Ready."""
    try:
        lab.kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=60s")
    except AssertionError:
        return False
    return True


def test_a_speaker_that_is_killed_moves_nothing(lab: Lab, macs: dict[str, str]) -> None:
    name = settled(lab, macs)
    lab.run(name, "kill -KILL $(pgrep -f '[v]ipcast speaker')")
    assert answers_alone(lab, macs) == name
    lab.kubectl("rollout", "status", "-n", SYSTEM, "daemonset/speaker", "--timeout=90s")
    assert settled(lab, macs) == name


def test_a_drain_moves_it_and_costs_no_request(lab: Lab, macs: dict[str, str]) -> None:
    """No request fails but what is under way at that moment: it comes to a node that knows nothing of it."""
    name = settled(lab, macs)
    assert curl(lab, NEIGHBOR, VIP) == "200"
    before = str(remembered(lab, VIP))
    with alone():
        learnt = neighbors_seen(lab, NEIGHBOR)
        client = Client(lab, f"http://{VIP}/", host=NEIGHBOR, rate=100)
        try:
            lab.playbook("drain", drain_nodes=name, drain_wait="1s").expect()
            other = eventually(lambda: (now := answers_alone(lab, macs)) and now != name and now, timeout=20)
            expected = lab.playbook("verify", verify_probe=False)
            lab.playbook("drain", drain_nodes=name, drain_state="undrained").expect()
            after = settled(lab, macs)
        finally:
            seen, moved = client.stop(), moves(learnt.stop(), VIP, before)
    assert other, "nobody else took it"
    expected.expect()
    assert after == other, "the node that came back took it back"
    assert seen["requests"] > 500
    assert [macs[mac] for _moment, mac in moved] == [other]
    assert unexplained(seen["failures"], moved) == []


def test_a_node_without_power_is_replaced_and_takes_nothing_back(lab: Lab, macs: dict[str, str]) -> None:
    name = settled_on_a_worker(lab, macs)
    assert curl(lab, NEIGHBOR, VIP) == "200"
    with alone():
        lab.power(name, "off")
        try:
            # Nobody asked: the neighbor's kernel learnt it from the announcement.
            heard = eventually(lambda: macs.get(str(remembered(lab, VIP))) != name, timeout=5)
            assert heard, "the neighbor was not told"
            other = answers_alone(lab, macs)
            assert other not in (None, name)
            # Until the API knows that the node is gone, kube-proxy sends some requests to its pods.
            assert eventually(lambda: curl(lab, NEIGHBOR, VIP) == "200", timeout=60)
        finally:
            lab.power(name, "on")
    lab.kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=120s")
    lab.kubectl("rollout", "status", "-n", SYSTEM, "daemonset/layer2", "--timeout=120s")
    assert settled(lab, macs) == other
    lab.playbook("verify", verify_timeout=120).expect()


def test_a_cut_cable_leaves_one_owner_on_each_side_and_one_when_it_is_back(
    lab: Lab, macs: dict[str, str]
) -> None:
    name = settled_on_a_worker(lab, macs)
    with alone():
        lab.playbook("lab_power", lab_host=name, lab_power="cut").expect()
        try:
            taken = eventually(lambda: answers_alone(lab, macs) not in (None, name), timeout=20)
            assert taken, answering(lab, VIP)
        finally:
            lab.playbook("lab_power", lab_host=name, lab_power="restore").expect()
        assert eventually(lambda: len(answering(lab, VIP)) == 1, timeout=15), answering(lab, VIP)
    settled(lab, macs, timeout=60)
    lab.kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=120s")
    lab.playbook("verify", verify_timeout=120).expect()


def test_without_any_endpoint_nobody_answers_and_with_one_somebody_does(
    lab: Lab, macs: dict[str, str]
) -> None:
    lab.kubectl("scale", "-n", PLACE, f"deployment/{WEB}", "--replicas=0")
    try:
        assert eventually(lambda: answering(lab, VIP) == set(), timeout=60)
        lab.playbook("verify").expect()
    finally:
        lab.kubectl("scale", "-n", PLACE, f"deployment/{WEB}", "--replicas=4")
    lab.kubectl("rollout", "status", "-n", PLACE, f"deployment/{WEB}", "--timeout=120s")
    settled(lab, macs)


def test_with_the_policy_local_the_owner_has_a_pod(lab: Lab, macs: dict[str, str], tmp_path: Path) -> None:
    policy = {"spec": {"externalTrafficPolicy": "Local"}}
    lab.kubectl("patch", "service", SERVICE, "-n", PLACE, "-p", json.dumps(policy))
    lab.kubectl("scale", "-n", PLACE, f"deployment/{WEB}", "--replicas=1")
    try:

        def place() -> set[str]:
            pods = lab.get("pods", "-n", PLACE, "-l", f"app={WEB}")["items"]
            return {one["spec"].get("nodeName", "") for one in pods}

        assert eventually(lambda: len(place()) == 1 and {owner(lab)} == place(), timeout=90)
        settled(lab, macs)
        assert verified(lab, tmp_path)["ok"]
    finally:
        lab.kubectl("scale", "-n", PLACE, f"deployment/{WEB}", "--replicas=4")
        back = {"spec": {"externalTrafficPolicy": "Cluster"}}
        lab.kubectl("patch", "service", SERVICE, "-n", PLACE, "-p", json.dumps(back))
    lab.kubectl("rollout", "status", "-n", PLACE, f"deployment/{WEB}", "--timeout=120s")
    settled(lab, macs)
