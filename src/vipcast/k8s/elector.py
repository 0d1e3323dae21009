# SPDX-License-Identifier: GPL-3.0-or-later
"""Who leads: the rules of a coordination.k8s.io/v1 Lease, with no clock and no I/O.

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
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

__all__ = ["Elector", "Record", "Timing", "Write"]

# A holder with another idea of durations is believed so long, and no longer.
LONGEST_LEASE = 60
# How client-go marks a Lease that was given back; the API wants at least 1.
RELEASED_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. `lease` is written into the record and has to be whole."""

    lease: int = 3
    renew: float = 0.75  # from one renewal to the next
    deadline: float = 2.25  # a leader that could not renew for so long leads no more
    attempt: float = 1.1  # one write; a second one still fits before the deadline
    retry: float = 0.25  # of a leader, after a write that failed; a standby has more time


@dataclass(frozen=True, slots=True)
class Record:
    """What a Lease says, and which version of it said so."""

    holder: str = ""
    duration: int = 0  # seconds
    acquired: str = ""  # times as the API writes them
    renewed: str = ""
    transitions: int = 0
    version: str = field(default="", compare=False)

    @property
    def released(self) -> bool:
        """Whether its last holder gave it back."""
        return not self.holder and self.duration == RELEASED_SECONDS

    @property
    def unclaimed(self) -> bool:
        """Whether it names nobody, and nobody gave it back."""
        return not self.holder and not self.released


@dataclass(frozen=True, slots=True)
class Write:
    """What to write now: over the version `over`, or as a new Lease where that is None."""

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
    busy: bool = False  # a write is under way
    doubt: bool = False  # a write met another version than we knew of
    next_at: float = 0.0  # no write before that

    # -- what is true now ------------------------------------------------------------------------------------

    def leads(self, now: float) -> bool:
        """Whether we may act as the leader at this moment."""
        return self.held is not None and now < self.held + self.timing.deadline

    @property
    def leader(self) -> str | None:
        """Who leads, as far as is known."""
        return self.seen.holder or None if self.seen else None

    def timer(self) -> float | None:
        """When `step` is due next; None while only news can change anything."""
        end = None if self.held is None else self.held + self.timing.deadline
        times = [end, None if self.busy or not self.known else self._due()]
        return min((time for time in times if time is not None), default=None)

    def _due(self) -> float:
        return self.next_at if self.held is not None else max(self.next_at, self._free_at())

    def _free_at(self) -> float:
        if self.seen is None or self.seen.released:
            return self.seen_at
        return self.seen_at + min(LONGEST_LEASE, max(self.seen.duration, self.timing.lease))

    # -- what happens ----------------------------------------------------------------------------------------

    def step(self, now: float, wall: datetime) -> tuple[Elector, Write | None]:
        """Time has passed: the write that is due, if one is. `wall` is the time for people."""
        state = self if self.leads(now) else replace(self, held=None)
        if state.busy or not state.known or now < state._due():
            return state, None
        write = Write(state._wanted(wall), state.seen.version if state.seen else None, now)
        return replace(state, busy=True, attempt=write), write

    def observed(self, record: Record | None, now: float) -> Elector:
        """The API shows this; None where there is no Lease."""
        if self.attempt is not None and record == self.attempt.record:
            return self._confirmed(self.attempt, record, now)
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
            doubt=False,
            next_at=now if changed else self.next_at,
        )

    def answered(self, write: Write, record: Record, now: float) -> Elector:
        """The write succeeded; `record` has the version that it made."""
        state = replace(self, busy=False)
        return state._confirmed(write, record, now) if self.attempt is write else state

    def failed(self, now: float, *, conflict: bool) -> Elector:
        """No answer, or a refusal. After a `conflict` the Lease has to be read again."""
        again = now + (self.timing.retry if self.leads(now) else self.timing.renew)
        attempt = None if conflict else self.attempt  # without an answer it may have succeeded all the same
        return replace(self, busy=False, attempt=attempt, doubt=self.doubt or conflict, next_at=again)

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
            clean=self.clean if self.leads(now) else self.seen is not None and self.seen.released,
            attempt=None,
            doubt=False,
            next_at=write.began + self.timing.renew,
        )

    def _wanted(self, wall: datetime) -> Record:
        time, seen = _micro(wall), self.seen
        if seen is None and self.held is None:
            return Record("", self.timing.lease, time, time)
        same = seen is not None and seen.holder == self.identity
        return Record(
            holder=self.identity,
            duration=self.timing.lease,
            acquired=seen.acquired if seen and same and seen.acquired else time,
            renewed=time,
            transitions=(seen.transitions + (0 if same or seen.unclaimed else 1)) if seen else 0,
        )


def _micro(wall: datetime) -> str:
    return wall.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
