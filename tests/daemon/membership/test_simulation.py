# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the simulation's own time: it goes on, whatever the nodes' clocks say."""

from __future__ import annotations

import math

import pytest
from daemon.membership.simulation import AT_ONE_MOMENT, Segment, moment
from hypothesis import given
from hypothesis import strategies as st

# Clocks that started shortly before the simulation, where their times are rounded as finely as its own.
OFFSETS = st.one_of(st.floats(-1e4, 1e6), st.floats(512, 1024))
DUE = st.floats(1000, 1e7)


@given(DUE, OFFSETS)
def test_a_timer_rings_when_it_is_due_and_no_later_than_its_clock_can_tell(due: float, offset: float) -> None:
    at = moment(due, offset)
    assert due <= at + offset <= due + 2 * math.ulp(max(due, abs(offset)))


def test_a_clock_whose_times_are_rounded_does_not_make_time_stand_still() -> None:
    """The difference of both clocks at this start of node-a is rounded to a moment before its heartbeat."""
    due, offset = 1929.5679626790313, 845.6156020340546
    assert due - offset + offset < due
    made = Segment(["node-a"])
    made.start()
    node = made.nodes["node-a"]
    node.offset, node.members._heartbeat_at = offset, due
    made.run(due - offset - made.now)
    made.run(10.0)
    assert node.members._heartbeat_at > due + 9.0


def test_what_happens_at_one_moment_without_end_is_said() -> None:
    made = Segment(["node-a"])

    def again() -> None:
        made.at(made.now, again)

    again()
    with pytest.raises(AssertionError, match="stands still at 1000"):
        made.run(1.0)
    assert made._still == AT_ONE_MOMENT
