# SPDX-License-Identifier: GPL-3.0-or-later
"""Test a segment of members: one owner for each address, another in time, no move without a reason."""

from __future__ import annotations

import pytest
from daemon.membership.scenarios import (
    ALL,
    FAILOVER,
    ONE,
    THREE,
    all_owned,
    first,
    of,
    segment,
    without_a_gap,
)
from daemon.membership.simulation import Cable, Segment, addresses, want

from vipcast import election
from vipcast.membership import MemberChanged, MemberState

# ---- beginning ----


@pytest.mark.parametrize("count", [1, 2, 3, 9, 10, 20])
def test_of_those_that_start_together_the_first_in_the_order_owns(count: int) -> None:
    names = tuple(f"n{number}" for number in range(count))
    made = segment(names)
    assert {address: made.owners(address) for address in ALL} == {
        address: [first(address, names)] for address in ALL
    }
    assert len(made.moves()) == len(ALL), "and nobody else has for a moment"
    for node in made.nodes.values():
        assert node.members.claims[ONE].owner == first(ONE, names)
        assert {member.state for member in node.members.members.values()} == {MemberState.ALIVE}


def test_one_that_is_alone_waits_as_long_as_a_dead_one_takes_and_then_owns() -> None:
    made = Segment(THREE)
    made.want({ONE: want(ONE, THREE)})
    made.start("node-a")
    assert made.run_until(lambda: made.owners(ONE) == ["node-a"], 1) == pytest.approx(0.35, abs=0.01)
    assert made.nodes["node-a"].members.members["node-b"].state is MemberState.UNKNOWN


def test_who_joins_takes_nothing_from_a_healthy_owner() -> None:
    made = Segment(THREE)
    made.want({address: want(address, THREE) for address in ALL})
    made.start("node-a")
    made.run(1)
    made.start("node-b", "node-c")
    made.run(10)
    assert of(made, "node-a") == ALL
    assert len(made.moves()) == len(ALL)


def test_a_new_address_goes_to_the_first_candidate_at_once() -> None:
    made = segment()
    new = addresses(40)[35]
    made.want({address: want(address, THREE) for address in [*ALL, new]})
    owner = election.order(str(new), THREE)[0]
    assert made.run_until(lambda: made.owners(new) == [owner], 0.1) < 0.01


def test_an_address_that_prefers_nodes_goes_to_one_of_them() -> None:
    for preferred in THREE:
        made = Segment(THREE)
        made.want({address: want(address, THREE, [preferred]) for address in ALL})
        made.start()
        made.run(1)
        assert of(made, preferred) == ALL


def test_the_first_candidate_has_it_though_others_hear_of_it_before() -> None:
    """Its speaker is busy: the API says it to everybody, but not to everybody at once."""
    made = Segment(THREE)
    made.want({})
    made.start()
    made.run(2)
    late, *others = election.order(str(ONE), THREE)
    made.want({ONE: want(ONE, THREE)}, *others)
    made.run(0.4)
    assert made.owners(ONE) == []
    made.want({ONE: want(ONE, THREE)}, late)
    made.run(2)
    assert made.owners(ONE) == [late]
    assert len(made.moves()) == 1


@pytest.mark.parametrize("preferred", THREE)
def test_an_address_that_is_wanted_again_is_a_new_one(preferred: str) -> None:
    """An owner that gave it up because nobody wanted it may have it again before others."""
    made = segment()
    made.want({})
    made.run(0.2)
    assert all(made.owners(address) == [] for address in ALL)
    moves = len(made.moves())
    made.want({address: want(address, THREE, [preferred]) for address in ALL})
    made.run(2)
    assert of(made, preferred) == ALL
    assert len(made.moves()) == moves + len(ALL)


def test_who_hears_late_that_an_address_is_not_wanted_any_more_does_not_take_it() -> None:
    made = segment()
    moves = len(made.moves())
    for name in THREE:
        made.want({}, name)
        made.run(0.1)
    assert len(made.moves()) == moves


# ---- failing ----


@pytest.mark.parametrize(("profile", "within"), [("default", FAILOVER), ("fast", 0.2), ("calm", 4.0)])
@pytest.mark.parametrize("count", [2, 3, 12])
def test_a_dead_ones_addresses_are_owned_elsewhere_in_time_and_no_others_move(
    profile: str, within: float, count: int
) -> None:
    names = tuple(f"n{number}" for number in range(count))
    made = segment(names, profile, cable=Cable(loss=0.0))
    made.run(5)
    victim = made.owners(ONE)[0]
    lost, moves = of(made, victim), len(made.moves())
    made.kill(victim)
    assert made.run_until(lambda: all_owned(made), 6) <= within
    made.run(5)
    assert len(made.moves()) == moves + len(lost)
    survivor = next(iter(made.nodes.values()))
    assert survivor.members.members[victim].state is MemberState.DEAD
    assert "not heard" in survivor.members.members[victim].why
    event = next(event for _at, event in survivor.events[::-1] if isinstance(event, MemberChanged))
    assert (event.name, event.new) == (victim, MemberState.DEAD)


def test_who_returns_takes_nothing_back() -> None:
    made = segment()
    made.kill("node-a")
    made.run(2)
    owners = {address: made.owners(address) for address in ALL}
    made.start("node-a")
    made.run(10)
    assert {address: made.owners(address) for address in ALL} == owners


