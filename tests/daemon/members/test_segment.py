# SPDX-License-Identifier: GPL-3.0-or-later
"""What a segment of members does: one owner for each address, another in time, no move without a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from daemon.members.simulation import KEY, Cable, Segment, addresses, want

from vipcast import election
from vipcast.members import Claim, ClaimChanged, MemberChanged, Members, MemberState
from vipcast.members.words import Address

THREE = ("node-a", "node-b", "node-c")
ALL = addresses(30)
ONE = ALL[0]
# A dead node's addresses are answered elsewhere within 500 ms, and a healed split has one owner in a second.
FAILOVER, HEALED = 0.5, 1.0


def segment(
    names: tuple[str, ...] = THREE, profile: str = "default", seed: int = 1, **options: Any
) -> Segment:
    made = Segment(names, profile, seed=seed, cable=options.pop("cable", None))
    made.want({address: want(address, names) for address in ALL})
    made.start(**options)
    made.run(2.0)
    return made


def first(address: Address, names: tuple[str, ...] = THREE) -> str:
    return election.order(str(address), names)[0]


def all_owned(segment: Segment, where: tuple[str, ...] | None = None) -> bool:
    """By exactly one, of those in ``where``."""
    for address in ALL:
        owners = [name for name in segment.owners(address) if where is None or name in where]
        if len(owners) != 1:
            return False
    return True


def of(segment: Segment, owner: str) -> list[Address]:
    return [address for address in ALL if segment.owners(address) == [owner]]


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


def without_a_gap(made: Segment, action: Callable[[], None], seconds: float = 2.0) -> None:
    """At every moment somebody answers for every address."""
    gaps = []
    made.watch = lambda: gaps.extend(address for address in ALL if not made.owners(address))
    action()
    made.run(seconds)
    made.watch = None
    assert gaps == []


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
    assert made.run_until(lambda: made.owners(ONE) == [order[2]], 1.0) < 0.7


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


# ---- cables ----


@pytest.mark.parametrize(
    "sides", [("a", "bc"), ("ab", "c"), ("a", "b", "c"), ("abcd", "efghi"), ("abcdefg", "hijklmn")]
)
def test_each_side_of_a_split_owns_everything_and_after_it_one_does(sides: tuple[str, ...]) -> None:
    names = tuple("".join(sides))
    made = segment(names)
    made.split(*sides)
    made.run(5)
    for side in sides:
        assert all_owned(made, tuple(side))
    made.heal()
    assert made.run_until(lambda: all_owned(made), HEALED) < HEALED
    made.run(5)
    assert all_owned(made)
    for node in made.nodes.values():
        assert all(member.state is MemberState.ALIVE for member in node.members.members.values())


def test_after_a_split_the_larger_part_keeps_what_it_had() -> None:
    """A node whose cable hangs by a thread does not collect everybody's addresses."""
    made = segment()
    made.run(10)
    before = {name: of(made, name) for name in ("node-b", "node-c")}
    for seconds in (0.3, 0.36, 0.4, 0.5, 0.8, 3.0):
        made.split(["node-a"], ["node-b", "node-c"])
        made.run(seconds)
        made.heal()
        made.run(5)
        assert all_owned(made)
        for name, addresses_before in before.items():
            assert set(addresses_before) <= set(of(made, name))
    kept = set(before["node-b"] + before["node-c"])
    assert not [
        move for move in made.moves() if move.address in kept and move.new.owner in before and move.old
    ]


def test_who_slept_has_no_say_in_what_the_others_did() -> None:
    made = segment()
    made.sleep("node-a", 2.0)
    made.run(12)
    assert of(made, "node-a") == []
    moves = len(made.moves())
    made.run(20)
    assert len(made.moves()) == moves


def test_the_loser_of_a_healed_split_says_to_whom() -> None:
    made = segment()
    made.split(["node-a"], ["node-b", "node-c"])
    made.run(3)
    made.heal()
    made.run(1)
    lost = [
        event
        for node in made.nodes.values()
        for at, event in node.events
        if at > made.now - 1
        and isinstance(event, ClaimChanged)
        and event.old
        and event.old.owner == node.name
    ]
    assert {event.address for event in lost} == set(ALL)
    assert all(event.new and event.new.owner in event.why for event in lost)


@pytest.mark.parametrize("count", [3, 5, 12])
def test_one_bad_cable_kills_nobody(count: int) -> None:
    names = tuple(f"n{number}" for number in range(count))
    made = segment(names)
    moves = len(made.moves())
    made.cut_between(("n0", "n1"), ("n1", "n0"))
    made.run(10)
    made.cut_between(("n0", "n1"))
    made.run(10)
    assert len(made.moves()) == moves
    assert all_owned(made)
    new = {address: want(address, names) for address in addresses(60)}
    made.want(new)
    made.run(2)
    assert all(len(made.owners(address)) == 1 for address in new), "what one says reaches the other"


