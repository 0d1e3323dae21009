# SPDX-License-Identifier: GPL-3.0-or-later
"""A single-hop session is on one interface (RFC 5881 section 3): who is elsewhere has no part in it."""

from __future__ import annotations

import socket
import time
from ipaddress import ip_address

import pytest
from daemon.bfd.control_packets import control, dropped
from daemon.bfd.harness import NODE, ROUTER, Asker, BfdProcess, Ends, both_up, settings
from daemon.bfd.pod import Pod, datagram, inside, pod
from daemon.interop.network import Cable, run

from vipcast.bfd.fsm import BfdState
from vipcast.bfd.packet import ControlPacket, Drop
from vipcast.bfd.session import Variables
from vipcast.bfd.settings import BfdSettings
from vipcast.bfd_agent.client_requests import Identity, identity
from vipcast.bfd_agent.entry import Entry
from vipcast.bfd_agent.table import Table
from vipcast.net.bfd_sockets import Datagram, ReceiverKey
from vipcast.net.route_lookup import interfaces_to


@pytest.mark.parametrize("reverse_path", [0, 2])
def test_a_pod_that_speaks_in_the_router_s_name_takes_no_session_down(
    cable: Cable, far: Ends, near: BfdProcess, reverse_path: int
) -> None:
    with Asker(cable.node, {"r": settings()}) as asker, pod(cable, reverse_path=reverse_path) as intruder:
        both_up(asker, far[1])
        before = dropped(near).get(Drop.IN_THE_KERNEL.value, 0)
        intruder.send(datagram(control().encode()))
        _let_pass(asker)
        assert asker.status().counters.down_events == 0
        assert far[1].status().counters.down_events == 0
        assert dropped(near)[Drop.IN_THE_KERNEL.value] == before + 1, "it was there"


def _let_pass(asker: Asker) -> None:
    heard = asker.status().counters.packets_in
    asker.wait(lambda status: status.counters.packets_in >= heard + 5)


