# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries as release 0.1.0 writes and reads them: version 1, for members and processes that know no other.

    1  name, number (4), condition (1)
    2  name, number (4), version (4), count (1), and of each: name, number (4)
    3  address, term (8), owner, hold (1), reason (1), milliseconds since 1970 (8), support (2)

An address is an octet (4 or 6) and its own. Nothing says how long an entry is: who reads one that it does not
know loses the whole packet. So to such a member nothing is said that it does not know.
"""

from __future__ import annotations

import struct

from vipcast.membership.entries import (
    BadEntryError,
    Entry,
    Found,
    Hold,
    Key,
    Kind,
    Offers,
    Opaque,
    Ownership,
    Reason,
    Unable,
    Value,
)
from vipcast.membership.entries_v2 import VALUES, Reader, write_known, write_name

__all__ = ["read", "write"]

_LAST_REASON = Reason.CONTESTED
# What stands for a reason that version 1 does not have: nothing is decided by these two.
_INSTEAD = {Hold.HELD: Reason.OWNER_YIELDED}
_INSTEAD_GIVEN_UP = Reason.NOT_CANDIDATE


def write(key: Key, value: Value) -> bytes:
    """The octets, or none for what version 1 cannot say."""
    kind, subject = key
    if isinstance(value, Opaque | Unable | Offers):
        return b""
    if isinstance(value, Ownership):
        value = value._replace(reason=_known_reason(value))
    written = write_name(subject) if isinstance(subject, str) else bytes((subject.version,)) + subject.packed
    return bytes((kind,)) + written + write_known(value)


def _known_reason(claim: Ownership) -> int:
    if claim.reason <= _LAST_REASON:
        return claim.reason
    return _INSTEAD.get(claim.hold, _INSTEAD_GIVEN_UP)


def read(data: bytes) -> Found:
    """Raises BadEntryError."""
    reader, found = Reader(data), []
    try:
        while not reader.ended:
            found.append(_read_entry(reader))
    except (struct.error, IndexError, ValueError) as error:
        raise BadEntryError(str(error)) from error
    return Found(found)


def _read_entry(reader: Reader) -> Entry:
    kind = Kind(reader.octet())
    if kind not in _KINDS:
        raise BadEntryError(f"kind {kind}")
    subject = reader.address(reader.octet()) if kind is Kind.CLAIM else reader.name()
    return (kind, subject), VALUES[kind](reader)


_KINDS = frozenset({Kind.NODE, Kind.VOTES, Kind.CLAIM})