def test_a_cable_that_is_bad_in_one_direction_leaves_one_owner() -> None:
    """Of two: who is not heard hears who took its addresses."""
    two = ("node-a", "node-b")
    made = segment(two)
    made.cut_between(two)
    made.run(3)
    assert of(made, "node-b") == ALL
    made.want({address: want(address, two) for address in addresses(60)})
    made.run(5)
    assert all(made.owners(address) == ["node-b"] for address in addresses(60))
    made.heal()
    made.run(2)
    assert all_owned(made)


# ---- time ----


def test_who_slept_reads_first_and_takes_nobody_for_dead() -> None:
    made = segment()
    made.sleep("node-a", 5.0)
    made.run(20)
    assert all_owned(made)
    dead = [
        event.name
        for node in made.nodes.values()
        for _at, event in node.events
        if isinstance(event, MemberChanged) and event.new is MemberState.DEAD
    ]
    assert set(dead) == {"node-a"}


def test_who_is_often_a_little_late_is_no_reason_to_move() -> None:
    made = segment()
    moves = len(made.moves())
    for step in range(200):
        made.at(made.now + step * 0.31, lambda: made.sleep("node-a", 0.2))
    made.run(70)
    assert len(made.moves()) == moves


def test_all_asleep_at_once_is_no_reason_to_move() -> None:
    """A host of virtual machines that stands still."""
    made = segment()
    moves = len(made.moves())
    for name in THREE:
        made.sleep(name, 10.0)
    made.run(20)
    assert len(made.moves()) == moves
    assert all_owned(made)


def test_who_is_found_dead_again_and_again_comes_back_later_each_time() -> None:
    made = segment()
    for step in range(40):
        made.at(made.now + step * 0.8, lambda: made.sleep("node-a", 0.6))
    made.run(33)
    deaths = [
        at
        for at, event in made.nodes["node-b"].events
        if isinstance(event, MemberChanged) and event.new is MemberState.DEAD
    ]
    assert 3 <= len(deaths) <= 9
    waits = [later - earlier for earlier, later in pairwise(deaths)]
    assert waits[-1] > 3 * waits[0]
    made.run(40)
    assert made.nodes["node-b"].members.members["node-a"].state is MemberState.ALIVE


# ---- processes ----


def test_an_heir_goes_on_and_nobody_notices() -> None:
    made = segment()
    moves, owners = len(made.moves()), {address: made.owners(address) for address in ALL}

    def as_json(estate: object) -> object:
        return json.loads(json.dumps(estate))

    without_a_gap(made, lambda: made.hand_over("node-a", as_json), 3)
    assert len(made.moves()) == moves
    assert {address: made.owners(address) for address in ALL} == owners
    states = [e for _at, e in made.nodes["node-b"].events if isinstance(e, MemberChanged)]
    assert {event.new for event in states} == {MemberState.ALIVE}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, "estate of version 2"),
        ({"name": "node-b"}, "estate of 'node-b'"),
        ({"life": "x"}, "a number of 64 bits"),
        ({"entries": 7}, "base 64"),
        ({"entries": "////"}, "not a valid Kind|Kind"),
        ({"links": []}, "a table"),
        ({"links": {"node-b": 3}}, "a table"),
        ({"links": {"node-b": {}}}, "a number of 64 bits"),
    ],
)
def test_what_is_no_estate_is_refused(change: dict[str, Any], words: str) -> None:
    made = segment()
    estate = {**made.nodes["node-a"].members.export(), **change}
    heir = Members("node-a", made.profile, 0.0, random=lambda: 5, keys=(KEY,))
    with pytest.raises(ValueError, match=words):
        heir.restore(estate, 0.0)


def test_a_claim_says_since_when_by_the_wall_clock() -> None:
    made = segment()
    found = {node.members.claims[ONE] for node in made.nodes.values()}
    assert len(found) == 1
    claim = found.pop()
    assert isinstance(claim, Claim)
    assert claim.since_wall == pytest.approx(1000.0, abs=0.5)
    assert claim.why == "nobody owned it"


def test_the_round_trip_is_measured() -> None:
    made = segment(cable=Cable(delay=0.02, jitter=0.0))
    made.run(3)
    member = made.nodes["node-a"].members.members["node-b"]
    assert member.round_trip == pytest.approx(0.04, abs=0.002)