def test_who_starts_again_before_anybody_missed_it_goes_on_and_nothing_moves() -> None:
    made = segment()
    moves = len(made.moves())
    mine = of(made, "node-a")
    made.kill("node-a")
    made.run(0.1)
    made.start("node-a")
    assert made.run_until(lambda: of(made, "node-a") == mine, 0.3) < 0.2
    made.run(3)
    assert all_owned(made)
    assert len([move for move in made.moves() if move.address not in mine]) == moves - len(mine)


def test_with_preemption_the_first_takes_it_back_when_it_has_stayed() -> None:
    made = segment(preempt=True)
    mine = of(made, "node-a")
    made.kill("node-a")
    made.run(2)
    made.start("node-a", preempt=True)
    made.run(4)
    assert of(made, "node-a") == [], "not before it has stayed"
    made.run(4)
    assert of(made, "node-a") == mine
    moves = len(made.moves())
    made.run(30)
    assert len(made.moves()) == moves


def test_preemption_between_two_that_see_the_order_differently_comes_to_rest() -> None:
    made = Segment(THREE)
    for name in THREE:
        made.want({ONE: want(ONE, THREE, [name])}, name)
    made.start(preempt=True)
    made.run(60)
    moves = len(made.moves())
    assert moves <= 2 * len(THREE), "each claims it at first, and each preempts it once"
    made.run(300)
    assert len(made.moves()) == moves
    assert len(made.owners(ONE)) == 1


# ---- leaving, and being relieved ----


def test_who_leaves_answers_until_somebody_else_does() -> None:
    made = segment()
    node = made.nodes["node-a"]
    without_a_gap(made, lambda: made.do("node-a", lambda members, now: members.leave(now)))
    assert node.members.left and not node.members.held
    assert all_owned(made)
    assert made.nodes["node-b"].members.members["node-a"].why == "it has left"


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_who_is_no_candidate_any_more_answers_until_somebody_else_does(loss: float) -> None:
    made = segment(cable=Cable(loss=loss), profile="calm")
    others = ("node-b", "node-c")
    drained = {address: want(address, others) for address in ALL}
    without_a_gap(made, lambda: made.want(drained), 8)
    assert of(made, "node-a") == []
    assert all_owned(made)


def test_the_last_candidate_goes_on_when_it_is_one_again() -> None:
    made = segment(("node-a",))
    made.want({})
    assert made.owners(ONE) == []
    made.want({ONE: want(ONE, ["node-a"])})
    made.run(0.1)
    assert made.owners(ONE) == ["node-a"]


def test_an_address_without_any_candidate_is_given_up() -> None:
    made = segment()
    made.want({ONE: want(ONE, [])})
    made.run(0.5)
    assert made.owners(ONE) == []
    assert ONE not in made.nodes["node-a"].members.claims


def test_an_address_that_is_not_wanted_any_more_is_released_at_once() -> None:
    made = segment()
    owner = made.owners(ONE)[0]
    made.want({}, owner)
    assert ONE not in made.nodes[owner].members.held


def test_an_owner_without_an_interface_is_replaced_at_once() -> None:
    made = segment()
    owner = made.owners(ONE)[0]
    made.do(owner, lambda members, now: members.set_unable([ONE], now))
    assert made.run_until(lambda: len(made.owners(ONE)) == 1, 0.1) < 0.01
    made.run(0.5)
    made.do(owner, lambda members, now: members.set_unable([], now))
    made.run(5)
    assert made.owners(ONE) != [owner], "it has no need of it back"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("seconds", [0.5, 0.6, 2.0])
def test_one_that_was_cut_off_does_not_take_back_what_others_have_taken(seconds: float, seed: int) -> None:
    made = segment(seed=seed)
    alone, *others = made.names
    lost = [address for address in ALL if made.owners(address) == [alone]]
    made.split([alone], others)
    made.run(seconds)
    owners = {address: [name for name in made.owners(address) if name != alone] for address in lost}
    made.heal()
    made.run(3)
    assert {address: made.owners(address) for address in lost} == owners


def test_an_owner_whose_cable_was_out_takes_nothing_when_it_is_back() -> None:
    """It has heard nobody meanwhile, and would be the first in the order."""
    made = segment()
    owner = made.owners(ONE)[0]
    mine = of(made, owner)
    made.split([owner], [name for name in THREE if name != owner])
    made.do(owner, lambda members, now: members.set_unable(ALL, now))
    made.run(3)
    made.heal()
    made.do(owner, lambda members, now: members.set_unable([], now))
    without_two: list[object] = []
    made.watch = lambda: without_two.extend(a for a in ALL if len(made.owners(a)) > 1)
    made.run(5)
    assert without_two == []
    assert mine and of(made, owner) == []


def test_of_candidates_that_cannot_answer_the_next_one_steps_in() -> None:
    made = Segment(THREE)
    made.want({ONE: want(ONE, THREE)})
    made.start()
    order = election.order(str(ONE), THREE)
    for name in order[:2]:
        made.do(name, lambda members, now: members.set_unable([ONE], now))
    assert made.run_until(lambda: made.owners(ONE) == [order[2]], 2.0) < 1.2


def test_an_owner_that_has_not_heard_that_it_is_no_candidate_is_replaced() -> None:
    """Its speaker is cut off from the API, which says NotReady to the others."""
    made = segment()
    stale = made.owners(ONE)[0]
    others = tuple(name for name in THREE if name != stale)
    made.want({address: want(address, others) for address in ALL}, *others)
    made.run(4)
    assert of(made, stale) == []
    moves = len(made.moves())
    made.run(120)
    assert len(made.moves()) == moves, "and does not fight for it"
    assert all_owned(made)
