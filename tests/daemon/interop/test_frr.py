# SPDX-License-Identifier: GPL-3.0-or-later
"""Test against a real FRR (Debian 12's 8.4.4): what arrives there is read from there."""

from __future__ import annotations

import signal
from ipaddress import ip_address, ip_network

import pytest
from daemon.interop.frr import NODE, NODE6, ROUTER6, Router
from daemon.interop.frr_config import config
from daemon.interop.speaker import Speaker, eventually, peer

from vipcast.bgp.framing import MessageType
from vipcast.bgp.fsm import State
from vipcast.bgp.route import Route

pytestmark = pytest.mark.netns

VIP, VIP2, VIP6 = ip_network("10.9.0.1/32"), ip_network("10.9.0.2/32"), ip_network("fd00::1/128")


def test_routes_arrive_with_exactly_the_attributes_asked_for(router: Router) -> None:
    router.start(config())
    with Speaker(router.node, peer()) as speaker:
        communities = frozenset({64512 << 16 | 7, 64512 << 16 | 3})
        speaker.set_routes(Route(VIP, 200, communities), Route(VIP2), Route(VIP6))
        status = speaker.wait_up()
        eventually(lambda: router.paths(str(VIP)) and router.paths(str(VIP2)), "both routes in FRR")
        eventually(lambda: router.paths(str(VIP))[0]["valid"], "a valid path")
        (path,) = router.paths(str(VIP))
        assert path["origin"] == "IGP"
        assert path["aspath"]["string"] == "64513"
        assert path["community"]["string"] == "64512:3 64512:7"
        assert "locPrf" not in path, "not to an external peer"
        assert [hop["ip"] for hop in path["nexthops"]] == [NODE]
        (plain,) = router.paths(str(VIP2))
        assert "community" not in plain
        assert status.withheld == {}
        eventually(lambda: router.paths(str(VIP6)), "the IPv6 route, over the same session")
        (six,) = router.paths(str(VIP6))
        assert [hop["ip"] for hop in six["nexthops"] if hop["scope"] == "global"] == [NODE6]
        assert (status.hold_time, status.keepalive_time) == (9, 3)
        assert str(status.local_router_id) == NODE
        eventually(lambda: "End-of-RIB for IPv4" in router.log(), "End-of-RIB")
        neighbor = router.neighbor()
        assert neighbor["bgpState"] == "Established"
        assert neighbor["remoteRouterId"] == NODE
        assert neighbor["neighborCapabilities"]["4byteAs"] == "advertisedAndReceived"
        assert neighbor["neighborCapabilities"]["routeRefresh"] == "advertisedAndReceivedNew"
        assert neighbor["neighborCapabilities"]["multiprotocolExtensions"] == {
            family: {"advertisedAndReceived": True} for family in ("ipv4Unicast", "ipv6Unicast")
        }


def test_changes_and_withdrawals_follow_and_nothing_is_sent_twice(router: Router) -> None:
    router.start(config())
    with Speaker(router.node, peer()) as speaker:
        speaker.set_routes(Route(VIP), Route(VIP2))
        speaker.wait_up()
        eventually(lambda: router.paths(str(VIP)), "the first route")
        updates = speaker.status().counters.messages_out[MessageType.UPDATE]
        speaker.set_routes(Route(VIP), Route(VIP2, None, frozenset({1})))
        eventually(lambda: "community" in (router.paths(str(VIP2)) or [{}])[0], "a community")
        speaker.set_routes(Route(VIP))
        eventually(lambda: not router.paths(str(VIP2)), "a withdrawal")
        speaker.set_routes(Route(VIP))
        assert router.paths(str(VIP))
        assert speaker.status().counters.messages_out[MessageType.UPDATE] == updates + 2
        assert speaker.status().announced == {Route(VIP)}


def test_a_route_refresh_is_answered(router: Router) -> None:
    router.start(config())
    with Speaker(router.node, peer()) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        router.vtysh(f"clear bgp ipv4 unicast {NODE} soft in")
        status = speaker.wait(lambda s: s.counters.prefixes_sent == 2)
        assert status.counters.messages_in[MessageType.ROUTE_REFRESH] >= 1
        assert status.state is State.ESTABLISHED


