# SPDX-License-Identifier: GPL-3.0-or-later
"""Two sides that both dial and listen: whatever the timing, one session comes of it (section 6.8)."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network

import pytest
from daemon.bgp.street import House, Street, neighbour
from hypothesis import given, settings
from hypothesis import strategies as st

from vipcast.bgp.codes import Cease
from vipcast.bgp.fsm import State
from vipcast.bgp.messages import Notification
from vipcast.bgp.neighbour import Neighbour, Refusal, refusal_message
from vipcast.bgp.route import Route

ROUTE = Route(ip_network("10.9.0.1/32"))


def houses(left: Neighbour | None = None, right: Neighbour | None = None) -> tuple[House, House]:
    return (
        House("left", "10.99.0.1", left or neighbour(64513, 64512, 1)),
        House("right", "10.99.0.2", right or neighbour(64512, 64513, 2)),
    )


def street(left: House, right: House, *latencies: float) -> Street:
    given_out = list(latencies)
    return Street(left, right, lambda: given_out.pop(0) if given_out else 0.001)


def one_session(made: Street) -> bool:
    left, right = made.houses
    if len(left.established) != 1 or len(right.established) != 1:
        return False
    return left.tcp[left.established[0]] is right.tcp[right.established[0]]


def dialled_by(made: Street, house: House) -> bool:
    return not made.houses[made.houses.index(house)].established[0].accepted


def test_both_dial_at_once_and_the_higher_router_id_wins() -> None:
    left, right = houses()
    made = street(left, right)
    made.start(left)
    made.start(right)
    made.run(1)
    assert one_session(made)
    assert dialled_by(made, right), "10.99.0.2 is the higher one"
    assert not left.neighbour.memory.last_error, "a collision is no error"
    assert len(left.neighbour.sessions) == len(right.neighbour.sessions) == 1


def test_of_equal_router_ids_the_higher_as_wins() -> None:
    """RFC 6286 section 2.3."""
    same = IPv4Address("192.0.2.1")
    left, right = houses(
        neighbour(64513, 64512, 1, router_id=same), neighbour(64512, 64513, 2, router_id=same)
    )
    made = street(left, right)
    made.start(left)
    made.start(right)
    made.run(1)
    assert one_session(made)
    assert dialled_by(made, left)


def test_an_established_session_is_not_disturbed() -> None:
    left, right = houses()
    made = street(left, right)
    left.neighbour.start(made.now)
    right.listens, left.listens = True, False
    right.neighbour.start(made.now)
    made.run(10)
    assert one_session(made)
    ups = left.neighbour.memory.counters.established
    assert left.neighbour.accept(made.now, left.address) is Refusal.ESTABLISHED
    made.run(60)
    assert one_session(made)
    assert left.neighbour.memory.counters.established == ups


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
    left, _right = houses()
    assert left.neighbour.accept(0.0, left.address) is Refusal.STOPPED, "not started yet"
    left.neighbour.start(0.0)
    left.neighbour.stop(1.0, "enough")
    assert left.neighbour.accept(2.0, left.address) is Refusal.STOPPED
    assert left.neighbour.timer() is None


def test_routes_go_out_on_whichever_connection_stays() -> None:
    left, right = houses()
    left.neighbour.memory.rib.set_desired({ROUTE})
    made = street(left, right)
    made.start(left)
    made.start(right)
    made.run(1)
    assert right.neighbour.memory.counters.prefixes_received == 1


def test_two_that_wait_for_each_other_stay_apart_and_one_that_dials_is_enough() -> None:
    left, right = houses(neighbour(64513, 64512, 1, passive=True), neighbour(64512, 64513, 2, passive=True))
    made = street(left, right)
    made.start(left)
    made.start(right)
    made.run(3600)
    assert (left.state, right.state) == (State.ACTIVE, State.ACTIVE)
    left, right = houses(neighbour(64513, 64512, 1, passive=True))
    made = street(left, right)
    made.start(left, 30)
    made.start(right)
    made.run(40)
    assert one_session(made)
    assert dialled_by(made, right)


def test_a_peer_that_comes_back_at_once_is_taken_at_once() -> None:
    """A router that has restarted dials: nobody waits for the rest in Idle."""
    left, right = houses(neighbour(64513, 64512, 1, passive=True))
    made = street(left, right)
    made.start(left)
    made.start(right)
    made.run(60)
    lost = made.now
    right.neighbour.abandon(made.now, Cease.ADMINISTRATIVE_RESET, "again")
    made.settle()
    made.run(5.1)
    assert one_session(made)
    assert made.now - lost < 6


def test_a_peer_that_fails_again_and_again_waits() -> None:
    """It dials every few seconds and ends it at once; after the first time it is answered more slowly."""
    left, right = houses(
        neighbour(64513, 64512, 1, passive=True), neighbour(64999, 64513, 2, connect_time=1.0)
    )
    made = street(left, right)
    made.start(left)
    made.start(right)
    made.run(600)
    assert "64999" in left.neighbour.memory.last_error
    assert left.neighbour.memory.counters.connects < 25
    assert len(left.neighbour.sessions) == 1


def test_both_failing_over_and_over_is_bounded() -> None:
    left, right = houses(neighbour(64513, 64512, 1), neighbour(64999, 64513, 2))
    made = street(left, right)
    made.start(left)
    made.start(right)
    made.run(3600)
    for house in made.houses:
        assert len(house.neighbour.sessions) <= 2
        assert house.neighbour.memory.counters.connects < 300


def test_a_new_connection_takes_the_place_of_an_older_one_of_the_peers() -> None:
    """A peer that has crashed before its OPEN and dials again is not kept waiting by what is left of it."""
    left, _right = houses()
    left.neighbour.start(0.0)
    first = left.neighbour.accept(0.1, left.address)
    second = left.neighbour.accept(0.2, left.address)
    assert not isinstance(first, Refusal)
    assert not isinstance(second, Refusal)
    assert first.state is State.IDLE
    assert second in left.neighbour.sessions
    assert first not in left.neighbour.sessions


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
    left, right = houses(
        neighbour(64513, 64512, seeds[0], router_id=IPv4Address(ids[0]), delay_open_time=delays[0],
                  passive=passive == "left"),
        neighbour(64512, 64513, seeds[1], router_id=IPv4Address(ids[1]), delay_open_time=delays[1],
                  passive=passive == "right"),
    )  # fmt: skip
    made = street(left, right, *latencies)
    made.start(left)
    made.start(right, delay)
    made.run(180)
    assert one_session(made), (left.state, right.state)
    ups = [house.neighbour.memory.counters.established for house in made.houses]
    made.run(120)
    assert one_session(made)
    assert ups == [house.neighbour.memory.counters.established for house in made.houses], "and it lasts"
    assert all(len(house.neighbour.sessions) == 1 for house in made.houses)


@pytest.mark.parametrize("late", [0.0, 0.0005, 0.001, 0.0015, 0.002, 0.0025, 0.003, 0.004, 0.005, 0.01])
def test_the_second_call_may_come_at_any_moment_of_the_first(late: float) -> None:
    """Around one round trip: each step of the first handshake meets the second one."""
    left, right = houses()
    made = street(left, right, 0.001, 0.001)
    made.start(left)
    made.start(right, late)
    made.run(12)
    assert one_session(made)
