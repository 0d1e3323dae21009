# SPDX-License-Identifier: GPL-3.0-or-later
"""What speakers have said counts until another one says something else, or nobody comes for long."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from vipcast.layer2.wants import AddressWant, Layer2Wants
from vipcast.layer2d.demands import Demands
from vipcast.net.layer2_protocol import write_change, write_wants
from vipcast.net.lines import ProtocolError

VIP = ip_address("10.31.8.100")
ALL = ((10, frozenset({"a", "b"})), (0, frozenset({"c"})))
WANTS = Layer2Wants("a", addresses={VIP: AddressWant(ALL, str(VIP))})
NOTHING = Layer2Wants("a")


def test_the_last_one_that_spoke_is_followed() -> None:
    demands = Demands()
    demands.want("old", write_wants(WANTS))
    demands.want("new", write_wants(NOTHING))
    assert demands.effective == NOTHING
    demands.change("old", write_change(WANTS, WANTS))
    assert demands.effective == WANTS


def test_one_that_has_gone_is_followed_until_its_time_is_over() -> None:
    demands = Demands(orphan_seconds=600)
    demands.want("one", write_wants(WANTS))
    demands.gone("one", 1000.0)
    assert not demands.expire(1599.9)
    assert demands.effective == WANTS
    assert demands.expire(1600.0)
    assert demands.effective is not None
    (want,) = demands.effective.addresses.values()
    assert want.electorate == ((10, frozenset({"b"})), (0, frozenset({"c"}))), "the node is no candidate"
    assert not demands.expire(1700.0), "once"


def test_while_another_is_there_nobody_is_an_orphan() -> None:
    demands = Demands()
    demands.want("old", write_wants(WANTS))
    demands.want("new", write_wants(WANTS))
    demands.gone("old", 1000.0)
    assert demands.until is None


def test_a_new_one_ends_it() -> None:
    demands = Demands(orphan_seconds=1)
    demands.want("one", write_wants(WANTS))
    demands.gone("one", 0.0)
    demands.expire(5.0)
    demands.want("two", write_wants(WANTS))
    assert demands.effective == WANTS and not demands.orphaned


def test_what_was_inherited_has_the_time_that_is_left() -> None:
    demands = Demands(orphan_seconds=600)
    demands.want("one", write_wants(WANTS))
    assert demands.deadline(1000.0) == 1600.0, "who is there has to find the heir first"
    demands.gone("one", 1000.0)
    assert demands.deadline(1100.0) == 1600.0
    heir = Demands(orphan_seconds=600)
    heir.adopt(WANTS, 1600.0, orphaned=False)
    assert heir.effective == WANTS
    assert heir.expire(1600.0)


def test_what_makes_no_sense_is_refused_and_changes_nothing() -> None:
    demands = Demands()
    demands.want("one", write_wants(WANTS))
    for attempt in (
        lambda: demands.change("another", {}),
        lambda: demands.want("one", write_wants(Layer2Wants("b"))),
        lambda: demands.want("one", write_wants(Layer2Wants(""))),
        lambda: demands.want("one", []),
    ):
        with pytest.raises(ProtocolError):
            attempt()
    assert demands.effective == WANTS
