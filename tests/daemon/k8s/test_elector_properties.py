# SPDX-License-Identifier: GPL-3.0-or-later
"""Never two leaders: candidates with clocks of their own, a slow and lossy network, and people who clean up.

The storage takes a write if it names the present version, as etcd does. Writes arrive late or never, answers
get lost, news comes late but in order, processes stand still for as long as they like, the Lease is deleted
and overwritten with any name. What nobody does here is to write the form that means "given back" for a holder
who did not: that is the one thing that a candidate believes at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from vipcast.k8s.elector import Elector, Record, Write

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
CANDIDATES = 3
WHO = st.integers(0, CANDIDATES - 1)
# The durations allow for clocks that differ by a quarter; 1.12 / 0.9 is just below that.
RATES = st.floats(0.9, 1.12)
PAUSES = st.one_of(st.floats(0.01, 0.8), st.floats(0.8, 4.0))


@dataclass
class Candidate:
    """A process: its elector, its clock, what it will hear and what it waits for."""

    elector: Elector
    rate: float
    offset: float
    news: list[Record | None] = field(default_factory=list)
    sent: Write | None = None  # on its way to the storage
    answer: Record | str | None = None  # on its way back: the record, or "conflict"
    reads: list[tuple[float, Record | None]] = field(default_factory=list)  # when each began, what it showed


class Election(RuleBasedStateMachine):
    """The world around some electors."""

    @initialize(rates=st.lists(RATES, min_size=CANDIDATES, max_size=CANDIDATES), lease=st.booleans())
    def begin(self, rates: list[float], lease: bool) -> None:
        self.time, self.version, self.born = 0.0, 1, 0
        self.stored = Record("gone", 3, "", "x", 2, "1") if lease else None
        self.adrift: list[Write] = []  # writes of processes that ended
        self.candidates = [self.candidate(rate) for rate in rates]

    def candidate(self, rate: float) -> Candidate:
        self.born += 1
        return Candidate(Elector(f"c{self.born}"), rate, 100.0 * self.born, [self.stored])

    def now(self, who: Candidate) -> float:
        return who.offset + who.rate * self.time

    def store(self, record: Record | None) -> None:
        self.version += 1
        self.stored = replace(record, version=str(self.version)) if record else None
        for each in self.candidates:
            each.news.append(self.stored)

    def put(self, write: Write) -> Record | str:
        """Return what the API server answers."""
        if write.over != (self.stored.version if self.stored else None):
            return "conflict"
        self.store(write.record)
        assert self.stored is not None
        return self.stored

    @rule(seconds=PAUSES)
    def time_passes(self, seconds: float) -> None:
        self.time += seconds

    @rule(number=WHO)
    def it_acts(self, number: int) -> None:
        who = self.candidates[number]
        who.elector, write = who.elector.step(self.now(who), EPOCH + timedelta(seconds=self.time))
        who.sent = write or who.sent

    @rule(number=WHO)
    def it_acts_with_a_good_network(self, number: int) -> None:
        self.it_reads_everything(number)
        self.it_acts(number)
        self.a_write_arrives(number)
        self.the_answer_arrives(number)

    @rule(steps=st.integers(5, 40), cut=st.none() | WHO)
    def all_is_well_for_the_others(self, steps: int, cut: int | None) -> None:
        for _step in range(steps):
            self.time += 0.1
            for number in range(CANDIDATES):
                if number != cut:
                    self.it_acts_with_a_good_network(number)
            self.at_most_one_leads()

    @rule(number=WHO)
    def it_hears_something(self, number: int) -> None:
        who = self.candidates[number]
        if who.news:
            who.elector = who.elector.observed(who.news.pop(0), self.now(who))

    @rule(number=WHO)
    def it_reads_everything(self, number: int) -> None:
        who = self.candidates[number]
        who.news.clear()
        who.elector = who.elector.observed(self.stored, self.now(who))

    @rule(number=WHO)
    def it_reads_the_lease(self, number: int) -> None:
        """A read that no cache answers: it shows what is stored at a moment after it began."""
        who = self.candidates[number]
        who.reads.append((self.now(who), self.stored))

    @rule(number=WHO, seconds=PAUSES)
    def a_slow_read_begins_before_it_shows_anything(self, number: int, seconds: float) -> None:
        who = self.candidates[number]
        began = self.now(who)
        self.time += seconds
        who.reads.append((began, self.stored))

    @rule(number=WHO)
    def a_read_is_answered(self, number: int) -> None:
        who = self.candidates[number]
        if who.reads:
            began, record = who.reads.pop(0)
            who.elector = who.elector.verified(record, began, self.now(who))

    @rule(number=WHO, steps=st.integers(4, 30), seconds=st.floats(0.6, 2.5))
    def all_is_slow_for_one(self, number: int, steps: int, seconds: float) -> None:
        """Writes take long, reads do not: a long Lease is held for a while."""
        for _step in range(steps):
            self.it_acts(number)
            self.a_write_arrives(number)
            for _part in range(4):
                self.time += seconds / 4
                self.it_reads_the_lease(number)
                self.a_read_is_answered(number)
                self.at_most_one_leads()
            self.the_answer_arrives(number)
            self.at_most_one_leads()

    @rule(number=WHO)
    def a_write_arrives(self, number: int) -> None:
        who = self.candidates[number]
        if who.sent is not None:
            who.answer, who.sent = self.put(who.sent), None

    @rule(number=WHO)
    def the_answer_arrives(self, number: int) -> None:
        who = self.candidates[number]
        answer, who.answer = who.answer, None
        if isinstance(answer, Record):
            write = who.elector.attempt
            match = write if write is not None and write.record == answer else Write(answer, None, 0.0)
            who.elector = who.elector.answered(match, answer, self.now(who))
        elif answer == "conflict":
            who.elector = who.elector.failed(self.now(who), conflict=True)

    @rule(number=WHO, arrives=st.booleans())
    def it_gives_up_waiting_for_an_answer(self, number: int, arrives: bool) -> None:
        who = self.candidates[number]
        if not who.elector.busy:
            return
        if who.sent is not None and arrives:
            self.adrift.append(who.sent)
        who.sent = who.answer = None
        who.elector = who.elector.failed(self.now(who), conflict=False)

    @rule()
    def a_write_that_nobody_waits_for_arrives(self) -> None:
        if self.adrift:
            self.put(self.adrift.pop(0))

    @rule(number=WHO, rate=RATES)
    def it_dies(self, number: int, rate: float) -> None:
        who = self.candidates[number]
        if who.sent is not None:
            self.adrift.append(who.sent)
        self.candidates[number] = self.candidate(rate)

    @rule(number=WHO, rate=RATES)
    def it_resigns(self, number: int, rate: float) -> None:
        who = self.candidates[number]
        _state, write = who.elector.resigned(EPOCH + timedelta(seconds=self.time), self.now(who))
        self.candidates[number] = self.candidate(rate)
        if write is not None:
            self.adrift.append(write)

    @rule()
    def somebody_deletes_the_lease(self) -> None:
        self.store(None)

    @rule(number=WHO, duration=st.sampled_from([0, 3, 30]), nobody=st.booleans())
    def somebody_overwrites_it(self, number: int, duration: int, nobody: bool) -> None:
        holder = "" if nobody else self.candidates[number].elector.identity
        self.store(Record(holder, duration, "", f"scribble {self.version}", 1))

    @invariant()
    def at_most_one_leads(self) -> None:
        leaders = [who.elector.identity for who in self.candidates if who.elector.leads(self.now(who))]
        assert len(leaders) <= 1, leaders


TestElection = Election.TestCase
TestElection.settings = settings(max_examples=300, stateful_step_count=60, deadline=None, database=None)


def test_without_faults_somebody_leads_soon_and_for_good() -> None:
    world = Election()
    world.begin([1.0, 1.05, 0.95], True)
    for _turn in range(400):
        world.time_passes(0.05)
        for number in range(CANDIDATES):
            world.it_acts_with_a_good_network(number)
        world.at_most_one_leads()
        if world.time > 3.5:
            assert any(each.elector.leads(world.now(each)) for each in world.candidates)
    assert world.stored is not None and world.stored.transitions == 3


def test_who_was_away_while_a_lease_came_and_went_waits_like_everybody() -> None:
    world = Election()
    world.begin([1.0, 1.0, 1.0], False)
    world.all_is_well_for_the_others(5, None)
    world.all_is_well_for_the_others(35, 0)
    assert any(each.elector.leads(world.now(each)) for each in world.candidates[1:])
    world.somebody_deletes_the_lease()
    world.it_acts_with_a_good_network(0)
    world.at_most_one_leads()
    world.all_is_well_for_the_others(40, None)
    assert any(each.elector.leads(world.now(each)) for each in world.candidates)


def test_who_was_named_by_hand_and_ends_gives_nothing_back() -> None:
    world = Election()
    world.begin([1.0, 1.0, 1.0], False)
    world.all_is_well_for_the_others(40, None)
    (leader,) = (number for number in range(CANDIDATES) if world.candidates[number].elector.held is not None)
    named = (leader + 1) % CANDIDATES
    world.somebody_overwrites_it(named, 3, False)
    world.it_reads_everything(named)
    world.it_resigns(named, 1.0)
    assert not world.adrift
    world.it_acts_with_a_good_network(named)
    world.at_most_one_leads()
