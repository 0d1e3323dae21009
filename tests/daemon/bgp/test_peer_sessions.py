# SPDX-License-Identifier: GPL-3.0-or-later
"""Two sides that both dial and listen: whatever the timing, one session comes of it (section 6.8)."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, ip_network
from itertools import pairwise

import pytest
from daemon.bgp.simulated_network import Host, SimulatedNetwork, neighbor
from daemon.bgp.two_peers import hosts, one_session, simulated_network
from hypothesis import given, settings
from hypothesis import strategies as st

from vipcast.bgp import session
from vipcast.bgp.backoff import MAX_DELAY
from vipcast.bgp.error_codes import Cease
from vipcast.bgp.events import StateChanged
from vipcast.bgp.fsm import State
from vipcast.bgp.messages import Keepalive, Notification, Open, encode
from vipcast.bgp.negotiation import SessionSettings
from vipcast.bgp.peer import PeerSessions, Refusal, refusal_message
from vipcast.bgp.route import Route

ROUTE = Route(ip_network("10.9.0.1/32"))


def dialled_by(made: SimulatedNetwork, host: Host) -> bool:
    return not made.hosts[made.hosts.index(host)].established[0].accepted


def test_both_dial_at_once_and_the_higher_router_id_wins() -> None:
    left, right = hosts()
    made = simulated_network(left, right)
    made.start(left)
    made.start(right)
    made.run(1)
    assert one_session(made)
    assert dialled_by(made, right), "10.99.0.2 is the higher one"
    assert not left.neighbor.memory.last_error, "a collision is no error"
    assert len(left.neighbor.sessions) == len(right.neighbor.sessions) == 1


def test_of_equal_router_ids_the_higher_as_wins() -> None:
    """RFC 6286 section 2.3."""
    same = IPv4Address("192.0.2.1")
    left, right = hosts(neighbor(64513, 64512, 1, router_id=same), neighbor(64512, 64513, 2, router_id=same))
    made = simulated_network(left, right)
    made.start(left)
    made.start(right)
    made.run(1)
    assert one_session(made)
    assert dialled_by(made, left)


def test_an_established_session_is_not_disturbed() -> None:
    left, right = hosts()
    made = simulated_network(left, right)
    left.neighbor.start(made.now)
    right.listens, left.listens = True, False
    right.neighbor.start(made.now)
    made.run(10)
    assert one_session(made)
    ups = left.neighbor.memory.counters.established
    assert left.neighbor.accept(made.now, left.address) is Refusal.ESTABLISHED
    made.run(60)
    assert one_session(made)
    assert left.neighbor.memory.counters.established == ups


def test_what_a_refused_connection_is_told() -> None:
    """RFC 4486 section 4."""
    for refusal, subcode in (
        (None, Cease.CONNECTION_REJECTED),
        (Refusal.STOPPED, Cease.CONNECTION_REJECTED),
        (Refusal.ESTABLISHED, Cease.COLLISION),
    ):
        assert refusal_message(refusal)[19:] == bytes((6, subcode))
    assert str(Notification(6, 7)).startswith("Cease/Connection Collision")


def test_a_session_that_is_stopped_takes_no_connection() -> None:
    left, _right = hosts()
    assert left.neighbor.accept(0.0, left.address) is Refusal.STOPPED, "not started yet"
    left.neighbor.start(0.0)
    left.neighbor.stop(1.0, "enough")
    assert left.neighbor.accept(2.0, left.address) is Refusal.STOPPED
    assert left.neighbor.timer() is None


def test_routes_go_out_on_whichever_connection_stays() -> None:
    left, right = hosts()
    left.neighbor.set_routes({ROUTE})
    made = simulated_network(left, right)
    made.start(left)
    made.start(right)
    made.run(1)
    assert right.neighbor.memory.counters.prefixes_received == 1


def test_two_that_wait_for_each_other_stay_apart_and_one_that_dials_is_enough() -> None:
    left, right = hosts(neighbor(64513, 64512, 1, passive=True), neighbor(64512, 64513, 2, passive=True))
    made = simulated_network(left, right)
    made.start(left)
    made.start(right)
    made.run(3600)
    assert (left.state, right.state) == (State.ACTIVE, State.ACTIVE)
    left, right = hosts(neighbor(64513, 64512, 1, passive=True))
    made = simulated_network(left, right)
    made.start(left, 30)
    made.start(right)
    made.run(40)
    assert one_session(made)
    assert dialled_by(made, right)


def test_a_peer_that_comes_back_at_once_is_taken_at_once() -> None:
    """A router that has restarted dials: nobody waits for the rest in Idle."""
    left, right = hosts(neighbor(64513, 64512, 1, passive=True))
    made = simulated_network(left, right)
    made.start(left)
    made.start(right)
    made.run(60)
    lost = made.now
    right.neighbor.reset(made.now, Cease.ADMINISTRATIVE_RESET, "again")
    made.settle()
    made.run(5.1)
    assert one_session(made)
    assert made.now - lost < 6


def test_a_peer_that_fails_again_and_again_waits() -> None:
    """It dials every few seconds and ends it at once; after the first time it is answered more slowly."""
    left, right = hosts(neighbor(64513, 64512, 1, passive=True), neighbor(64999, 64513, 2, connect_time=1.0))
    made = simulated_network(left, right)
    made.start(left)
    made.start(right)
    made.run(600)
    assert "64999" in left.neighbor.memory.last_error
    assert left.neighbor.memory.counters.connects < 25
    assert len(left.neighbor.sessions) == 1


def test_both_failing_over_and_over_is_bounded() -> None:
    left, right = hosts(neighbor(64513, 64512, 1), neighbor(64999, 64513, 2))
    made = simulated_network(left, right)
    made.start(left)
    made.start(right)
    made.run(3600)
    for host in made.hosts:
        assert len(host.neighbor.sessions) <= 2
        assert host.neighbor.memory.counters.connects < 300


def test_a_new_connection_takes_the_place_of_an_older_one_of_the_peers() -> None:
    """A peer that has crashed before its OPEN and dials again is not kept waiting by what is left of it."""
    left, _right = hosts()
    left.neighbor.start(0.0)
    first = left.neighbor.accept(0.1, left.address)
    second = left.neighbor.accept(0.2, left.address)
    assert not isinstance(first, Refusal)
    assert not isinstance(second, Refusal)
    assert first.state is State.IDLE
    assert second in left.neighbor.sessions
    assert first not in left.neighbor.sessions


LATENCIES = st.lists(st.floats(0.0001, 3.0), min_size=0, max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    latencies=LATENCIES,
    delay=st.floats(0, 12),
    seeds=st.tuples(st.integers(0, 99), st.integers(100, 199)),
    ids=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    delays=st.tuples(st.sampled_from((0.0, 0.5, 4.0)), st.sampled_from((0.0, 0.5, 4.0))),
    passive=st.sampled_from(("", "left", "right")),
)
def test_two_sides_always_end_with_exactly_one_session(  # noqa: PLR0917 - Hypothesis names them
    latencies: list[float],
    delay: float,
    seeds: tuple[int, int],
    ids: tuple[int, int],
    delays: tuple[float, float],
    passive: str,
) -> None:
    left, right = hosts(
        neighbor(64513, 64512, seeds[0], router_id=IPv4Address(ids[0]), delay_open_time=delays[0],
                 passive=passive == "left"),
        neighbor(64512, 64513, seeds[1], router_id=IPv4Address(ids[1]), delay_open_time=delays[1],
                 passive=passive == "right"),
    )  # fmt: skip
    made = simulated_network(left, right, *latencies)
    made.start(left)
    made.start(right, delay)
    made.run(180)
    assert one_session(made), (left.state, right.state)
    ups = [host.neighbor.memory.counters.established for host in made.hosts]
    made.run(120)
    assert one_session(made)
    assert ups == [host.neighbor.memory.counters.established for host in made.hosts], "and it lasts"
    assert all(len(host.neighbor.sessions) == 1 for host in made.hosts)


@pytest.mark.parametrize("late", [0.0, 0.0005, 0.001, 0.0015, 0.002, 0.0025, 0.003, 0.004, 0.005, 0.01])
def test_the_second_call_may_come_at_any_moment_of_the_first(late: float) -> None:
    """Around one round trip: each step of the first handshake meets the second one."""
    left, right = hosts()
    made = simulated_network(left, right, 0.001, 0.001)
    made.start(left)
    made.start(right, late)
    made.run(12)
    assert one_session(made)


def test_a_peer_that_flaps_is_served_ever_more_slowly() -> None:
    """It calls as often as it can, is up for a moment, and ends the session itself."""
    one = PeerSessions(SessionSettings(64513, 64512, hold_time=9, connect_time=0.5), passive=True)
    said = (
        encode(Open.of(64512, 9, IPv4Address("10.99.0.2"))) + encode(Keepalive()) + encode(Notification(6, 4))
    )
    one.start(0.0)
    served: list[float] = []
    for tick in range(6000):
        now = tick / 10
        one.handle_timer(now)
        session = one.accept(now, IPv4Address("10.99.0.1"))
        if isinstance(session, Refusal):
            continue
        served.append(now)
        session.receive_data(said, now)
        one.settle(now)
        assert one.current.state is State.IDLE
    pauses = [after - before for before, after in pairwise(served)]
    # One loss is forgiven. Each other doubles the pause, up to the longest.
    assert pauses[:9] == pytest.approx([0.1, 0.5, 1, 2, 4, 8, 16, 32, MAX_DELAY], abs=0.15)
    assert pauses[9:] == pytest.approx([MAX_DELAY] * len(pauses[9:]), abs=0.15)
    assert len(pauses[9:]) >= 6


# ---- graceful restart on both sides: a second connection means "I have restarted" (RFC 4724 section 5) ----


def restarting(seed: int, latency: float) -> SimulatedNetwork:
    """Both dial, both listen, both follow RFC 4724; each connection has about the same latency."""
    luck = random.Random(seed)
    left, right = hosts(
        neighbor(64513, 64512, seed, restart_time=30, router_id=IPv4Address("10.99.0.1")),
        neighbor(64512, 64513, seed + 1000, restart_time=30, router_id=IPv4Address("10.99.0.2")),
    )
    made = SimulatedNetwork(left, right, lambda: latency * luck.uniform(0.9, 1.1))
    made.start(left)
    made.start(right, luck.uniform(0, 2))
    return made


def lose_it(made: SimulatedNetwork) -> None:
    """The link fails under whatever there is, at both ends."""
    for host in made.hosts:
        for each in tuple(host.neighbor.sessions):
            if host.tcp.pop(each, None) is not None:
                each.connection_failed(made.now, "the link failed")
                host.neighbor.settle(made.now)
    made.settle()


@pytest.mark.parametrize(
    ("latency", "strict"), [(0.003, True), (0.03, True), (0.003, False), (0.03, False), (0.3, False)]
)
@pytest.mark.parametrize("seed", range(8))
def test_after_two_losses_a_session_stays_within_half_a_minute(
    seed: int, latency: float, strict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that waited for the end of a rest and one dialled then do not end each other for ever.

    ``strict``: both give up even a session that has just come up, as BIRD does.
    """
    if strict:
        monkeypatch.setattr(session, "RESTART_TAKES", 0.0)
    made = restarting(seed, latency)
    for _loss in range(2):
        made.run(10)
        lose_it(made)
    lost = made.now
    while not one_session(made) or made.now - lost < 0.1:
        made.run(0.5)
        assert made.now - lost < 35
    ups = [host.neighbor.memory.counters.established for host in made.hosts]
    made.run(60)
    assert one_session(made)
    assert ups == [host.neighbor.memory.counters.established for host in made.hosts], "and it lasts"


