# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Octets to path attributes.

What is wrong with a received attribute is classified by RFC 7606: the session is reset only where the routes
concerned cannot be told (RemoteError); otherwise the attribute is discarded or the routes count as withdrawn,
and a ``Problem`` says so.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address

from vipcast.bgp import extended_communities
from vipcast.bgp.attribute_encoder import encode_raw
from vipcast.bgp.attributes import (
    EXTENDED,
    OPTIONAL,
    TRANSITIVE,
    AsPath,
    Code,
    MpReach,
    MpUnreach,
    Origin,
    PathAttributes,
    Problem,
    RawAttribute,
    Segment,
    SegmentKind,
    Treatment,
)
from vipcast.bgp.error_codes import ErrorCode, UpdateError
from vipcast.bgp.errors import RemoteError
from vipcast.bgp.route import Prefix
from vipcast.bgp.wire import FAMILIES, Family, MalformedError, PackedPrefixes, Reader


@dataclass(slots=True)
class _Parsed:
    """The path attributes that have been read of a list so far."""

    asn4: bool
    internal: bool | None
    attributes: PathAttributes = field(default_factory=PathAttributes)
    problems: list[Problem] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def complain(self, treatment: Treatment, what: str, code: int | None = None) -> None:
        self.problems.append(Problem(treatment, what, code))

    def with_other(self, raw: RawAttribute) -> PathAttributes:
        return replace(self.attributes, others=(*self.attributes.others, raw))


def decode_attributes(
    data: bytes, *, asn4: bool = True, internal: bool | None = None
) -> tuple[PathAttributes, tuple[Problem, ...]]:
    """Raises RemoteError where RFC 7606 still asks for a reset; everything else is in the problems.

    ``internal``: whether the peer is of our AS; None: not known, and then nothing is wrong with either.
    """
    parsed, reader = _Parsed(asn4, internal), Reader(data)
    while reader:
        try:
            flags, code = reader.uint(1), reader.uint(1)
            value = reader.take(reader.uint(2 if flags & EXTENDED else 1))
        except MalformedError as exc:
            # RFC 7606 section 4: the list is cut short; where the NLRI begins is still known.
            parsed.complain(Treatment.WITHDRAW, f"attribute list: {exc}")
            break
        _take_in(parsed, RawAttribute(flags & ~EXTENDED, code, value))
    return parsed.attributes, tuple(parsed.problems)


def _take_in(parsed: _Parsed, raw: RawAttribute) -> None:
    if raw.code in parsed.seen:
        _duplicate(parsed, raw.code)
        return
    parsed.seen.add(raw.code)
    rule = _RULES.get(raw.code)
    if rule is None:
        _unknown(parsed, raw)
    elif rule.internal_only and parsed.internal is False:
        parsed.complain(Treatment.DISCARD, f"{Code(raw.code).name} from an external peer", raw.code)
    elif raw.flags & (OPTIONAL | TRANSITIVE) == rule.flags:
        _apply(parsed, rule, raw)
    else:
        _wrong_flags(parsed, rule, raw)


def _wrong_flags(parsed: _Parsed, rule: _Rule, raw: RawAttribute) -> None:
    """RFC 7606 section 3 c. What names routes is read all the same: they are the ones to be withdrawn."""
    parsed.complain(Treatment.WITHDRAW, f"{Code(raw.code).name} with flags {raw.flags:#04x}", raw.code)
    if rule.resets:
        _apply(parsed, rule, raw)


def _duplicate(parsed: _Parsed, code: int) -> None:
    """RFC 7606 section 3 g."""
    if code in (Code.MP_REACH_NLRI, Code.MP_UNREACH_NLRI):
        raise RemoteError(
            ErrorCode.UPDATE, UpdateError.MALFORMED_ATTRIBUTE_LIST, detail=f"{Code(code).name} twice"
        )
    parsed.complain(Treatment.DISCARD, f"attribute {code} twice", code)


def _unknown(parsed: _Parsed, raw: RawAttribute) -> None:
    """RFC 4271 section 6.3: one that calls itself well-known has to be known."""
    if not raw.flags & OPTIONAL:
        error = UpdateError.UNRECOGNIZED_WELL_KNOWN
        raise RemoteError(ErrorCode.UPDATE, error, encode_raw(raw), detail=f"attribute {raw.code}")
    parsed.attributes = parsed.with_other(raw)


