# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a node out of service without losing a packet: the phases of a drain. Pure.

    vipcast.io/drain on the Node
        │
        v           wait (the annotation's value, 10 s)       1 s
    shuttingDown ─────────────────────────────────> withdrawn ────> ended
    routes say GRACEFUL_SHUTDOWN (RFC 8326):        no routes       no sessions, BFD is AdminDown
    routers look for another way

When the annotation goes, everything comes back.

The wait counts from the moment the speaker saw the annotation come. A speaker that starts and finds it there
can not know what was done before: perhaps all was withdrawn, and whoever drains the node relies on that. So
nothing is announced again: it begins with `withdrawn`, long enough for sessions to come up and to tell
routers that kept routes for us (RFC 4724) that there are none any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from vipcast.model.fields import parse_duration
from vipcast.model.texts import echo

__all__ = ["ANNOTATION", "Drain", "Phase", "Request", "follow", "judge"]

ANNOTATION = "vipcast.io/drain"
DEFAULT_WAIT, LONGEST_WAIT = 10.0, 3600.0  # seconds
# Withdrawals are sent at once; a router needs a moment to take them before the session goes.
SETTLE = 1.0
SETTLE_AFTER_START = 10.0


class Phase(Enum):
    """The value is the name that the status shows."""

    SHUTTING_DOWN = "shuttingDown"
    WITHDRAWN = "withdrawn"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Request:
    """A drain that is asked for; `since` on the clock of who asks here. Its value counts as it came."""

    text: str
    since: float
    at_start: bool  # it was there when the speaker came


@dataclass(frozen=True, slots=True)
class Drain:
    """The phase of a drain; `until` is when the next one begins, on the same clock. None: never."""

    phase: Phase
    until: float | None = None
    problem: str | None = None

    @property
    def leaving(self) -> bool:
        """Return whether routes are announced as ones that will go."""
        return self.phase is Phase.SHUTTING_DOWN

    @property
    def ended(self) -> bool:
        """Return whether there are no sessions any more."""
        return self.phase is Phase.ENDED


def follow(before: Request | None, text: str | None, now: float, *, first: bool) -> Request | None:
    """Return what is asked for, after the node was seen with this value (None: without the annotation)."""
    if text is None:
        return None
    return before or Request(text, now, first)


def judge(request: Request | None, now: float) -> Drain | None:
    """Return the phase of a drain at `now`."""
    if request is None:
        return None
    wait, problem = (0.0, None) if request.at_start else read_wait(request.text)
    begins = request.since + wait
    if now < begins:
        return Drain(Phase.SHUTTING_DOWN, begins, problem)
    ends = begins + (SETTLE_AFTER_START if request.at_start else SETTLE)
    return Drain(Phase.WITHDRAWN, ends, problem) if now < ends else Drain(Phase.ENDED, None, problem)


def read_wait(text: str) -> tuple[float, str | None]:
    """Seconds, and what is wrong with the text where that is the default because of it.

    Any value drains: whoever wrote the annotation meant the node to be left.
    """
    text = text.strip()
    if not text:
        return DEFAULT_WAIT, None
    try:
        seconds = parse_duration(f"{text}s" if text.isdecimal() else text)
    except ValueError:
        return (
            DEFAULT_WAIT,
            f"annotation {ANNOTATION}: {echo(text)} is no duration such as 30s; {DEFAULT_WAIT:g} s it is",
        )
    if seconds > LONGEST_WAIT:
        return LONGEST_WAIT, f"annotation {ANNOTATION}: {echo(text)} is more than an hour, which is the most"
    return seconds, None
