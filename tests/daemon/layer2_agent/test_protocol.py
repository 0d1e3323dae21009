# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the messages between speaker and agent come out as they went in, whole and as a change."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vipcast.election import AddressWant
from vipcast.layer2.api import (
    AddressCounters,
    AddressStatus,
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
from vipcast.model.addresses import IPAddress
from vipcast.net import layer2_protocol as protocol
from vipcast.net.ipc import ProtocolError, check, line, read_line
from vipcast.speaker.layer2.verdicts import _HOLDINGS

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
        allowed_interfaces=st.lists(NAMES, max_size=2).map(tuple),
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
    deaf=st.booleans(),
)
MOVES = st.builds(
    Move, ADDRESSES, st.sampled_from(MoveKind), st.none() | NAMES, st.none() | NAMES, TEXTS, st.floats(0, 1e9)
)


def over(message: object) -> object:
    """Return the message as the socket carries it."""
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


def many(count: int) -> dict[IPAddress, AddressWant]:
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


def test_what_a_newer_process_says_in_words_that_are_not_known_costs_nothing_else() -> None:
    address, other = ip_address("10.0.0.1"), ip_address("10.0.0.2")
    mine = AddressStatus(Holding.OWNER, "a", interfaces=(InterfaceStatus("eth0", "02:00:00:00:00:01"),))
    written = protocol.write_status(Layer2Status(addresses={address: mine, other: mine}))
    written["addresses"]["10.0.0.2"]["holding"] = "offered"
    written["addresses"]["10.0.0.1"]["interfaces"][0].append("more")
    found = protocol.read_status(over(written)).addresses
    assert found == {address: mine, other: replace(mine, holding=Holding.UNKNOWN)}
    assert set(Holding) <= {*_HOLDINGS, Holding.OWNER, Holding.YIELDING}, "the speaker has words for each"
    moves = [protocol.write_move(Move(address, MoveKind.GAINED)) for _each in range(2)]
    moves[0]["kind"] = "offered"
    assert protocol.read_moves(over(moves)) == [Move(address, MoveKind.GAINED)]
    want = [0, "10.0.0.1", ["eth0"], "more"]
    asked = protocol.read_wants({"addresses": {"10.0.0.1": want}, "electorates": [[[0, ["a"]]]]})
    assert asked.addresses == {address: AddressWant(((0, frozenset("a")),), "10.0.0.1", frozenset({"eth0"}))}


RECORDED = json.loads((Path(__file__).parent / "recorded" / "release-0.1.0.json").read_text())


def test_what_the_release_before_says_is_understood() -> None:
    wants = protocol.read_wants(RECORDED["want"]["want"])
    assert (wants.node, len(wants.addresses), wants.settings.allowed_interfaces) == ("n2", 2, ())
    (message,) = RECORDED["status"]
    check(message)
    status = protocol.read_status(message["status"])
    assert {each.holding for each in status.addresses.values()} == {Holding.OWNER}
    assert {name: member.state for name, member in status.members.items()} == {"n1": "alive", "n2": "alive"}


@PATIENT
@given(WANTS)
def test_the_release_before_can_read_what_is_wanted(wants: Layer2Wants) -> None:
    """It takes rows of exactly three, and settings of the kinds that it knows; it skips words."""
    written, known = over(protocol.write_wants(wants)), RECORDED["want"]["want"]
    assert isinstance(written, dict) and known.keys() <= written.keys()
    for row, key, interfaces in written["addresses"].values():
        assert isinstance(row, int) and isinstance(key, str)
        assert interfaces is None or all(isinstance(each, str) for each in interfaces)
    for name, value in known["settings"].items():
        assert isinstance(written["settings"][name], type(value))


def test_versions_are_looked_at_where_they_are_said() -> None:
    for message in ({}, {"versions": [1, 1]}, {"versions": [1, 9]}):
        check({**message, "want": {}})
    with pytest.raises(ProtocolError, match="versions 2 to 3 of the protocol, and this process version 1"):
        check({"versions": [2, 3]})
    with pytest.raises(ProtocolError, match="the least and the greatest version"):
        check({"versions": "1"})


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
