# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Path attributes to octets (RFC 4271 section 4.3).

+-------+------+-----------------+----------
| flags | type | length (1 or 2) | value ...
+-------+------+-----------------+----------
"""

from __future__ import annotations

from collections.abc import Iterable

from vipcast.bgp.attributes import (
    EXTENDED,
    OPTIONAL,
    TRANSITIVE,
    AsPath,
    Code,
    MpReach,
    MpUnreach,
    PathAttributes,
    RawAttribute,
    Segment,
)
from vipcast.bgp.errors import LocalError
from vipcast.bgp.wire import encode_prefixes

_SHARED = OPTIONAL | TRANSITIVE


def encode_attributes(attributes: PathAttributes, *, asn4: bool = True) -> bytes:
    """Encode in order of type (RFC 4271 section 5), multiprotocol ones first (RFC 7606 section 5.1)."""
    return encode_multiprotocol(attributes) + encode_shared(attributes, asn4=asn4)


def encode_multiprotocol(attributes: PathAttributes) -> bytes:
    """Encode MP_REACH_NLRI and MP_UNREACH_NLRI, whose prefixes differ from message to message."""
    reach, unreach = attributes.mp_reach, attributes.mp_unreach
    parts = b"" if reach is None else _attribute(OPTIONAL, Code.MP_REACH_NLRI, _encode_reach(reach))
    if unreach is not None:
        parts += _attribute(OPTIONAL, Code.MP_UNREACH_NLRI, _encode_unreach(unreach))
    return parts


def encode_shared(attributes: PathAttributes, *, asn4: bool) -> bytes:
    """Encode all others, which are the same in each message of a group of routes."""
    own = (*_well_known(attributes, asn4), *_communities(attributes))
    return b"".join((*own, *map(encode_raw, attributes.others)))


def encode_raw(raw: RawAttribute) -> bytes:
    return _attribute(raw.flags, raw.code, raw.value)


def _well_known(a: PathAttributes, asn4: bool) -> list[bytes]:
    parts = []
    if a.origin is not None:
        parts.append(_attribute(TRANSITIVE, Code.ORIGIN, bytes((a.origin,))))
    if a.as_path is not None:
        parts.append(_attribute(TRANSITIVE, Code.AS_PATH, _encode_path(a.as_path, 4 if asn4 else 2)))
    if a.next_hop is not None:
        parts.append(_attribute(TRANSITIVE, Code.NEXT_HOP, a.next_hop.packed))
    if a.med is not None:
        parts.append(_attribute(OPTIONAL, Code.MULTI_EXIT_DISC, _uint(a.med, 4, "MULTI_EXIT_DISC")))
    if a.local_pref is not None:
        parts.append(_attribute(TRANSITIVE, Code.LOCAL_PREF, _uint(a.local_pref, 4, "LOCAL_PREF")))
    return parts


def _communities(a: PathAttributes) -> list[bytes]:
    """Sets, each in ascending order and without doubles: equal routes are equal octets."""
    parts = []
    if a.communities:
        values = _uints(sorted(a.communities), "a community")
        parts.append(_attribute(_SHARED, Code.COMMUNITIES, values))
    if a.extended_communities:
        parts.append(_attribute(_SHARED, Code.EXTENDED_COMMUNITIES, b"".join(sorted(a.extended_communities))))
    if a.as4_path is not None:
        parts.append(_attribute(_SHARED, Code.AS4_PATH, _encode_path(a.as4_path, 4)))
    if a.large_communities:
        values = b"".join(_uints(large, "a large community") for large in sorted(a.large_communities))
        parts.append(_attribute(_SHARED, Code.LARGE_COMMUNITIES, values))
    return parts


def _attribute(flags: int, code: int, value: bytes) -> bytes:
    """The short form of the length where it fits (RFC 4271 section 4.3)."""
    if len(value) > 0xFF:
        return bytes((flags | EXTENDED, code)) + len(value).to_bytes(2, "big") + value
    return bytes((flags & ~EXTENDED, code, len(value))) + value


def _uint(value: int, size: int, what: str) -> bytes:
    try:
        return value.to_bytes(size, "big")
    except OverflowError as exc:
        raise LocalError(f"{what} {value}: it is a number of {size} octets") from exc


def _uints(values: Iterable[int], what: str) -> bytes:
    return b"".join(_uint(value, 4, what) for value in values)


def _encode_path(path: AsPath, size: int) -> bytes:
    return b"".join(_encode_segment(segment, size) for segment in path)


def _encode_segment(segment: Segment, size: int) -> bytes:
    asns = b"".join(_uint(asn, size, "an AS number") for asn in segment.asns)
    return bytes((segment.kind, len(segment.asns))) + asns


def _encode_reach(reach: MpReach) -> bytes:
    next_hop = reach.next_hop.packed + (reach.link_local.packed if reach.link_local else b"")
    head = reach.family.afi.to_bytes(2, "big") + bytes((reach.family.safi, len(next_hop)))
    return head + next_hop + b"\0" + encode_prefixes(reach.nlri)


def _encode_unreach(unreach: MpUnreach) -> bytes:
    head = unreach.family.afi.to_bytes(2, "big") + bytes((unreach.family.safi,))
    return head + encode_prefixes(unreach.nlri)
