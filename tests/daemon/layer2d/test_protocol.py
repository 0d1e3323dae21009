# SPDX-License-Identifier: GPL-3.0-or-later
"""What speaker and process say to each other comes out as it went in, whole and as a change."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vipcast.layer2.wants import (
    Address,
    AddressCounters,
    AddressStatus,
    AddressWant,
    Holding,
    InterfaceStatus,
    Layer2Status,
    Layer2Wants,
    LinkStatus,
    MemberStatus,
    Move,
    MoveKind,
    Settings,
    Traffic,
)
from vipcast.net import layer2_protocol as protocol
from vipcast.net.lines import ProtocolError, line, read_line

# Of a machine that may be busy: no deadline.
PATIENT = settings(deadline=None)
ADDRESSES = st.ip_addresses()
NAMES = st.text("abc-1", min_size=1, max_size=4)
ELECTORATES = st.lists(
    st.tuples(st.integers(0, 100), st.frozensets(NAMES, max_size=3)), max_size=3, unique_by=lambda e: e[0]
).map(tuple)
WANTS = st.builds(
    Layer2Wants,
    node=NAMES,
    members=st.dictionaries(NAMES, st.lists(ADDRESSES, max_size=2).map(tuple), max_size=4),
    addresses=st.dictionaries(
        ADDRESSES,
        st.builds(
            AddressWant,
            electorate=ELECTORATES,
            key=NAMES,
            interfaces=st.none() | st.frozensets(NAMES, max_size=2),
        ),
        max_size=6,
    ),
    settings=st.builds(
        Settings,
        profile=NAMES,
        port=st.integers(1, 65535),
        preempt=st.booleans(),
        refresh=st.floats(0, 1000),
        detect_duplicates=st.booleans(),
        excluded_interfaces=st.lists(NAMES, max_size=2).map(tuple),
    ),
    keys=st.lists(st.binary(min_size=1, max_size=32), max_size=2).map(tuple),
)
TEXTS = st.text(max_size=5)
COUNTS = st.integers(0, 9)
STATUSES = st.builds(
    Layer2Status,
    addresses=st.dictionaries(
        ADDRESSES,
        st.builds(
            AddressStatus,
            holding=st.sampled_from(Holding),
            owner=st.none() | NAMES,
            term=COUNTS,
            interfaces=st.lists(st.builds(InterfaceStatus, NAMES, NAMES), max_size=2).map(tuple),
            foreign=st.lists(NAMES, max_size=2).map(tuple),
            why=TEXTS,
        ),
        max_size=6,
    ),
    members=st.dictionaries(NAMES, st.builds(MemberStatus, state=NAMES, why=TEXTS), max_size=4),
    links=st.dictionaries(NAMES, st.builds(LinkStatus, NAMES, NAMES, st.none() | NAMES), max_size=4),
    counters=st.dictionaries(ADDRESSES, st.builds(AddressCounters, COUNTS, COUNTS, COUNTS), max_size=4),
    traffic=st.builds(Traffic, COUNTS, COUNTS, st.dictionaries(NAMES, COUNTS, max_size=2)),
    problems=st.lists(TEXTS, max_size=2).map(tuple),
)
MOVES = st.builds(
    Move, ADDRESSES, st.sampled_from(MoveKind), st.none() | NAMES, st.none() | NAMES, TEXTS, st.floats(0, 1e9)
)


def over(message: object) -> object:
    """As the socket carries it."""
    return read_line(line({"it": message}))["it"]


@PATIENT
@given(WANTS)
def test_wants_come_out_as_they_went_in(wants: Layer2Wants) -> None:
    assert protocol.read_wants(over(protocol.write_wants(wants))) == wants


@PATIENT
@given(WANTS, WANTS)
def test_a_change_makes_the_new_wants_of_the_old_ones(before: Layer2Wants, after: Layer2Wants) -> None:
    change = protocol.write_change(before, after)
    assert protocol.apply_change(before, over(change)) == after
    assert bool(change) == (before != after)


@PATIENT
@given(STATUSES)
def test_a_status_comes_out_as_it_went_in(status: Layer2Status) -> None:
    assert protocol.read_status(over(protocol.write_status(status))) == status


@PATIENT
@given(STATUSES, STATUSES)
def test_a_change_makes_the_new_status_of_the_old_one(before: Layer2Status, after: Layer2Status) -> None:
    change = protocol.write_status_change(before, after)
    assert protocol.apply_status_change(before, over(change)) == after
    assert bool(change) == (before != after)


@PATIENT
@given(st.lists(MOVES, max_size=4))
def test_moves_come_out_as_they_went_in(moves: list[Move]) -> None:
    assert protocol.read_moves(over([protocol.write_move(move) for move in moves])) == moves


def many(count: int) -> dict[Address, AddressWant]:
    electorate = ((0, frozenset(f"node-{number}" for number in range(9))),)
    first = int(ip_address("10.0.0.0"))
    return {
        address: AddressWant(electorate, str(address))
        for address in map(ip_address, range(first, first + count))
    }


def test_five_thousand_addresses_fit_a_line_and_one_more_is_a_short_one() -> None:
    wants = Layer2Wants("node-1", addresses=many(5000))
    assert len(line(protocol.write_wants(wants))) < protocol.MAX_LINE / 10
    change = protocol.write_change(wants, replace(wants, addresses=many(5001)))
    assert list(change["addresses"]) == [str(ip_address("10.0.19.136"))]


def test_a_key_is_in_a_change_only_when_it_changes() -> None:
    wants = Layer2Wants("node-1", addresses=many(1), keys=(b"secret",))
    assert "keys" not in protocol.write_change(wants, replace(wants, addresses=many(2)))
    assert protocol.write_change(wants, replace(wants, keys=(b"new", b"secret"))) == {
        "keys": [b"new".hex(), b"secret".hex()]
    }


def test_a_status_of_a_newer_process_is_read_without_what_is_not_known() -> None:
    written = protocol.write_status(Layer2Status(members={"b": MemberStatus("alive")}))
    written["members"]["b"]["mood"] = "good"
    written["weather"] = {}
    assert protocol.read_status(written).members == {"b": MemberStatus("alive")}


@pytest.mark.parametrize(
    "written",
    [
        [],
        {"members": {"a": ["nowhere"]}},
        {"members": []},
        {"keys": ["not hexadecimal"]},
        {"keys": 7},
        {"settings": {"port": "7946"}},
        {"settings": {"preempt": 1}},
        {"settings": []},
        {"node": None},
        {"addresses": {"10.0.0.1": [0, "10.0.0.1", None]}},
        {"addresses": {"10.0.0.1": [0, "10.0.0.1", None]}, "electorates": []},
        {"addresses": {"here": [0, "here", None]}, "electorates": [[[0, ["a"]]]]},
        {"addresses": {"10.0.0.1": [0, "here", "eth0", 3]}, "electorates": [[[0, ["a"]]]]},
        {"addresses": {"10.0.0.1": "x"}, "electorates": [[["first", ["a"]]]]},
    ],
)
def test_wants_that_are_none_are_refused_in_words(written: object) -> None:
    with pytest.raises(ProtocolError) as caught:
        protocol.read_wants(json.loads(json.dumps(written)))
    assert str(caught.value).startswith("wants")


def test_more_addresses_than_a_node_may_have_are_refused() -> None:
    with pytest.raises(ProtocolError, match="at most"):
        wants = Layer2Wants("a", addresses=many(protocol.MAX_ADDRESSES + 1))
        protocol.read_wants(over(protocol.write_wants(wants)))
