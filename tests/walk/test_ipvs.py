# SPDX-License-Identifier: GPL-3.0-or-later
"""Layer 2 beside kube-proxy in IPVS mode, which binds every service's address on every node.

The steps follow each other, from a cluster in which nobody thought of ARP to one that is rolled out.
"""

from __future__ import annotations

import json
import re

import pytest
from support.lab import CHECKOUT, Lab, eventually

pytestmark = pytest.mark.in_order
# Of the pool, and in the service's status before our load balancer runs, as if another had given it.
VIP = "10.31.8.150"
# Seconds. An emulated processor takes its time.
SLOW = 240
MAC = re.compile(r"(?im)^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$")


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(CHECKOUT / "inventories/lab-ipvs")


def ask(lab: Lab, host: str, command: str) -> str:
    return lab.run(host, command, timeout=SLOW).strip()


def answers(lab: Lab, address: str) -> set[str]:
    """The MAC addresses that answer the client for an address. Five questions: one lost frame hides none."""
    return set(MAC.findall(ask(lab, lab.client, f"arping -r -c 5 -I eth0 {address} || true")))


def macs(lab: Lab) -> set[str]:
    """The nodes' on the client's segment."""
    return {ask(lab, node, "cat /sys/class/net/eth0/address") for node in lab.group("nodes")}


def bound(lab: Lab, node: str) -> set[str]:
    """The addresses that kube-proxy has put on a node."""
    shown = json.loads(ask(lab, node, "ip -j -4 address show dev kube-ipvs0"))
    return {one["local"] for link in shown for one in link.get("addr_info", [])}


def strict_arp(lab: Lab) -> dict[str, str]:
    """Return each node's arp_ignore: 0 answers on any interface, 1 on the address's own alone."""
    return {node: ask(lab, node, "sysctl -n net.ipv4.conf.all.arp_ignore") for node in lab.group("nodes")}


def test_kube_proxy_forwards_by_ipvs_on_every_node(lab: Lab) -> None:
    cluster_ip = lab.get("service", "web-1", "-n", "demo")["spec"]["clusterIP"]
    for node in lab.group("nodes"):
        assert eventually(
            lambda node=node: f"TCP  {cluster_ip}:80 rr" in ask(lab, node, "ipvsadm -Ln"), SLOW
        ), node


def test_before_the_rollout_every_node_answers_for_a_vip(lab: Lab) -> None:
    status = {"status": {"loadBalancer": {"ingress": [{"ip": VIP}]}}}
    patch = ("--subresource=status", "--type=merge", "-p", json.dumps(status))
    lab.kubectl("patch", "service", "web-1", "-n", "demo", *patch)
    assert eventually(lambda: all(VIP in bound(lab, node) for node in lab.group("nodes")), SLOW)
    assert set(strict_arp(lab).values()) == {"0"}
    assert answers(lab, VIP) == macs(lab)


def test_with_strict_arp_alone_nobody_answers(lab: Lab) -> None:
    lab.playbook("site", "--tags", "kube_proxy", timeout=1200).expect()
    assert eventually(lambda: set(strict_arp(lab).values()) == {"1"}, SLOW), strict_arp(lab)
    assert all(VIP in bound(lab, node) for node in lab.group("nodes"))
    assert answers(lab, VIP) == set()


def test_after_the_rollout_exactly_one_node_answers(lab: Lab) -> None:
    lab.playbook("site", timeout=1800).expect()
    assert lab.address("web-1") == VIP
    found = answers(lab, VIP)
    assert len(found) == 1 and found < macs(lab), found
    assert all(VIP in bound(lab, node) for node in lab.group("nodes"))


def test_a_client_gets_every_answer(lab: Lab) -> None:
    asked = f"for i in $(seq 20); do curl -sm 10 http://{VIP}/ -o /dev/null -w '%{{http_code}} '; done; echo"
    codes, *_words_of_ssh = ask(lab, lab.client, asked).splitlines()
    assert codes.split() == ["200"] * 20


def test_a_second_rollout_changes_nothing(lab: Lab) -> None:
    assert lab.playbook("site", timeout=1800).expect().changed == {}
