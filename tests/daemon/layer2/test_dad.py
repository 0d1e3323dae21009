# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking before claiming: RFC 5227 section 2.1, RFC 4862 section 5.4; in virtual time."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from ipaddress import IPv4Address

import pytest
from daemon.layer2.driven import run
from daemon.layer2.wire_cases import OURS, THEIR4, THEIRS, VIP, VIP6
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bounds import at_most

from vipcast.layer2 import arp, ndp
from vipcast.layer2.announcer import Announcer
from vipcast.layer2.dad import (
    MOST_DEFERRALS,
    RFC_5227,
    Clear,
    DadSettings,
    Duplicate,
    DuplicateAddressDetector,
)
from vipcast.layer2.frames import Mac
from vipcast.layer2.responder import Foreign, How, Responder

LOWER: Mac = bytes.fromhex("02005e005300")
assert LOWER < OURS < THEIRS


def detector(**values: float) -> DuplicateAddressDetector:
    one = DuplicateAddressDetector(DadSettings(**values))  # type: ignore[arg-type]
    one.set_interfaces({"eth0": OURS}, 0.0)
    return one


def test_nobody_answers_three_probes_and_the_address_is_clear_after_less_than_half_a_second() -> None:
    one = detector()
    one.begin(VIP, 0.0)
    said = run(one, 0.29)
    assert [each.at for each in said] == [0.0, 0.1, 0.2]
    assert {each.frame for each in said} == {arp.decode(arp.probe(OURS, VIP))}
    assert one.verdicts() == []
    run(one, 0.5)
    assert one.verdicts() == [Clear(VIP)]
    assert one.timer() is None
    assert one.asked == frozenset()


def test_an_ipv6_address_is_asked_for_by_duplicate_address_detection() -> None:
    one = detector()
    one.begin(VIP6, 0.0)
    assert {each.frame for each in run(one, 1.0)} == {ndp.decode(ndp.probe(OURS, VIP6))}
    assert one.verdicts() == [Clear(VIP6)]


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_the_constants_of_the_rfc_are_kept_where_they_are_asked_for(numbers: list[float]) -> None:
    """Section 1.1: PROBE_WAIT 1 s, PROBE_NUM 3, PROBE_MIN 1 s, PROBE_MAX 2 s, ANNOUNCE_WAIT 2 s."""
    one = DuplicateAddressDetector(RFC_5227, iter([*numbers, 0.0]).__next__)
    one.set_interfaces({"eth0": OURS}, 0.0)
    one.begin(VIP, 0.0)
    times = []
    more = at_most()
    while more() and (at := one.timer()) is not None:
        times.append(at)
        assert len(one.handle_timer(at)) == (len(times) <= 3)
    pauses = [after - before for before, after in itertools.pairwise([0.0, *times])]
    bounds = [(0, 1), (1, 2), (1, 2), (2, 2)]
    assert all(
        least - 1e-6 <= pause <= most + 1e-6 for pause, (least, most) in zip(pauses, bounds, strict=True)
    )
    assert one.verdicts() == [Clear(VIP)]


@pytest.mark.parametrize("how", [How.REQUEST, How.REPLY, How.ADVERTISEMENT, How.SOLICITATION])
def test_whoever_shows_that_he_has_it_makes_it_a_duplicate(how: How) -> None:
    one = detector()
    one.begin(VIP, 0.0)
    run(one, 0.1)
    one.heard("eth0", Foreign(VIP, THEIRS, how), 0.15)
    assert one.verdicts() == [Duplicate(VIP, THEIRS)]
    assert run(one, 9.0, start=0.15) == []
    assert one.asked == {VIP}


def test_a_duplicate_is_asked_for_again_later_and_later_until_it_is_clear() -> None:
    one, asked, now = detector(), [], 0.0
    one.begin(VIP, 0.0)
    for _again in range(5):
        now = one.timer() or now
        asked.append(round(now))
        run(one, now, start=now)
        one.heard("eth0", Foreign(VIP, THEIRS, How.REPLY), now)
        one.heard("eth0", Foreign(VIP, THEIRS, How.REPLY), now + 1)
    assert asked == [0, 10, 30, 70, 130]
    assert one.verdicts() == [Duplicate(VIP, THEIRS)] * 5, "one for each time that it was asked"
    run(one, 300.0, start=now)
    assert one.verdicts() == [Clear(VIP)]


def test_what_is_said_of_other_addresses_or_elsewhere_changes_nothing() -> None:
    one = DuplicateAddressDetector()
    one.set_interfaces({"eth0": OURS, "eth1": OURS}, 0.0)
    one.begin(VIP, 0.0, frozenset({"eth0"}))
    one.heard("eth0", Foreign(THEIR4, THEIRS, How.REPLY), 0.0)
    one.heard("eth1", Foreign(VIP, THEIRS, How.REPLY), 0.0)
    assert {each.interface for each in run(one, 1.0)} == {"eth0"}
    assert one.verdicts() == [Clear(VIP)]


