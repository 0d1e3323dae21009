# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of leading, in virtual time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from vipcast.k8s.elector import LONGEST_LEASE, Elector, Record, Timing, Write

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
OTHER = Record("other", 3, "2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.000000Z", 4, "7")
FREE = replace(OTHER, holder="", duration=1)


def step(state: Elector, now: float) -> tuple[Elector, Write | None]:
    return state.step(now, EPOCH + timedelta(seconds=now))


def taken(state: Elector, now: float, version: str = "8") -> Elector:
    """The write that is due now succeeds at once."""
    state, write = step(state, now)
    assert write is not None
    return state.answered(write, replace(write.record, version=version), now)


def leader(now: float = 0.0) -> Elector:
    return taken(Elector("me").observed(FREE, now), now)


def test_nothing_is_written_before_anything_was_seen() -> None:
    assert step(Elector("me"), 100.0) == (Elector("me"), None)
    assert Elector("me").timer() is None


def test_a_lease_that_was_given_back_is_taken_at_once() -> None:
    state, write = step(Elector("me").observed(FREE, 10.0), 10.0)
    assert write is not None and write.over == "7"
    assert (write.record.holder, write.record.duration, write.record.transitions) == ("me", 3, 5)
    assert write.record.acquired == write.record.renewed == "2026-01-01T00:00:10.000000Z"
    assert not state.leads(10.0)
    state = state.answered(write, replace(write.record, version="8"), 10.1)
    assert state.leads(10.1) and state.clean and state.leader == "me"


def test_where_there_is_no_lease_one_that_names_nobody_is_made_and_waited_for() -> None:
    state, write = step(Elector("me").observed(None, 10.0), 10.0)
    assert write is not None and write.over is None
    assert (write.record.holder, write.record.duration) == ("", 3) and not write.record.released
    state = state.answered(write, replace(write.record, version="1"), 10.1)
    assert not state.leads(10.1) and state.timer() == pytest.approx(13.1)
    assert taken(state, 13.1).leads(13.2)


@pytest.mark.parametrize(
    ("record", "seconds"),
    [
        (OTHER, 3),
        (replace(OTHER, holder=""), 3),  # emptied by hand, not given back
        (replace(OTHER, holder="me"), 3),  # written by somebody in our name
        (replace(OTHER, duration=0), 3),
        (replace(OTHER, duration=-5), 3),
        (replace(OTHER, duration=10), 10),
        (replace(OTHER, duration=10**9), LONGEST_LEASE),
    ],
)
def test_anything_else_is_waited_for(record: Record, seconds: float) -> None:
    state = Elector("me").observed(record, 10.0)
    assert state.timer() == 10.0 + seconds
    assert step(state, 9.9 + seconds)[1] is None
    state, write = step(state, 10.0 + seconds)
    assert write is not None and write.over == (record.version if record else None)
    state = state.answered(write, replace(write.record, version="8"), 20.0)
    assert not state.clean


def test_every_renewal_that_is_seen_begins_the_wait_anew() -> None:
    state = Elector("me").observed(OTHER, 10.0)
    state = state.observed(replace(OTHER, renewed="2026-01-01T00:00:01.000000Z", version="8"), 12.0)
    assert state.timer() == 15.0
    state = state.observed(replace(state.seen or OTHER, version="9"), 14.0)  # a label was changed
    assert state.timer() == 15.0
    assert step(state, 15.0)[1].over == "9"  # type: ignore[union-attr]


def test_a_leader_renews_over_its_own_version_and_keeps_since_when() -> None:
    state = leader(10.0)
    assert state.timer() == 10.75
    assert step(state, 10.7)[1] is None
    state, write = step(state, 10.75)
    assert write is not None and write.over == "8"
    assert (write.record.transitions, write.record.acquired) == (5, "2026-01-01T00:00:10.000000Z")
    assert write.record.renewed == "2026-01-01T00:00:10.750000Z"
    state = state.answered(write, replace(write.record, version="9"), 11.5)
    assert state.leads(12.99) and not state.leads(13.0)  # from when the write began, not from its answer


def test_a_leader_that_cannot_renew_ends_at_its_deadline_and_may_take_its_own_lease_again() -> None:
    state = leader(0.0)
    for now in (0.75, 1.0, 1.25, 1.5, 1.75, 2.0):
        state, write = step(state, now)
        assert write is not None
        state = state.failed(now, conflict=False)
        assert state.leads(now)
    assert not state.leads(2.25)
    state, write = step(state, 2.25)
    assert state.held is None and write is not None
    assert (
        write.over == "8"
    )  # nobody can lead by what we wrote ourselves: whoever took it made another version
    state = state.answered(write, replace(write.record, version="9"), 2.3)
    assert state.leads(4.4) and state.own and not state.clean


