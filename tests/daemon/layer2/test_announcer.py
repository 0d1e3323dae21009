# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what is said when, in virtual time."""

from __future__ import annotations

import json
from collections import Counter
from ipaddress import IPv4Address, IPv6Address

import pytest
from daemon.layer2.driven import Said, run
from daemon.layer2.wire_cases import ALL_NODES, OURS, THEIRS, VIP, VIP6
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bounds import at_most

from vipcast.layer2 import arp, ndp
from vipcast.layer2.announcer import DEFEND_INTERVAL, Announcer, AnnouncerSettings
from vipcast.layer2.timer_queue import TimerQueue
from vipcast.model.addresses import IPAddress

# Of a segment that takes any rate: what sockets have room for is the limit.
UNPOLICED = 10_000.0
AT_ONCE = [0.0, 0.1, 0.3, 1.0, 2.0, 4.0]


def announcer(**values: float) -> Announcer:
    one = Announcer(AnnouncerSettings(**values))  # type: ignore[arg-type]
    one.set_interfaces({"eth0": OURS}, 0.0)
    return one


def times(said: list[Said], interface: str = "eth0") -> list[float]:
    """Each announcement once, however many frames it has."""
    return sorted({round(one.at, 3) for one in said if one.interface == interface})


def many(count: int) -> list[IPAddress]:
    return [IPv4Address("10.31.0.0") + number for number in range(count)]


# ---- one address ----


def test_an_address_is_announced_at_once_and_repeated_and_then_refreshed() -> None:
    one = announcer()
    one.claim(VIP, 0.0)
    said = times(run(one, 200.0))
    assert said[:6] == AT_ONCE
    first, second, third = said[6:9]
    assert 4.0 <= first <= 64.0
    assert (second - first, third - second) == (pytest.approx(60), pytest.approx(60))


def test_each_announcement_of_an_ipv4_address_is_a_request_and_a_reply() -> None:
    one = announcer()
    one.claim(VIP, 0.0)
    kinds = [
        (said.at, said.frame.operation) for said in run(one, 0.1) if isinstance(said.frame, arp.ArpFrame)
    ]
    pair = [arp.Operation.REQUEST, arp.Operation.REPLY]
    assert kinds == [(0.0, pair[0]), (0.0, pair[1]), (0.1, pair[0]), (0.1, pair[1])]


def test_an_ipv6_address_is_advertised_to_all_nodes_unsolicited_and_overriding() -> None:
    """RFC 4861 section 7.2.6."""
    one = announcer()
    one.claim(VIP6, 0.0)
    (said,) = run(one, 0.0)
    assert isinstance(said.frame, ndp.Advertisement)
    assert (said.frame.destination, said.frame.target, said.frame.mac) == (ALL_NODES, VIP6, OURS)
    assert (said.frame.solicited, said.frame.override) == (False, True)


def test_without_refresh_nothing_is_said_after_the_repeats() -> None:
    one = announcer(refresh=0.0)
    one.claim(VIP, 0.0)
    assert times(run(one, 1000.0)) == AT_ONCE
    assert one.timer() is None


def test_nothing_is_said_of_an_address_that_is_released() -> None:
    one = announcer()
    one.claim(VIP, 0.0)
    run(one, 0.2)
    one.release(VIP)
    assert one.timer() is None
    assert one.sent == {}
    one.release(VIP6)


def test_an_address_that_is_claimed_again_is_announced_anew() -> None:
    one = announcer()
    one.claim(VIP, 0.0)
    run(one, 30.0)
    one.claim(VIP, 30.0)
    assert times(run(one, 34.0, start=30.0)) == [30 + at for at in AT_ONCE]


def test_frames_are_counted_by_address() -> None:
    one = announcer(refresh=0.0)
    one.claim(VIP, 0.0)
    one.claim(VIP6, 0.0)
    run(one, 10.0)
    assert one.sent == {VIP: 12, VIP6: 6}


def test_refresh_can_be_changed_and_switched_off_and_on() -> None:
    one = announcer()
    one.claim(VIP, 0.0)
    run(one, 10.0)
    one.set_refresh(0.0, 10.0)
    assert run(one, 500.0, start=10.0) == []
    one.set_refresh(5.0, 500.0)
    assert len(times(run(one, 550.0, start=500.0))) in (9, 10, 11)


def test_many_addresses_are_refreshed_once_a_minute_each_and_a_few_of_them_at_a_time() -> None:
    one = announcer()
    for address in many(1000):
        one.claim(address, 0.0)
    run(one, 100.0)
    said = run(one, 160.0, start=100.0)
    frames = [each.frame for each in said if isinstance(each.frame, arp.ArpFrame)]
    refreshed = Counter(frame.target for frame in frames if frame.operation is arp.Operation.REQUEST)
    assert set(refreshed) == set(many(1000))
    assert set(refreshed.values()) == {1}
    assert 100 < len(times(said)) <= 121