def test_after_a_rest_the_connection_that_waits_is_served_and_none_is_made_beside_it() -> None:
    left, _right = hosts()
    neighbor_ = left.neighbor
    neighbor_.start(0.0)
    for _again in range(3):
        neighbor_.memory.backoff.ended(State.OPEN_SENT, 0.0)
    first = neighbor_.sessions[0]
    first.connected(0.0, left.address)
    first.reset(0.0, Cease.ADMINISTRATIVE_RESET, "again")
    while first.next_event():
        pass
    assert neighbor_.refusal(1.0) is Refusal.LATER
    at = neighbor_.timer()
    assert at is not None
    neighbor_.handle_timer(at, waiting=True)
    assert first.next_event() == StateChanged(State.IDLE, State.ACTIVE, "")
    assert first.next_event() is None, "it does not dial"
    assert not isinstance(neighbor_.accept(at, left.address), Refusal)


def test_a_connection_that_was_dialled_before_the_session_was_up_is_no_restart() -> None:
    two = (neighbor(64513, 64512, 1, restart_time=30), neighbor(64512, 64513, 2, restart_time=30))
    made = simulated_network(*hosts(*two))
    up = _just_up(made)
    assert made.hosts[0].neighbor.refusal(up + 0.5) is Refusal.ESTABLISHED
    assert made.hosts[0].neighbor.refusal(up + 1.5) is None


def _just_up(made: SimulatedNetwork) -> float:
    for host in made.hosts:
        made.start(host)
    while not one_session(made):
        made.run(0.001)
    return made.now
