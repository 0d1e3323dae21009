# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all members agree on, in the end: entries of three kinds, which one of two is right, and their octets.

A member's condition   name, number, condition. A higher number is right, of one number the worse condition:
                       whoever finds a member dead writes it down, and a living one that reads it of
                       itself takes a higher number.
A watcher's votes      name, its number, version, the members (with their numbers) that it does not hear.
                       Written by the watcher alone; the newer one is right.
A claim to an address  term, owner, hold, reason, since, support. The higher term is right, of one term the
                       owner that comes first (`vipcast.election`), of one owner the later hold.

So merging is commutative, associative and idempotent: packets may be lost, doubled, and come in any order.

On the wire each begins with an octet for its kind; numbers are in network order, a name is an octet for its
length and UTF-8, an address an octet (4 or 6) and its own:

    1  name, number (4), condition (1)
    2  name, number (4), version (4), count (1), and of each: name, number (4)
    3  address, term (8), owner, hold (1), reason (1), milliseconds since 1970 (8), support (2)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from typing import NamedTuple

from vipcast import election
from vipcast.members.words import Address

# A name of a Kubernetes node is a DNS subdomain (RFC 1123): 253 octets at most.
MAX_NAME = 253
# More than a member is linked to, and little enough for a packet.
MAX_VOTES = 32
MAX_TERM = (1 << 63) - 1
MAX_SUPPORT = (1 << 16) - 1
MAX_NUMBER = (1 << 32) - 1


class Kind(IntEnum):
    NODE = 1
    VOTES = 2
    CLAIM = 3


class Condition(IntEnum):
    """Of a member; the worse one is right."""

    ALIVE = 0
    LEAVING = 1
    DEAD = 2
    LEFT = 3  # dead, and said so itself


class Hold(IntEnum):
    """Of a claim; the later one is right."""

    HELD = 0
    YIELDING = 1
    RELEASED = 2


class Reason(IntEnum):
    """Why a claim was made, or is not what it was."""

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


class Node(NamedTuple):
    number: int
    condition: Condition


class Votes(NamedTuple):
    """``silent``: names and their numbers, sorted."""

    number: int
    version: int
    silent: tuple[tuple[str, int], ...] = ()


class Ownership(NamedTuple):
    """``since``: milliseconds since 1970, by the owner's clock. ``support``: how many it heard then."""

    term: int
    owner: str
    hold: Hold
    reason: Reason
    since: int
    support: int = 0


NodeKey = tuple[Kind, str]
ClaimKey = tuple[Kind, Address]
Key = tuple[Kind, str | Address]
Value = Node | Votes | Ownership


class BadEntryError(ValueError):
    """Octets that are no entries."""


def newer(key: Key, one: Value, other: Value) -> bool:
    """Whether ``other`` is right where ``one`` is known."""
    if isinstance(one, Ownership) and isinstance(other, Ownership):
        if one.term != other.term:
            return other.term > one.term
        if one.owner != other.owner:
            return election.before(other.owner, one.owner, str(key[1]))
    return tuple(other) > tuple(one)


# ---- octets ----

_NODE = struct.Struct("!IB")
_VOTES = struct.Struct("!IIB")
_NUMBER = struct.Struct("!I")
_TERM = struct.Struct("!Q")
_CLAIM = struct.Struct("!BBQH")


def write(key: Key, value: Value) -> bytes:
    kind, subject = key
    if isinstance(value, Ownership):
        assert not isinstance(subject, str)
        return (
            bytes((kind, subject.version))
            + subject.packed
            + _TERM.pack(value.term)
            + write_name(value.owner)
            + _CLAIM.pack(value.hold, value.reason, value.since, value.support)
        )
    assert isinstance(subject, str)
    head = bytes((kind,)) + write_name(subject)
    if isinstance(value, Node):
        return head + _NODE.pack(value.number, value.condition)
    votes = b"".join(write_name(name) + _NUMBER.pack(number) for name, number in value.silent)
    return head + _VOTES.pack(value.number, value.version, len(value.silent)) + votes


def write_name(name: str) -> bytes:
    octets = name.encode()
    if not 0 < len(octets) <= MAX_NAME:
        raise ValueError(f"node name {name!r}: 1 to {MAX_NAME} octets would be right")
    return bytes((len(octets),)) + octets


def read(data: bytes) -> list[tuple[Key, Value]]:
    """Raises BadEntryError."""
    try:
        return list(_Reader(data))
    except (struct.error, IndexError, ValueError) as error:
        raise BadEntryError(str(error)) from error


class _Reader:
    """Exceptions of any kind are translated by `read`."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __iter__(self) -> Iterator[tuple[Key, Value]]:
        while self._at < len(self._data):
            kind = self._octet()
            if kind == Kind.CLAIM:
                yield self._claim()
            else:
                yield self._of_a_name(Kind(kind))

    def _of_a_name(self, kind: Kind) -> tuple[Key, Value]:
        key = (kind, self.name())
        if kind is Kind.NODE:
            number, condition = self._numbers(_NODE)
            return key, Node(number, Condition(condition))
        number, version, count = self._numbers(_VOTES)
        if count > MAX_VOTES:
            raise BadEntryError(f"{count} votes")
        silent = [(self.name(), self._numbers(_NUMBER)[0]) for _each in range(count)]
        if any(one >= other for one, other in pairwise(silent)):
            raise BadEntryError("votes out of order")
        return key, Votes(number, version, tuple(silent))

    def _claim(self) -> tuple[Key, Value]:
        address = self._address()
        (term,) = self._numbers(_TERM)
        if not 0 < term <= MAX_TERM:
            raise BadEntryError(f"term {term}")
        owner = self.name()
        hold, reason, since, support = self._numbers(_CLAIM)
        return (Kind.CLAIM, address), Ownership(term, owner, Hold(hold), Reason(reason), since, support)

    def _address(self) -> Address:
        version = self._octet()
        if version == 4:
            return IPv4Address(self._take(4))
        if version == 6:
            return IPv6Address(self._take(16))
        raise BadEntryError(f"address family {version}")

    def name(self) -> str:
        length = self._octet()
        if not 0 < length <= MAX_NAME:
            raise BadEntryError(f"a name of {length} octets")
        return self._take(length).decode()

    def _octet(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise BadEntryError("cut off")
        self._at += count
        return taken

    def _numbers(self, form: struct.Struct) -> tuple[int, ...]:
        found: tuple[int, ...] = form.unpack_from(self._data, self._at)
        self._at += form.size
        return found
