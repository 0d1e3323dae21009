# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entries on which all members agree in the end, which one of two is right, and their octets.

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

Version 2 on the wire (docs/design/0022-versions-on-the-wire.md; version 1 is in `entries_v1`). Numbers are in
network order, a name is an octet for its length and UTF-8:

    kind (1), length of what follows (2), subject, value

    subject   0 and a name, 4 and an IPv4 address (4), or 6 and an IPv6 address (16)
    value  1  number (4), condition (1)
           2  number (4), version (4), count (1), and of each: name, number (4); then
              count (1), and of each whom it hears: name, 1 where that goes both ways and 0 (1)
           4  version (4), count (1), and of each class: number (4); count (1), and of each: address
           5  version (4), count (1), and of each: address, name of who may take it
           3  term (8), owner (a name), hold (1), reason (1), milliseconds since 1970 (8), support (2)

**What a later program may add**, and this one keeps and passes on without understanding it: octets behind a
value (``extra``), a reason (a number for people), and kinds up to 127 (`Opaque`), whose octets it compares:
the greater ones are right. So a new kind begins with the numbers that decide, in network order. Kinds from
128 on are for the receiver alone: who does not know them skips them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from typing import NamedTuple

from vipcast import election
from vipcast.model.addresses import IPAddress

# A name of a Kubernetes node is a DNS subdomain (RFC 1123): 253 octets at most.
MAX_NAME = 253
# More than a member is linked to, and little enough for a packet.
MAX_VOTES = 32
# Whom a member hears: its neighbours, and some that it has for want of them.
MAX_LINKS = 48
# Of each: what does not fit is waited for.
MAX_UNABLE = 64
MAX_OFFERS = 24
MAX_TERM = (1 << 63) - 1
MAX_SUPPORT = (1 << 16) - 1
MAX_NUMBER = (1 << 32) - 1
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


# ---- octets ----

_KIND = struct.Struct("!BH")
_NODE = struct.Struct("!IB")
_VOTES = struct.Struct("!IIB")
_NUMBER = struct.Struct("!I")
_LIST = struct.Struct("!IB")
_TERM = struct.Struct("!Q")
_CLAIM = struct.Struct("!BBQH")
_NAME = 0  # the form of a subject; of an address it is its version


def write(key: Key, value: Value) -> bytes:
    """The octets of version 2."""
    kind, subject = key
    body = write_subject(subject) + _write_value(value)
    return _KIND.pack(kind, len(body)) + body


def _write_value(value: Value) -> bytes:
    if isinstance(value, Opaque):
        return value.octets
    if isinstance(value, Unable | Offers):
        return _write_list(value) + value.extra
    return write_known(value) + (_write_links(value) if isinstance(value, Votes) else b"") + value.extra


def _write_list(value: Unable | Offers) -> bytes:
    if isinstance(value, Offers):
        items = [_write_packed(address) + write_name(to) for address, to in value.offers]
        return _LIST.pack(value.version, len(items)) + b"".join(items)
    classes = b"".join(map(_NUMBER.pack, value.classes))
    addresses = b"".join(map(_write_packed, value.addresses))
    return (
        _LIST.pack(value.version, len(value.classes)) + classes + bytes((len(value.addresses),)) + addresses
    )


def _write_packed(address: bytes) -> bytes:
    return bytes((4 if len(address) == 4 else 6,)) + address


def _write_links(value: Votes) -> bytes:
    links = b"".join(write_name(name) + bytes((both,)) for name, both in value.links)
    return bytes((len(value.links),)) + links


def write_known(value: Node | Votes | Ownership) -> bytes:
    """Return the octets of a value that versions 1 and 2 have in common."""
    if isinstance(value, Node):
        return _NODE.pack(value.number, value.condition)
    if isinstance(value, Votes):
        votes = b"".join(write_name(name) + _NUMBER.pack(number) for name, number in value.silent)
        return _VOTES.pack(value.number, value.version, len(value.silent)) + votes
    numbers = _CLAIM.pack(value.hold, value.reason, value.since, value.support)
    return _TERM.pack(value.term) + write_name(value.owner) + numbers


def write_subject(subject: str | IPAddress) -> bytes:
    if isinstance(subject, str):
        return bytes((_NAME,)) + write_name(subject)
    return bytes((subject.version,)) + subject.packed


def write_name(name: str) -> bytes:
    octets = name.encode()
    if not 0 < len(octets) <= MAX_NAME:
        raise ValueError(f"node name {name!r}: 1 to {MAX_NAME} octets would be right")
    return bytes((len(octets),)) + octets


