# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces are followed by the kernel's events; when some of those are lost, nothing else is."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from daemon.interop.speaker import enter
from daemon.layer2_agent.harness import Net, run
from support.controllers import until

from vipcast.layer2.api import EXCLUDED_INTERFACES
from vipcast.net.interfaces import Interface, InterfaceTable, Refusal, Rules, judge

UP = 0x1 | 0x2 | 0x40 | 0x10000  # IFF_UP, BROADCAST, RUNNING, LOWER_UP
ETH0 = Interface(2, "eth0", bytes.fromhex("020000000001"), UP)
EXCLUDED = tuple(re.compile(pattern) for pattern in EXCLUDED_INTERFACES)


def inside(namespace: str, work: Callable[[], None]) -> None:
    caught: list[BaseException] = []

    def run_it() -> None:
        enter(namespace)
        try:
            work()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run_it)
    thread.start()
    thread.join()
    if caught:
        raise caught[0]


def test_changes_come_as_events(net: Net) -> None:
    node = net.nodes[0]

    def work() -> None:
        links = InterfaceTable()

        def names() -> set[str]:
            return {link.name for link in links.links.values()}

        assert names() >= {"lo", "eth0"}
        assert not links.read()
        run("ip", "-n", node, "link", "add", "one", "type", "veth", "peer", "two")
        assert links.read()
        assert names() >= {"one", "two"}
        run("ip", "-n", node, "link", "set", "one", "name", "uno")
        assert links.read()
        assert "uno" in names() and "one" not in names()
        run("ip", "-n", node, "link", "del", "uno")
        assert links.read()
        assert not names() & {"uno", "two"}
        links.close()

    inside(node, work)


def test_lost_events_are_made_up_for(net: Net) -> None:
    node = net.nodes[0]

    def work() -> None:
        links = InterfaceTable()
        links.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for number in range(40):
            run("ip", "-n", node, "link", "add", f"a{number}", "type", "veth", "peer", f"b{number}")
        for _each in range(3):
            links.read()
        other = InterfaceTable()
        assert links.links == other.links
        links.close()
        other.close()

    inside(node, work)


def test_the_networks_of_an_interface_come_as_events(net: Net) -> None:
    node = net.nodes[0]

    def work() -> None:
        links = InterfaceTable()

        def networks() -> set[str]:
            links.read()
            (eth0,) = (link for link in links.links.values() if link.name == "eth0")
            return {str(network) for network in eth0.networks}

        assert networks() == {"10.31.0.0/16", "fd31::/64"}
        run("ip", "-n", node, "addr", "add", "192.0.2.7/25", "dev", "eth0")
        run("ip", "-n", node, "addr", "add", "198.51.100.7/32", "dev", "eth0")
        assert networks() == {"10.31.0.0/16", "fd31::/64", "192.0.2.0/25"}, "one address alone is no network"
        run("ip", "-n", node, "addr", "del", "192.0.2.7/25", "dev", "eth0")
        assert networks() == {"10.31.0.0/16", "fd31::/64"}
        run("ip", "-n", node, "link", "set", "eth0", "down")
        run("ip", "-n", node, "addr", "flush", "dev", "eth0")
        assert networks() == {"10.31.0.0/16", "fd31::/64"}, "it is on them all the same"
        assert InterfaceTable().links.keys() == links.links.keys()
        run("ip", "-n", node, "addr", "add", "192.0.2.7/25", "dev", "eth0")
        run("ip", "-n", node, "link", "set", "eth0", "up")
        # The kernel tells a moment later that the cable carries again (net/core/link_watch.c).
        until(lambda: networks() == {"192.0.2.0/25"})
        run("ip", "-n", node, "link", "del", "eth0")
        links.read()
        assert not any(link.networks for link in links.links.values())
        links.close()

    inside(node, work)


