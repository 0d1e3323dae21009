# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The echo function (RFC 5880 section 6.4): packets to ourselves, sent back by the neighbour's forwarding."""

from __future__ import annotations

import struct

_PAYLOAD = struct.Struct("!4sII")
_MARK = b"VCe1"


def encode(discriminator: int, number: int) -> bytes:
    """What is in an echo packet is its sender's own business (RFC 5881 section 4)."""
    return _PAYLOAD.pack(_MARK, discriminator, number & 0xFFFFFFFF)


def discriminator_of(payload: bytes) -> int | None:
    """Whose echo packet it is; None: not one of ours."""
    if len(payload) < _PAYLOAD.size:
        return None
    mark, discriminator, _number = _PAYLOAD.unpack_from(payload)
    return discriminator if mark == _MARK else None


class Echo:
    """Of one session. It judges only once a packet has come back: where the neighbour says that it takes echo
    packets and its forwarding doesn't loop them, nothing follows for the path.
    """

    def __init__(self, multiplier: int) -> None:
        self.interval: float | None = None
        self.multiplier = multiplier
        self.seen = False
        self.sent = self.received = 0
        self._send_at: float | None = None
        self._expire_at: float | None = None

    @property
    def active(self) -> bool:
        return self.interval is not None

    def run_at(self, interval: float | None, now: float) -> None:
        """Start, stop (None), or change the interval."""
        if interval == self.interval:
            return
        if interval is None or self.interval is None:
            self.seen, self._expire_at = False, None
        self.interval = interval
        self._send_at = None if interval is None else now

    def returned(self, now: float) -> None:
        self.received += 1
        if self.interval is not None:
            self.seen = True
            self._expire_at = now + self.interval * self.multiplier

    def timer(self) -> float | None:
        return min((at for at in (self._send_at, self._expire_at) if at is not None), default=None)

    def due(self, now: float, factor: float) -> bool:
        """Whether to send one now; ``factor`` is the jitter."""
        if self._send_at is None or self.interval is None or now < self._send_at:
            return False
        self._send_at = now + self.interval * factor
        self.sent += 1
        return True

    def expired(self, now: float) -> bool:
        return self._expire_at is not None and now >= self._expire_at
