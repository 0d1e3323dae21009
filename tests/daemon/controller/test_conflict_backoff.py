# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how often one service is written, in virtual time."""

from __future__ import annotations

from itertools import pairwise

from vipcast.controller import conflict_backoff as module
from vipcast.controller.conflict_backoff import FREE, MOST, QUIET, UNDONE, ConflictBackoff


def writes(seconds: float, *, undone: bool, every: float = 0.01) -> list[float]:
    """Return the times at which a service is written that another program changes all the time."""
    backoff, now, found = ConflictBackoff[str](), 0.0, []
    while now < seconds:
        if backoff.wait("a", now) <= 0:
            backoff.wrote("a", now, undone=undone)
            found.append(now)
        now += every
    return found


def test_what_a_user_changes_all_the_time_is_written_once_in_a_second() -> None:
    found = writes(60, undone=False)
    assert found[FREE - 1] < 0.2  # a few follow each other at once
    assert 55 <= len(found) <= 60 + FREE


def test_what_somebody_undoes_is_slowed_down_sooner() -> None:
    own, fought = writes(60, undone=False), writes(60, undone=True)
    assert len(fought) < 10 < len(own)
    assert len([each for each in writes(900, undone=True) if each > 300]) <= 600 / MOST + 1
    assert len([each for each in fought if each < 0.5]) <= FREE // UNDONE + 1
    gaps = [after - before for before, after in pairwise(fought)][-4:]
    assert all(after > 1.9 * before for before, after in pairwise(gaps))


def test_one_that_was_left_alone_begins_anew_and_others_never_wait() -> None:
    backoff = ConflictBackoff[str]()
    for number in range(40):
        backoff.wrote("a", number * 0.01, undone=True)
    assert backoff.wait("a", 1.0) > 10 and backoff.undone("a") == 40
    assert backoff.wait("b", 1.0) == 0 and backoff.undone("b") == 0
    backoff.wrote("a", 1.0 + QUIET + MOST, undone=True)
    assert backoff.wait("a", 1.0 + QUIET + MOST) == 0 and backoff.undone("a") == 1


def test_services_that_are_long_gone_are_forgotten() -> None:
    backoff = ConflictBackoff[int]()
    for number in range(20 * module._FEW):
        backoff.wrote(number, float(number), undone=False)
    assert len(backoff._past) < 3 * module._FEW
