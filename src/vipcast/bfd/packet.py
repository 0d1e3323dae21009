# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BFD Control packets, octets and fields (RFC 5880 section 4.1). No authentication section (4.2 to 4.4)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

from vipcast.bfd.fsm import BfdState, Diagnostic

VERSION = 1
LENGTH = 24
# With an authentication section of the least length (section 6.8.6).
AUTHENTICATED_LENGTH = 26
MICROSECOND = 1e-6
_PER_SECOND = 1_000_000

_FORMAT = struct.Struct("!BBBBIIIII")
_POLL, _FINAL, _INDEPENDENT, _AUTHENTICATION, _DEMAND, _MULTIPOINT = 0x20, 0x10, 0x08, 0x04, 0x02, 0x01


class Drop(Enum):
    """The reason why a packet was dropped, in the order of section 6.8.6.

    The last ones are RFC 5881's and ours.
    """

    TOO_SHORT = "too short"
    BAD_VERSION = "bad version"
    BAD_LENGTH = "bad length"
    NO_MULTIPLIER = "detect multiplier zero"
    MULTIPOINT = "multipoint bit set"
    NO_MY_DISCRIMINATOR = "my discriminator zero"
    UNKNOWN_DISCRIMINATOR = "unknown your discriminator"
    NO_YOUR_DISCRIMINATOR = "your discriminator zero in a session under way"
    NO_SESSION = "no session with the sender"
    AUTHENTICATION = "authentication not in use"
    DISABLED = "session is administratively down"
    BAD_TTL = "TTL too low"
    WRONG_SENDER = "sender is not the session's peer"
    IN_THE_KERNEL = "filtered, or too many at once, in the kernel"


@dataclass(frozen=True, slots=True)
class ControlPacket:
    """Section 4.1. Intervals are seconds."""

    state: BfdState
    diagnostic: Diagnostic
    detect_multiplier: int
    my_discriminator: int
    your_discriminator: int
    desired_min_tx: float
    required_min_rx: float
    required_min_echo_rx: float = 0.0
    poll: bool = False
    final: bool = False
    control_plane_independent: bool = False
    demand: bool = False

    def encode(self) -> bytes:
        flags = (
            self.state << 6
            | (_POLL if self.poll else 0)
            | (_FINAL if self.final else 0)
            | (_INDEPENDENT if self.control_plane_independent else 0)
            | (_DEMAND if self.demand else 0)
        )
        return _FORMAT.pack(
            VERSION << 5 | self.diagnostic,
            flags,
            self.detect_multiplier,
            LENGTH,
            self.my_discriminator,
            self.your_discriminator,
            _microseconds(self.desired_min_tx),
            _microseconds(self.required_min_rx),
            _microseconds(self.required_min_echo_rx),
        )


def decode(data: bytes) -> ControlPacket | Drop:
    """Return what section 6.8.6 checks before a session is looked for.

    Never an exception, whatever the octets.
    """
    if len(data) < LENGTH:
        return Drop.TOO_SHORT
    head, flags, multiplier, length, mine, yours, tx, rx, echo = _FORMAT.unpack_from(data)
    if drop := _judge(head >> 5, flags, multiplier, length, len(data)):
        return drop
    if mine == 0:
        return Drop.NO_MY_DISCRIMINATOR
    state = BfdState(flags >> 6)
    if yours == 0 and state in (BfdState.INIT, BfdState.UP):
        return Drop.NO_YOUR_DISCRIMINATOR
    if flags & _AUTHENTICATION:
        return Drop.AUTHENTICATION
    return ControlPacket(
        state=state,
        diagnostic=Diagnostic.read(head & 0x1F),
        detect_multiplier=multiplier,
        my_discriminator=mine,
        your_discriminator=yours,
        desired_min_tx=tx / _PER_SECOND,
        required_min_rx=rx / _PER_SECOND,
        required_min_echo_rx=echo / _PER_SECOND,
        poll=bool(flags & _POLL),
        final=bool(flags & _FINAL),
        control_plane_independent=bool(flags & _INDEPENDENT),
        demand=bool(flags & _DEMAND),
    )


def _judge(version: int, flags: int, multiplier: int, length: int, size: int) -> Drop | None:
    if version != VERSION:
        return Drop.BAD_VERSION
    least = AUTHENTICATED_LENGTH if flags & _AUTHENTICATION else LENGTH
    if not least <= length <= size:
        return Drop.BAD_LENGTH
    if multiplier == 0:
        return Drop.NO_MULTIPLIER
    return Drop.MULTIPOINT if flags & _MULTIPOINT else None


def _microseconds(seconds: float) -> int:
    return min(0xFFFFFFFF, round(seconds * _PER_SECOND))
