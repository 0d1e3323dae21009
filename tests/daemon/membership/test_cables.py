# SPDX-License-Identifier: GPL-3.0-or-later
"""Splits, bad cables, sleepers and successors: who owns an address then, and after it."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from daemon.membership.scenarios import (
    ALL,
    FAILOVER,
    HEALED,
    ONE,
    THREE,
    all_owned,
    of,
    segment,
    without_a_gap,
)
from daemon.membership.simulation import KEY, Cable, Segment, addresses, want

from vipcast.membership import Claim, ClaimChanged, MemberChanged, Membership, MemberState

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


@pytest.mark.parametrize("profile", ["default", "fast"])
@pytest.mark.parametrize("names", [THREE, THREE[:2], (*THREE, "node-d")])
def test_owners_that_are_cut_off_one_after_the_other_are_replaced_in_time_every_time(
    names: tuple[str, ...], profile: str
) -> None:
    """The rest were found dead a moment ago themselves, and again and again."""
    made = segment(names, profile)
    for _again in range(20):
        (victim,) = made.owners(ONE)
        others = [name for name in names if name != victim]
        made.split([victim], others)
        taken = made.run_until(lambda others=others: len(set(made.owners(ONE)) & set(others)) == 1, 60)
        assert taken < FAILOVER
        made.run(1.5)
        (successor,) = set(made.owners(ONE)) & set(others)
        made.heal()
        made.run(2.0)
        assert all_owned(made)
        assert made.owners(ONE) == [successor] or len(others) == 1, "of two equal sides either may keep it"
        made.run_until(lambda: in_touch(made), 30, 0.1)  # who was away often is let in later each time


def in_touch(made: Segment) -> bool:
    return all(len(node.members._state.group) == len(made.nodes) for node in made.nodes.values())


@pytest.mark.parametrize("names", [THREE, (*THREE, "node-d"), tuple("abcdefghijkl")])
def test_who_was_cut_off_and_hears_the_others_again_gives_back_what_they_never_lost(
    names: tuple[str, ...],
) -> None:
    """They do not hear it: nothing that they have is news to them, and none of it is told again."""
    made = segment(names)
    made.run(3)
    *others, alone = names
    before = {address: made.owners(address) for address in ALL}
    made.split([alone], others)
    made.run(5)
    assert all(alone in made.owners(address) for address in ALL)
    made.cut_between(*((alone, other) for other in others))
    made.run(5)
    assert not [address for address in ALL if alone in made.owners(address)]
    assert all_owned(made)
    kept = {address: owners for address, owners in before.items() if owners != [alone]}
    assert {address: made.owners(address) for address in kept} == kept
    moves = len(made.moves())
    made.run(20)
    assert len(made.moves()) == moves and of(made, alone) == []
    made.heal()
    assert made.run_until(lambda: in_touch(made) and all_owned(made), 30, 0.1) < 30


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
    """The one of two that is not heard hears who took its addresses."""
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


def deaths(made: Segment, name: str, seen_by: str) -> list[float]:
    return [
        at
        for at, event in made.nodes[seen_by].events
        if isinstance(event, MemberChanged) and (event.name, event.new) == (name, MemberState.DEAD)
    ]


def is_alive(made: Segment, name: str, seen_by: str) -> bool:
    return made.nodes[seen_by].members.members[name].state is MemberState.ALIVE


def test_who_is_found_dead_again_and_again_comes_back_later_each_time() -> None:
    made = segment()
    waits = []
    for _again in range(7):
        made.sleep("node-a", 0.6)
        made.run(0.6)
        assert not is_alive(made, "node-a", "node-b")
        waits.append(made.run_until(lambda: is_alive(made, "node-a", "node-b"), 30))
        made.run(1)
        assert all_owned(made)
    assert waits[0] < 0.1, "once is no reason to wait"
    assert all(later > 1.8 * earlier for earlier, later in pairwise(waits[2:]))


def test_who_does_not_stay_is_not_let_in() -> None:
    """It is there for 0.2 of each 0.8 s."""
    made = segment()
    for step in range(40):
        made.at(made.now + step * 0.8, lambda: made.sleep("node-a", 0.6))
    made.run(33)
    assert 2 <= len(deaths(made, "node-a", "node-b")) <= 4
    made.run(40)
    assert is_alive(made, "node-a", "node-b")
    assert all_owned(made)


# ---- processes ----


def test_a_successor_goes_on_and_nobody_notices() -> None:
    made = segment()
    moves, owners = len(made.moves()), {address: made.owners(address) for address in ALL}

    def as_json(exported: object) -> object:
        return json.loads(json.dumps(exported))

    without_a_gap(made, lambda: made.hand_over("node-a", as_json), 3)
    assert len(made.moves()) == moves
    assert {address: made.owners(address) for address in ALL} == owners
    states = [e for _at, e in made.nodes["node-b"].events if isinstance(e, MemberChanged)]
    assert {event.new for event in states} == {MemberState.ALIVE}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 3}, "state of version 3"),
        ({"name": "node-b"}, "state of 'node-b'"),
        ({"life": "x"}, "a number of 64 bits"),
        ({"entries": 7}, "base 64"),
        ({"entries": "////"}, "cut off"),
        ({"links": []}, "a table"),
        ({"links": {"node-b": 3}}, "a table"),
        ({"links": {"node-b": {}}}, "a number of 64 bits"),
    ],
)
def test_what_is_no_estate_is_refused(change: dict[str, Any], words: str) -> None:
    made = segment()
    exported = {**made.nodes["node-a"].members.export(), **change}
    successor = Membership("node-a", made.profile, 0.0, random=lambda: 5, keys=(KEY,))
    with pytest.raises(ValueError, match=words):
        successor.restore(exported, 0.0)


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
