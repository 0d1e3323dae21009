# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session's timers (RFC 4271 section 10): each is named by the event of its expiry.

Times are seconds of the clock that the session is given.
"""

from __future__ import annotations

from vipcast.bgp.backoff import Backoff
from vipcast.bgp.fsm import Action, Event, State
from vipcast.bgp.negotiation import Negotiated

# RFC 4271 section 8.2.2: "a large value of 4 minutes" until the peer has named its own.
LARGE_HOLD_TIME = 240.0
# RFC 4271 section 4.4: not more than one KEEPALIVE in a second.
MIN_KEEPALIVE_TIME = 1.0
# RFC 9687 section 5: the greater of 8 minutes and twice the hold time.
MIN_SEND_HOLD_TIME = 480.0

EXPIRED = {
    Event.HoldTimer_Expires: "we ended the session: Hold Timer Expired: nothing heard from the peer",
    Event.SendHoldTimer_Expires: "we ended the session: Send Hold Timer Expired: the peer does not read",
    Event.ConnectRetryTimer_Expires: (
        "no answer to the TCP connection in time: a wrong address, a firewall, "
        "more than one hop without multihop, or a password that differs"
    ),
}
"""What an expiry means to a person, where it ends something."""


class Timers:
    """``passive``: the ConnectRetryTimer never runs. ``delay_open_time`` in seconds."""

    def __init__(self, backoff: Backoff, *, delay_open_time: float, passive: bool) -> None:
        self.passive = passive
        self._backoff = backoff
        self._delay_open_time = delay_open_time
        self._due: dict[Event, float] = {}

    def next(self) -> float | None:
        return min(self._due.values(), default=None)

    def at(self, event: Event) -> float | None:
        return self._due.get(event)

    @property
    def next_attempt(self) -> float | None:
        """Return when the next connection is tried, where none is up."""
        idle = self._due.get(Event.IdleHoldTimer_Expires)
        return idle if idle is not None else self._due.get(Event.ConnectRetryTimer_Expires)

    def pop_due(self, now: float) -> Event | None:
        """The earliest that has expired; it runs no more."""
        due = [(at, event) for event, at in self._due.items() if at <= now]
        if not due:
            return None
        _when, event = min(due)
        del self._due[event]
        return event

    def stop(self, event: Event) -> None:
        self._due.pop(event, None)

    def clear(self) -> None:
        self._due.clear()

    def do(self, action: Action, now: float, state: State, negotiated: Negotiated | None) -> None:
        """Start or stop the timer that an action of the table names, on leaving ``state``."""
        match action:
            case Action.START_CONNECT_RETRY if not self.passive:
                self._due[Event.ConnectRetryTimer_Expires] = now + self._backoff.connect_retry(state)
            case Action.STOP_CONNECT_RETRY:
                self.stop(Event.ConnectRetryTimer_Expires)
            case Action.START_IDLE_HOLD:
                self._due[Event.IdleHoldTimer_Expires] = now + self._backoff.idle_hold(state)
            case Action.STOP_IDLE_HOLD:
                self.stop(Event.IdleHoldTimer_Expires)
            case Action.START_DELAY_OPEN:
                self._due[Event.DelayOpenTimer_Expires] = now + self._delay_open_time
            case Action.STOP_DELAY_OPEN:
                self.stop(Event.DelayOpenTimer_Expires)
            case Action.START_LARGE_HOLD:
                self._due[Event.HoldTimer_Expires] = now + LARGE_HOLD_TIME
            case Action.RESTART_HOLD if negotiated is not None:
                self._restart_hold(now, negotiated)
            case Action.RESTART_KEEPALIVE if negotiated is not None:
                self._restart_keepalive(now, negotiated)

    def _restart_hold(self, now: float, negotiated: Negotiated) -> None:
        self.stop(Event.HoldTimer_Expires)
        if negotiated.hold_time:
            self._due[Event.HoldTimer_Expires] = now + negotiated.hold_time

    def _restart_keepalive(self, now: float, negotiated: Negotiated) -> None:
        if negotiated.keepalive_time:
            wait = max(MIN_KEEPALIVE_TIME, negotiated.keepalive_time * self._backoff.jitter())
            self._due[Event.KeepaliveTimer_Expires] = now + wait

    def start_send_hold(self, now: float, negotiated: Negotiated) -> None:
        """Not anew where it runs: it says for how long the peer has not read."""
        if negotiated.hold_time:
            hold = max(MIN_SEND_HOLD_TIME, 2 * negotiated.hold_time)
            self._due.setdefault(Event.SendHoldTimer_Expires, now + hold)