def test_an_address_that_is_not_wanted_any_more_has_no_verdict() -> None:
    one = detector()
    one.begin(VIP, 0.0)
    run(one, 0.1)
    one.end(VIP)
    one.heard("eth0", Foreign(VIP, THEIRS, How.REPLY), 0.1)
    assert run(one, 100.0) == []
    assert one.verdicts() == []


def test_nothing_is_clear_without_an_interface_to_ask_on() -> None:
    one = DuplicateAddressDetector()
    one.begin(VIP, 0.0)
    assert run(one, 100.0) == []
    assert one.verdicts() == []
    one.set_interfaces({"eth0": OURS}, 100.0)
    assert len(run(one, 101.0, start=100.0)) == 3
    assert one.verdicts() == [Clear(VIP)]


def test_an_interface_that_appears_is_asked_too_before_anything_is_clear() -> None:
    one = detector()
    one.begin(VIP, 0.0)
    run(one, 0.25)
    one.set_interfaces({"eth0": OURS, "eth1": LOWER}, 0.25)
    said = run(one, 1.0, start=0.25)
    assert [each.interface for each in said] == ["eth0", "eth1"] * 3
    assert one.verdicts() == [Clear(VIP)]


def test_five_thousand_addresses_are_asked_for_without_a_blast() -> None:
    one = detector()
    for number in range(5000):
        one.begin(IPv4Address("10.31.0.0") + number, 0.0)
    assert len(one.handle_timer(0.0)) <= 200
    run(one, 2.0)
    assert len(one.verdicts()) == 5000


# ---- others who ask ----


def test_of_two_probers_the_lower_mac_goes_on_and_the_higher_one_begins_again() -> None:
    one = detector()
    one.begin(VIP, 0.0)
    run(one, 0.1)
    one.heard("eth0", Foreign(VIP, THEIRS, How.PROBE), 0.1)
    assert [each.at for each in run(one, 0.5, start=0.1)] == [0.2]
    assert one.verdicts() == [Clear(VIP)]
    one.begin(VIP, 1.0)
    run(one, 1.1, start=1.0)
    one.heard("eth0", Foreign(VIP, LOWER, How.PROBE), 1.1)
    assert run(one, 1.6, start=1.1) == []
    assert len(run(one, 3.0, start=1.6)) == 3
    assert one.verdicts() == [Clear(VIP)]


def test_a_prober_without_end_is_a_holder() -> None:
    one = detector()
    one.begin(VIP, 0.0)
    now = 0.0
    for _again in range(MOST_DEFERRALS + 1):
        now = one.timer() or now
        run(one, now, start=now)
        one.heard("eth0", Foreign(VIP, LOWER, How.PROBE), now)
    assert one.verdicts() == [Duplicate(VIP, LOWER)]


@dataclass
class Host:
    """One speaker's parts, as its process puts them together."""

    mac: Mac
    detector: DuplicateAddressDetector = field(default_factory=DuplicateAddressDetector)
    announcer: Announcer = field(default_factory=Announcer)
    verdicts: list[Clear | Duplicate] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.responder = Responder(self.mac, {self.mac})
        self.responder.watch(VIP)
        self.detector.set_interfaces({"eth0": self.mac}, 0.0)
        self.announcer.set_interfaces({"eth0": self.mac}, 0.0)

    def receive(self, frame: bytes, now: float) -> bytes | None:
        answer = self.responder.answer(frame)
        for foreign in self.responder.take_foreign():
            self.detector.heard("eth0", foreign, now)
        return answer

    def timer(self) -> float:
        times = (self.detector.timer(), self.announcer.timer())
        return min((at for at in times if at is not None), default=float("inf"))

    def handle_timer(self, now: float) -> list[bytes]:
        frames = self.detector.handle_timer(now)
        for verdict in self.detector.verdicts():
            self.verdicts.append(verdict)
            if isinstance(verdict, Clear):
                self.responder.own(VIP)
                self.announcer.claim(VIP, now)
        return [frame for _name, frame in frames + self.announcer.handle_timer(now)]


def simulate(hosts: list[Host], until: float) -> None:
    """A segment on which a frame is everywhere at once."""
    more = at_most()
    while more() and (now := min(host.timer() for host in hosts)) <= until:
        for host in hosts:
            if host.timer() > now:
                continue
            for frame in host.handle_timer(now):
                others = [other for other in hosts if other is not host]
                for answer in (other.receive(frame, now) for other in others):
                    if answer is not None:
                        host.receive(answer, now)


@settings(max_examples=60, deadline=None)
@given(st.permutations([LOWER, OURS, THEIRS]), st.lists(st.floats(0, 0.5), min_size=3, max_size=3))
def test_of_several_speakers_that_ask_at_once_exactly_one_has_it_in_the_end(
    macs: list[Mac], starts: list[float]
) -> None:
    hosts = [Host(mac) for mac in macs]
    for host, start in zip(hosts, starts, strict=True):
        host.detector.begin(VIP, start)
    simulate(hosts, 8.0)
    assert [Clear(VIP) in host.verdicts for host in hosts].count(True) == 1
