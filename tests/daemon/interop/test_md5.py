# SPDX-License-Identifier: GPL-3.0-or-later
"""A password that changes under a session (RFC 2385): TCP repeats what the other end can not verify yet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from ipaddress import ip_network

import pytest
from daemon.interop.frr import Router
from daemon.interop.network import NODE, Cable, eventually, lacking
from daemon.interop.speaker import Speaker, peer

from vipcast.bgp.route import Route
from vipcast.net.listener import Listener

pytestmark = pytest.mark.netns

VIP, SECOND = (Route(ip_network(f"10.9.0.{number}/32")) for number in (1, 2))


@pytest.fixture
def cable() -> Iterator[Cable]:
    if (lack := lacking()) is not None:
        pytest.fail(lack)
    with Cable() as made:
        yield made


@pytest.fixture
def ends(cable: Cable) -> Iterator[tuple[Speaker, Speaker]]:
    """A node that dials and a router that waits, both with the first password."""
    waits = peer(NODE, local_asn=64512, remote_asn=64513, passive=True, password="first")
    with (
        Speaker(cable.router, waits, listener=Listener()) as router,
        Speaker(cable.node, peer(password="first")) as node,
    ):
        node.wait_up()
        router.wait_up()
        yield node, router


def received(end: Speaker) -> int:
    return end.status().counters.prefixes_received


def test_a_password_that_both_ends_change_within_the_hold_time_ends_no_session(
    ends: tuple[Speaker, Speaker],
) -> None:
    node, router = ends
    assert node.set_password("second")
    node.set_routes(VIP)
    time.sleep(3)
    assert received(router) == 0, "the router can not verify what was sent, and TCP repeats it"
    assert router.set_password("second")
    eventually(lambda: received(router) == 1, "it has arrived")
    time.sleep(10)  # longer than the hold time
    node.set_routes(VIP, SECOND)
    eventually(lambda: received(router) == 2, "the session goes on")
    for end in ends:
        assert end.status().counters.established == 1


def test_a_password_that_one_end_alone_changes_is_found_by_the_hold_timer_and_the_next_session_has_it(
    ends: tuple[Speaker, Speaker],
) -> None:
    node, router = ends
    assert node.set_password("second")
    assert "Hold Timer Expired" in node.wait(lambda status: not status.established, 15).last_error
    assert router.set_password("second")
    node.wait_up()
    router.wait_up()


def test_a_session_without_a_password_can_not_be_given_one(cable: Cable) -> None:
    with Speaker(cable.node, peer()) as node:
        assert not node.set_password("first")


def test_frr_ends_the_session_itself_and_finds_the_new_password_here(router: Router) -> None:
    """FRR resets a neighbor whose password it changes. Where ours was changed before, it is back at once."""
    router.start(_config("first"))
    with Speaker(router.node, peer(password="first")) as speaker:
        speaker.set_routes(VIP)
        speaker.wait_up()
        assert speaker.set_password("second")
        time.sleep(2)
        assert speaker.status().established, "what FRR does not verify yet is repeated"
        router.vtysh("configure terminal", "router bgp 64512", f"neighbor {NODE} password second")
        eventually(
            lambda: speaker.status().counters.established == 2, "the next session, with the new password"
        )
        speaker.wait_up()
        eventually(lambda: router.paths(str(VIP.prefix)), "the route is there")


def _config(password: str) -> str:
    lines = ("remote-as 64513", "timers 3 9", "timers connect 1", f"password {password}")
    neighbors = "\n".join(f" neighbor {NODE} {line}" for line in lines)
    return f"router bgp 64512\n no bgp ebgp-requires-policy\n{neighbors}\nexit"
