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
from daemon.layer2d.harness import Net, run

from vipcast.layer2.wants import EXCLUDED_INTERFACES
from vipcast.net.links import Link, Links, Refusal, refusal

UP = 0x1 | 0x2 | 0x40 | 0x10000  # IFF_UP, BROADCAST, RUNNING, LOWER_UP
ETH0 = Link(2, "eth0", bytes.fromhex("020000000001"), UP)
EXCLUDED = [re.compile(pattern) for pattern in EXCLUDED_INTERFACES]


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
        links = Links()

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
        links = Links()
        links.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for number in range(40):
            run("ip", "-n", node, "link", "add", f"a{number}", "type", "veth", "peer", f"b{number}")
        for _each in range(3):
            links.read()
        other = Links()
        assert links.links == other.links
        links.close()
        other.close()

    inside(node, work)


@pytest.mark.parametrize(
    ("link", "why"),
    [
        (ETH0, None),
        (replace(ETH0, flags=UP | 0x8), Refusal.LOOPBACK),
        (replace(ETH0, name="cali1234"), Refusal.EXCLUDED),
        (replace(ETH0, name="lo"), Refusal.EXCLUDED),
        (replace(ETH0, name="lom1"), None),
        (replace(ETH0, name="kube-ipvs0"), Refusal.EXCLUDED),
        (replace(ETH0, kind=512), Refusal.NOT_ETHERNET),
        (replace(ETH0, mac=b""), Refusal.NOT_ETHERNET),
        (replace(ETH0, flags=UP | 0x80), Refusal.NO_ARP),
        (replace(ETH0, flags=UP & ~0x2), Refusal.NO_BROADCAST),
        (replace(ETH0, master=7), Refusal.ENSLAVED),
        (replace(ETH0, flags=UP & ~0x1), Refusal.DOWN),
        (replace(ETH0, flags=UP & ~0x10000), Refusal.NO_CARRIER),
        (replace(ETH0, flags=UP & ~0x40), Refusal.NO_CARRIER),
    ],
)
def test_every_refusal_has_a_name(link: Link, why: Refusal | None) -> None:
    assert refusal(link, EXCLUDED) is why