def _apply(parsed: _Parsed, rule: _Rule, raw: RawAttribute) -> None:
    try:
        parsed.attributes = rule.read(parsed, raw)
    except MalformedError as exc:
        what = f"{Code(raw.code).name}: {exc}"
        if rule.resets:
            error = UpdateError.OPTIONAL_ATTRIBUTE
            raise RemoteError(ErrorCode.UPDATE, error, encode_raw(raw), detail=what) from exc
        parsed.complain(rule.treatment, what, raw.code)


def _multiple(raw: RawAttribute, size: int) -> list[bytes]:
    """Its values of ``size`` octets each, of which there has to be one."""
    if not raw.value or len(raw.value) % size:
        raise MalformedError(f"{len(raw.value)} octets, a multiple of {size} would be right")
    return [raw.value[i : i + size] for i in range(0, len(raw.value), size)]


def _exactly(raw: RawAttribute, length: int) -> bytes:
    if len(raw.value) != length:
        raise MalformedError(f"{len(raw.value)} octets, {length} would be right")
    return raw.value


def _read_origin(parsed: _Parsed, raw: RawAttribute) -> PathAttributes:
    value = _exactly(raw, 1)[0]
    if value > max(Origin):
        raise MalformedError(f"value {value}")
    return replace(parsed.attributes, origin=Origin(value))


def _read_as_path(parsed: _Parsed, raw: RawAttribute) -> PathAttributes:
    return replace(parsed.attributes, as_path=_decode_path(raw.value, 4 if parsed.asn4 else 2))


def _read_as4_path(parsed: _Parsed, raw: RawAttribute) -> PathAttributes:
    return replace(parsed.attributes, as4_path=_decode_path(raw.value, 4))


def _decode_path(data: bytes, size: int) -> AsPath:
    """RFC 7606 section 7.2: an unknown kind, an empty segment or one that runs over the end is malformed."""
    reader, path = Reader(data), []
    while reader:
        kind, count = reader.uint(1), reader.uint(1)
        if not 1 <= kind <= max(SegmentKind) or count == 0:
            raise MalformedError(f"a segment of kind {kind} with {count} AS numbers")
        octets = reader.take(count * size)
        asns = (int.from_bytes(octets[i : i + size], "big") for i in range(0, len(octets), size))
        path.append(Segment(SegmentKind(kind), tuple(asns)))
    return tuple(path)


def _read_next_hop(parsed: _Parsed, raw: RawAttribute) -> PathAttributes:
    return replace(parsed.attributes, next_hop=IPv4Address(_exactly(raw, 4)))


def _read_med(parsed: _Parsed, raw: RawAttribute) -> PathAttributes:
    return replace(parsed.attributes, med=int.from_bytes(_exactly(raw, 4), "big"))


def _read_local_pref(parsed: _Parsed, raw: RawAttribute) -> PathAttributes:
    return replace(parsed.attributes, local_pref=int.from_bytes(_exactly(raw, 4), "big"))


def _read_communities(parsed: _Parsed, raw: RawAttribute) -> PathAttributes:
    values = frozenset(int.from_bytes(value, "big") for value in _multiple(raw, 4))
    return replace(parsed.attributes, communities=values)


def _read_extended(parsed: _Parsed, raw: RawAttribute) -> PathAttributes:
    values = frozenset(_multiple(raw, extended_communities.LENGTH))
    return replace(parsed.attributes, extended_communities=values)


def _read_large(parsed: _Parsed, raw: RawAttribute) -> PathAttributes:
    """RFC 8092 section 5: what is sent twice counts once."""
    values = frozenset(_LARGE.unpack(value) for value in _multiple(raw, _LARGE.size))
    return replace(parsed.attributes, large_communities=values)


def _read_reach(parsed: _Parsed, raw: RawAttribute) -> PathAttributes:
    reader = Reader(raw.value)
    family = FAMILIES.get((reader.uint(2), reader.uint(1)))
    next_hop = reader.take(reader.uint(1))
    reader.take(1)
    if family is None:
        return parsed.with_other(raw)
    reach = _with_next_hop(family, next_hop, PackedPrefixes(reader.rest(), family))
    return replace(parsed.attributes, mp_reach=reach)


