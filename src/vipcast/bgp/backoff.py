# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The delays before a connection or a session is tried again.

A router that restarts is back in a second or two: so the first attempt after a loss comes after
``FIRST_DELAY``. Where nothing answers at the peer's address each wait is twice the one before, up to
``connect_time`` and no more: it costs nobody anything, and a router that comes back should not be waited for.

The peer answered and the session ended all the same (a wrong AS, an administrative shutdown, a peer that
crashes on us): after the first time ``connect_time``, then twice as long each time, up to ``MAX_DELAY``.
Only a session that stayed up for ``STABLE_TIME`` forgives that: one that falls as soon as it is up is no
success.
"""

from __future__ import annotations

from collections.abc import Callable

from vipcast.bgp.fsm import State

FIRST_DELAY = 1.0
MAX_DELAY = 60.0
STABLE_TIME = 30.0
_MAX_DOUBLINGS = 16

_REACHED = (State.OPEN_SENT, State.OPEN_CONFIRM, State.ESTABLISHED)


class Backoff:
    """``connect_time`` in seconds; ``jitter`` gives factors of at most 1 (RFC 4271 section 10)."""

    def __init__(self, connect_time: float, jitter: Callable[[], float]) -> None:
        self.jitter = jitter
        self._connect_time = connect_time
        self._failures = 0
        self._unanswered = 0
        self._established_at: float | None = None

    @property
    def failures(self) -> int:
        """Sessions in a row that ended early."""
        return self._failures

    def established(self, now: float) -> None:
        self._established_at = now

    def ended(self, state: State, now: float) -> None:
        """A connection, or an attempt at one, ended in ``state``."""
        since, self._established_at = self._established_at, None
        if since is not None and now - since >= STABLE_TIME:
            self._failures = 0
        if state in _REACHED:
            self._failures += 1
            self._unanswered = 0
        else:
            self._unanswered += 1

    def idle_hold(self, state: State) -> float:
        """Return how long to rest in Idle after an end in ``state``."""
        return self.jitter() * (self._after_session() if state in _REACHED else self._after_silence())

    def connect_retry(self, state: State) -> float:
        """Return how long one attempt may take.

        After a connection that was lost in OpenSent, how long to rest.
        """
        return self.jitter() * (self._after_session() if state in _REACHED else self._connect_time)

    def _after_silence(self) -> float:
        return min(FIRST_DELAY * 2.0 ** min(self._unanswered, _MAX_DOUBLINGS), self._connect_time)

    def _after_session(self) -> float:
        if self._failures <= 1:
            return min(FIRST_DELAY, self._connect_time)
        doublings = min(self._failures - 2, _MAX_DOUBLINGS)
        return min(self._connect_time * 2.0**doublings, max(MAX_DELAY, self._connect_time))
