# SPDX-License-Identifier: GPL-3.0-or-later
"""Two sessions over a cable in virtual time: an hour takes a moment."""

from __future__ import annotations

import random
from ipaddress import ip_network

import pytest
from daemon.bgp.cable import Cable, settings

from vipcast.bgp.backoff import MAX_DELAY, STABLE_TIME
from vipcast.bgp.export import Withheld
from vipcast.bgp.framing import MessageType
from vipcast.bgp.fsm import State
from vipcast.bgp.route import Route
from vipcast.bgp.session import Session
from vipcast.bgp.wire import Family

UP = (State.ESTABLISHED, State.ESTABLISHED)
ROUTES = frozenset(Route(ip_network(f"10.9.0.{i}/32")) for i in range(1, 6))


def cable(**others: object) -> Cable:
    jitter = random.Random(7)
    node = Session(settings(**others), jitter=lambda: jitter.uniform(0.75, 1.0))  # type: ignore[arg-type]
    return Cable(node, Session(settings(64512, 64513)))


def started() -> Cable:
    link = cable()
    link.node.session.set_routes(ROUTES)
    link.start()
    link.run(1)
    assert link.states() == UP
    return link


def test_an_hour_goes_by() -> None:
    link = started()
    link.run(3600)
    assert link.states() == UP
    assert link.node.session.counters.established == 1
    assert link.router.session.counters.prefixes_received == len(ROUTES), "and nothing was sent twice"


def test_a_change_is_sent_as_the_difference() -> None:
    link = started()
    router = link.router.session.counters
    first = Route(ip_network("10.9.0.1/32"))
    link.node.session.set_routes((ROUTES - {first}) | {Route(ip_network("10.9.1.0/24"))})
    link.settle()
    link.run(1)
    assert (router.prefixes_received, router.withdrawals_received) == (len(ROUTES) + 1, 1)
    link.node.session.set_routes(frozenset(link.node.session.rib.desired))
    link.run(1)
    assert (router.prefixes_received, router.withdrawals_received) == (len(ROUTES) + 1, 1)


@pytest.mark.parametrize("silent", ["node", "router", "both"])
def test_a_cable_that_is_pulled_is_noticed_by_both_within_the_hold_time(silent: str) -> None:
    """Half-open as well: one end is frozen, the other has to notice by itself."""
    link = started()
    if silent == "both":
        link.cut = True
    else:
        getattr(link, silent).frozen = True
    link.run(9.1)
    for name in ("node", "router"):
        end = getattr(link, name)
        if name != silent:
            assert end.session.state is not State.ESTABLISHED
            assert any("Hold Timer Expired" in change.why for _when, change in end.changes)


def test_after_the_cable_is_back_everything_is_sent_again() -> None:
    link = started()
    link.cut = True
    link.run(60)
    link.cut = False
    link.run(6)
    assert link.states() == UP
    assert link.router.session.counters.prefixes_received == 2 * len(ROUTES)


def test_a_frozen_process_wakes_up_to_a_new_session() -> None:
    link = started()
    link.node.frozen = True
    link.run(30)
    link.node.frozen = False
    link.run(15)
    assert link.states() == UP


def test_a_router_that_is_away_is_tried_at_every_connect_time() -> None:
    """A lost second connection disturbs nothing, and its return is not waited for."""
    link = cable()
    link.refuses = True
    link.start()
    link.run(600)
    gaps = [b - a for a, b in zip(link.node.dialled, link.node.dialled[1:], strict=False)]
    assert gaps[0] <= 2.01, "it may be a restart"
    assert 3.74 <= min(gaps[3:]) <= max(gaps) <= 5.01
    assert len(set(gaps)) > 20, "jitter (RFC 4271 section 10)"
    link.refuses = False
    link.run(5.1)
    assert link.states() == UP


def test_a_dial_without_any_answer_is_given_up_and_tried_again() -> None:
    link = cable()
    link.cut = True
    link.start()
    link.run(60)
    assert 12 <= len(link.node.dialled) <= 17
    assert "no answer" in link.node.session.last_error
    link.cut = False
    link.run(5.1)
    assert link.states() == UP


def test_a_peer_that_says_no_is_asked_less_and_less_often() -> None:
    """A wrong AS: each attempt ends in a NOTIFICATION. Never a tight loop."""
    link = cable(remote=64999)
    link.start()
    link.run(3600)
    gaps = [b - a for a, b in zip(link.node.dialled, link.node.dialled[1:], strict=False)]
    assert gaps[0] <= 5.1
    assert gaps[1] > gaps[0]
    assert max(gaps) <= MAX_DELAY + 1
    assert min(gaps[6:]) >= 0.75 * MAX_DELAY
    assert len(gaps) < 3600 / (0.75 * MAX_DELAY) + 8
    assert "Bad Peer AS" in link.node.session.last_error


def test_a_session_that_falls_as_soon_as_it_is_up_is_no_success() -> None:
    link = started()
    downs = 0
    for _again in range(1800 * 2):
        link.run(0.5)
        if link.states() == UP:
            link.router.session.stop(link.now, "not today")
            link.settle()
            downs += 1
    assert downs < 1800 / (0.75 * MAX_DELAY) + 8
    assert 'Administrative Shutdown: "not today"' in link.node.session.last_error


def test_a_session_that_stayed_up_is_forgiven() -> None:
    link = started()
    for _again in range(10):
        link.run(0.1)
        link.reset()
        link.run(61)
    link.run(STABLE_TIME)
    assert link.states() == UP
    link.reset()
    link.run(5.1)
    assert link.states() == UP, "one failure: one connect time"


def test_a_router_that_restarts_is_not_waited_for() -> None:
    """It answers no call for a second and a half after a session that was stable."""
    link = started()
    link.run(2 * STABLE_TIME)
    link.refuses = True
    link.reset()
    link.run(1.5)
    link.refuses = False
    link.run(1.7)
    assert link.states() == UP


def test_two_internal_peers() -> None:
    node, router = Session(settings(64513, 64513)), Session(settings(64513, 64513))
    link = Cable(node, router)
    link.start()
    link.run(1)
    assert link.states() == UP


def test_a_session_over_ipv6_carries_ipv6() -> None:
    link = cable()
    link = Cable(link.node.session, link.router.session, ("fd99::1", "fd99::2"))
    link.node.session.set_routes({Route(ip_network("fd00::1/128")), *ROUTES})
    link.start()
    link.run(1)
    assert link.router.session.counters.prefixes_received == 1 + len(ROUTES), "RFC 8950: both take it"
    assert link.node.session.rib.withheld == {}


def test_a_session_of_one_family_carries_that_one() -> None:
    only = frozenset({Family.IPV6_UNICAST})
    node, router = Session(settings(families=only)), Session(settings(64512, 64513))
    link = Cable(node, router, ("fd99::1", "fd99::2"))
    node.set_routes({Route(ip_network("fd00::1/128")), *ROUTES})
    link.start()
    link.run(1)
    assert router.counters.prefixes_received == 1
    assert set(node.rib.withheld.values()) == {Withheld.FAMILY_NOT_NEGOTIATED}


def test_thirty_thousand_prefixes_go_in_three_messages_where_messages_may_be_long() -> None:
    """RFC 8654, both ways."""
    link = started()
    link.node.session.set_routes({Route(ip_network((0x0A000000 + i, 32))) for i in range(30000)})
    link.settle()
    link.run(1)
    assert link.router.session.counters.prefixes_received == 30000 + len(ROUTES)
    assert link.node.session.counters.messages_out[MessageType.UPDATE] == 3 + 3 + 1, "and a withdrawal"
    assert link.states() == UP
