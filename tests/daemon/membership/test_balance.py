# SPDX-License-Identifier: GPL-3.0-or-later
"""Rebalancing: at boot at once, later little by little, never while anything happens, and to an end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from daemon.membership.simulation import Segment, addresses, want

from vipcast.membership import balance
from vipcast.membership.types import PROFILES, Profile

SIX = tuple(f"n{number}" for number in range(6))
SIXTY = addresses(60)
# Heartbeats are not what is asked for here: ten minutes of six nodes, with fewer packets.
SLOW = Profile("slow", 2.0, 8.0)


def fleet(monkeypatch: pytest.MonkeyPatch, *, stays: bool = False, gentle: bool = True) -> Segment:
    monkeypatch.setitem(PROFILES, "slow", SLOW)
    made = Segment(SIX, "slow")
    made.want({address: replace(want(address, SIX), stays=stays) for address in SIXTY})
    made.gentle = gentle
    return made


def spread(made: Segment) -> list[int]:
    return [len(made.nodes[name].members.held) if name in made.nodes else 0 for name in SIX]


def gaps(made: Segment) -> list[object]:
    """Look after each thing that happens; only where somebody holds something else than before."""
    found: list[object] = []
    seen: list[object] = []

    def look() -> None:
        held = [node.members.held for node in made.nodes.values()]
        if len(held) != len(seen) or any(one is not other for one, other in zip(held, seen, strict=True)):
            seen[:] = held
            found.extend(set(SIXTY).difference(*held))

    made.watch = look
    return found


def reboot_all(made: Segment) -> None:
    """One after the other, as updates of the kernel do it."""
    for name in SIX:
        made.do(name, lambda members, now: members.leave(now))
        made.run(20)
        made.kill(name)
        made.run(20)
        made.start(name)
        made.run(20)


def test_at_boot_the_first_in_the_order_gets_what_others_took_before_it_was_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = fleet(monkeypatch)
    for name in SIX:
        made.start(name)
        made.run(5)
    assert spread(made) != [60, 0, 0, 0, 0, 0]
    made.run(40)
    first = fleet(monkeypatch, gentle=False)
    first.start()
    first.run(20)
    assert spread(made) == spread(first)


def test_after_a_rolling_reboot_the_load_is_even_in_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    made = fleet(monkeypatch)
    made.start()
    made.run(20)
    reboot_all(made)
    uneven = spread(made)
    assert max(uneven) > 14, "there is something to do"
    missing = gaps(made)
    made.run(600)
    assert missing == [], "make before break"
    assert all(8 <= count <= 12 for count in spread(made)), spread(made)
    moved = [move.address for move in made.moves() if "offered" in move.why]
    assert len(moved) == len(set(moved)), "no address moves twice"
    assert len(moved) <= 1.25 * sum(max(0, count - 10) for count in uneven)
    moves = len(made.moves())
    made.run(600)
    assert len(made.moves()) == moves, "and that is the end of it"


def test_one_service_at_a_time_moves_and_none_while_something_happens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = fleet(monkeypatch)
    made.start()
    made.run(20)
    reboot_all(made)
    before = len(made.moves())
    for _again in range(4):
        made.kill("n5")
        made.run(40)
        made.start("n5")
        made.run(40)
    assert not [move for move in made.moves()[before:] if "offered" in move.why]
    made.run(balance.QUIET_SECONDS - 20)
    times = []
    for _again in range(20):
        count = len(made.moves())
        made.run(balance.PAUSE_SECONDS / 3)
        times.append(len(made.moves()) - count)
    assert max(times) == 1
    assert sum(times) > 3


@pytest.mark.parametrize("how", ["stays", "sticky"])
def test_what_is_excluded_does_not_move(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    made = fleet(monkeypatch, stays=how == "stays", gentle=how != "sticky")
    made.start()
    made.run(20)
    reboot_all(made)
    moves = len(made.moves())
    made.run(400)
    assert len(made.moves()) == moves


def test_preferred_nodes_are_not_left_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    made = fleet(monkeypatch)
    made.want({address: want(address, SIX, SIX[:1]) for address in SIXTY})
    made.start()
    made.run(400)
    assert spread(made) == [60, 0, 0, 0, 0, 0]


def test_both_addresses_of_a_service_move_together(monkeypatch: pytest.MonkeyPatch) -> None:
    made = fleet(monkeypatch)
    keys = {address: str(SIXTY[number // 2 * 2]) for number, address in enumerate(SIXTY)}
    made.want({address: replace(want(address, SIX), key=key) for address, key in keys.items()})
    made.start()
    made.run(20)
    reboot_all(made)
    made.run(600)
    assert all(8 <= count <= 12 for count in spread(made)), spread(made)
    for one, other in zip(SIXTY[::2], SIXTY[1::2], strict=True):
        assert made.owners(one) == made.owners(other)
