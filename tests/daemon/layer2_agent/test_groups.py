# SPDX-License-Identifier: GPL-3.0-or-later
"""Multicast groups of a real interface: wanted is one thing, joined another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from ipaddress import IPv6Address

from daemon.interop.speaker import enter
from daemon.layer2_agent.harness import Net, run

from vipcast.layer2.frames import EtherType
from vipcast.layer2.ndp import solicited_node
from vipcast.layer2_agent.segment import Segment
from vipcast.net.interfaces import InterfaceTable

ONE, SAME, OTHER = map(IPv6Address, ("fd31::1:0:7", "fd31::2:0:7", "fd31::9"))
assert solicited_node(ONE) == solicited_node(SAME) != solicited_node(OTHER)


def with_segment(net: Net, work: Callable[[Segment, Callable[[], set[str]]], None]) -> None:
    node, caught = net.nodes[0], []

    def joined() -> set[str]:
        shown = run("ip", "-n", node, "maddress", "show", "dev", "eth0").split()
        return {str(solicited_node(each)) for each in (ONE, OTHER)} & set(shown)

    def body() -> None:
        enter(node)
        links = InterfaceTable()
        (link,) = (each for each in links.links.values() if each.name == "eth0")
        segment = Segment(link, {link.mac}, watch=lambda _sock, _read: None, unwatch=lambda _sock: None)
        try:
            work(segment, joined)
        except BaseException as error:
            caught.append(error)
        segment.close()
        links.close()

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if caught:
        raise caught[0]


def group(address: IPv6Address) -> str:
    return str(solicited_node(address))


def mtu(net: Net, octets: int) -> None:
    run("ip", "-n", net.nodes[0], "link", "set", "eth0", "mtu", str(octets))


def test_two_addresses_with_one_group_keep_it_until_the_last_has_gone(net: Net) -> None:
    def work(segment: Segment, joined: Callable[[], set[str]]) -> None:
        mtu(net, 1200)
        segment.want({ONE}, set())
        assert segment.deaf == {ONE} and not joined()
        mtu(net, 1500)
        segment.want({ONE, SAME}, set())
        assert joined() == {group(ONE)} and segment.complete
        segment.want({SAME}, set())
        assert joined() == {group(ONE)}, "the other one needs it"
        segment.want({SAME, OTHER}, set())
        segment.want({OTHER}, set())
        assert joined() == {group(OTHER)}
        segment.want(set(), set())
        assert not joined() and segment.complete and not segment.sockets

    with_segment(net, work)


def test_the_problem_is_what_is_and_ends_with_it(net: Net) -> None:
    def work(segment: Segment, joined: Callable[[], set[str]]) -> None:
        mtu(net, 1200)
        segment.want({ONE}, set())
        segment.want({ONE}, {OTHER})
        assert segment.problem == "cannot answer on eth0: Invalid argument: 2 groups are not joined"
        segment.reach()
        assert segment.deaf == {ONE, OTHER}
        mtu(net, 1500)
        segment.reach()
        assert joined() == {group(ONE), group(OTHER)}
        assert (segment.problem, segment.deaf, segment.complete) == (None, frozenset(), True)
        assert len(segment.groups.sockets) == 1, "attempts in vain leave no sockets"

    with_segment(net, work)


def test_an_interface_whose_packet_socket_is_refused_hears_nothing_until_it_is_there(net: Net) -> None:
    def work(segment: Segment, _joined: Callable[[], set[str]]) -> None:
        name, segment.link = segment.link, type(segment.link)(99, "eth9", b"123456", 0)
        segment.want({ONE}, set())
        assert segment.deaf == {ONE} and "it has gone" in str(segment.problem)
        segment.link = name
        segment.reach()
        assert segment.complete and EtherType.IPV6 in segment.sockets

    with_segment(net, work)