def read(data: bytes) -> Found:
    """The entries of version 2. Raises BadEntryError where they do not end where the octets do.

    One that cannot be used costs none of the others.
    """
    found, skipped, at = [], 0, 0
    while at < len(data):
        if len(data) - at < _KIND.size:
            raise BadEntryError("cut off")
        kind, length = _KIND.unpack_from(data, at)
        at += _KIND.size + length
        if at > len(data):
            raise BadEntryError("cut off")
        try:
            found.append(_read_entry(kind, data[at - length : at]))
        except (struct.error, IndexError, ValueError):
            skipped += 1
    return Found(found, skipped)


def _read_entry(kind: int, body: bytes) -> Entry:
    reader = Reader(body)
    read_value = VALUES.get(kind)
    if read_value is None:
        return _read_opaque(kind, reader)
    key = _KINDS[kind], _of_its_kind(kind, reader.subject())
    value = read_value(reader)
    if reader.ended:
        return key, value
    if isinstance(value, Votes):
        value = value._replace(links=reader.links())
    extra = reader.rest()
    if len(extra) > MAX_EXTRA:
        raise BadEntryError(f"{len(extra)} octets behind the value: at most {MAX_EXTRA}")
    return key, value._replace(extra=extra)


def _read_opaque(kind: int, reader: Reader) -> Entry:
    if not 0 < kind <= LAST_SHARED or reader.length > MAX_OPAQUE:
        raise BadEntryError(f"kind {kind}")
    return (kind, reader.subject()), Opaque(reader.rest())


def _of_its_kind(kind: int, subject: str | IPAddress) -> str | IPAddress:
    if isinstance(subject, str) is (kind == Kind.CLAIM):
        raise BadEntryError(f"kind {kind} of {subject}")
    return subject


class Reader:
    """Octets one after the other. Raises BadEntryError, IndexError, struct.error, ValueError."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def length(self) -> int:
        return len(self._data)

    @property
    def ended(self) -> bool:
        return self._at >= len(self._data)

    def subject(self) -> str | IPAddress:
        form = self.octet()
        return self.name() if form == _NAME else self.address(form)

    def node(self) -> Node:
        number, condition = self._numbers(_NODE)
        return Node(number, Condition(condition))

    def votes(self) -> Votes:
        number, version, count = self._numbers(_VOTES)
        if count > MAX_VOTES:
            raise BadEntryError(f"{count} votes")
        silent = [(self.name(), self._numbers(_NUMBER)[0]) for _each in range(count)]
        if any(one >= other for one, other in pairwise(silent)):
            raise BadEntryError("votes out of order")
        return Votes(number, version, tuple(silent))

    def links(self) -> tuple[tuple[str, int], ...]:
        links = [(self.name(), self.octet()) for _each in range(self.octet())]
        if len(links) > MAX_LINKS or any(one >= other for one, other in pairwise(links)):
            raise BadEntryError("links out of order, or too many")
        return tuple(links)

    def unable(self) -> Unable:
        version, count = self._numbers(_LIST)
        classes = tuple(self._numbers(_NUMBER)[0] for _each in range(count))
        addresses = tuple(self.address(self.octet()).packed for _each in range(self.octet()))
        if max(count, len(addresses)) > MAX_UNABLE:
            raise BadEntryError("more than there is room for")
        return Unable(version, classes, addresses)

    def offers(self) -> Offers:
        version, count = self._numbers(_LIST)
        if count > MAX_OFFERS:
            raise BadEntryError(f"{count} offers")
        return Offers(
            version,
            tuple((self.address(self.octet()).packed, self.name()) for _each in range(count)),
        )

    def ownership(self) -> Ownership:
        (term,) = self._numbers(_TERM)
        if not 0 < term <= MAX_TERM:
            raise BadEntryError(f"term {term}")
        owner = self.name()
        hold, reason, since, support = self._numbers(_CLAIM)
        return Ownership(term, owner, Hold(hold), _REASONS.get(reason, reason), since, support)

    def address(self, version: int) -> IPAddress:
        if version == 4:
            return IPv4Address(self._take(4))
        if version == 6:
            return IPv6Address(self._take(16))
        raise BadEntryError(f"address family {version}")

    def name(self) -> str:
        length = self.octet()
        if not 0 < length <= MAX_NAME:
            raise BadEntryError(f"a name of {length} octets")
        return self._take(length).decode()

    def octet(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def rest(self) -> bytes:
        return self._take(len(self._data) - self._at)

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


_KINDS: dict[int, Kind] = {kind.value: kind for kind in Kind}
_REASONS: dict[int, Reason] = {reason.value: reason for reason in Reason}
VALUES: dict[int, Callable[[Reader], Node | Votes | Ownership | Unable | Offers]] = {
    Kind.NODE: Reader.node,
    Kind.VOTES: Reader.votes,
    Kind.CLAIM: Reader.ownership,
    Kind.UNABLE: Reader.unable,
    Kind.OFFERS: Reader.offers,
}