def test_what_the_router_announces_is_counted_and_not_kept(router: Router) -> None:
    router.start(config().replace("  neighbor", "  network 192.0.2.0/24\n  neighbor", 1))
    router.vtysh("configure terminal", "router bgp 64512", "no bgp network import-check")
    with Speaker(router.node, peer()) as speaker:
        status = speaker.wait(lambda s: s.counters.prefixes_received == 1)
        assert status.counters.update_problems == 0


def test_an_internal_session(router: Router) -> None:
    """Local preference: 100 unless asked for, never 0."""
    router.start(config(remote=64512))
    with Speaker(router.node, peer(local_asn=64512)) as speaker:
        speaker.set_routes(Route(VIP), Route(VIP2, 200))
        speaker.wait_up()
        eventually(lambda: router.paths(str(VIP)) and router.paths(str(VIP2)), "both routes")
        assert [router.paths(str(p))[0]["locPrf"] for p in (VIP, VIP2)] == [100, 200]
        assert router.paths(str(VIP))[0]["aspath"]["string"] == "Local"
        assert router.paths(str(VIP))[0]["peer"]["type"] == "internal"


def test_an_as_number_of_four_octets(router: Router) -> None:
    router.start(config(remote=4200000000))
    with Speaker(router.node, peer(local_asn=4200000000)) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        eventually(lambda: router.paths(str(VIP)), "the route")
        assert router.paths(str(VIP))[0]["aspath"]["string"] == "4200000000"


def test_a_router_without_capabilities_gets_as_numbers_of_two_octets(router: Router) -> None:
    """RFC 6793 section 4.2.2; ``dont-capability-negotiate`` makes FRR a speaker of before."""
    router.start(config("dont-capability-negotiate"))
    with Speaker(router.node, peer()) as speaker:
        speaker.set_routes(Route(VIP))
        status = speaker.wait_up()
        assert status.remote_capabilities == ()
        eventually(lambda: router.paths(str(VIP)), "the route")
        assert router.paths(str(VIP))[0]["aspath"]["string"] == "64513"


def test_an_ipv6_session_carries_ipv6_routes(router: Router) -> None:
    router.start(config(node=NODE6))
    with Speaker(router.node, peer(ROUTER6, node_name="node1")) as speaker:
        speaker.set_routes(Route(VIP6, None, frozenset({64512 << 16 | 7})), Route(VIP))
        status = speaker.wait_up()
        eventually(lambda: router.paths(str(VIP6)), "the route")
        (path,) = router.paths(str(VIP6))
        assert [hop["ip"] for hop in path["nexthops"] if hop["scope"] == "global"] == [NODE6]
        assert path["community"]["string"] == "64512:7"
        assert status.withheld == {}
        eventually(lambda: router.paths(str(VIP)), "the IPv4 route, over the same session")
        assert [hop["ip"] for hop in router.paths(str(VIP))[0]["nexthops"]] == [NODE]
        assert str(status.local_router_id) == "64.37.239.133"
        eventually(lambda: "End-of-RIB for IPv6" in router.log(), "End-of-RIB")
        speaker.set_routes()
        eventually(lambda: not router.paths(str(VIP6)), "a withdrawal")


def test_a_wrong_as_is_named_on_both_sides(router: Router) -> None:
    router.start(config(asn=64512))
    with Speaker(router.node, peer(remote_asn=64999)) as speaker:
        status = speaker.wait(lambda s: s.last_error)
        assert "Bad Peer AS" in status.last_error
        words = f"received from neighbor {NODE} 2/2 (OPEN Message Error/Bad Peer AS)"
        eventually(lambda: words in router.log(), "a NOTIFICATION")


def test_our_wrong_as_is_what_the_router_says(router: Router) -> None:
    router.start(config(remote=64999))
    with Speaker(router.node, peer()) as speaker:
        status = speaker.wait(lambda s: s.last_error)
        assert "OPEN Message Error/Bad Peer AS" in status.last_error
        connects = speaker.wait(lambda s: s.counters.connects).counters.connects
        assert connects <= 2, "no tight loop"


def test_md5(router: Router) -> None:
    router.start(config("password s3cret"))
    with Speaker(router.node, peer(password="s3cret")) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        eventually(lambda: router.paths(str(VIP)), "the route")


