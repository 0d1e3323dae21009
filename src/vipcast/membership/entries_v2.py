# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries in octets, version 2 (docs/design/0022-versions-on-the-wire.md).

Numbers are in network order, a name is an octet for its length and UTF-8:

    kind (1), length of what follows (2), subject, value

    subject   0 and a name, 4 and an IPv4 address (4), or 6 and an IPv6 address (16)
    value  1  number (4), condition (1)
           2  number (4), version (4), count (1), and of each: name, number (4); then
              count (1), and of each whom it hears: name, 1 where that goes both ways and 0 (1)
           4  version (4), count (1), and of each class: number (4); count (1), and of each: address
           5  version (4), count (1), and of each: address, name of who may take it
           3  term (8), owner (a name), hold (1), reason (1), milliseconds since 1970 (8), support (2)
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise

from vipcast.membership.entries import (
    LAST_SHARED,
    MAX_EXTRA,
    MAX_LINKS,
    MAX_NAME,
    MAX_OFFERS,
    MAX_OPAQUE,
    MAX_TERM,
    MAX_UNABLE,
    MAX_VOTES,
    BadEntryError,
    Condition,
    Entry,
    Found,
    Hold,
    Key,
    Kind,
    Node,
    Offers,
    Opaque,
    Ownership,
    Reason,
    Unable,
    Value,
    Votes,
)
from vipcast.model.addresses import IPAddress

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
