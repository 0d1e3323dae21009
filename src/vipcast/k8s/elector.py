# SPDX-License-Identifier: GPL-3.0-or-later
"""Leader election: the rules of a coordination.k8s.io/v1 Lease, with no clock and no I/O.

A value machine. `now` is a clock of this process in seconds that never jumps; the times inside the record are
for people and for telling two records apart, nobody's clock is compared with another's.

* A record that names a holder is believed for its duration from the moment when *we* saw it change. Only the
  form in which a holder gives a Lease back is free at once.
* A Lease that was deleted or overwritten is no way round that: it is waited for as if somebody had just
  renewed it. Otherwise whoever cleans up by hand would make two leaders. Where there is none, one that names
  nobody is made first and waited for: "none" has no version, so who was away can not tell whether it is the
  same "none" as before.
* Every write names the version that it replaces, so that of two only one succeeds.
* We lead until `deadline` seconds after the *start* of the last write that is known to have succeeded. The
  others wait `lease` seconds after they saw its result. Two clocks may differ in rate by a quarter of that.
* Where the API server takes long to write, a Lease says a longer duration, and its deadline is longer in
  proportion: a leader of slow writes leads on, instead of losing and taking the lead in turns. Whoever finds
  the Lease deleted or overwritten knows nothing of that duration and waits for `lease` seconds; so such a
  leader has to read the Lease as well, and leads until `deadline` seconds after the start of the last read
  that showed what it wrote.
* Whoever loses the lead again and again pauses before the next try, longer each time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

__all__ = ["Elector", "Record", "Timing", "Write"]

# A holder with another idea of durations is believed so long, and no longer.
LONGEST_LEASE = 60
# How client-go marks a Lease that was given back; the API wants at least 1.
RELEASED_SECONDS = 1
_SENT = 4  # writes without an answer that are remembered
_FALLS = 0.8  # what is left of the latency after a write that was quicker


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. `lease` is written into the record and has to be whole."""

    lease: int = 3
    renew: float = 0.75  # from one renewal to the next
    deadline: float = 2.25  # a leader that could not renew for so long leads no more
    attempt: float = 1.1  # one write; a second one still fits before the deadline
    retry: float = 0.25  # of a leader, after a write that failed; a standby has more time
    slow: float = 0.5  # a write that takes longer is slow
    slow_lease: int = 12  # `lease` and `attempt` while writes are slow
    slow_attempt: float = 4.0
    read: float = 0.2  # from one read of the Lease to the next, while writes are slow
    steady: float = 20.0  # a term that lasts so long is none of a series
    pause: float = 0.5  # after the second term of a series, doubled after each further one
    longest_pause: float = 8.0

    def lasts(self, duration: int) -> float:
        """Return how long a Lease of that duration lets its holder lead."""
        return self.deadline * duration / self.lease


@dataclass(frozen=True, slots=True)
class Record:
    """The record of a Lease, and the resourceVersion in which it was read."""

    holder: str = ""
    duration: int = 0  # seconds
    acquired: str = ""  # times as the API writes them
    renewed: str = ""
    transitions: int = 0
    version: str = field(default="", compare=False)

    @property
    def released(self) -> bool:
        """Return whether its last holder gave it back."""
        return not self.holder and self.duration == RELEASED_SECONDS

    @property
    def unclaimed(self) -> bool:
        """Return whether it names nobody, and nobody gave it back."""
        return not self.holder and not self.released


@dataclass(frozen=True, slots=True)
class Write:
    """The write that is due: over the version `over`, or as a new Lease where that is None."""

    record: Record
    over: str | None
    began: float


