# SPDX-License-Identifier: GPL-3.0-or-later
"""The key makes a member: who is in nobody's list, or has another address there, is linked all the same."""

from __future__ import annotations

from collections.abc import Iterable

from daemon.membership.scenarios import ALL, THREE, all_owned, segment
from daemon.membership.simulation import Segment, endpoint, want

from vipcast.membership import MemberState


def without(made: Segment, name: str, tellers: Iterable[str]) -> None:
    """Take ``name`` from the list of nodes of some."""
    for teller in tellers:
        made.lists[teller] = frozenset(THREE) - {name}
        made.do(teller, lambda members, now, teller=teller: members.set_peers(made.peers(teller), now))


def test_a_node_whose_object_is_gone_keeps_what_it_has() -> None:
    """Its own speaker is cut off from the API, and does not know."""
    made = segment()
    moves = len(made.moves())
    without(made, "node-a", ("node-b", "node-c"))
    made.run(120)
    assert len(made.moves()) == moves
    assert all_owned(made)
    made.kill("node-a")
    made.run(2)
    assert all_owned(made)


def test_a_new_node_that_the_others_do_not_know_yet_takes_nothing_a_second_time() -> None:
    made = Segment(THREE)
    made.want({address: want(address, THREE) for address in ALL})
    made.lists = dict.fromkeys(THREE[1:], frozenset(THREE[1:]))
    made.start("node-b", "node-c")
    made.run(2)
    moves = len(made.moves())
    made.start("node-a")
    twice: list[object] = []
    made.watch = lambda: twice.extend(a for a in ALL if len(made.owners(a)) > 1)
    made.run(30)
    assert (len(made.moves()), twice) == (moves, [])
    assert made.nodes["node-b"].members.members["node-a"].state is MemberState.ALIVE


def test_a_node_with_another_address_is_answered_where_it_is_heard_from() -> None:
    made = segment()
    moves = len(made.moves())
    made._places[endpoint(77)] = "node-a"
    del made._places[endpoint(1)]
    made.nodes["node-a"].number = 77
    made.run(10)
    assert all_owned(made)
    assert made.nodes["node-a"].members.members["node-b"].state is MemberState.ALIVE
    made.run(60)
    moved = len(made.moves()) - moves
    made.run(60)
    assert len(made.moves()) - moves == moved, "and it does not change to and fro"


def test_who_is_not_listed_and_has_gone_is_forgotten() -> None:
    made = segment()
    without(made, "node-a", ("node-b", "node-c"))
    made.run(1)
    made.kill("node-a")
    made.run(1)
    assert made.nodes["node-b"].members.members["node-a"].state is MemberState.DEAD
    made.run(70)
    assert set(made.nodes["node-b"].members.members) == {"node-b", "node-c"}
    made.run(70)
    state = made.nodes["node-b"].members._state
    assert {*state.lists, *state._met} == {"node-b", "node-c"}
