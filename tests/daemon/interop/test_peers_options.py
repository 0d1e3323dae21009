# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what sessions and routes can be asked for beyond the usual, with every router that knows it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network

import pytest
from daemon.interop.features import Feature, proves
from daemon.interop.meeting import VIP, VIP2, VIP6, has, lost, ours, started
from daemon.interop.network import NODE, NODE6, eventually, run
from daemon.interop.peers import Peer
from daemon.interop.process import command
from daemon.interop.speaker import Speaker
from support.netstat import counter

from vipcast.bgp.capabilities import EnhancedRefresh, ExtendedMessages
from vipcast.bgp.framing import MessageType
from vipcast.bgp.fsm import State
from vipcast.bgp.route import Route
from vipcast.net.listener import Listener

pytestmark = pytest.mark.netns

LARGE = frozenset({(64513, 2, 1), (64513, 1, 4294967295)})


@proves(Feature.BOTH_FAMILIES)
@pytest.mark.parametrize("over", ["ipv4", "ipv6"])
def test_a_session_carries_routes_of_both_families(peer: Peer, over: str) -> None:
    setup = started(peer, over=over)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(Route(VIP), Route(VIP6))
        assert speaker.wait_up().withheld == {}
        has(peer, Route(VIP), next_hop=NODE)
        has(peer, Route(VIP6), next_hop=NODE6)


@proves(Feature.NEXT_HOP_IPV6)
def test_a_node_without_ipv4_announces_ipv4_routes(peer: Peer) -> None:
    run("ip", "-n", peer.node, "-4", "addr", "flush", "dev", "eth0")
    setup = started(peer, over="ipv6", next_hop_ipv6=True)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(Route(VIP))
        assert speaker.wait_up().withheld == {}
        has(peer, Route(VIP), next_hop=NODE6)
        speaker.set_routes()
        lost(peer, Route(VIP))


@proves(Feature.LARGE_COMMUNITIES)
def test_large_communities_arrive(peer: Peer) -> None:
    setup = started(peer)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(Route(VIP, large_communities=LARGE))
        speaker.wait_up()
        has(peer, Route(VIP), large_communities={"64513:2:1", "64513:1:4294967295"})


@proves(Feature.BANDWIDTH)
def test_the_link_bandwidth_arrives(peer: Peer) -> None:
    setup = started(peer)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(Route(VIP, bandwidth=1.25e6), Route(VIP2))
        speaker.wait_up()
        has(peer, Route(VIP), bandwidth=1.25e6)
        has(peer, Route(VIP2), bandwidth=None)


@proves(Feature.BANDWIDTH_INTERNAL)
def test_the_link_bandwidth_arrives_on_an_internal_session(peer: Peer) -> None:
    setup = started(peer, remote_asn=64512)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(Route(VIP, bandwidth=1.25e6))
        speaker.wait_up()
        has(peer, Route(VIP), bandwidth=1.25e6)


@proves(Feature.EXTENDED_MESSAGES)
def test_messages_are_as_long_as_the_router_takes(peer: Peer) -> None:
    setup = started(peer)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(*(Route(IPv4Network((0x0A0A0000 + i, 32))) for i in range(5000)))
        status = speaker.wait_up()
        assert ExtendedMessages() in status.remote_capabilities
        eventually(lambda: peer.accepted() == 5000, "5,000 prefixes")
        assert status.counters.messages_out[MessageType.UPDATE] <= 1 + 2, "two of them say End-of-RIB"


@proves(Feature.ENHANCED_REFRESH)
def test_what_is_sent_again_stands_between_two_marks(peer: Peer) -> None:
    setup = started(peer, enhanced_refresh=True)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(Route(VIP))
        assert EnhancedRefresh() in speaker.wait_up().remote_capabilities
        has(peer, Route(VIP))
        peer.refresh()
        status = speaker.wait(lambda s: s.counters.prefixes_sent == 2)
        # Some routers ask for the other family too.
        assert status.counters.messages_out[MessageType.ROUTE_REFRESH] in (2, 4)
        assert status.state is State.ESTABLISHED
        has(peer, Route(VIP))


@proves(Feature.ROUTER_DIALS)
def test_a_router_that_dials_is_awaited(peer: Peer) -> None:
    with Speaker(peer.node, ours(peer.setup, passive=True), listener=Listener(always=True)) as speaker:
        speaker.set_routes(Route(VIP))
        started(peer, dials=True)
        status = speaker.wait_up()
        has(peer, Route(VIP))
        assert status.counters.established == 1


