# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions bound to a device, as a VRF's are, between two of ours in two namespaces."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from daemon.interop.network import NODE, Cable, lacking, run
from daemon.interop.speaker import Speaker, peer

from vipcast.bgp.fsm import State
from vipcast.net import listener
from vipcast.net.listener import Listener

pytestmark = pytest.mark.netns


@pytest.fixture
def cable() -> Iterator[Cable]:
    if (lack := lacking()) is not None:
        pytest.fail(lack)
    with Cable() as made:
        yield made


def test_a_session_bound_to_the_right_device_comes_up_whoever_dials(cable: Cable) -> None:
    waits = peer(NODE, local_asn=64512, remote_asn=64513, passive=True, vrf="eth0")
    with Speaker(cable.router, waits, listener=Listener()), Speaker(cable.node, peer(vrf="eth0")) as dials:
        dials.wait_up()


def test_what_comes_by_another_device_is_not_taken(cable: Cable) -> None:
    """The router awaits the node in a VRF (here a bridge) that the cable is no part of."""
    run("ip", "-n", cable.router, "link", "add", "blue", "type", "bridge")
    run("ip", "-n", cable.router, "link", "set", "blue", "up")
    waits = peer(NODE, local_asn=64512, remote_asn=64513, passive=True, vrf="blue")
    with (
        Speaker(cable.router, waits, listener=Listener()) as waiting,
        Speaker(cable.node, peer()) as dials,
    ):
        status = dials.wait(lambda s: s.last_error)
        assert "Connection refused" in status.last_error
        assert waiting.status().state is State.ACTIVE


def test_one_listener_serves_a_device_and_the_rest_of_the_host(cable: Cable) -> None:
    """Two sockets on one port, one bound and one not; each peer is taken by its own."""
    mine = {"local_asn": 64512, "remote_asn": 64513, "passive": True}
    bound = Speaker(cable.router, peer(NODE, vrf="eth0", **mine), listener=Listener())
    with bound, Speaker(cable.node, peer()) as first:
        first.wait_up()
        assert not bound.status().problem
        free = Speaker(cable.router, peer("127.0.0.1", **mine), listener=Listener())
        with free, Speaker(cable.router, peer("127.0.0.1")) as second:
            second.wait_up()
            assert not free.status().problem
            assert first.status().established


def test_a_listener_hears_on_a_device_that_was_made_anew(
    cable: Cable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same name, another index: a socket bound to the old one hears nothing, and nothing fails."""
    monkeypatch.setattr(listener, "LOOK", 0.5)
    waits = peer(NODE, local_asn=64512, remote_asn=64513, passive=True, vrf="eth0")
    with Speaker(cable.router, waits, listener=Listener()):
        time.sleep(0.2)
        run("ip", "-n", cable.router, "link", "del", "eth0")
        cable.join()
        with Speaker(cable.node, peer()) as dials:
            dials.wait_up()


def test_a_device_that_is_not_there_is_named(cable: Cable) -> None:
    with Speaker(cable.node, peer(vrf="blue")) as dials:
        assert dials.wait(lambda s: s.last_error).last_error == "there is no interface blue on this host"
    waits = peer(passive=True, vrf="blue")
    with Speaker(cable.node, waits, listener=Listener()) as waiting:
        problem = waiting.wait(lambda s: s.problem).problem
        assert problem == "cannot listen on port 179 of blue: there is no such interface on this host"
        run("ip", "-n", cable.node, "link", "add", "blue", "type", "bridge")
        waiting.wait(lambda s: not s.problem)


def test_a_link_local_peer_is_found_by_its_interface(cable: Cable) -> None:
    shown = run("ip", "-n", cable.router, "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link")
    address = shown.split("inet6 ")[1].split("/")[0]
    run("ip", "netns", "exec", cable.node, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0")
    waits = peer("fe80::99", local_asn=64512, remote_asn=64513, passive=True, interface="eth0", node_name="r")
    run("ip", "-n", cable.node, "addr", "add", "fe80::99/64", "dev", "eth0", "nodad")
    dialling = peer(address, interface="eth0", source_address=waits.address, node_name="n", multihop=True)
    with Speaker(cable.router, waits, listener=Listener()), Speaker(cable.node, dialling) as dials:
        status = dials.wait_up()
        assert str(status.local_address) == "fe80::99"
