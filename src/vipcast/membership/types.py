# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The types of membership: profiles, members, claims, events, and reasons why packets are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from vipcast.model.addresses import IPAddress

Endpoint = tuple[IPAddress, int]
"""Where a member is: an address and a UDP port."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Seconds. ``heartbeat``: how often each says that it is there. ``dead_after``: of silence."""

    name: str
    heartbeat: float
    dead_after: float

    @property
    def grace(self) -> float:
        """Return the seconds that a candidate waits for each one before it: a lost packet comes again."""
        return 1.5 * self.heartbeat


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("default", 0.1, 0.35),
        Profile("fast", 0.04, 0.14),
        Profile("calm", 0.5, 3.0),
    )
}


class MemberState(Enum):
    """The value is the name that the status shows."""

    ALIVE = "alive"
    LEAVING = "leaving"
    DEAD = "dead"
    UNKNOWN = "unknown"  # never heard of


@dataclass(frozen=True, slots=True)
class Member:
    """``since``: of the state, by the clock of ``now``. ``round_trip``: where packets are exchanged."""

    state: MemberState = MemberState.UNKNOWN
    since: float = 0.0
    endpoint: Endpoint | None = None
    round_trip: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """The owner of an address by the replicated map.

    ``since_wall``: seconds since 1970, by the owner's clock.
    """

    term: int
    owner: str
    yielding: bool = False
    since_wall: float = 0.0
    why: str = ""  # it came to this owner, in words


@dataclass(frozen=True, slots=True)
class MemberChanged:
    name: str
    old: MemberState
    new: MemberState
    why: str


@dataclass(frozen=True, slots=True)
class ClaimChanged:
    """An owner came, changed or went (None: nobody owns it). ``why``: in words."""

    address: IPAddress
    old: Claim | None
    new: Claim | None
    why: str


@dataclass(frozen=True, slots=True)
class AddressDoubted:
    """Another one may have answered for what is ours, where we were not heard: neighbors may believe it."""

    address: IPAddress


Event = MemberChanged | ClaimChanged | AddressDoubted


class Drop(Enum):
    """The reason why a packet, or something in it, was dropped."""

    NO_KEY = "no key"
    TOO_SHORT = "too short"
    TOO_LONG = "too long"
    BAD_MAGIC = "not ours"
    BAD_VERSION = "unknown version"
    BAD_TAG = "bad tag"
    BAD_CONTENT = "bad content"
    UNKNOWN_ENTRY = "an entry of a later program"
    OURSELVES = "sent in our own name"
    UNKNOWN_SENDER = "unknown sender"
    OTHER_GENERATION = "meant for, or sent in, another life"
    REPLAYED = "replayed"
    TOO_MANY = "more entries than there is room for"
