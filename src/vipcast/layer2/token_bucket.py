# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A token bucket for frames: many at once would fill a socket's buffer and a switch's queue."""

from __future__ import annotations

# Seconds: what may go out at once, after a silence; and how long whoever has spent it waits at least.
BLAST, REST = 0.005, 0.001
# An address's announcement on an interface is not torn apart.
_LEAST = 2.0
# Rounding: whoever comes when he was told to does not come too early.
_SLACK = 0.01


class TokenBucket:
    """``rate``: frames a second. ``blast``: seconds of it that may go out at once.

    ``begin(now)``, then ``spend`` while it ``allows``.
    """

    def __init__(self, rate: float, blast: float = BLAST) -> None:
        self._rate = rate
        self._most = max(_LEAST, rate * blast)
        self._credit = self._most
        self._at = float("-inf")

    def begin(self, now: float) -> None:
        if now > self._at:
            self._credit = min(self._most, self._credit + (now - self._at) * self._rate)
            self._at = now

    @property
    def allows(self) -> bool:
        return self._credit >= _LEAST - _SLACK

    def spend(self, frames: int) -> None:
        self._credit -= frames

    @property
    def ready_at(self) -> float:
        """Return when there is enough again to be worth waking up for."""
        if self.allows:
            return self._at
        wanted = min(self._most, max(_LEAST, self._rate * REST))
        return self._at + (wanted - self._credit) / self._rate