def test_a_refresh_that_is_changed_during_the_repeats_leaves_them_alone() -> None:
    one = announcer()
    one.claim(VIP, 0.0)
    run(one, 0.5)
    one.set_refresh(0.0, 0.5)
    assert times(run(one, 500.0, start=0.5)) == [1.0, 2.0, 4.0]


def test_a_process_that_was_stopped_says_it_once_and_not_for_every_time_it_missed() -> None:
    one = announcer()
    one.claim(VIP, 0.0)
    run(one, 100.0)
    assert len(times(run(one, 1000.0, start=1000.0))) == 1


# ---- defending ----


def test_an_address_is_defended_once_in_ten_seconds() -> None:
    one = announcer(refresh=0.0)
    one.claim(VIP, 0.0)
    run(one, 10.0)
    assert one.defend(VIP, 20.0)
    assert not one.defend(VIP, 20.0 + DEFEND_INTERVAL / 2)
    assert times(run(one, 29.0, start=20.0)) == [20.0]
    assert one.defend(VIP, 20.0 + DEFEND_INTERVAL)
    assert times(run(one, 99.0, start=30.0)) == [30.0]


def test_defending_does_not_end_the_refresh_nor_begin_the_repeats_anew() -> None:
    one = announcer(refresh=5.0)
    one.claim(VIP, 0.0)
    run(one, 20.0)
    assert one.defend(VIP, 20.0)
    assert times(run(one, 30.0, start=20.0)) == [20.0, 25.0, 30.0]


def test_what_is_not_ours_is_not_defended() -> None:
    assert not announcer().defend(VIP, 0.0)


# ---- interfaces ----


def test_an_interface_that_appears_is_told_all_and_the_others_nothing_new() -> None:
    one = announcer()
    one.claim(VIP, 0.0)
    run(one, 2.5)
    one.set_interfaces({"eth0": OURS, "eth1": THEIRS}, 2.5)
    said = run(one, 6.5, start=2.5)
    assert times(said, "eth0") == [4.0]
    assert times(said, "eth1") == [2.5 + at for at in AT_ONCE]
    assert {one.frame.source for one in said if one.interface == "eth1"} == {THEIRS}


def test_another_mac_is_told_at_once() -> None:
    one = announcer()
    one.claim(VIP, 0.0)
    run(one, 10.0)
    one.set_interfaces({"eth0": THEIRS}, 10.0)
    said = run(one, 10.5, start=10.0)
    assert times(said) == [10.0, 10.1, 10.3]
    assert {one.frame.source for one in said} == {THEIRS}


def test_an_interface_that_is_gone_is_told_nothing_and_all_when_it_is_back() -> None:
    one = announcer()
    one.claim(VIP, 0.0)
    run(one, 10.0)
    one.set_interfaces({}, 10.0)
    assert one.timer() is None
    one.set_interfaces({"eth0": OURS}, 20.0)
    assert times(run(one, 24.0, start=20.0)) == [20 + at for at in AT_ONCE]


def test_an_address_is_announced_on_its_interfaces_alone() -> None:
    one = announcer()
    one.set_interfaces({"eth0": OURS, "eth1": THEIRS}, 0.0)
    one.claim(VIP, 0.0, frozenset({"eth1", "eth7"}))
    assert {said.interface for said in run(one, 5.0)} == {"eth1"}
    one.claim(VIP, 5.0, frozenset({"eth0"}))
    assert {said.interface for said in run(one, 10.0, start=5.0)} == {"eth0"}


# ---- many ----


def test_two_thousand_addresses_are_announced_within_a_tenth_of_a_second_and_not_as_one_blast() -> None:
    one = announcer(frames_per_second=UNPOLICED)
    for address in many(2000):
        one.claim(address, 0.0)
    said = run(one, 0.099)
    assert {each.address for each in said} == set(many(2000))
    by_millisecond = Counter(int(each.at * 1000) for each in said)
    assert max(by_millisecond.values()) <= 200 + 40
    assert max(by_millisecond[at] for at in by_millisecond if at > 1) <= 80


def test_where_frames_are_scarce_each_address_is_requested_before_any_reply_goes_out() -> None:
    """A node with 1,000 addresses dies: most equipment learns from the request alone."""
    one = announcer()
    for address in many(1000):
        one.claim(address, 0.0)
    said = run(one, 30.0)
    assert one.settings.frames_per_second <= 150_000 / 8 / 64, "Junos lets 150 kbit/s through"
    requests = {
        each.frame.target: each.at
        for each in reversed(said)
        if isinstance(each.frame, arp.ArpFrame) and each.frame.operation is arp.Operation.REQUEST
    }
    assert requests.keys() == set(many(1000))
    assert max(requests.values()) == pytest.approx((1000 - 250) / 250, abs=0.1)
    seconds = Counter(int(each.at) for each in said)
    assert max(seconds[second] for second in range(1, 30)) <= 250 + 1


def test_what_is_new_does_not_wait_for_the_repeats_of_others() -> None:
    one = announcer(frames_per_second=UNPOLICED)
    for address in many(5000):
        one.claim(address, 0.0)
    run(one, 0.4)
    one.claim(VIP, 0.4)
    said = run(one, 0.45, start=0.4)
    assert said[0].address == VIP
    assert len({each.address for each in said}) > 100, "the repeats go on"


