# SPDX-License-Identifier: GPL-3.0-or-later
"""Test who dials, who stays, what is kept: sessions with a real FRR (Debian 12's 8.4.4)."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from daemon.interop.frr import NODE, NODE6, ROUTER6, Router
from daemon.interop.frr_config import config
from daemon.interop.network import eventually, run
from daemon.interop.process import command
from daemon.interop.speaker import Speaker, peer
from support.netstat import counter

from vipcast.bgp.fsm import State
from vipcast.bgp.route import Route
from vipcast.net.listener import Listener

pytestmark = pytest.mark.netns

VIP, VIP2, VIP6 = ip_network("10.9.0.1/32"), ip_network("10.9.0.2/32"), ip_network("fd00::1/128")
UNNUMBERED = """
router bgp 64512
 bgp router-id 10.99.0.2
 no bgp ebgp-requires-policy
 neighbor eth0 interface remote-as external
 neighbor eth0 timers 3 9
 neighbor eth0 timers connect 1
 address-family ipv6 unicast
  neighbor eth0 activate
 exit-address-family
exit
"""


def installed(router: Router, prefix: object) -> list[dict[str, Any]]:
    """The kernel's route in the router's namespace."""
    version = "-6" if ":" in str(prefix) else "-4"
    shown = run("ip", version, "-j", "-n", router.router, "route", "show", str(prefix))
    return json.loads(shown or "[]")


def interface(namespace: str) -> str:
    (link,) = json.loads(
        run("ip", "-j", "-n", namespace, "-6", "addr", "show", "dev", "eth0", "scope", "link")
    )
    address: str = link["addr_info"][0]["local"]
    return address


def without_addresses(router: Router) -> None:
    for namespace in (router.node, router.router):
        run("ip", "-n", namespace, "-4", "addr", "flush", "dev", "eth0")
        run("ip", "-n", namespace, "-6", "addr", "flush", "dev", "eth0", "scope", "global")


def test_an_unnumbered_session_finds_its_router_and_carries_both_families(router: Router) -> None:
    """RFC 4861 finds it, RFC 8950 gives IPv4 routes their next hop; nobody has an address but link-local."""
    without_addresses(router)
    router.start(UNNUMBERED)
    settings = peer(address=None, interface="eth0", remote_asn=None, dynamic_asn="external", node_name="n")
    with Speaker(router.node, settings) as speaker:
        speaker.set_routes(Route(VIP), Route(VIP6))
        status = speaker.wait_up()
        assert status.remote_address == ip_address(f"{interface(router.router)}%eth0")
        assert not status.problem
        assert not status.withheld
        ours = interface(router.node)
        for prefix, gateway in ((VIP, "via"), (VIP6, "gateway")):
            eventually(lambda prefix=prefix: installed(router, prefix), f"{prefix} in the router's kernel")
            (route,) = installed(router, prefix)
            hop = route[gateway] if gateway == "gateway" else route[gateway]["host"]
            assert (hop, route["dev"]) == (ours, "eth0")
        speaker.set_routes()
        eventually(lambda: not installed(router, VIP) and not installed(router, VIP6), "both gone")


def test_an_unnumbered_peer_that_is_not_there_is_said_to_be_missing(router: Router) -> None:
    with Speaker(router.node, peer(address=None, interface="eth0")) as speaker:
        status = speaker.wait(lambda s: s.last_error)
        assert "no router has advertised itself on eth0" in status.last_error
    with Speaker(router.node, peer(address=None, interface="eth9")) as speaker:
        status = speaker.wait(lambda s: s.problem)
        assert "there is no such interface" in status.problem


def test_frr_that_dials_too_ends_with_one_session_each_time(router: Router) -> None:
    """RFC 4271 section 6.8: both dial, both listen."""
    router.start(config())
    for _again in range(4):
        with Speaker(router.node, peer(), listener=Listener(always=True)) as speaker:
            speaker.set_routes(Route(VIP))
            speaker.wait_up()
            eventually(lambda: router.paths(str(VIP)), "the route")
            assert speaker.status().state is State.ESTABLISHED


def test_a_passive_peer_is_dialled_by_frr(router: Router) -> None:
    router.start(config())
    with Speaker(router.node, peer(passive=True), listener=Listener()) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        eventually(lambda: installed(router, VIP), "the route in the router's kernel")


def test_a_router_that_dials_from_an_address_that_nobody_declared_is_named(router: Router) -> None:
    other = "10.99.0.3"
    run("ip", "-n", router.router, "addr", "add", f"{other}/24", "dev", "eth0")
    router.start(config(f"update-source {other}"))
    met: list[object] = []
    listener = Listener(always=True, met=met.append)
    with Speaker(router.node, peer(passive=True), listener=listener) as speaker:
        eventually(lambda: met, "somebody dials", 20)
        assert met == [ip_address(other)] == list(listener.strangers)
        assert listener.strangers[ip_address(other)].connections >= 1
        assert speaker.status().state is State.ACTIVE


@pytest.mark.parametrize("passive", [False, True])
def test_ttl_security_with_frr(router: Router, passive: bool) -> None:
    """RFC 5082 on both sides, whoever dials."""
    router.start(config("ttl-security hops 1"))
    settings = peer(ttl_security_hops=1, passive=passive)
    with Speaker(router.node, settings, listener=Listener()) as speaker:
        speaker.wait_up()


def test_a_router_that_sends_with_a_low_ttl_is_not_heard(router: Router) -> None:
    """FRR answers a call with 255 and sends to external peers with 1 unless it is told otherwise."""
    router.start(config())
    with Speaker(router.node, peer(ttl_security_hops=1)) as speaker:
        speaker.wait(lambda s: s.state is State.OPEN_SENT)
        before = counter("TCPMinTTLDrop", router.node)
        eventually(lambda: counter("TCPMinTTLDrop", router.node) >= before + 3, "it is refused by the kernel")
        assert speaker.status().counters.bytes_in == 0
        assert speaker.status().state is State.OPEN_SENT


def test_a_passive_session_with_a_password(router: Router) -> None:
    router.start(config("password secret"))
    with Speaker(router.node, peer(passive=True, password="secret"), listener=Listener()) as speaker:
        speaker.wait_up()


def test_a_session_over_ipv6_carries_ipv4_and_the_other_way_round(router: Router) -> None:
    """The next hop of the other family is the interface's address."""
    router.start(config())
    with Speaker(router.node, peer()) as speaker:
        speaker.set_routes(Route(VIP), Route(VIP6))
        assert not speaker.wait_up().withheld
        eventually(lambda: installed(router, VIP6), "the IPv6 route")
        assert installed(router, VIP6)[0]["gateway"] == NODE6
    router.stop()
    router.start(config(node=NODE6))
    with Speaker(router.node, peer(ROUTER6)) as speaker:
        speaker.set_routes(Route(VIP), Route(VIP6))
        assert not speaker.wait_up().withheld
        eventually(lambda: installed(router, VIP), "the IPv4 route")
        assert installed(router, VIP)[0]["gateway"] == NODE