@pytest.mark.parametrize("password", ["wrong", None])
def test_a_password_that_differs_is_named_as_a_possibility(router: Router, password: str | None) -> None:
    router.start(config("password s3cret"))
    with Speaker(router.node, peer(password=password)) as speaker:
        status = speaker.wait(lambda s: s.last_error)
        assert "a password that differs" in status.last_error
        assert status.counters.connects == 0


def test_md5_over_ipv6(router: Router) -> None:
    router.start(config("password s3cret", node=NODE6))
    with Speaker(router.node, peer(ROUTER6, password="s3cret")) as speaker:
        speaker.wait_up()


def test_a_silent_router_is_noticed(router: Router) -> None:
    """SIGSTOP: TCP lives on, BGP does not."""
    router.start(config(timers="1 3"))
    with Speaker(router.node, peer(hold_time=3)) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        router.signal_bgpd(signal.SIGSTOP)
        status = speaker.wait(lambda s: s.last_error)
        assert "Hold Timer Expired" in status.last_error
        router.signal_bgpd(signal.SIGCONT)
        speaker.wait_up()
        eventually(lambda: router.paths(str(VIP)), "the route again")


def test_a_silent_speaker_is_noticed_and_comes_back(router: Router) -> None:
    router.start(config(timers="1 3"))
    with Speaker(router.node, peer(hold_time=3)) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        eventually(lambda: router.paths(str(VIP)), "the route")
        speaker.freeze(5.5)
        eventually(lambda: not router.paths(str(VIP)), "the route gone")
        speaker.wait_up()
        eventually(lambda: router.paths(str(VIP)), "the route again")
        assert speaker.status().counters.established == 2


def test_a_close_is_a_cease_with_its_message(router: Router) -> None:
    router.start(config())
    speaker = Speaker(router.node, peer())
    with speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        eventually(lambda: router.paths(str(VIP)), "the route")
        speaker.close("rack 4 moves")
    eventually(lambda: not router.paths(str(VIP)), "the route gone", 6)  # the hold time is 9 s
    # Not from its status: FRR forgets the reason as soon as it dials again.
    eventually(lambda: '6/2 (Cease/Administrative Shutdown) "rack 4 moves"' in router.log(), "the reason")


def test_what_the_routers_operator_says_is_shown(router: Router) -> None:
    router.start(config())
    with Speaker(router.node, peer()) as speaker:
        speaker.wait_up()
        router.vtysh("configure terminal", "router bgp 64512", f"neighbor {NODE} shutdown message lunch")
        status = speaker.wait(lambda s: s.last_error)
        assert status.last_error == 'the peer ended the session: Cease/Administrative Shutdown: "lunch"'
        router.vtysh("configure terminal", "router bgp 64512", f"no neighbor {NODE} shutdown")
        speaker.wait_up()
        router.vtysh(f"clear bgp {NODE}")
        status = speaker.wait(lambda s: "Reset" in s.last_error)
        assert "Cease/Administrative Reset" in status.last_error


def test_a_router_that_restarts_has_the_routes_again(router: Router) -> None:
    router.start(config())
    with Speaker(router.node, peer()) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        router.restart_bgpd()
        eventually(lambda: router.paths(str(VIP)), "the route again", 10)
        assert speaker.status().counters.established == 2


def test_a_source_address_is_used_and_a_foreign_one_is_named(router: Router) -> None:
    router.start(config())
    with Speaker(router.node, peer(source_address=ip_address(NODE))) as speaker:
        speaker.wait_up()
    with Speaker(router.node, peer(source_address=ip_address("10.99.0.77"))) as speaker:
        status = speaker.wait(lambda s: s.last_error)
        assert status.last_error == "the source address 10.99.0.77 is not on this host"


def test_nobody_there_is_said_in_words(router: Router) -> None:
    with Speaker(router.node, peer()) as speaker:
        status = speaker.wait(lambda s: s.last_error)
        assert status.last_error == "cannot connect to 10.99.0.2 port 179: Connection refused"


def test_ten_thousand_routes(router: Router) -> None:
    router.start(config())
    routes = [Route(ip_network((0x0A0A0000 + i, 32))) for i in range(10000)]
    with Speaker(router.node, peer()) as speaker:
        speaker.set_routes(*routes)
        speaker.wait_up()
        eventually(lambda: router.accepted() == 10000, "10,000 prefixes")
        assert speaker.status().counters.messages_out[MessageType.UPDATE] == 1 + 2, "RFC 8654"