def test_a_thousand_addresses_are_all_repeated_and_then_refreshed_without_a_storm() -> None:
    one = announcer(frames_per_second=UNPOLICED)
    for address in many(1000):
        one.claim(address, 0.0)
    run(one, 10.0)
    assert set(one.sent.values()) <= {12, 14}, "six announcements each; the first have had a refresh"
    said = run(one, 130.0, start=10.0)
    assert {each.address for each in said} == set(many(1000))
    by_second = Counter(int(each.at) for each in said)
    assert max(by_second.values()) <= 3 * 2 * 1000 / 60


def test_a_pace_of_one_frame_in_a_millisecond_is_kept() -> None:
    one = announcer(frames_per_millisecond=1.0, refresh=0.0)
    for address in many(100):
        one.claim(address, 0.0)
    said = run(one, 0.15)
    assert 100 <= len(said) <= 160


def test_no_second_has_more_frames_than_the_bound_and_once_as_many_at_once() -> None:
    one = announcer(refresh=0.0)
    one.set_rate(40)
    for address in many(100):
        one.claim(address, 0.0)
    said = run(one, 120.0)
    assert len(said) == 12 * 100, "all is said in the end"
    by_second = Counter(int(each.at) for each in said)
    assert max(by_second.values()) <= 2 * 40 + 2
    assert sum(by_second[second] for second in range(10)) <= 11 * 40 + 2


def test_what_is_said_again_is_said_once_and_the_rest_goes_on() -> None:
    one = announcer(refresh=0.0)
    one.claim(VIP, 0.0)
    run(one, 10.0)
    assert not run(one, 60.0, start=10.0)
    one.again(VIP, 60.0)
    assert len(run(one, 120.0, start=60.0)) == 2, "both forms of one announcement"


@settings(max_examples=50, deadline=None)
@given(st.floats(0.2, 100), st.integers(1, 40), st.floats(0, 0.05), st.sampled_from([0.0, 1e5, 1e9]))
def test_whatever_the_pace_everything_is_said_in_the_end(
    pace: float, count: int, late: float, start: float
) -> None:
    one = announcer(frames_per_millisecond=pace, refresh=0.0)
    addresses: list[IPAddress] = [
        *many(count),
        *(IPv6Address("fd00::") + number for number in range(count)),
    ]
    for address in addresses:
        one.claim(address, start)
    said = run(one, start + 100.0, start=start, late=late)
    assert Counter(each.address for each in said) == {
        address: 12 if isinstance(address, IPv4Address) else 6 for address in addresses
    }


# ---- hand-over ----


def test_the_next_process_goes_on_where_this_one_stopped() -> None:
    one = announcer()
    one.claim(VIP, 0.0)
    one.claim(VIP6, 0.5, frozenset({"eth0"}))
    run(one, 1.2)
    successor = announcer()
    successor.restore(json.loads(json.dumps(one.export())), 1.2)
    assert successor.claimed == {VIP: None, VIP6: frozenset({"eth0"})}
    assert run(successor, 100.0, start=1.2) == run(one, 100.0, start=1.2)


def test_the_next_process_says_all_anew_where_the_mac_has_changed_meanwhile() -> None:
    one = announcer()
    one.claim(VIP, 0.0)
    run(one, 10.0)
    successor = Announcer()
    successor.set_interfaces({"eth0": THEIRS}, 10.0)
    successor.restore(one.export(), 10.0)
    assert times(run(successor, 10.5, start=10.0)) == [10.0, 10.1, 10.3]


def test_what_was_not_said_yet_is_said_by_the_next_process() -> None:
    one = announcer(refresh=0.0)
    one.claim(VIP, 0.0)
    successor = announcer(refresh=0.0)
    successor.restore(one.export(), 1.0)
    assert times(run(successor, 1.0, start=1.0)) == [1.0]


# ---- the timer queue ----


@given(st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(0, 9)), max_size=200))
def test_an_agenda_has_the_last_time_of_each_thing(changes: list[tuple[int, int | None]]) -> None:
    timer_queue: TimerQueue[int] = TimerQueue()
    expected: dict[int, int] = {}
    for key, due in changes:
        if due is None:
            timer_queue.drop(key)
            expected.pop(key, None)
        else:
            timer_queue.put(key, due)
            expected[key] = due
    assert timer_queue.next == min(expected.values(), default=None)
    taken = []
    more = at_most()
    while more() and (found := timer_queue.take(100)) is not None:
        taken.append(found)
    assert sorted(taken) == sorted(expected)
    assert [expected[key] for key in taken] == sorted(expected.values())


def test_an_agenda_that_changes_its_mind_without_end_stays_small() -> None:
    timer_queue: TimerQueue[str] = TimerQueue()
    for number in range(10_000):
        timer_queue.put("thing", number)
        timer_queue.drop("other")
    assert len(timer_queue._heap) < 100
    assert timer_queue.next == 9999