def test_routes_outlive_a_process_that_is_killed_and_what_is_not_said_again_goes(router: Router) -> None:
    """RFC 4724: the router is FRR as it comes, a helper. The kernel's route never goes away meanwhile."""
    router.start(config())
    router.spawn("first", *command(60, str(VIP), str(VIP2)), inside=router.node)
    eventually(lambda: installed(router, VIP) and installed(router, VIP2), "both routes")
    router.kill("first")
    eventually(lambda: router.neighbor().get("bgpState") != "Established", "FRR noticing")
    assert installed(router, VIP)
    assert installed(router, VIP2)
    router.spawn("second", *command(60, str(VIP)), inside=router.node)

    def stale_is_gone() -> bool:
        assert installed(router, VIP), "the route was away for a moment"
        return not installed(router, VIP2)

    eventually(stale_is_gone, "what is not said again has gone", 40)  # the restart time is 60 s
    assert installed(router, VIP)
    assert router.neighbor()["bgpState"] == "Established"


@pytest.mark.parametrize("preserve", [True, False])
def test_a_speaker_that_leaves_says_whether_routes_are_to_stay(router: Router, preserve: bool) -> None:
    """RFC 8538: a Cease keeps them, a Hard Reset does not."""
    router.start(config())
    with Speaker(router.node, peer(restart_time=60)) as speaker:
        speaker.set_routes(Route(VIP))
        speaker.wait_up()
        eventually(lambda: installed(router, VIP), "the route")
        speaker.close("an upgrade" if preserve else "drained", preserve=preserve)
    eventually(lambda: router.neighbor().get("bgpState") != "Established", "FRR noticing")
    if preserve:
        assert installed(router, VIP)

        def back() -> bool:
            assert installed(router, VIP), "the route went away before we were back"
            return speaker.status().established and not speaker.status().pending

        with Speaker(router.node, peer(restart_time=60)) as speaker:
            speaker.set_routes(Route(VIP))
            eventually(back, "it is back", 40)
            assert installed(router, VIP)
    else:
        # The restart time is 60 s.
        eventually(lambda: not installed(router, VIP), "the route gone at once", 20)


def test_bfd_down_ends_the_session_with_its_own_code_and_it_comes_back(router: Router) -> None:
    """RFC 9384."""
    router.start(config())
    with Speaker(router.node, peer()) as speaker:
        speaker.wait_up()
        speaker.bfd_down("nothing heard for 0.9 s")
        assert speaker.status().last_error.endswith("Cease/BFD Down: nothing heard for 0.9 s")
        eventually(lambda: "6/10" in router.log(), "the code in FRR's log")
        speaker.wait(lambda s: s.counters.established == 2)