@proves(Feature.BOTH_DIAL)
def test_when_both_dial_one_session_stays(peer: Peer) -> None:
    with Speaker(peer.node, ours(peer.setup), listener=Listener(always=True)) as speaker:
        speaker.set_routes(Route(VIP))
        started(peer, dials=True)
        speaker.wait_up()
        has(peer, Route(VIP))
        peer.restart()
        speaker.wait(lambda s: s.counters.established >= 2 and s.established, 15)
        has(peer, Route(VIP))


@proves(Feature.TTL_SECURITY)
def test_a_router_that_is_near_by_its_ttl_has_a_session(peer: Peer) -> None:
    setup = started(peer, ttl_security=True)
    with Speaker(peer.node, ours(setup, ttl_security_hops=1)) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        has(peer, Route(VIP))


@proves(Feature.TTL_TOO_LOW)
def test_a_router_that_may_be_far_has_none(peer: Peer) -> None:
    """The kernel hears it and lets nothing through, until we no longer ask for a TTL."""
    setup = started(peer)
    before = counter("TCPMinTTLDrop", peer.node)
    with Speaker(peer.node, ours(setup, ttl_security_hops=1)) as speaker:
        eventually(lambda: counter("TCPMinTTLDrop", peer.node) >= before + 3, "it is heard, and refused")
        status = speaker.status()
        assert (status.counters.bytes_in, status.counters.established) == (0, 0)
        assert status.state in (State.CONNECT, State.OPEN_SENT)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.wait_up()


@proves(Feature.OTHER_AS)
def test_a_peer_of_any_other_as_knows_us_by_the_as_that_we_show(peer: Peer) -> None:
    setup = started(peer)
    settings = ours(setup, local_asn=64999, shown_asn=64513, remote_asn=None, dynamic_asn="external")
    with Speaker(peer.node, settings) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        has(peer, Route(VIP), as_path=(64513,))


@contextmanager
def process(peer: Peer, *prefixes: IPv4Network) -> Iterator[subprocess.Popen[bytes]]:
    """The speaker as a process that can be killed; the router may keep its routes for 20 seconds."""
    made = peer.cable.spawn("speaker", *command(20, *map(str, prefixes)), inside=peer.node)
    yield made
    made.kill()
    made.wait(20)


@proves(Feature.GRACEFUL_RESTART)
def test_routes_stay_while_our_process_is_killed_and_started_again(peer: Peer) -> None:
    started(peer)
    with process(peer, VIP, VIP2) as first:
        has(peer, Route(VIP))
        has(peer, Route(VIP2))
        first.kill()
        eventually(lambda: not peer.established(), "the router knows that we are gone")
        assert peer.paths(str(VIP)) and peer.paths(str(VIP2))
    with process(peer, VIP):
        eventually(lambda: not _both(peer), "what we had no more was dropped after End-of-RIB", 15)
        assert peer.established()


def _both(peer: Peer) -> bool:
    """Return whether it still has both; the one that we have never goes."""
    assert peer.paths(str(VIP)), "a route that was announced before and after the restart went away"
    return bool(peer.paths(str(VIP2)))


@proves(Feature.LEAVING)
@pytest.mark.parametrize("preserve", [True, False], ids=["upgrade", "for good"])
def test_how_we_leave_decides_whether_routes_stay(peer: Peer, preserve: bool) -> None:
    setup = started(peer)
    with Speaker(peer.node, ours(setup, restart_time=20)) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        has(peer, Route(VIP))
        speaker.close("an upgrade", preserve=preserve)
    eventually(lambda: not peer.established(), "the router knows that we are gone")
    if not preserve:
        lost(peer, Route(VIP), 15)  # the restart time is 20 s
        return
    assert peer.paths(str(VIP))

    def back() -> bool:
        assert peer.paths(str(VIP)), "the route went away before we were back"
        return speaker.status().established and not speaker.status().pending

    with Speaker(peer.node, ours(setup, restart_time=20)) as speaker:
        speaker.set_routes(Route(VIP))
        eventually(back, "it is back", 15)
        assert peer.paths(str(VIP))


@proves(Feature.UNNUMBERED)
def test_a_router_is_found_on_its_interface(peer: Peer) -> None:
    for namespace in (peer.node, peer.cable.router):
        run("ip", "-n", namespace, "-4", "addr", "flush", "dev", "eth0")
        run("ip", "-n", namespace, "-6", "addr", "flush", "dev", "eth0", "scope", "global")
    setup = started(peer, over="link-local", next_hop_ipv6=True)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(Route(VIP), Route(VIP6))
        assert speaker.wait_up().withheld == {}
        for route in (Route(VIP), Route(VIP6)):
            assert has(peer, route).next_hop.startswith("fe80::")
