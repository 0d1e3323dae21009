# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entries on which all members agree in the end, and which one of two is right.

A member's condition   name, number, condition. A higher number is right, of one number the worse condition:
                       whoever finds a member dead writes it down, and a living one that reads it of
                       itself takes a higher number.
What a member hears    name, its number, version, the members (with their numbers) that it does not hear,
                       and those that it does (`vipcast.membership.reach`).
                       Written by the watcher alone; the newer one is right.
What it cannot answer  version, classes of addresses, and addresses. Written by that member alone, as is
What it offers         version, addresses, and who may take each (`vipcast.membership.balance`).
A claim to an address  term, owner, hold, reason, since, support. The higher term is right, of one term the
                       owner that comes first (`vipcast.election`), of one owner the later hold.

So merging is commutative, associative and idempotent: packets may be lost, doubled, and come in any order.

On the wire: version 2 in `entries_v2`, version 1 in `entries_v1`.

**What a later program may add**, and this one keeps and passes on without understanding it: octets behind a
value (``extra``), a reason (a number for people), and kinds up to 127 (`Opaque`), whose octets it compares:
the greater ones are right. So a new kind begins with the numbers that decide, in network order. Kinds from
128 on are for the receiver alone: who does not know them skips them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from vipcast import election
from vipcast.model.addresses import IPAddress

# A name of a Kubernetes node is a DNS subdomain (RFC 1123): 253 octets at most.
MAX_NAME = 253
# More than a member is linked to, and little enough for a packet.
MAX_VOTES = 32
# Whom a member hears: its neighbors, and some that it has for want of them.
MAX_LINKS = 48
# Of each: what does not fit is waited for.
MAX_UNABLE = 64
MAX_OFFERS = 24
MAX_TERM = (1 << 63) - 1
MAX_SUPPORT = (1 << 16) - 1
# What is kept and not understood has to have an end.
MAX_EXTRA = 256
MAX_OPAQUE = 512
# Kinds up to this one are passed on by those who do not know them.
LAST_SHARED = 127


class Kind(IntEnum):
    NODE = 1
    VOTES = 2
    CLAIM = 3
    UNABLE = 4
    OFFERS = 5


class Condition(IntEnum):
    """The condition of a member; the worse one is right."""

    ALIVE = 0
    LEAVING = 1
    DEAD = 2
    LEFT = 3  # dead, and said so itself


class Hold(IntEnum):
    """The state of a claim; the later one is right."""

    HELD = 0
    YIELDING = 1
    RELEASED = 2


class Reason(IntEnum):
    """The reason of a claim's last change. A later program may have others: they are numbers."""

    VACANT = 0
    OWNER_DEAD = 1
    OWNER_YIELDED = 2
    OWNER_RELEASED = 3
    OWNER_NO_CANDIDATE = 4
    PREEMPTED = 5
    KEPT = 6
    NOT_CANDIDATE = 7
    UNABLE = 8
    LEAVING = 9
    NOT_WANTED = 10
    CONTESTED = 11
    OFFERED = 12
    ORPHANED = 13


class Node(NamedTuple):
    """``extra`` here and below: octets that a later program has added."""

    number: int
    condition: Condition
    extra: bytes = b""


class Votes(NamedTuple):
    """``silent``: names and their numbers, sorted. ``links``: whom it hears, and whether that goes both ways
    (`vipcast.membership.reach`); itself too, so that it is empty where release 0.1.0 said nothing of that.
    """

    number: int
    version: int
    silent: tuple[tuple[str, int], ...] = ()
    links: tuple[tuple[str, int], ...] = ()
    extra: bytes = b""


class Ownership(NamedTuple):
    """``since``: milliseconds since 1970, by the owner's clock. ``support``: how many it heard then.

    ``reason``: a `Reason`, or the number of one that this program does not know.
    """

    term: int
    owner: str
    hold: Hold
    reason: int
    since: int
    support: int = 0
    extra: bytes = b""


class Unable(NamedTuple):
    """``classes``: see `vipcast.membership.unable`; ``addresses``: in their octets. Both sorted."""

    version: int
    classes: tuple[int, ...] = ()
    addresses: tuple[bytes, ...] = ()
    extra: bytes = b""


class Offers(NamedTuple):
    """``offers``: addresses in their octets, and who may take each. Sorted."""

    version: int
    offers: tuple[tuple[bytes, str], ...] = ()
    extra: bytes = b""


class Opaque(NamedTuple):
    """The value of a kind that this program does not know: it is kept, merged and passed on."""

    octets: bytes


# Of a kind that is known, a `Kind`.
Key = tuple[int, str | IPAddress]
Value = Node | Votes | Ownership | Unable | Offers | Opaque
Entry = tuple[Key, Value]


class Found(NamedTuple):
    """``skipped``: how many entries this program cannot use."""

    entries: list[Entry]
    skipped: int = 0


class BadEntryError(ValueError):
    """Octets that are no entries."""


def newer(key: Key, one: Value, other: Value) -> bool:
    """Tell whether ``other`` is right where ``one`` is known."""
    if isinstance(one, Ownership) and isinstance(other, Ownership):
        if one.term != other.term:
            return other.term > one.term
        if one.owner != other.owner:
            return election.before(other.owner, one.owner, str(key[1]))
    return tuple(other) > tuple(one)
