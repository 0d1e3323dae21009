# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what every router has to see, whoever wrote it. ``features`` says which routers take part in what."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from daemon.interop.features import Feature, proves
from daemon.interop.meeting import COMMUNITIES, VIP, VIP2, VIP6, has, lost, ours, started
from daemon.interop.network import NODE, NODE6
from daemon.interop.peers import Peer
from daemon.interop.speaker import Speaker, eventually

from vipcast.bgp.framing import MessageType
from vipcast.bgp.fsm import State
from vipcast.bgp.route import Route

pytestmark = pytest.mark.netns


@proves(Feature.IPV4)
def test_ipv4_routes_arrive_with_exactly_the_attributes_asked_for(peer: Peer) -> None:
    setup = started(peer)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(Route(VIP, 200))
        status = speaker.wait_up()
        path = has(peer, Route(VIP), next_hop=NODE, as_path=(64513,), origin="IGP")
        assert path.local_pref in (None, 100), "not sent to an external peer; some show their default"
        assert (path.communities, path.large_communities, path.bandwidth) == (frozenset(), frozenset(), None)
        assert peer.established()
        assert (status.hold_time, status.keepalive_time) == (9, 3)


@proves(Feature.IPV6)
def test_ipv6_routes_arrive_over_ipv6(peer: Peer) -> None:
    setup = started(peer, over="ipv6")
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(Route(VIP6, None, COMMUNITIES))
        speaker.wait_up()
        path = has(peer, Route(VIP6), next_hop=NODE6, as_path=(64513,), origin="IGP")
        assert path.communities == {"64512:3", "64512:7"}
        speaker.set_routes()
        lost(peer, Route(VIP6))


@proves(Feature.INTERNAL)
def test_an_internal_session_carries_local_preferences(peer: Peer) -> None:
    setup = started(peer, remote_asn=64512)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(Route(VIP), Route(VIP2, 200))
        speaker.wait_up()
        has(peer, Route(VIP), local_pref=100, as_path=(), next_hop=NODE)
        has(peer, Route(VIP2), local_pref=200, as_path=(), next_hop=NODE)


@proves(Feature.COMMUNITIES)
def test_each_route_has_its_own_communities(peer: Peer) -> None:
    setup = started(peer)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(Route(VIP, None, COMMUNITIES), Route(VIP2))
        speaker.wait_up()
        has(peer, Route(VIP), communities={"64512:3", "64512:7"})
        has(peer, Route(VIP2), communities=frozenset())


@proves(Feature.CHANGES)
def test_changes_and_withdrawals_follow_and_nothing_is_sent_twice(peer: Peer) -> None:
    setup = started(peer)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(Route(VIP), Route(VIP2))
        speaker.wait_up()
        has(peer, Route(VIP2), communities=frozenset())
        updates = speaker.status().counters.messages_out[MessageType.UPDATE]
        speaker.set_routes(Route(VIP), Route(VIP2, None, COMMUNITIES))
        has(peer, Route(VIP2), communities={"64512:3", "64512:7"})
        speaker.set_routes(Route(VIP))
        lost(peer, Route(VIP2))
        has(peer, Route(VIP))
        assert speaker.status().counters.messages_out[MessageType.UPDATE] == updates + 2


@proves(Feature.RECEIVING)
def test_what_the_router_announces_is_counted(peer: Peer) -> None:
    setup = started(peer, network="192.0.2.0/24")
    with Speaker(peer.node, ours(setup)) as speaker:
        status = speaker.wait(lambda s: s.counters.prefixes_received == 1)
        assert status.counters.update_problems == 0


@proves(Feature.FOUR_OCTETS)
def test_an_as_number_of_four_octets(peer: Peer) -> None:
    setup = started(peer, asn=4200000001, remote_asn=4200000000)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        has(peer, Route(VIP), as_path=(4200000000,))


@proves(Feature.PASSWORD)
@pytest.mark.parametrize("over", ["ipv4", "ipv6"])
def test_only_the_right_password_brings_the_session_up(peer: Peer, over: str) -> None:
    setup = started(peer, password="s3cret", over=over)
    with Speaker(peer.node, ours(setup, password="wrong")) as speaker:
        status = speaker.wait(lambda s: s.last_error)
        assert "a password that differs" in status.last_error
        assert status.counters.connects == 0
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.wait_up()


@proves(Feature.REFRESH)
def test_a_route_refresh_is_answered(peer: Peer) -> None:
    setup = started(peer)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        has(peer, Route(VIP))
        peer.refresh()
        status = speaker.wait(lambda s: s.counters.prefixes_sent == 2)
        assert status.counters.messages_in[MessageType.ROUTE_REFRESH] >= 1
        assert status.state is State.ESTABLISHED
        has(peer, Route(VIP))


@proves(Feature.SILENT_ROUTER)
def test_a_silent_router_is_noticed(peer: Peer) -> None:
    setup = started(peer, hold_time=3)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        has(peer, Route(VIP))
        peer.pause()
        status = speaker.wait(lambda s: s.last_error)
        assert "Hold Timer Expired" in status.last_error
        peer.resume()
        speaker.wait_up()
        has(peer, Route(VIP))


@proves(Feature.SILENT_SPEAKER)
def test_a_silent_speaker_is_noticed_and_comes_back(peer: Peer) -> None:
    setup = started(peer, hold_time=3)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        has(peer, Route(VIP))
        speaker.freeze(5)
        lost(peer, Route(VIP))
        speaker.wait_up()
        has(peer, Route(VIP))


@proves(Feature.OUR_SHUTDOWN)
def test_a_close_is_a_cease_with_its_message(peer: Peer) -> None:
    setup = started(peer)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        has(peer, Route(VIP))
        speaker.close("rack 4 moves")
    lost(peer, Route(VIP), 6)  # the hold time is 9 s
    eventually(lambda: "rack 4 moves" in peer.said(), "our message in the router's words")


@proves(Feature.THEIR_SHUTDOWN)
def test_what_the_routers_operator_says_is_shown(peer: Peer) -> None:
    setup = started(peer)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.wait_up()
        eventually(peer.established, "the session at the other end")
        words = peer.shut("lunch")
        status = speaker.wait(lambda s: s.last_error)
        assert status.last_error == f'the peer ended the session: Cease/Administrative Shutdown: "{words}"'


@proves(Feature.RESTART)
def test_a_router_that_crashed_has_the_routes_again(peer: Peer) -> None:
    setup = started(peer)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        has(peer, Route(VIP))
        peer.restart()
        has(peer, Route(VIP))
        assert speaker.status().counters.established == 2


@proves(Feature.MANY)
def test_ten_thousand_prefixes_arrive(peer: Peer) -> None:
    setup = started(peer)
    with Speaker(peer.node, ours(setup)) as speaker:
        speaker.set_routes(*(Route(ip_network((0x0A0A0000 + i, 32))) for i in range(10000)))
        speaker.wait_up()
        eventually(lambda: peer.accepted() == 10000, "10,000 prefixes", 20)
