# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The echo function (RFC 5880 section 6.4): packets to ourselves, sent back by the neighbor's forwarding."""

from __future__ import annotations

import struct
from collections import deque

MAX_MULTIPLIER = 255
_PAYLOAD = struct.Struct("!4sII")
MARK = b"VCe1"


def encode(discriminator: int, number: int) -> bytes:
    """Return what is in an echo packet is its sender's own business (RFC 5881 section 4)."""
    return _PAYLOAD.pack(MARK, discriminator, number & 0xFFFFFFFF)


def decode(payload: bytes) -> tuple[int, int] | None:
    """Return the discriminator and the number of an echo packet; None: it is not one of ours."""
    if len(payload) < _PAYLOAD.size:
        return None
    mark, discriminator, number = _PAYLOAD.unpack_from(payload)
    return (discriminator, number) if mark == MARK else None


class Echo:
    """The echo function of one session. It judges only once a packet has come back: where the neighbor says
    that it takes echo packets and its forwarding doesn't loop them, nothing follows for the path.

    The path is lost when ``multiplier`` packets in a row have not come back, each of which had an interval
    for it (RFC 5880 section 6.4): a pause in which nothing was sent says nothing.
    """

    def __init__(self, multiplier: int) -> None:
        self.interval: float | None = None
        self.multiplier = multiplier
        self.seen = False
        self.sent = self.received = 0
        self._send_at: float | None = None
        self._unanswered: deque[tuple[int, float]] = deque(maxlen=MAX_MULTIPLIER)  # number, when it was sent

    @property
    def active(self) -> bool:
        return self.interval is not None

    def run_at(self, interval: float | None, now: float) -> None:
        """Start, stop (None), or change the interval."""
        if interval == self.interval:
            return
        if interval is None or self.interval is None:
            self.seen = False
            self._unanswered.clear()
        self.interval = interval
        self._send_at = None if interval is None else now

    def returned(self, number: int) -> None:
        """Take note that the packet with this number has come back, and with it the path for those before."""
        self.received += 1
        if self.interval is not None:
            self.seen = True
            while self._unanswered and self._unanswered[0][0] <= number:
                self._unanswered.popleft()

    def timer(self) -> float | None:
        return min((at for at in (self._send_at, self._expire_at) if at is not None), default=None)

    @property
    def _expire_at(self) -> float | None:
        if not self.seen or self.interval is None or len(self._unanswered) < self.multiplier:
            return None
        first, last = self._unanswered[0][1], self._unanswered[self.multiplier - 1][1]
        return max(first + self.multiplier * self.interval, last + self.interval)

    def due(self, now: float, factor: float) -> bool:
        """Return whether to send one now; ``factor`` is the jitter."""
        if self._send_at is None or self.interval is None or now < self._send_at:
            return False
        self._send_at = now + self.interval * factor
        self.sent += 1
        self._unanswered.append((self.sent, now))
        return True

    def expired(self, now: float) -> bool:
        at = self._expire_at
        return at is not None and now >= at
