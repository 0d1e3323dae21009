# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what is announced again, and no more: what a member that was not heard may have answered for."""

from __future__ import annotations

from daemon.membership.scenarios import ALL, all_owned, of, segment
from daemon.membership.simulation import Segment

from vipcast.membership import AddressDoubted


def doubted(made: Segment, name: str) -> list[object]:
    return [event.address for _at, event in made.nodes[name].events if isinstance(event, AddressDoubted)]


def test_a_node_that_was_rebooted_has_answered_for_nothing_meanwhile() -> None:
    made = segment()
    made.kill("node-a")
    made.run(2)
    made.start("node-a")
    made.run(5)
    assert [doubted(made, name) for name in made.names] == [[], [], []]


def test_a_node_that_was_cut_off_has_claimed_what_others_have_and_these_say_so_again() -> None:
    made = segment()
    kept = {name: of(made, name) for name in ("node-b", "node-c")}
    made.split(["node-a"], ["node-b", "node-c"])
    made.run(3)
    made.heal()
    made.run(3)
    assert all_owned(made)
    for name, addresses in kept.items():
        assert set(doubted(made, name)) >= set(addresses), "node-a had them for itself"
        assert len(doubted(made, name)) <= 2 * len(ALL), "each once, or twice"
    moved = set(ALL) - set(kept["node-b"]) - set(kept["node-c"])
    assert set(doubted(made, "node-a")) <= set(ALL) and not set(of(made, "node-a")) & moved
