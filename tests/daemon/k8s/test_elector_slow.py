# SPDX-License-Identifier: GPL-3.0-or-later
"""Two candidates and an API server that is slow, in virtual time: who leads, for how long, how often anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from vipcast.k8s.elector import Elector, Record, Write

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
TICK = 0.02  # seconds
NEWS = 0.05  # seconds from a write to the watch's word of it


@dataclass
class Candidate:
    """An elector and what is on its way for it, each with its time."""

    elector: Elector
    sent: list[tuple[float, Write]] = field(default_factory=list)  # arrives at the storage
    answers: list[tuple[float, Write, Record | None]] = field(default_factory=list)
    news: list[tuple[float, Record]] = field(default_factory=list)
    reads: list[tuple[float, float, float]] = field(default_factory=list)  # began, looks, is answered
    seen: dict[float, Record | None] = field(default_factory=dict)
    waits_for: Write | None = None
    gives_up: float = 0.0
    next_read: float = 0.0
    terms: int = 0
    led: float = 0.0
    leading: bool = False


class World:
    """A storage that takes a write if it names the present version, half of the latency later."""

    def __init__(self, latency: float, *, reads: float | None = None) -> None:
        self.latency, self.read_latency = latency, latency if reads is None else reads
        self.version, self.time = 1, 0.0
        self.stored = Record("gone", 3, "", "x", 0, "1")
        self.candidates = [Candidate(Elector(name)) for name in ("a", "b")]
        for each in self.candidates:
            each.news.append((0.0, self.stored))

    def run(self, seconds: float) -> None:
        end = self.time + seconds
        while self.time < end:
            self.time += TICK
            for each in self.candidates:
                self.turn(each)
            assert sum(each.elector.leads(self.time) for each in self.candidates) <= 1

    def turn(self, who: Candidate) -> None:
        now = self.time
        for at, write in [each for each in who.sent if each[0] <= now]:
            who.sent.remove((at, write))
            who.answers.append((at + self.latency / 2, write, self.put(write)))
        for at, record in [each for each in who.news if each[0] <= now]:
            who.news.remove((at, record))
            who.elector = who.elector.observed(record, now)
        self.read(who)
        self.answer(who)
        if who.waits_for is not None and now >= who.gives_up:
            who.waits_for = None
            who.elector = who.elector.failed(now, conflict=False)
        who.elector, begun = who.elector.step(now, EPOCH + timedelta(seconds=now))
        if begun is not None:
            who.sent.append((now + self.latency / 2, begun))
            who.waits_for, who.gives_up = begun, now + who.elector.patience
        leads = who.elector.leads(now)
        who.terms += leads and not who.leading
        who.led += TICK * leads
        who.leading = leads

    def put(self, write: Write) -> Record | None:
        if write.over != self.stored.version:
            return None
        self.version += 1
        record = write.record
        self.stored = Record(*(getattr(record, name) for name in _FIELDS), version=str(self.version))
        for each in self.candidates:
            each.news.append((self.time + NEWS, self.stored))
        return self.stored

    def answer(self, who: Candidate) -> None:
        for at, write, record in [each for each in who.answers if each[0] <= self.time]:
            who.answers.remove((at, write, record))
            if write is not who.waits_for:
                continue  # it was given up
            who.waits_for = None
            if record is not None:
                who.elector = who.elector.answered(write, record, self.time)
            else:
                who.elector = who.elector.failed(self.time, conflict=True).observed(self.stored, self.time)

    def read(self, who: Candidate) -> None:
        now, timing = self.time, who.elector.timing
        if who.elector.reads and now >= who.next_read:
            who.next_read = now + timing.read
            who.reads.append((now, now + self.read_latency / 2, now + self.read_latency))
        for began, looks, answered in list(who.reads):
            if looks <= now and began not in who.seen:
                who.seen[began] = self.stored
            if answered <= now:
                who.reads.remove((began, looks, answered))
                record = who.seen.pop(began)
                if now - began < timing.deadline:
                    who.elector = who.elector.verified(record, began, now)


_FIELDS = ("holder", "duration", "acquired", "renewed", "transitions")


@pytest.mark.parametrize("latency", [0.01, 0.4, 0.9, 1.2, 1.5, 2.0])
def test_a_slow_api_server_has_one_leader_for_most_of_the_time(latency: float) -> None:
    world = World(latency)
    world.run(20.0)  # to find out
    for each in world.candidates:
        each.led, each.terms = 0.0, 0
    world.run(60.0)
    led, terms = sum(each.led for each in world.candidates), sum(each.terms for each in world.candidates)
    assert led > 55.0 and terms <= 1, f"{led:.0f} of 60 s, {terms} terms"


@pytest.mark.parametrize(("writes", "reads"), [(2.0, 0.05), (1.2, 2.0), (3.5, 0.3)])
def test_reads_and_writes_may_be_slow_each_for_itself(writes: float, reads: float) -> None:
    world = World(writes, reads=reads)
    world.run(20.0)
    for each in world.candidates:
        each.led, each.terms = 0.0, 0
    world.run(60.0)
    assert sum(each.led for each in world.candidates) > 50.0
    assert sum(each.terms for each in world.candidates) <= 2


def test_one_that_gets_slow_while_it_is_led_changes_the_lead_once_at_most() -> None:
    world = World(0.05)
    world.run(20.0)
    world.latency = world.read_latency = 1.5
    before = sum(each.terms for each in world.candidates)
    world.run(60.0)
    assert sum(each.terms for each in world.candidates) - before <= 2
    world.latency = world.read_latency = 0.05
    world.run(20.0)
    leader = next(each for each in world.candidates if each.leading)
    assert not leader.elector.reads  # a short Lease again, which is taken over in 3 s


def test_with_an_api_server_that_is_too_slow_for_anybody_the_tries_become_seldom() -> None:
    world = World(30.0)
    world.run(30.0)
    before = world.version
    world.run(120.0)
    assert world.version - before < 120.0 / 4.0
