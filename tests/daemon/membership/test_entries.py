# SPDX-License-Identifier: GPL-3.0-or-later
"""The replicated map: however its entries come, all who have had them all know the same."""

from __future__ import annotations

import contextlib
import random
from ipaddress import IPv4Address

import pytest
from daemon.membership.strategies import entries
from hypothesis import given, settings
from hypothesis import strategies as st

from vipcast import election
from vipcast.membership import entries_v1
from vipcast.membership import replicated_state as module
from vipcast.membership.entries import (
    LAST_SHARED,
    MAX_EXTRA,
    MAX_OPAQUE,
    BadEntryError,
    Condition,
    Found,
    Hold,
    Key,
    Kind,
    Node,
    Offers,
    Opaque,
    Ownership,
    Reason,
    Unable,
    Value,
    Votes,
    newer,
)
from vipcast.membership.entries_v2 import read, write
from vipcast.membership.replicated_state import FORGET_AFTER, Merged, ReplicatedState

ADDRESS = IPv4Address("192.0.2.7")
CLAIM = (Kind.CLAIM, ADDRESS)
Entries = list[tuple[Key, Value]]


def merged(entries: Entries) -> dict[Key, Value]:
    state = ReplicatedState(lambda _key, _old, _new: None)
    for key, value in entries:
        state.merge(key, value)
    return state.entries


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


def octets(drawn: Entries) -> bytes:
    return b"".join(write(key, value) for key, value in drawn)


@settings(max_examples=100)
@given(st.lists(entries, max_size=6))
def test_what_is_written_is_read(drawn: Entries) -> None:
    assert read(octets(drawn)) == Found(drawn)


def test_the_octets_are_those_of_the_description() -> None:
    node = write((Kind.NODE, "n1"), Node(258, Condition.DEAD))
    assert node == b"\x01\x00\x09\x00\x02n1\x00\x00\x01\x02\x02"
    votes = write((Kind.VOTES, "n1"), Votes(1, 2, (("n2", 3),), (("n1", 1), ("n3", 0))))
    assert votes == b"".join(
        (
            b"\x02\x00\x1d\x00\x02n1\x00\x00\x00\x01\x00\x00\x00\x02",
            b"\x01\x02n2\x00\x00\x00\x03",
            b"\x02\x02n1\x01\x02n3\x00",
        )
    )
    owned = write(CLAIM, Ownership(9, "n1", Hold.YIELDING, Reason.LEAVING, 1, 3))
    assert owned == b"".join(
        (b"\x03\x00\x1c\x04\xc0\x00\x02\x07", bytes(7), b"\x09\x02n1\x01\x09", bytes(7), b"\x01\x00\x03")
    )
    assert write((77, ADDRESS), Opaque(b"later")) == b"\x4d\x00\x0a\x04\xc0\x00\x02\x07later"


@settings(max_examples=200)
@given(st.binary(max_size=120))
def test_any_octets_are_entries_or_none(data: bytes) -> None:
    with contextlib.suppress(BadEntryError):
        found = read(data)
        assert read(octets(found.entries)) == Found(found.entries)


@settings(max_examples=100)
@given(st.lists(entries, min_size=1, max_size=3), st.integers(0, 60), st.binary(max_size=2))
def test_damaged_entries_are_entries_or_none(drawn: Entries, at: int, damage: bytes) -> None:
    data = bytearray(octets(drawn))
    data[at : at + 1] = damage
    with contextlib.suppress(BadEntryError):
        read(bytes(data))


@pytest.mark.parametrize("term", [0, 1 << 63])
def test_a_term_that_leaves_no_room_is_refused(term: int) -> None:
    data = write(CLAIM, claim(1, "a")).replace(b"\0" * 7 + b"\1", term.to_bytes(8, "big"), 1)
    assert read(data) == Found([], skipped=1)


