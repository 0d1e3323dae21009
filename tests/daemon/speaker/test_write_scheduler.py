# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how often objects are written: however much happens, the API server hears little of it."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from support.bounds import at_most

from vipcast.speaker.reporting.write_scheduler import BURST, CALM, MOST, QUIET, RATE, SETTLE, WriteScheduler


def writes(
    scheduler: WriteScheduler[str], begin: float, end: float, step: float = 0.05
) -> list[tuple[float, str]]:
    """Everything that is written meanwhile, by a writer for whom it takes no time."""
    found = []
    for number in range(int((end - begin) / step) + 1):
        now = begin + number * step
        more = at_most()
        while more() and (key := scheduler.take(now)) is not None:
            found.append((round(now, 3), key))
            scheduler.written(key, now)
    return found


def test_a_change_settles_first_and_several_are_one() -> None:
    scheduler: WriteScheduler[str] = WriteScheduler()
    scheduler.add("a", 0.0)
    scheduler.add("a", 0.3)
    assert scheduler.take(SETTLE - 0.01) is None
    assert scheduler.timer(0.3) == SETTLE
    assert writes(scheduler, SETTLE, 10.0) == [(SETTLE, "a")]
    assert len(scheduler) == 0 and scheduler.timer(10.0) is None


def test_what_changes_all_the_time_is_written_less_and_less_often() -> None:
    scheduler: WriteScheduler[str] = WriteScheduler()
    times = []
    for tick in range(1200):
        now = tick / 10
        scheduler.add("flaps", now)
        times += [when for when, _key in writes(scheduler, now, now)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps[0] >= CALM
    assert gaps == sorted(gaps) and gaps[-1] <= MOST + 0.2
    assert len(times) <= 12  # of 1,200 changes in two minutes


def test_what_was_quiet_for_long_is_written_at_once_again() -> None:
    scheduler: WriteScheduler[str] = WriteScheduler()
    for tick in range(300):
        scheduler.add("a", tick / 10)
        writes(scheduler, tick / 10, tick / 10)
    writes(scheduler, 30.0, 60.0)
    later = 60.0 + QUIET
    scheduler.add("a", later)
    assert writes(scheduler, later, later + 1) == [(later + SETTLE, "a")]


def test_a_thousand_at_once_are_a_burst_and_then_a_rate() -> None:
    scheduler: WriteScheduler[str] = WriteScheduler()
    for number in range(1000):
        scheduler.add(f"s{number}", 0.0)
    found = writes(scheduler, 0.0, 200.0)
    assert len(found) == 1000
    assert sum(when <= SETTLE for when, _key in found) == BURST
    last = found[-1][0]
    assert abs(last - (SETTLE + (1000 - BURST) / RATE)) < 1


def test_the_first_lane_passes_the_second() -> None:
    scheduler: WriteScheduler[str] = WriteScheduler()
    for number in range(200):
        scheduler.add(f"s{number}", 0.0)
    writes(scheduler, 0.0, 2.0)
    scheduler.add("session", 2.0, lane=0)
    assert (2.0 + SETTLE, "session") in writes(scheduler, 2.0, 3.0)


def test_what_failed_is_tried_again_later_and_later() -> None:
    scheduler: WriteScheduler[str] = WriteScheduler()
    scheduler.add("a", 0.0)
    tries = []
    for tick in range(1000):
        now = tick / 10
        if (key := scheduler.take(now)) is not None:
            tries.append(now)
            scheduler.failed(key, now)
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert gaps[0] >= CALM and gaps == sorted(gaps) and len(tries) < 12


def test_what_needed_no_write_costs_nothing() -> None:
    scheduler: WriteScheduler[str] = WriteScheduler()
    for number in range(500):
        scheduler.add(f"s{number}", 0.0)
    taken = 0
    more = at_most()
    while more() and scheduler.take(1.0) is not None:
        scheduler.unused(1.0)
        taken += 1
    assert taken == 500


def test_in_a_hurry_sessions_are_due_at_once_even_when_nothing_is_saved_up() -> None:
    scheduler: WriteScheduler[str] = WriteScheduler()
    for number in range(100):
        scheduler.add(f"s{number}", 0.0)
    writes(scheduler, 0.0, 1.0)
    scheduler.add("session", 1.0, lane=0)
    scheduler.hurry(1.0)
    assert scheduler.take(1.0) == "session"


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from("abcdef"), st.integers(0, 1)), max_size=200))
def test_every_change_is_followed_by_a_write_and_never_more_than_the_rate_allows(
    changes: list[tuple[float, str, int]],
) -> None:
    scheduler: WriteScheduler[str] = WriteScheduler(rate=2.0, burst=3.0)
    now, last_change, found = 0.0, {}, []
    for wait, key, lane in changes:
        found += writes(scheduler, now, now + wait)
        now += wait
        scheduler.add(key, now, lane=lane)
        last_change[key] = now
    found += writes(scheduler, now, now + 200)
    for key, when in last_change.items():
        assert any(each == key and at >= when - 0.001 for at, each in found)  # they are rounded
    for begin, _key in found:
        assert sum(begin <= at < begin + 10 for at, _each in found) <= 3 + 2 * 10 + 1
