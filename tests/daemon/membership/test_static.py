# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is missing, what was right last goes on: without speakers, or without another one that can."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from daemon.membership.scenarios import ALL, FAILOVER, ONE, THREE, all_owned, of, segment, without_a_gap
from daemon.membership.simulation import Segment, addresses, want

from vipcast import election
from vipcast.membership import balance
from vipcast.model.addresses import IPAddress

TEN_MINUTES = 600.0


def orphan(made: Segment, *names: str, orphaned: bool = True) -> None:
    for name in names:
        made.do(name, lambda members, now: members.set_orphaned(orphaned, now))


def unable(made: Segment, *names: str, what: list[IPAddress] | None = None) -> None:
    for name in names:
        made.do(name, lambda members, now: members.set_unable(ALL if what is None else what, now))


# ---- nobody has a speaker ----


@pytest.mark.parametrize("pause", [0.0, 20.0])
@pytest.mark.parametrize("names", [THREE, THREE[:1]])
def test_without_any_speaker_everything_is_answered_for_ever(names: tuple[str, ...], pause: float) -> None:
    made = segment(names)

    def all_go() -> None:
        for name in names:
            orphan(made, name)
            made.run(pause)

    without_a_gap(made, all_go, TEN_MINUTES / 10)
    assert all_owned(made)


def test_an_orphan_is_relieved_by_who_has_a_speaker_and_keeps_what_it_has_when_its_own_is_back() -> None:
    made = segment()
    without_a_gap(made, lambda: orphan(made, "node-a"), 40)
    assert of(made, "node-a") == []
    orphan(made, "node-b", "node-c")
    moves = len(made.moves())
    made.run(60)
    for name in THREE:
        orphan(made, name, orphaned=False)
        made.run(10)
    made.run(60)
    assert len(made.moves()) == moves
    assert all_owned(made)


def test_of_orphans_the_others_take_over_from_a_dead_one_and_nothing_else() -> None:
    made = segment()
    orphan(made, *THREE)
    made.run(10)
    moves, lost = len(made.moves()), of(made, "node-a")
    made.kill("node-a")
    made.run(5)
    assert all_owned(made)
    made.run(120)
    assert len(made.moves()) == moves + len(lost)


# ---- nobody says anything ----


def starve(made: Segment, longest: float, seed: int) -> None:
    """Keep each process from running again and again, for ``longest`` seconds at most."""
    chance = random.Random(seed)

    def again(name: str) -> None:
        pause = chance.uniform(0, longest)
        made.sleep(name, pause)
        made.at(made.now + pause + chance.expovariate(10), lambda: again(name))

    for name in made.names:
        again(name)


@pytest.mark.parametrize("seed", range(3))
def test_while_the_api_is_away_nothing_moves_though_each_process_is_starved_now_and_then(seed: int) -> None:
    """The speakers say nothing new; processes wait for a core, but never as long as a dead one is silent."""
    made = segment(seed=seed)
    owners = {address: made.owners(address) for address in ALL}
    moves = len(made.moves())
    starve(made, made.profile.dead_after - made.profile.heartbeat, seed)
    made.run(30)
    assert len(made.moves()) == moves
    assert {address: made.owners(address) for address in ALL} == owners


def test_while_the_api_is_away_load_is_evened_out_and_nothing_else_moves() -> None:
    """A rebalancing move needs no speaker, and comes when all is quiet."""
    made = segment()
    made.kill("node-a")
    made.run(70)
    made.start("node-a")
    made.run(2)
    for name in THREE:
        made.do(name, lambda members, _now: setattr(members, "gentle", True))
    before = made.moves()
    without_a_gap(made, lambda: None, balance.QUIET_SECONDS - 5)
    assert made.moves() == before
    without_a_gap(made, lambda: None, 40)
    found = [move for move in made.moves() if move not in before]
    assert found and all("offered" in move.why for move in found)


# ---- nobody else can ----


def test_who_is_drained_goes_on_as_long_as_nobody_who_can_is_there() -> None:
    made = segment()
    unable(made, "node-b", "node-c")
    made.run(2)
    assert of(made, "node-a") == ALL
    drained = {address: want(address, ("node-b", "node-c")) for address in ALL}
    without_a_gap(made, lambda: made.want(drained), 60)
    without_a_gap(made, lambda: unable(made, "node-b", what=[]), 5)
    assert of(made, "node-b") == ALL


def test_who_has_no_endpoint_any_more_and_drops_what_comes_gives_it_up() -> None:
    """An answer of a node that is no candidate is worth nothing with externalTrafficPolicy Local."""
    made = segment()
    unable(made, "node-b", "node-c")
    made.run(2)
    local = {address: replace(want(address, ("node-b", "node-c")), local=True) for address in ALL}
    made.want(local)
    made.run(5)
    assert of(made, "node-a") == []


# ---- candidates that cannot ----


@pytest.mark.parametrize("count", [10, 30])
def test_candidates_that_cannot_answer_are_not_waited_for(count: int) -> None:
    names = tuple(f"n{number}" for number in range(count))
    made = segment(names)
    able = names[:2]
    unable(made, *names[2:])
    made.run(6)
    assert all(set(made.owners(address)) <= set(able) for address in ALL)
    (owner,) = made.owners(ONE)
    lost = of(made, owner)
    made.kill(owner)
    taken = made.run_until(lambda: all(made.owners(address) for address in lost), 10)
    assert taken < FAILOVER + 0.15
    new = addresses(40)[35]
    made.want({address: want(address, names) for address in [*ALL, new]})
    for name in made.nodes:
        if name not in able:
            unable(made, name, what=[*ALL, new])
    assert made.run_until(lambda: bool(made.owners(new)), 5) < 1.0


# ---- clocks ----


@pytest.mark.parametrize("seconds", [5.0, 60.0, 3600.0])
def test_who_stood_still_with_its_clock_takes_nothing_back(seconds: float) -> None:
    """A virtual machine that was paused: its clock does not tell."""
    made = segment()
    made.suspend("node-a", seconds)
    made.run(seconds - 1)
    owners = {address: made.owners(address) for address in ALL}
    moves = len(made.moves())
    made.run(20)
    assert {address: made.owners(address) for address in ALL} == owners
    assert len(made.moves()) == moves


# ---- both families ----


def test_the_second_address_of_a_service_goes_to_who_has_the_first() -> None:
    made = segment()
    made.kill("node-a")
    made.run(2)
    made.start("node-a")
    made.run(2)
    second = dict(zip(ALL, addresses(90)[60:], strict=True))
    wants = {address: want(address, THREE) for address in ALL}
    made.want(wants | {other: replace(wants[first], key=str(first)) for first, other in second.items()})
    made.run(3)
    assert all(made.owners(first) == made.owners(other) != [] for first, other in second.items())
    apart = [first for first in ALL if made.owners(first) != [election.order(str(first), THREE)[0]]]
    assert apart, "some are not where the order has them"