def test_a_lease_in_our_name_that_somebody_else_wrote_is_waited_for() -> None:
    state = leader(0.0)
    state, _none = step(
        state.observed(replace(state.seen or FREE, renewed="scribbled", version="9"), 2.0), 2.25
    )
    state = state.failed(2.3, conflict=True)
    state = state.observed(replace(state.seen or FREE, renewed="scribbled", version="9"), 2.5)
    assert state.timer() == 5.5


def test_a_term_follows_our_own_only_if_nobody_else_was_named_in_between() -> None:
    state = leader(0.0)
    assert not state.own
    state, _none = step(state, 1.0)
    assert taken(replace(state, busy=False, attempt=None), 2.3).own
    state = leader(0.0).observed(OTHER, 1.0)
    state = taken(state, 4.0)
    assert state.leads(4.1) and not state.own
    # What we wrote without ever leading by it is no term: whoever led before is not fenced yet.
    state, write = step(Elector("me").observed(OTHER, 0.0), 3.0)
    assert write is not None
    state = state.failed(4.1, conflict=False).observed(replace(write.record, version="8"), 4.2)
    assert state.leads(4.3) and not state.own


def test_an_answer_to_an_earlier_write_is_seen_in_the_lease_too() -> None:
    state, first = step(Elector("me").observed(FREE, 10.0), 10.0)
    assert first is not None
    state = state.failed(11.1, conflict=False)
    state, second = step(state, 12.0)
    assert second is not None and second.record != first.record
    state = state.observed(replace(first.record, version="8"), 12.1)
    assert state.leads(12.2) and not state.leads(12.25)
    assert state.mine


def slow_leader(latency: float = 2.0) -> Elector:
    """One that leads by a write that took `latency` seconds, after another one that had taken as long."""
    state = Elector("me").observed(FREE, 0.0)
    for start in (0.0, 5.0):
        state, write = step(state, start)
        assert write is not None and write.record.duration == Timing().lease
        state = replace(state.failed(start + latency, conflict=False), attempt=None)
    state, write = step(state, 10.0)
    assert write is not None and write.record.duration == Timing().slow_lease
    return state.answered(write, replace(write.record, version="8"), 10.0 + latency)


def test_slow_writes_make_a_long_lease_which_has_to_be_read_to_be_led_by() -> None:
    state = slow_leader()
    assert state.patience == Timing().slow_attempt
    assert state.reads and state.leads(12.2) and not state.leads(12.25)
    for now in (11.5, 13.0, 14.5, 16.0, 17.5):
        state = state.verified(state.seen, now, now + 0.7)
    assert state.leads(18.9) and not state.leads(19.0)  # three quarters of the 12 s that the others wait
    other = state.verified(OTHER, 17.6, 17.7)
    assert not other.leads(17.8)
    gone = state.verified(None, 17.6, 17.7)
    assert gone.leads(17.8) and not gone.leads(19.8)


def test_the_others_wait_for_a_long_lease() -> None:
    seen = slow_leader().seen
    assert Elector("you").observed(seen, 12.0).timer() == 24.0


def test_a_read_that_shows_something_else_in_our_name_prolongs_nothing() -> None:
    state = slow_leader()
    scribbled = replace(state.seen or FREE, renewed="scribbled", version="9")
    assert not state.verified(scribbled, 12.0, 12.1).leads(12.25)


def test_quick_writes_make_a_short_lease_again() -> None:
    state, now = slow_leader(), 12.1
    for number in range(20):
        state = taken(state, now, str(20 + number))
        now += 0.75
    assert state.seen is not None and state.seen.duration == Timing().lease and not state.reads


def test_who_loses_the_lead_again_and_again_pauses_longer_each_time() -> None:
    state, now, pauses = leader(0.0), 0.0, []
    for number in range(8):
        now += 2.25
        state, _write = replace(state, next_at=0.0).step(now, EPOCH)
        state = replace(state, busy=False, attempt=None)
        pauses.append(max(0.0, state.next_at - now))
        now += pauses[-1]
        state = taken(replace(state, next_at=0.0), now, str(100 + number))
    assert pauses == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    for number in range(40):  # a term that lasts ends the series
        now += 0.75
        state = taken(state, now, str(200 + number))
    assert step(replace(state, next_at=0.0), now + 2.25)[0].series == 1


