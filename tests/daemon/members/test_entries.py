# SPDX-License-Identifier: GPL-3.0-or-later
"""The shared map: however its entries come, all who have had them all know the same."""

from __future__ import annotations

import contextlib
import random
from ipaddress import IPv4Address

import pytest
from daemon.members.strategies import entries
from hypothesis import given, settings
from hypothesis import strategies as st

from vipcast import election
from vipcast.members import shared as module
from vipcast.members.entries import (
    BadEntryError,
    Condition,
    Hold,
    Key,
    Kind,
    Node,
    Ownership,
    Reason,
    Value,
    Votes,
    newer,
    read,
    write,
)
from vipcast.members.shared import FORGET_AFTER, Merged, Shared

ADDRESS = IPv4Address("192.0.2.7")
CLAIM = (Kind.CLAIM, ADDRESS)
Entries = list[tuple[Key, Value]]


def merged(entries: Entries) -> dict[Key, Value]:
    shared = Shared(lambda _key, _old, _new: None)
    for key, value in entries:
        shared.merge(key, value)
    return shared.entries


def claim(term: int, owner: str, hold: Hold = Hold.HELD, since: int = 0) -> Ownership:
    return Ownership(term, owner, hold, Reason.VACANT, since)


@settings(max_examples=100, deadline=None)
@given(st.lists(entries, max_size=14), st.randoms(use_true_random=False), st.integers(0, 14))
def test_order_repetition_and_way_make_no_difference(drawn: Entries, chance: random.Random, cut: int) -> None:
    whole = merged(drawn)
    shuffled = drawn * 2
    chance.shuffle(shuffled)
    assert merged(shuffled) == whole, "in any order, and twice"
    over_another = list(merged(drawn[:cut]).items()) + list(merged(drawn[cut:]).items())
    assert merged(over_another) == whole, "by way of another member"


@settings(max_examples=100)
@given(entries, entries)
def test_of_two_different_entries_exactly_one_is_right(
    one: tuple[Key, Value], other: tuple[Key, Value]
) -> None:
    if one[0] == other[0]:
        first, second = newer(one[0], one[1], other[1]), newer(one[0], other[1], one[1])
        assert (first, second) == ((False, False) if one[1] == other[1] else (first, not first))


def test_the_higher_term_is_right_and_of_one_term_who_comes_first() -> None:
    assert newer(CLAIM, claim(4, "a"), claim(5, "b"))
    assert not newer(CLAIM, claim(5, "a", Hold.HELD), claim(4, "b", Hold.RELEASED))
    first, second = election.order(str(ADDRESS), ["a", "b"])
    assert newer(CLAIM, claim(5, second), claim(5, first))
    assert newer(CLAIM, claim(5, "a"), claim(5, "a", Hold.YIELDING))
    assert newer(CLAIM, claim(5, "a", Hold.YIELDING), claim(5, "a", Hold.RELEASED))


def test_a_dead_member_comes_back_with_a_higher_number_alone() -> None:
    key = (Kind.NODE, "a")
    assert newer(key, Node(3, Condition.ALIVE), Node(3, Condition.DEAD))
    assert not newer(key, Node(3, Condition.DEAD), Node(3, Condition.ALIVE))
    assert newer(key, Node(3, Condition.DEAD), Node(4, Condition.ALIVE))


# ---- octets ----


@settings(max_examples=100)
@given(st.lists(entries, max_size=6))
def test_what_is_written_is_read(drawn: Entries) -> None:
    assert read(b"".join(write(key, value) for key, value in drawn)) == drawn


def test_the_octets_are_those_of_the_description() -> None:
    node = write((Kind.NODE, "n1"), Node(258, Condition.DEAD))
    assert node == b"\x01\x02n1\x00\x00\x01\x02\x02"
    votes = write((Kind.VOTES, "n1"), Votes(1, 2, (("n2", 3),)))
    assert votes == b"\x02\x02n1\x00\x00\x00\x01\x00\x00\x00\x02\x01\x02n2\x00\x00\x00\x03"
    owned = write(CLAIM, Ownership(9, "n1", Hold.YIELDING, Reason.LEAVING, 1, 3))
    assert owned == b"".join(
        (b"\x03\x04\xc0\x00\x02\x07", bytes(7), b"\x09\x02n1\x01\x09", bytes(7), b"\x01\x00\x03")
    )