@dataclass(frozen=True, slots=True)
class Elector:
    """One candidate. Every method returns the next state."""

    identity: str
    timing: Timing = Timing()
    known: bool = False  # something was seen, if only that there is no Lease
    seen: Record | None = None
    seen_at: float = 0.0  # when what it says changed
    held: float | None = None  # when the last write began that is known to have succeeded, while we lead
    clean: bool = True  # who led before gave the Lease back, so nothing of theirs is under way
    attempt: Write | None = None  # the last write whose result is not known
    sent: tuple[Write, ...] = ()  # earlier ones; each may still succeed
    busy: bool = False  # a write is under way
    began: float = 0.0  # when the last write began
    doubt: bool = False  # a write met another version than we knew of
    next_at: float = 0.0  # no write before that
    lasts: float = 0.0  # seconds that the Lease which we hold lets us lead after `held`
    checked: float = float("-inf")  # when the last read began that showed what we wrote
    latency: float = 0.0  # seconds that writes take: the lesser of two in a row counts; falls slowly
    took: float = 0.0  # seconds that the last write took
    mine: bool = False  # what the Lease says was written by us while we led, or to lead
    own: bool = False  # our term follows a term of ours, and nobody led in between
    since: float = 0.0  # when the present term began
    series: int = 0  # short terms in a row
    refusals: int = 0  # refused writes in a row

    # -- what is true now ------------------------------------------------------------------------------------

    def leads(self, now: float) -> bool:
        """Return whether we may act as the leader at this moment."""
        end = self._end()
        return end is not None and now < end

    def _end(self) -> float | None:
        """Return when our lead ends unless the Lease is renewed, or seen to be ours; None without a lead."""
        if self.held is None:
            return None
        return min(self.held + self.lasts, max(self.held, self.checked) + self.timing.deadline)

    @property
    def reads(self) -> bool:
        """Tell whether the Lease has to be read while we lead.

        It is renewed too seldom then to be sure in another way that it is still ours.
        """
        return self.held is not None and self.lasts > self.timing.deadline

    @property
    def patience(self) -> float:
        """Return how many seconds the write that is under way may take."""
        if self.held is not None and not self.reads:
            return self.timing.attempt  # a second one has to fit before the deadline
        return min(self.timing.slow_attempt, max(self.timing.attempt, 2 * self.latency))

    @property
    def leader(self) -> str | None:
        """Return who leads, as far as is known."""
        return self.seen.holder or None if self.seen else None

    def timer(self) -> float | None:
        """Return when `step` is due next; None while only news can change anything."""
        times = [self._end(), None if self.busy or not self.known else self._due()]
        return min((time for time in times if time is not None), default=None)

    def _due(self) -> float:
        return self.next_at if self.held is not None else max(self.next_at, self._free_at())

    def _free_at(self) -> float:
        # What we wrote ourselves, and nobody after us, has not to be waited for: no other can lead by it.
        if self.seen is None or self.seen.released or self.mine:
            return self.seen_at
        return self.seen_at + min(LONGEST_LEASE, max(self.seen.duration, self.timing.lease))

    # -- what happens ----------------------------------------------------------------------------------------

    def step(self, now: float, wall: datetime) -> tuple[Elector, Write | None]:
        """Time has passed: the write that is due, if one is. `wall` is the time for people."""
        state = self if self.leads(now) else self._lapsed(now)
        if state.busy or not state.known or now < state._due():
            return state, None
        write = Write(state._wanted(wall), state.seen.version if state.seen else None, now)
        sent = state.sent if state.attempt is None else (*state.sent, state.attempt)[-_SENT:]
        return replace(state, busy=True, began=now, attempt=write, sent=sent), write

    def _lapsed(self, now: float) -> Elector:
        """Return the state without the lead.

        The end of a short term that was not the first makes the next one wait.
        """
        if self.held is None:
            return self
        series = self.series + 1 if now - self.since < self.timing.steady else 1
        pause = 0.0
        if series > 1:
            pause = min(self.timing.longest_pause, self.timing.pause * 2.0 ** min(series - 2, 10))
        return replace(self, held=None, series=series, next_at=max(self.next_at, now + pause))

    def observed(self, record: Record | None, now: float) -> Elector:
        """The API shows this; None where there is no Lease."""
        write = next((each for each in (self.attempt, *self.sent) if each and each.record == record), None)
        if write is not None and record is not None:
            return self._confirmed(write, record, now)
        ours = self.leads(now) and (record is None or record.holder == self.identity)
        if ours and record is not None and not self.doubt:
            return self  # our own renewals come back to us, late
        changed = not self.known or record != self.seen
        return replace(
            self,
            known=True,
            seen=record,
            seen_at=now if changed else self.seen_at,
            held=self.held if ours else None,
            attempt=None if changed else self.attempt,
            sent=() if changed else self.sent,
            doubt=False,
            next_at=self._again(now) if changed else self.next_at,
            mine=self.mine and not changed,
        )

    def _again(self, now: float) -> float:
        """Return when the next write may be; a pause after short terms is not cut short by news."""
        return max(now, self.next_at) if self.series > 1 else now

    def verified(self, record: Record | None, began: float, now: float) -> Elector:
        """Note what a read shows that `began` then, and that no cache has answered."""
        if self.leads(now) and record is not None and record == self.seen:
            return replace(self, checked=max(self.checked, began))
        return self.observed(record, now) if record is None or record != self.seen else self

    def answered(self, write: Write, record: Record, now: float) -> Elector:
        """The write succeeded; `record` has the version that it made."""
        state = replace(self, busy=False)._took(now - write.began)
        return state._confirmed(write, record, now) if self.attempt is write else state

    def failed(self, now: float, *, conflict: bool, refused: bool = False) -> Elector:
        """Note that a write got no answer, or a refusal. After a `conflict` the Lease has to be read again.

        `refused`: the API server would say the same again (no right to write it). Who does not lead then
        waits longer each time.
        """
        refusals = self.refusals + 1 if refused else 0
        again = now + (self.timing.retry if self.leads(now) else self._pause_of(refusals))
        attempt = None if conflict else self.attempt  # without an answer it may have succeeded all the same
        state = replace(
            self,
            busy=False,
            attempt=attempt,
            doubt=self.doubt or conflict,
            next_at=max(again, self.next_at),
            refusals=refusals,
        )
        return state if conflict else state._took(now - self.began)

    def _took(self, seconds: float) -> Elector:
        """Note how many seconds a write took.

        A write that is slow alone (a lost packet, a dead connection) says nothing of the next.
        """
        latency = max(min(seconds, self.took), self.latency * _FALLS)
        return replace(self, took=seconds, latency=latency)

    def _pause_of(self, refusals: int) -> float:
        return min(self.timing.longest_pause, self.timing.renew * 2.0 ** min(refusals, 10))

    def resigned(self, wall: datetime, now: float) -> tuple[Elector, Write | None]:
        """Leads no more, from now on; the write that gives the Lease back, if we have it.

        To be named in it is not enough: somebody may have written that while another leads.
        """
        state = replace(self, held=None)
        if self.held is None or self.seen is None:
            return state, None
        time = _micro(wall)
        record = replace(self.seen, holder="", duration=RELEASED_SECONDS, acquired=time, renewed=time)
        return state, Write(record, self.seen.version, now)

    def _confirmed(self, write: Write, record: Record, now: float) -> Elector:
        return replace(
            self,
            known=True,
            seen=record,
            seen_at=now,
            held=write.began if record.holder == self.identity else None,
            lasts=self.timing.lasts(min(write.record.duration, self.timing.slow_lease)),
            clean=self.clean if self.leads(now) else self.seen is not None and self.seen.released,
            attempt=None,
            sent=(),
            doubt=False,
            next_at=write.began + self.timing.renew,
            **self._term(record, now),
        )

    def _term(self, record: Record, now: float) -> dict[str, Any]:
        """Return what is known of the term to which a write that succeeded belongs."""
        ours = record.holder == self.identity
        if self.leads(now) or not ours:
            return {"mine": ours}
        return {"mine": True, "own": self.mine and self._names_us(), "since": now}

    def _names_us(self) -> bool:
        return self.seen is not None and self.seen.holder == self.identity

    def _wanted(self, wall: datetime) -> Record:
        time, seen = _micro(wall), self.seen
        if seen is None and self.held is None:
            return Record("", self.timing.lease, time, time)
        same = seen is not None and seen.holder == self.identity
        return Record(
            holder=self.identity,
            duration=self.timing.slow_lease if self.latency > self.timing.slow else self.timing.lease,
            acquired=seen.acquired if seen and same and seen.acquired else time,
            renewed=time,
            transitions=(seen.transitions + (0 if same or seen.unclaimed else 1)) if seen else 0,
        )


def _micro(wall: datetime) -> str:
    return wall.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