def test_a_write_that_is_refused_for_good_is_tried_more_and_more_seldom() -> None:
    state, now, pauses = Elector("me").observed(FREE, 0.0), 0.0, []
    for _number in range(6):
        state, write = step(state, now)
        assert write is not None
        state = state.failed(now, conflict=False, refused=True)
        pauses.append(state.next_at - now)
        now = state.next_at
    assert pauses == [1.5, 3.0, 6.0, 8.0, 8.0, 8.0]
    state, _write = step(state, now)
    assert state.failed(now, conflict=False).next_at == now + Timing().renew
    leading = leader(0.0).failed(0.8, conflict=False, refused=True)
    assert leading.next_at == pytest.approx(0.8 + Timing().retry)  # it has no time for that


def test_it_ends_at_its_deadline_with_a_write_under_way() -> None:
    state, write = step(leader(0.0), 2.0)
    assert state.timer() == 2.25
    state, none = step(state, 2.25)
    assert none is None and state.held is None and state.busy
    assert write is not None
    state = state.answered(write, replace(write.record, version="9"), 2.3)
    assert state.leads(2.3)  # it had succeeded after all: a new term, from the write's begin
    assert not state.leads(4.25) and not state.clean


def test_an_answer_that_got_lost_is_seen_in_the_lease() -> None:
    state, write = step(Elector("me").observed(FREE, 10.0), 10.0)
    assert write is not None
    state = state.failed(11.1, conflict=False)
    state = state.observed(replace(write.record, version="8"), 11.2)
    assert state.leads(12.2) and not state.leads(12.25)
    assert state.next_at == 10.75  # and is renewed at once


def test_its_own_renewals_that_come_late_change_nothing() -> None:
    first = leader(0.0)
    second = taken(first, 0.75, "9")
    assert second.observed(first.seen, 0.8) == second
    assert second.observed(second.seen, 0.9) == second


def test_after_a_conflict_the_version_is_learned_and_renewed_over() -> None:
    state, _write = step(leader(0.0), 0.75)
    state = state.failed(0.8, conflict=True)
    scribbled = replace(state.seen or FREE, renewed="", version="11")
    state = state.observed(scribbled, 0.9)
    assert state.leads(0.9)
    _state, write = step(state, 0.9)
    assert write is not None and write.over == "11"


@pytest.mark.parametrize("record", [OTHER, FREE, replace(OTHER, holder="")])
def test_a_leader_that_reads_another_name_leads_no_more(record: Record) -> None:
    state = leader(0.0).observed(record, 0.5)
    assert not state.leads(0.5) and state.held is None


def test_a_leader_makes_a_deleted_lease_again_while_the_others_wait() -> None:
    state = leader(0.0).observed(None, 0.3)
    assert state.leads(0.3)
    state, write = step(state, 0.3)
    assert write is not None and write.over is None
    assert taken(leader(0.0).observed(None, 0.3), 0.3).leads(2.5)


def test_an_answer_that_is_older_than_what_was_seen_is_not_believed() -> None:
    state, write = step(leader(0.0), 0.75)
    assert write is not None
    state = state.observed(OTHER, 0.8)
    state = state.answered(write, replace(write.record, version="6"), 0.9)
    assert not state.leads(0.9) and state.seen == OTHER and not state.busy


def test_the_same_refusal_again_is_no_reason_to_hurry() -> None:
    """Such as a namespace that is gone: creating says 404, and the list is as empty as before."""
    state = Elector("me").observed(None, 0.0)
    state, write = step(state, 3.0)
    assert write is not None
    state = state.failed(3.1, conflict=True).observed(None, 3.2)
    assert step(state, 3.3)[1] is None
    assert state.timer() == pytest.approx(3.1 + Timing().renew)


def test_giving_it_back() -> None:
    state, write = leader(0.0).resigned(EPOCH + timedelta(seconds=1), 1.0)
    assert not state.leads(1.0)
    assert write is not None and write.over == "8"
    assert write.record.released and write.record.transitions == 5
    assert Elector("me").observed(OTHER, 0.0).resigned(EPOCH, 0.0)[1] is None
    assert Elector("me").resigned(EPOCH, 0.0)[1] is None


def test_a_jump_of_the_wall_clock_moves_nothing() -> None:
    state = leader(0.0)
    state, write = state.step(0.75, EPOCH - timedelta(days=400))
    assert write is not None
    state = state.answered(write, replace(write.record, version="9"), 0.8)
    assert state.timer() == 1.5 and state.leads(2.9)


def test_the_margins_add_up() -> None:
    timing = Timing()
    assert timing.renew + timing.attempt + timing.retry < timing.deadline  # a second try fits
    assert timing.deadline <= 0.75 * timing.lease
    assert timing.lasts(timing.slow_lease) <= 0.75 * timing.slow_lease
    assert 2 * timing.slow_attempt < timing.lasts(timing.slow_lease)
    assert timing.read + 2.0 < timing.deadline  # reads of two seconds follow each other without a gap