@settings(max_examples=200)
@given(st.binary(max_size=120))
def test_any_octets_are_entries_or_none(data: bytes) -> None:
    with contextlib.suppress(BadEntryError):
        found = read(data)
        assert read(b"".join(write(key, value) for key, value in found)) == found


@settings(max_examples=100)
@given(st.lists(entries, min_size=1, max_size=3), st.integers(0, 60), st.binary(max_size=2))
def test_damaged_entries_are_entries_or_none(drawn: Entries, at: int, damage: bytes) -> None:
    data = bytearray(b"".join(write(key, value) for key, value in drawn))
    data[at : at + 1] = damage
    with contextlib.suppress(BadEntryError):
        read(bytes(data))


@pytest.mark.parametrize("term", [0, 1 << 63])
def test_a_term_that_leaves_no_room_is_refused(term: int) -> None:
    data = write(CLAIM, claim(1, "a")).replace(b"\0" * 7 + b"\1", term.to_bytes(8, "big"), 1)
    with pytest.raises(BadEntryError, match="term"):
        read(data)


# ---- forgetting ----


def sweeps(shared: Shared, begin: float, seconds: float) -> list[Key]:
    gone: list[Key] = []
    now = begin
    while now <= begin + seconds:
        gone += shared.sweep(now)
        now = shared.sweep_at
    return gone


def test_what_nobody_wants_is_forgotten_and_what_is_owned_is_not() -> None:
    shared = Shared(lambda _key, _old, _new: None)
    shared.names = {"a"}
    released, orphan, owned, ours = (IPv4Address(f"192.0.2.{number}") for number in range(4))
    shared.wanted = {ours}
    shared.merge((Kind.NODE, "a"), Node(1, Condition.ALIVE))
    shared.merge((Kind.NODE, "stranger"), Node(1, Condition.ALIVE))
    for address, value in (
        (released, claim(3, "a", Hold.RELEASED)),
        (orphan, claim(3, "long gone")),
        (owned, claim(3, "a")),
        (ours, claim(3, "a", Hold.RELEASED)),
    ):
        shared.merge((Kind.CLAIM, address), value)
    assert not sweeps(shared, 100.0, FORGET_AFTER - 10)
    assert set(sweeps(shared, 100 + FORGET_AFTER - 5, 15)) == {
        (Kind.NODE, "stranger"),
        (Kind.CLAIM, released),
        (Kind.CLAIM, orphan),
    }
    assert shared.claim(owned) and shared.claim(ours) and shared.node("a")


def test_what_is_to_be_forgotten_is_told_to_nobody_new() -> None:
    shared = Shared(lambda _key, _old, _new: None)
    shared.merge(CLAIM, claim(3, "a", Hold.RELEASED))
    assert shared.worth_telling() == [CLAIM]
    shared.sweep(0.0)
    assert shared.worth_telling() == []
    shared.merge(CLAIM, claim(4, "b"))
    assert shared.worth_telling() == [CLAIM], "it is news again"


def test_nonsense_finds_an_end_of_the_room_and_what_is_wanted_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ROOM", 100)
    shared = Shared(lambda _key, _old, _new: None)
    shared.names, shared.wanted = {"a"}, {ADDRESS}
    found = [shared.merge((Kind.CLAIM, IPv4Address(number)), claim(1, f"x{number}")) for number in range(150)]
    assert found.count(Merged.REFUSED) == 50
    assert shared.refused and len(shared.entries) == 100
    assert shared.merge(CLAIM, claim(1, "a")) is Merged.CHANGED
    assert shared.merge((Kind.NODE, "a"), Node(1, Condition.ALIVE)) is Merged.CHANGED