def framed(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + len(body).to_bytes(2) + body


NAMED = b"\0\1a"
UNUSABLE = (
    framed(128, NAMED + b"for the receiver alone"),
    framed(0, NAMED),
    framed(6, b"\7unknown form of a subject"),
    framed(6, NAMED + bytes(MAX_OPAQUE)),
    framed(Kind.NODE, NAMED + b"\0\0\0\1\x09"),  # no such condition
    framed(Kind.NODE, b"\4\1\2\3\4\0\0\0\1\0"),  # a node that is an address
    framed(Kind.NODE, NAMED + b"\0\0\0\1\0" + bytes(MAX_EXTRA + 1)),
    framed(Kind.CLAIM, NAMED + bytes(30)),
)


@pytest.mark.parametrize("unusable", UNUSABLE)
def test_an_entry_that_cannot_be_used_costs_none_of_the_others(unusable: bytes) -> None:
    good = write(CLAIM, claim(1, "a"))
    assert read(good + unusable + good) == Found([(CLAIM, claim(1, "a"))] * 2, skipped=1)


@pytest.mark.parametrize("cut", range(1, 8))
def test_entries_that_do_not_end_where_the_octets_do_are_none(cut: int) -> None:
    with pytest.raises(BadEntryError, match="cut off"):
        read(write(CLAIM, claim(1, "a"))[:-cut])


LATER: Entries = [
    ((Kind.NODE, "a"), Node(3, Condition.ALIVE, b"more")),
    ((Kind.VOTES, "a"), Votes(3, 1, (("b", 2),), (("a", 1),), b"more")),
    (CLAIM, Ownership(3, "a", Hold.HELD, 200, 5, 1, b"more")),
    ((6, "a"), Opaque(b"\1of a node")),
    ((LAST_SHARED, ADDRESS), Opaque(b"\1of an address")),
]


def test_what_a_later_program_has_added_is_kept_and_written_again() -> None:
    assert read(octets(LATER)) == Found(LATER)
    known = Ownership(3, "a", Hold.HELD, Reason.UNABLE, 5, 1)
    (entry,) = read(write(CLAIM, known)).entries
    assert isinstance(entry[1], Ownership) and entry[1].reason is Reason.UNABLE


def test_of_what_is_not_understood_the_greater_octets_are_right() -> None:
    key = (6, "a")
    assert merged([(key, Opaque(b"\2")), (key, Opaque(b"\1later"))]) == {key: Opaque(b"\2")}
    more = (CLAIM, claim(3, "a")._replace(extra=b"x"))
    assert merged([more, (CLAIM, claim(3, "a"))]) == dict([more])


# ---- version 1 ----


@settings(max_examples=100)
@given(st.lists(entries, max_size=6))
def test_version_1_says_what_it_can(drawn: Entries) -> None:
    """Version 1 leaves out what it has no octets for.

    An unknown reason becomes another one, by which nothing is decided.
    """
    found = entries_v1.read(b"".join(entries_v1.write(key, value) for key, value in drawn)).entries
    cannot = Opaque | Unable | Offers
    can = [(key, value._replace(extra=b"")) for key, value in drawn if not isinstance(value, cannot)]
    assert [key for key, _value in found] == [key for key, _value in can]
    for (_key, read_again), (_also, value) in zip(found, can, strict=True):
        if isinstance(value, Ownership) and value.reason > Reason.CONTESTED:
            assert isinstance(read_again, Ownership)
            assert read_again.reason in (Reason.OWNER_YIELDED, Reason.NOT_CANDIDATE)
            assert read_again._replace(reason=value.reason) == value
        elif isinstance(value, Votes):
            assert read_again == value._replace(links=())
        else:
            assert read_again == value


@settings(max_examples=200)
@given(st.binary(max_size=120))
def test_any_octets_are_entries_of_version_1_or_none(data: bytes) -> None:
    with contextlib.suppress(BadEntryError):
        found = entries_v1.read(data)
        assert entries_v1.read(b"".join(entries_v1.write(key, value) for key, value in found.entries))


# ---- forgetting ----


def sweeps(state: ReplicatedState, begin: float, seconds: float) -> list[Key]:
    gone: list[Key] = []
    now = begin
    while now <= begin + seconds:
        gone += state.sweep(now)
        now = state.sweep_at
    return gone


def test_what_nobody_wants_is_forgotten_and_what_is_owned_is_not() -> None:
    state = ReplicatedState(lambda _key, _old, _new: None)
    state.set_names({"a"})
    released, orphan, owned, ours = (IPv4Address(f"192.0.2.{number}") for number in range(4))
    state.set_wanted({ours})
    state.set_reach(frozenset("a"), frozenset("a"))
    state.merge((Kind.NODE, "a"), Node(1, Condition.ALIVE))
    state.merge((Kind.NODE, "stranger"), Node(1, Condition.ALIVE))
    for address, value in (
        (released, claim(3, "a", Hold.RELEASED)),
        (orphan, claim(3, "long gone")),
        (owned, claim(3, "a")),
        (ours, claim(3, "a", Hold.RELEASED)),
    ):
        state.merge((Kind.CLAIM, address), value)
    assert not sweeps(state, 100.0, FORGET_AFTER - 10)
    assert set(sweeps(state, 100 + FORGET_AFTER - 5, 15)) == {
        (Kind.NODE, "stranger"),
        (Kind.CLAIM, released),
        (Kind.CLAIM, orphan),
    }
    assert state.claim(owned) and state.claim(ours) and state.node("a")


def test_what_is_to_be_forgotten_is_told_to_nobody_new() -> None:
    state = ReplicatedState(lambda _key, _old, _new: None)
    state.merge(CLAIM, claim(3, "a", Hold.RELEASED))
    assert state.worth_telling() == [CLAIM]
    state.sweep(0.0)
    assert state.worth_telling() == []
    state.merge(CLAIM, claim(4, "b"))
    assert state.worth_telling() == [CLAIM], "it is news again"


def test_nonsense_finds_an_end_of_the_room_and_what_is_wanted_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ROOM", 100)
    state = ReplicatedState(lambda _key, _old, _new: None)
    state.set_names({"a"})
    state.set_wanted({ADDRESS})
    found = [state.merge((Kind.CLAIM, IPv4Address(number)), claim(1, f"x{number}")) for number in range(150)]
    assert found.count(Merged.REFUSED) == 50
    assert len(state.entries) == 100
    assert state.merge(CLAIM, claim(1, "a")) is Merged.CHANGED
    assert state.merge((Kind.NODE, "a"), Node(1, Condition.ALIVE)) is Merged.CHANGED
