# SPDX-License-Identifier: GPL-3.0-or-later
"""Test which foreign answers are conflicts, and which come of a new owner."""

from __future__ import annotations

from daemon.layer2.wire_cases import THEIRS, VIP, VIP6
from support.bounds import at_most

from vipcast.layer2.conflict_detector import GRACE, REMEMBERED, AddressConflict, ConflictDetector
from vipcast.layer2.responder import MOST_FOREIGN, Foreign, How

FOREIGN = Foreign(VIP, THEIRS, How.REPLY)


def watch() -> ConflictDetector:
    """Has had the VIP for long."""
    one = ConflictDetector()
    one.claimed(VIP, 0.0)
    return one


def test_a_foreign_answer_is_an_alarm_when_the_address_is_still_ours_a_second_later() -> None:
    one = watch()
    one.heard(FOREIGN, 100.0)
    assert one.handle_timer(100.9) == []
    assert one.timer() == 100.0 + GRACE
    assert one.macs(VIP) == ()
    assert one.handle_timer(101.0) == [AddressConflict(FOREIGN, 1)]
    assert one.macs(VIP) == (THEIRS,)


def test_the_announcement_of_the_next_owner_is_no_alarm() -> None:
    one = watch()
    one.heard(FOREIGN, 100.0)
    one.released(VIP)
    assert one.timer() is None
    assert one.handle_timer(200.0) == []


def test_the_last_answer_of_the_former_owner_is_no_alarm() -> None:
    one = watch()
    one.claimed(VIP, 100.0)
    one.heard(FOREIGN, 100.5)
    assert one.timer() is None


def test_what_is_not_ours_is_nobodys_alarm() -> None:
    one = watch()
    one.heard(Foreign(VIP6, THEIRS, How.ADVERTISEMENT), 100.0)
    assert one.timer() is None


def test_one_that_goes_on_is_an_alarm_every_ten_seconds() -> None:
    one, alarms = watch(), []
    for tenth in range(1000, 1350):
        now = tenth / 10
        one.heard(FOREIGN, now)
        alarms += [(now, alarm.times) for alarm in one.handle_timer(now)]
    assert alarms == [(101.0, 1), (111.0, 2), (121.0, 3), (131.0, 4)]


def test_one_that_is_silent_is_forgotten() -> None:
    one = watch()
    one.heard(FOREIGN, 100.0)
    one.handle_timer(101.0)
    more = at_most()
    while more() and (at := one.timer()) is not None:
        assert one.macs(VIP) == (THEIRS,)
        assert one.handle_timer(at) == []
    assert at is None
    assert one.macs(VIP) == ()
    one.heard(FOREIGN, 100.0 + 2 * REMEMBERED)
    assert one.handle_timer(200.0 + 2 * REMEMBERED) == [AddressConflict(FOREIGN, 1)]


def test_each_mac_is_an_alarm_of_its_own_and_a_flood_of_them_ends() -> None:
    one = watch()
    for number in range(2 * MOST_FOREIGN):
        one.heard(Foreign(VIP, number.to_bytes(6), How.REPLY), 100.0)
    assert len(one.handle_timer(101.0)) == MOST_FOREIGN
    assert len(one.macs(VIP)) == MOST_FOREIGN
