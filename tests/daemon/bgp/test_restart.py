# SPDX-License-Identifier: GPL-3.0-or-later
"""Graceful restart of ours (RFC 4724, RFC 8538): what is said at the beginning and at the end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from daemon.bgp.driven_session import LOCAL, done, peer_open, said, session_in
from daemon.bgp.simulated_network import neighbor
from daemon.bgp.two_peers import hosts, one_session, simulated_network

from vipcast.bgp.capabilities import GracefulRestart
from vipcast.bgp.events import Disconnect
from vipcast.bgp.fsm import State
from vipcast.bgp.messages import Keepalive, Message, Notification, Open, encode


@pytest.mark.parametrize(
    ("theirs", "preserve", "said_at_the_end"),
    [
        (None, False, [Notification(6, 2, b"\x03bye")]),
        (None, True, [Notification(6, 2, b"\x03bye")]),
        (GracefulRestart(120), False, [Notification(6, 2, b"\x03bye")]),
        (GracefulRestart(120), True, []),
        (GracefulRestart(120, notification=True), False, [Notification(6, 9, b"\x06\x02\x03bye")]),
        (GracefulRestart(120, notification=True), True, [Notification(6, 2, b"\x03bye")]),
    ],
)
def test_the_peer_keeps_our_routes_exactly_when_we_ask_it_to(
    theirs: GracefulRestart | None, preserve: bool, said_at_the_end: list[Message]
) -> None:
    """RFC 4724 section 4.2, RFC 8538 section 4; FRR as a helper offers no family of its own."""
    session = session_in(State.OPEN_SENT, restart_time=60)
    offer = peer_open()
    capabilities = (*offer.capabilities, theirs) if theirs else offer.capabilities
    session.receive_data(encode(replace(offer, capabilities=capabilities)) + encode(Keepalive()), 0.0)
    assert session.state is State.ESTABLISHED
    said(session), done(session)
    session.stop(1.0, "bye", preserve=preserve)
    assert said(session) == said_at_the_end
    assert Disconnect() in done(session)
    assert (session.state, session.timer()) == (State.IDLE, None)


def test_the_first_open_of_a_process_says_that_it_has_restarted() -> None:
    """RFC 4724 section 4.1: until a session has come up; traffic went on all the time, so F stays set."""
    session = session_in(State.IDLE, restart_time=60, restarting=True)
    offers = []
    for _again in range(3):
        session.start(0.0)
        session.connected(0.0, LOCAL)
        (ours,) = said(session)
        assert isinstance(ours, Open)
        (offer,) = (c for c in ours.capabilities if isinstance(c, GracefulRestart))
        assert [(f.afi, f.safi, f.forwarding) for f in offer.families] == [(1, 1, True), (2, 1, True)]
        offers.append((offer.restarting, offer.notification, offer.restart_time))
        session.receive_data(encode(peer_open()) + encode(Keepalive()), 0.0)
        session.stop(0.0)
        said(session)
    assert offers == [(True, True, 60), (False, True, 60), (False, True, 60)]


def test_a_hard_reset_is_told_with_the_reason_inside() -> None:
    """RFC 8538 section 3.1; one that is inside another is not opened: a peer could go on for ever."""
    session = session_in(State.ESTABLISHED)
    session.receive_data(encode(Notification(6, 9, bytes((6, 3)))), 2.0)
    assert session.last_error == "the peer ended the session: Cease/Hard Reset: Cease/Peer De-configured"
    nested = Notification(6, 9, bytes((6, 9)) * 1000)
    assert str(nested).startswith("Cease/Hard Reset")


@pytest.mark.parametrize("restarts", [True, False])
def test_a_router_that_restarts_gracefully_need_not_wait_for_the_hold_time(restarts: bool) -> None:
    """RFC 4724 section 5: its new connection says that the old one is gone; others wait until we notice."""
    values: dict[str, object] = {"hold_time": 90, "restart_time": 60 if restarts else None}
    left, right = hosts(neighbor(64513, 64512, 1, **values), neighbor(64512, 64513, 2, **values))
    made = simulated_network(left, right)
    made.start(right)
    made.start(left)
    made.run(5)
    assert one_session(made)
    right.tcp.clear()  # no FIN, no RST: the power has failed
    right.neighbor = neighbor(64512, 64513, 3, **values)
    made.start(right)
    made.run(12)
    assert one_session(made) == restarts
    if restarts:
        assert left.neighbor.memory.last_error == "the peer has restarted: it opened a new connection"
        assert left.neighbor.memory.counters.established == 2
