# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how a node that hears nobody learns whether it is deaf.

It learns that by the kernel's counters, and from those whom it can ask. The last test is on real sockets.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from daemon.layer2_agent.harness import VIP, Cluster, eventually, run

from vipcast.layer2.api import Holding
from vipcast.net.connected_networks import gateways
from vipcast.net.layer2 import Layer2Client
from vipcast.net.receive_counters import received

DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo:  10000      77    0    0    0     0          0         0    10000      77    0    0
  eth0:   5000      40    0    0    0     0          0         3     9000      90    0    0
eth0.5:    900       7    0    0    0     0          0         0        0       0    0    0
"""
# 0.0.0.0/0 via 10.31.8.1, 10.31.8.0/24 direct, and a route that is down.
ROUTE = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t01081F0A\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t00081F0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth1\t0000000A\t01081F0A\t0002\t0\t0\t0\t000000FF\t0\t0\t0
"""


def test_frames_are_counted_on_the_interfaces_that_are_named(tmp_path: Path) -> None:
    (tmp_path / "dev").write_text(DEV)
    assert received({"eth0", "eth0.5"}, tmp_path / "dev") == 47
    assert received({"eth"}, tmp_path / "dev") == 0
    assert received({"eth0"}, tmp_path / "nothing") == 0


def test_the_gateways_are_those_of_routes_that_are_up(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(ROUTE)
    assert gateways(tmp_path) == {"eth0": (IPv4Address("10.31.8.1"),)}
    assert gateways(tmp_path / "nothing") == {}


@pytest.mark.netns
def test_a_node_that_sends_and_receives_nothing_takes_nothing_and_everybody_says_so(cluster: Cluster) -> None:
    """It has a gateway to ask; without one nobody may be there to answer."""
    net = cluster.net
    for node in net.nodes:
        run("ip", "-n", node, "route", "add", "default", "via", "10.31.8.1")
    owner = cluster.settle(VIP)
    deaf = cluster.others(owner)[0]
    others = [name for name in cluster.speakers if name != deaf]
    node = next(each for each in net.nodes if net.name(each) == deaf)
    net.deafen(node)
    hearing = [cluster.speakers[name] for name in others]
    eventually(lambda: all(each.call(one_way) == {deaf} for each in hearing), "the others hear it one way")
    eventually(lambda: cluster.speakers[deaf].call(lambda client: client.status.deaf), "it says so itself")
    status = cluster.processes[deaf].status()
    assert status["deaf"] and "nothing is received" in status["problems"][0]
    assert cluster.speakers[deaf].status(VIP).holding is not Holding.OWNER, "it takes nothing over"
    assert cluster.owners(VIP) == [owner] and net.arping() == [net.mac(namespace(cluster, owner))]
    net.undeafen(node)
    eventually(lambda: all(not each.call(one_way) for each in cluster.speakers.values()), "all is well again")
    eventually(lambda: not cluster.speakers[deaf].call(lambda client: client.status.deaf), "it hears again")
    assert cluster.settle(VIP) == owner


def one_way(client: Layer2Client) -> set[str]:
    return {name for name, each in client.status.members.items() if each.one_way}


def namespace(cluster: Cluster, name: str) -> str:
    return next(node for node in cluster.net.nodes if cluster.net.name(node) == name)