def test_lost_events_do_not_cost_the_networks_of_an_interface_without_carrier(net: Net) -> None:
    node = net.nodes[0]

    def work() -> None:
        links = InterfaceTable()
        links.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        run("ip", "-n", node, "link", "set", "eth0", "down")
        links.read()
        for number in range(40):
            run("ip", "-n", node, "link", "add", f"a{number}", "type", "veth", "peer", f"b{number}")
        run("ip", "-n", node, "addr", "flush", "dev", "eth0")
        for _each in range(3):
            links.read()
        (eth0,) = (link for link in links.links.values() if link.name == "eth0")
        assert {str(network) for network in eth0.networks} == {"10.31.0.0/16", "fd31::/64"}
        links.close()

    inside(node, work)


def why(link: Interface, *others: Interface, allowed: str = "nothing") -> Refusal | None:
    links = {each.index: each for each in (link, *others)}
    return judge(links, Rules(EXCLUDED, (re.compile(allowed),)))[link.index]


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (ETH0, None),
        (replace(ETH0, flags=UP | 0x8), Refusal.LOOPBACK),
        (replace(ETH0, name="cali1234"), Refusal.EXCLUDED),
        (replace(ETH0, name="lo"), Refusal.EXCLUDED),
        (replace(ETH0, name="lom1"), None),
        (replace(ETH0, name="kube-ipvs0"), Refusal.EXCLUDED),
        (replace(ETH0, name="cilium_host", driver="veth"), Refusal.EXCLUDED),
        (replace(ETH0, kind=512), Refusal.NOT_ETHERNET),
        (replace(ETH0, mac=b""), Refusal.NOT_ETHERNET),
        (replace(ETH0, flags=UP | 0x80), Refusal.NO_ARP),
        (replace(ETH0, flags=UP & ~0x2), Refusal.NO_BROADCAST),
        (replace(ETH0, master=7), Refusal.ENSLAVED),
        (replace(ETH0, flags=UP & ~0x1), Refusal.DOWN),
        (replace(ETH0, flags=UP & ~0x10000), Refusal.NO_CARRIER),
        (replace(ETH0, flags=UP & ~0x40), Refusal.NO_CARRIER),
        *((replace(ETH0, name="x", driver=each), None) for each in ("vlan", "bond", "macvlan", "veth")),
        *(
            (replace(ETH0, name="x", driver=each), Refusal.POD_NETWORK)
            for each in ("vxlan", "geneve", "gretap", "dummy", "netkit", "wireguard", "bridge")
        ),
    ],
)
def test_every_refusal_has_a_name(link: Interface, expected: Refusal | None) -> None:
    assert why(link) is expected


BRIDGE = replace(ETH0, index=9, name="br0", driver="bridge")
PORT = replace(ETH0, master=9)


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ((PORT,), None),
        ((replace(PORT, flags=0x2),), None),  # its cable is out: it is no bridge of pods for that
        ((replace(PORT, driver="bond"),), None),
        ((replace(PORT, name="veth1234", driver="veth"),), Refusal.POD_NETWORK),
        ((replace(PORT, name="vnet0", driver="tun"),), Refusal.POD_NETWORK),
        ((replace(PORT, name="weave-vx", driver="vxlan"),), Refusal.POD_NETWORK),
        ((replace(PORT, name="vnet0", driver="tun"), replace(PORT, index=3)), None),
        ((), Refusal.POD_NETWORK),
    ],
)
def test_a_bridge_is_used_where_one_of_its_ports_leads_outside(
    ports: tuple[Interface, ...], expected: Refusal | None
) -> None:
    assert why(BRIDGE, *ports) is expected


def test_what_is_allowed_by_name_is_used_all_the_same() -> None:
    vrf = replace(ETH0, index=7, name="red", driver="vrf")
    for link in (replace(ETH0, driver="vxlan"), replace(ETH0, name="veth1"), replace(ETH0, master=7), BRIDGE):
        assert why(link, vrf) is not None
        assert why(link, vrf, allowed=link.name) is None
    port = replace(ETH0, master=9)
    assert why(port, BRIDGE, allowed="eth0") is Refusal.ENSLAVED, "its frames come in at the bridge"
    assert why(replace(ETH0, flags=0x2), allowed="eth0") is Refusal.DOWN
