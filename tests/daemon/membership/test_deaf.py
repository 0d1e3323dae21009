# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a node does that hears nobody, by what else its interface receives."""

from __future__ import annotations

import pytest
from daemon.membership.scenarios import ALL, THREE, all_owned, of, segment
from daemon.membership.simulation import Segment

LOOK_SECONDS = 0.02
HEARS_NOTHING = (("node-a", "node-c"), ("node-b", "node-c"))


class Interface:
    """The counters of node-c's interface: ``receives`` something between any two looks, or nothing.

    They are looked at as `vipcast.layer2_agent.reception_check` does it: while it would be deaf.
    """

    def __init__(self, made: Segment) -> None:
        self.receives = True
        self._made, self._asks = made, False
        made.do("node-c", lambda members, now: members.traffic(False, now))
        self._look()

    def _look(self) -> None:
        deaf = self._made.nodes["node-c"].members.deaf
        if deaf:
            received = self.receives and self._asks
            self._made.do("node-c", lambda members, now: members.traffic(received, now))
        self._asks = deaf
        self._made.at(self._made.now + LOOK_SECONDS, self._look)


def deafened(seconds: float, profile: str = "default") -> tuple[Segment, Interface]:
    """Return a segment of which node-c has received nothing for so long, and sends all the time."""
    made = segment(profile=profile)
    made.run(4 * made.profile.dead_after)
    assert all_owned(made)
    interface = Interface(made)
    made.run(0.1)
    made.cut_between(*HEARS_NOTHING)
    interface.receives = False
    made.run(seconds)
    assert made.nodes["node-c"].members.deaf
    return made, interface


@pytest.mark.parametrize("profile", ["fast", "default", "calm"])
def test_who_was_deaf_and_receives_something_hears_the_others_before_it_takes_anything(profile: str) -> None:
    """The switch lets frames through again: an answer to its own question comes before any heartbeat."""
    made, interface = deafened(10.0, profile)
    others = {address: [name for name in made.owners(address) if name != "node-c"] for address in ALL}
    moves = len(made.moves())
    interface.receives = True
    made.run(0.9 * made.profile.heartbeat)
    made.heal()
    made.run(10.0)
    assert not made.nodes["node-c"].members.deaf
    assert len(made.moves()) == moves
    assert {address: made.owners(address) for address in ALL} == others


def test_who_was_deaf_takes_over_when_it_receives_something_and_hears_nobody_all_the_same() -> None:
    made, interface = deafened(3.0)
    for name in THREE[:2]:
        made.kill(name)
    made.run(1.0)
    assert set(of(made, "node-c")) < set(ALL)
    interface.receives = True
    assert made.run_until(lambda: of(made, "node-c") == ALL, 2.0) < made.profile.dead_after + 0.15


def test_of_those_that_die_the_last_one_takes_over_as_soon_as_its_question_is_answered() -> None:
    made = segment()
    interface = Interface(made)
    made.run(0.1)
    interface.receives = False
    for name in THREE[:2]:
        made.kill(name)
    made.run_until(lambda: made.nodes["node-c"].members.deaf, 1.0)
    made.run(LOOK_SECONDS)
    assert set(of(made, "node-c")) < set(ALL)
    interface.receives = True
    assert made.run_until(lambda: of(made, "node-c") == ALL, 1.0) < 0.2