def _with_next_hop(family: Family, octets: bytes, nlri: Sequence[Prefix]) -> MpReach:
    if len(octets) == 4 and family is Family.IPV4_UNICAST:
        return MpReach(family, IPv4Address(octets), nlri)
    if len(octets) == 16:
        return MpReach(family, IPv6Address(octets), nlri)
    if len(octets) == 32:
        return MpReach(family, IPv6Address(octets[:16]), nlri, IPv6Address(octets[16:]))
    raise MalformedError(f"a next hop of {len(octets)} octets for {family.words}")


def _read_unreach(parsed: _Parsed, raw: RawAttribute) -> PathAttributes:
    reader = Reader(raw.value)
    family = FAMILIES.get((reader.uint(2), reader.uint(1)))
    if family is None:
        return parsed.with_other(raw)
    return replace(parsed.attributes, mp_unreach=MpUnreach(family, PackedPrefixes(reader.rest(), family)))


def _read_fixed(length: int) -> Callable[[_Parsed, RawAttribute], PathAttributes]:
    """Return the rule for an attribute that is only passed on, and has ``length`` octets."""

    def read(parsed: _Parsed, raw: RawAttribute) -> PathAttributes:
        _exactly(raw, length)
        return parsed.with_other(raw)

    return read


def _read_list(size: int) -> Callable[[_Parsed, RawAttribute], PathAttributes]:
    """Return the rule for an attribute that is only passed on, and is a list of values of ``size`` octets."""

    def read(parsed: _Parsed, raw: RawAttribute) -> PathAttributes:
        _multiple(raw, size)
        return parsed.with_other(raw)

    return read


def _read_aggregator(parsed: _Parsed, raw: RawAttribute) -> PathAttributes:
    _exactly(raw, 8 if parsed.asn4 else 6)
    return parsed.with_other(raw)


@dataclass(frozen=True, slots=True)
class _Rule:
    """The rule for one attribute: flags, reader, and treatment when malformed (RFC 7606 section 7)."""

    flags: int
    read: Callable[[_Parsed, RawAttribute], PathAttributes]
    treatment: Treatment = Treatment.WITHDRAW
    resets: bool = False
    internal_only: bool = False


_LARGE = struct.Struct(">III")
_SHARED = OPTIONAL | TRANSITIVE
_DISCARD = Treatment.DISCARD
_RULES: dict[int, _Rule] = {
    Code.ORIGIN: _Rule(TRANSITIVE, _read_origin),
    Code.AS_PATH: _Rule(TRANSITIVE, _read_as_path),
    Code.NEXT_HOP: _Rule(TRANSITIVE, _read_next_hop),
    Code.MULTI_EXIT_DISC: _Rule(OPTIONAL, _read_med),
    Code.LOCAL_PREF: _Rule(TRANSITIVE, _read_local_pref, internal_only=True),
    Code.ATOMIC_AGGREGATE: _Rule(TRANSITIVE, _read_fixed(0), _DISCARD),
    Code.AGGREGATOR: _Rule(_SHARED, _read_aggregator, _DISCARD),
    Code.COMMUNITIES: _Rule(_SHARED, _read_communities),
    Code.ORIGINATOR_ID: _Rule(OPTIONAL, _read_fixed(4), internal_only=True),
    Code.CLUSTER_LIST: _Rule(OPTIONAL, _read_list(4), internal_only=True),
    # RFC 7606 section 5.3 and 7.11: which routes are meant cannot be told, so these two reset.
    Code.MP_REACH_NLRI: _Rule(OPTIONAL, _read_reach, resets=True),
    Code.MP_UNREACH_NLRI: _Rule(OPTIONAL, _read_unreach, resets=True),
    Code.EXTENDED_COMMUNITIES: _Rule(_SHARED, _read_extended),
    # RFC 6793 section 6: these two are never worth a route.
    Code.AS4_PATH: _Rule(_SHARED, _read_as4_path, _DISCARD),
    Code.AS4_AGGREGATOR: _Rule(_SHARED, _read_fixed(8), _DISCARD),
    Code.IPV6_EXTENDED_COMMUNITIES: _Rule(_SHARED, _read_list(20)),
    Code.LARGE_COMMUNITIES: _Rule(_SHARED, _read_large),
}
