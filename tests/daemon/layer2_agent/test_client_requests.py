# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that a speaker's requests count until another one has others, or nobody comes for long."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from vipcast.election import AddressWant
from vipcast.layer2.api import Layer2Wants
from vipcast.layer2_agent.client_requests import ClientRequests
from vipcast.net.ipc import ProtocolError
from vipcast.net.layer2_protocol import PIECE, finish, write_change, write_wants

VIP = ip_address("10.31.8.100")
ALL = ((10, frozenset({"a", "b"})), (0, frozenset({"c"})))
WANTS = Layer2Wants("a", addresses={VIP: AddressWant(ALL, str(VIP))})
NOTHING = Layer2Wants("a")


def test_the_last_one_that_spoke_is_followed() -> None:
    requests = ClientRequests()
    finish(requests.want("old", write_wants(WANTS)))
    finish(requests.want("new", write_wants(NOTHING)))
    assert requests.said == NOTHING
    finish(requests.change("old", write_change(WANTS, WANTS)))
    assert requests.said == WANTS


def test_one_that_has_gone_is_followed_until_its_time_is_over() -> None:
    requests = ClientRequests(orphan_seconds=600)
    finish(requests.want("one", write_wants(WANTS)))
    requests.gone("one", 1000.0)
    assert not requests.expire(1599.9)
    assert requests.said == WANTS
    assert requests.expire(1600.0)
    assert requests.orphaned
    assert requests.said == WANTS, "what there is does not change by that"
    assert not requests.expire(1700.0), "once"


def test_while_another_is_there_nobody_is_an_orphan() -> None:
    requests = ClientRequests()
    finish(requests.want("old", write_wants(WANTS)))
    finish(requests.want("new", write_wants(WANTS)))
    requests.gone("old", 1000.0)
    assert requests.until is None


def test_a_new_one_ends_it() -> None:
    requests = ClientRequests(orphan_seconds=1)
    finish(requests.want("one", write_wants(WANTS)))
    requests.gone("one", 0.0)
    requests.expire(5.0)
    finish(requests.want("two", write_wants(WANTS)))
    assert requests.said == WANTS and not requests.orphaned


def test_what_was_inherited_has_the_time_that_is_left() -> None:
    requests = ClientRequests(orphan_seconds=600)
    finish(requests.want("one", write_wants(WANTS)))
    assert requests.deadline(1000.0) == 1600.0, "who is there has to find the successor first"
    requests.gone("one", 1000.0)
    assert requests.deadline(1100.0) == 1600.0
    successor = ClientRequests(orphan_seconds=600)
    successor.adopt(WANTS, 1600.0, orphaned=False)
    assert successor.said == WANTS
    assert successor.expire(1600.0)


def test_what_makes_no_sense_is_refused_and_changes_nothing() -> None:
    requests = ClientRequests()
    finish(requests.want("one", write_wants(WANTS)))
    for attempt in (
        lambda: requests.change("another", {}),
        lambda: requests.want("one", write_wants(Layer2Wants("b"))),
        lambda: requests.want("one", write_wants(Layer2Wants(""))),
        lambda: requests.want("one", []),
    ):
        with pytest.raises(ProtocolError):
            finish(attempt())
    assert requests.said == WANTS


def test_many_addresses_are_read_in_pieces_and_count_when_all_are_read() -> None:
    """Heartbeats go out in between."""
    wants = Layer2Wants("a", addresses={VIP + number: AddressWant(ALL, "key") for number in range(3 * PIECE)})
    requests = ClientRequests()
    finish(requests.want("one", write_wants(WANTS)))
    reading = requests.want("one", write_wants(wants))
    for _piece in range(3):
        next(reading)
        assert requests.said == WANTS
    assert finish(reading) == requests.said == wants


def test_what_was_wanted_before_is_the_same_thing_afterwards() -> None:
    """A speaker that comes back says what the one before it said: nobody is to look at that again."""
    requests = ClientRequests()
    finish(requests.want("one", write_wants(WANTS)))
    before = requests.said
    assert before is not None
    more = {**WANTS.addresses, VIP + 1: AddressWant(ALL, "key")}
    finish(requests.want("two", write_wants(Layer2Wants("a", addresses=more))))
    assert requests.said is not None and requests.said.addresses == more
    assert requests.said.addresses[VIP] is before.addresses[VIP]
    assert requests.said.addresses[VIP + 1].electorate is before.addresses[VIP].electorate