@pytest.mark.parametrize("ttl", [1, 255])
def test_a_pod_does_not_turn_the_echo_packets_to_itself(
    cable: Cable, far: Ends, near: BfdProcess, ttl: int
) -> None:
    for namespace in (cable.node, cable.router):
        run("ip", "netns", "exec", namespace, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    far[1].want({"r": settings(NODE, echo_interval=0.05)})
    with Asker(cable.node, {"r": settings(echo_interval=0.05)}) as asker, pod(cable) as intruder:
        both_up(asker, far[1])
        asker.wait(lambda status: status.echo_active and status.counters.echo_in > 10)
        _throw_for_a_second(intruder, datagram(control().encode(), ttl=ttl))
        assert asker.status().counters.down_events == 0


def _throw_for_a_second(intruder: Pod, packet: bytes) -> None:
    for _each in range(20):
        intruder.send(packet)
        time.sleep(0.05)


def test_first_packets_are_their_session_s_on_its_interface_alone(cable: Cable) -> None:
    def judge() -> None:
        table, known = _table(settings())
        session = table.entries[known].session
        here = socket.if_nametoindex("eth0")
        table.receive(KEY, _from_router(control(), here + 1), 0.0)
        assert (session.packets_in, table.dropped) == (0, {Drop.NO_SESSION.value: 1})
        table.receive(KEY, _from_router(control(), here), 0.0)
        assert session.variables.state is BfdState.INIT
        # A router may send by another interface than we do: it knows our discriminator, which is random.
        ours = session.variables.local_discriminator
        table.receive(KEY, _from_router(control(your_discriminator=ours), here + 1), 0.0)
        assert session.packets_in == 2
        table.close()

    inside(cable.node, judge)


KEY = ReceiverKey(4, multihop=False, vrf=None)


def _table(given: BfdSettings) -> tuple[Table, Identity]:
    """One session, whose own port is nobody's concern here."""
    table = Table(watch=lambda _sock: None, unwatch=lambda _sock: None, changed=lambda *_change: None)
    known = identity(given)
    table.add(known, Entry(given, Variables(11), 0.0))
    return table, known


def _from_router(packet: ControlPacket, interface: int) -> Datagram:
    return Datagram(packet.encode(), ip_address(ROUTER), interface, 255)


ROUTES: dict[str, tuple[list[str], set[str]]] = {
    "a network of ours": ([], {"eth0"}),
    "a host route by another interface": ([f"route add {ROUTER}/32 dev two"], {"two"}),
    "a next hop that is an object of its own": (
        ["nexthop add id 7 dev two", f"route add {ROUTER}/32 nhid 7"],
        {"two"},
    ),
    "several next hops": (
        [f"route add {ROUTER}/32 nexthop dev eth0 via 10.99.0.7 nexthop dev two via 10.77.0.9"],
        {"eth0", "two"},
    ),
}


@pytest.mark.parametrize("names_objects_alone", [False, True])
@pytest.mark.parametrize("case", ROUTES)
def test_a_session_is_where_the_route_to_its_peer_is(
    cable: Cable, case: str, names_objects_alone: bool
) -> None:
    changes, expected = ROUTES[case]
    ip = ("ip", "-n", cable.node)
    if names_objects_alone:
        setting = "net.ipv4.nexthop_compat_mode=0"
        run("ip", "netns", "exec", cable.node, "sysctl", "-qw", setting)
    run(*ip, "link", "add", "two", "type", "veth", "peer", "two", "netns", cable.router)
    run(*ip, "addr", "add", "10.77.0.1/24", "dev", "two")
    run(*ip, "link", "set", "two", "up")
    run("ip", "-n", cable.router, "link", "set", "two", "up")

    def look() -> None:
        entry = Entry(settings(), Variables(11), 0.0)
        for change in changes:
            run(*ip, *change.split())
        assert entry.look() is bool(changes)
        assert entry.interfaces == {socket.if_nametoindex(name) for name in expected}

    inside(cable.node, look)


def test_without_a_route_a_session_is_nowhere(cable: Cable) -> None:
    run("ip", "-n", cable.node, "addr", "flush", "dev", "eth0")

    def ask() -> None:
        assert Entry(settings(), Variables(11), 0.0).interfaces == frozenset()
        with pytest.raises(OSError, match="network"):
            interfaces_to(ip_address(ROUTER))

    inside(cable.node, ask)


def test_a_session_bound_to_a_device_comes_up(cable: Cable, far: Ends, near: BfdProcess) -> None:
    """A VRF's device, which this one stands for: its sockets take what comes in by it, and nothing else."""
    with Asker(cable.node, {"r": settings(vrf="eth0")}) as asker:
        both_up(asker, far[1])


def test_a_session_bound_to_a_device_is_back_when_the_device_was_made_anew(
    cable: Cable, far: Ends, near: BfdProcess
) -> None:
    with Asker(cable.node, {"r": settings(vrf="eth0")}) as asker:
        both_up(asker, far[1])
        run("ip", "-n", cable.node, "link", "del", "eth0")
        asker.wait(lambda status: not status.up)
        cable.join()
        both_up(asker, far[1])


def test_a_router_whose_route_moves_is_heard_there(cable: Cable, near: BfdProcess) -> None:
    """Its first packets come by the second cable, once the route goes there."""
    run("ip", "-n", cable.node, "link", "add", "two", "type", "veth", "peer", "two", "netns", cable.router)
    for namespace in (cable.node, cable.router):
        run("ip", "-n", namespace, "link", "set", "two", "up")
    with Asker(cable.node, {"r": settings()}) as asker:
        asker.wait(lambda status: status.counters.packets_out > 0)
        for namespace, other in ((cable.node, ROUTER), (cable.router, NODE)):
            run("ip", "-n", namespace, "route", "add", f"{other}/32", "dev", "two")
        with BfdProcess(cable.router, cable.folder), Asker(cable.router, {"r": settings(NODE)}) as other_end:
            both_up(asker, other_end)
