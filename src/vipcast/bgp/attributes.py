# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Path attributes (RFC 4271 section 4.3 and 5).

    +-------+------+-----------------+----------
    | flags | type | length (1 or 2) | value ...
    +-------+------+-----------------+----------

What is wrong with a received attribute is classified by RFC 7606: the session is reset only where the routes
concerned cannot be told (RemoteError); otherwise the attribute is discarded or the routes count as withdrawn,
and a ``Problem`` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from ipaddress import IPv4Address, IPv6Address

from vipcast.bgp.codes import ErrorCode, UpdateError
from vipcast.bgp.errors import LocalError, RemoteError
from vipcast.bgp.route import Address, Prefix
from vipcast.bgp.wire import FAMILIES, Family, MalformedError, Reader, decode_prefixes, encode_prefixes

AS_TRANS = 23456  # RFC 6793 section 9
MAX_TWO_OCTET_ASN = 0xFFFF

OPTIONAL, TRANSITIVE, PARTIAL, EXTENDED = 0x80, 0x40, 0x20, 0x10


class Code(IntEnum):
    ORIGIN = 1
    AS_PATH = 2
    NEXT_HOP = 3
    MULTI_EXIT_DISC = 4
    LOCAL_PREF = 5
    ATOMIC_AGGREGATE = 6
    AGGREGATOR = 7
    COMMUNITIES = 8
    MP_REACH_NLRI = 14
    MP_UNREACH_NLRI = 15
    AS4_PATH = 17
    AS4_AGGREGATOR = 18


class Origin(IntEnum):
    IGP = 0
    EGP = 1
    INCOMPLETE = 2


class SegmentKind(IntEnum):
    """RFC 4271 section 4.3 b and RFC 5065 section 3."""

    SET = 1
    SEQUENCE = 2
    CONFED_SEQUENCE = 3
    CONFED_SET = 4


@dataclass(frozen=True, slots=True)
class Segment:
    kind: SegmentKind
    asns: tuple[int, ...]


AsPath = tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class MpReach:
    """MP_REACH_NLRI (RFC 4760 section 3); ``link_local`` as in RFC 2545 section 3."""

    family: Family
    next_hop: Address
    nlri: tuple[Prefix, ...]
    link_local: IPv6Address | None = None


@dataclass(frozen=True, slots=True)
class MpUnreach:
    """MP_UNREACH_NLRI (RFC 4760 section 4). Without prefixes it is an End-of-RIB (RFC 4724 section 2)."""

    family: Family
    nlri: tuple[Prefix, ...] = ()


@dataclass(frozen=True, slots=True)
class RawAttribute:
    """One that we don't interpret; ``flags`` without the extended-length bit."""

    flags: int
    code: int
    value: bytes


@dataclass(frozen=True, slots=True)
class PathAttributes:
    """What one UPDATE says about its routes. None: the attribute is absent."""

    origin: Origin | None = None
    as_path: AsPath | None = None
    next_hop: IPv4Address | None = None
    med: int | None = None
    local_pref: int | None = None
    communities: frozenset[int] | None = None
    mp_reach: MpReach | None = None
    mp_unreach: MpUnreach | None = None
    as4_path: AsPath | None = None
    others: tuple[RawAttribute, ...] = ()


class Treatment(Enum):
    """What RFC 7606 section 2 does with an error that needs no reset."""

    DISCARD = "attribute discarded"
    WITHDRAW = "routes treated as withdrawn"


@dataclass(frozen=True, slots=True)
class Problem:
    treatment: Treatment
    what: str


@dataclass(slots=True)
class _Parsed:
    """What has been read of a list so far."""

    four_octet: bool
    attributes: PathAttributes = field(default_factory=PathAttributes)
    problems: list[Problem] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)


# ---- writing ----


def encode_attributes(attributes: PathAttributes, *, four_octet: bool = True) -> bytes:
    """In ascending order of type (RFC 4271 section 5), but MP_REACH_NLRI first (RFC 7606 section 5.1)."""
    return b"".join((*_multiprotocol(attributes), *_well_known(attributes, four_octet), *_rest(attributes)))


def _multiprotocol(a: PathAttributes) -> list[bytes]:
    parts = []
    if a.mp_reach is not None:
        parts.append(_attribute(OPTIONAL, Code.MP_REACH_NLRI, _encode_reach(a.mp_reach)))
    if a.mp_unreach is not None:
        parts.append(_attribute(OPTIONAL, Code.MP_UNREACH_NLRI, _encode_unreach(a.mp_unreach)))
    return parts


def _well_known(a: PathAttributes, four_octet: bool) -> list[bytes]:
    parts = []
    if a.origin is not None:
        parts.append(_attribute(TRANSITIVE, Code.ORIGIN, bytes((a.origin,))))
    if a.as_path is not None:
        parts.append(_attribute(TRANSITIVE, Code.AS_PATH, _encode_path(a.as_path, 4 if four_octet else 2)))
    if a.next_hop is not None:
        parts.append(_attribute(TRANSITIVE, Code.NEXT_HOP, a.next_hop.packed))
    if a.med is not None:
        parts.append(_attribute(OPTIONAL, Code.MULTI_EXIT_DISC, _uint(a.med, 4, "MULTI_EXIT_DISC")))
    if a.local_pref is not None:
        parts.append(_attribute(TRANSITIVE, Code.LOCAL_PREF, _uint(a.local_pref, 4, "LOCAL_PREF")))
    return parts


def _rest(a: PathAttributes) -> list[bytes]:
    parts = []
    if a.communities:
        values = b"".join(_uint(value, 4, "a community") for value in sorted(a.communities))
        parts.append(_attribute(OPTIONAL | TRANSITIVE, Code.COMMUNITIES, values))
    if a.as4_path is not None:
        parts.append(_attribute(OPTIONAL | TRANSITIVE, Code.AS4_PATH, _encode_path(a.as4_path, 4)))
    parts.extend(_attribute(raw.flags, raw.code, raw.value) for raw in a.others)
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


# ---- reading ----


def decode_attributes(data: bytes, *, four_octet: bool = True) -> tuple[PathAttributes, tuple[Problem, ...]]:
    """Raises RemoteError where RFC 7606 still asks for a reset; everything else is in the problems."""
    parsed, reader = _Parsed(four_octet), Reader(data)
    while reader:
        try:
            flags, code = reader.uint(1), reader.uint(1)
            value = reader.take(reader.uint(2 if flags & EXTENDED else 1))
        except MalformedError as exc:
            # RFC 7606 section 4: the list is cut short; where the NLRI begins is still known.
            parsed.problems.append(Problem(Treatment.WITHDRAW, f"attribute list: {exc}"))
            break
        _take_in(parsed, flags & ~EXTENDED, code, value)
    return parsed.attributes, tuple(parsed.problems)


def _take_in(parsed: _Parsed, flags: int, code: int, value: bytes) -> None:
    if code in parsed.seen:
        _duplicate(parsed, code)
        return
    parsed.seen.add(code)
    rule = _RULES.get(code)
    if rule is None:
        _unknown(parsed, RawAttribute(flags, code, value))
    elif flags & (OPTIONAL | TRANSITIVE) != rule.flags:
        parsed.problems.append(Problem(rule.treatment, f"{Code(code).name} with flags {flags:#04x}"))
    else:
        _apply(parsed, rule, RawAttribute(flags, code, value))


def _duplicate(parsed: _Parsed, code: int) -> None:
    """RFC 7606 section 3 g."""
    if code in (Code.MP_REACH_NLRI, Code.MP_UNREACH_NLRI):
        raise RemoteError(
            ErrorCode.UPDATE, UpdateError.MALFORMED_ATTRIBUTE_LIST, detail=f"{Code(code).name} twice"
        )
    parsed.problems.append(Problem(Treatment.DISCARD, f"attribute {code} twice"))


def _unknown(parsed: _Parsed, raw: RawAttribute) -> None:
    """RFC 4271 section 6.3: one that calls itself well-known has to be known."""
    if not raw.flags & OPTIONAL:
        raise RemoteError(
            ErrorCode.UPDATE,
            UpdateError.UNRECOGNIZED_WELL_KNOWN,
            _attribute(raw.flags, raw.code, raw.value),
            detail=f"attribute {raw.code}",
        )
    parsed.attributes = replace(parsed.attributes, others=(*parsed.attributes.others, raw))


def _apply(parsed: _Parsed, rule: _Rule, raw: RawAttribute) -> None:
    try:
        parsed.attributes = rule.read(parsed, raw)
    except MalformedError as exc:
        what = f"{Code(raw.code).name}: {exc}"
        if rule.resets:
            raise RemoteError(ErrorCode.UPDATE, UpdateError.OPTIONAL_ATTRIBUTE, detail=what) from exc
        parsed.problems.append(Problem(rule.treatment, what))


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
    return replace(parsed.attributes, as_path=_decode_path(raw.value, 4 if parsed.four_octet else 2))


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
    if not raw.value or len(raw.value) % 4:
        raise MalformedError(f"{len(raw.value)} octets, a multiple of 4 would be right")
    values = (int.from_bytes(raw.value[i : i + 4], "big") for i in range(0, len(raw.value), 4))
    return replace(parsed.attributes, communities=frozenset(values))


def _read_reach(parsed: _Parsed, raw: RawAttribute) -> PathAttributes:
    reader = Reader(raw.value)
    family = FAMILIES.get((reader.uint(2), reader.uint(1)))
    next_hop = reader.take(reader.uint(1))
    reader.take(1)
    if family is None:
        return replace(parsed.attributes, others=(*parsed.attributes.others, raw))
    reach = _with_next_hop(family, next_hop, decode_prefixes(reader.rest(), family))
    return replace(parsed.attributes, mp_reach=reach)


def _with_next_hop(family: Family, octets: bytes, nlri: tuple[Prefix, ...]) -> MpReach:
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
        return replace(parsed.attributes, others=(*parsed.attributes.others, raw))
    return replace(parsed.attributes, mp_unreach=MpUnreach(family, decode_prefixes(reader.rest(), family)))


def _read_atomic_aggregate(parsed: _Parsed, raw: RawAttribute) -> PathAttributes:
    _exactly(raw, 0)
    return replace(parsed.attributes, others=(*parsed.attributes.others, raw))


def _read_aggregator(parsed: _Parsed, raw: RawAttribute) -> PathAttributes:
    _exactly(raw, 8 if parsed.four_octet or raw.code == Code.AS4_AGGREGATOR else 6)
    return replace(parsed.attributes, others=(*parsed.attributes.others, raw))


@dataclass(frozen=True, slots=True)
class _Rule:
    """How one attribute is read: its flags, and what becomes of a malformed one (RFC 7606 section 7)."""

    flags: int
    read: Callable[[_Parsed, RawAttribute], PathAttributes]
    treatment: Treatment = Treatment.WITHDRAW
    resets: bool = False


_DISCARD = Treatment.DISCARD
_RULES: dict[int, _Rule] = {
    Code.ORIGIN: _Rule(TRANSITIVE, _read_origin),
    Code.AS_PATH: _Rule(TRANSITIVE, _read_as_path),
    Code.NEXT_HOP: _Rule(TRANSITIVE, _read_next_hop),
    Code.MULTI_EXIT_DISC: _Rule(OPTIONAL, _read_med),
    Code.LOCAL_PREF: _Rule(TRANSITIVE, _read_local_pref),
    Code.ATOMIC_AGGREGATE: _Rule(TRANSITIVE, _read_atomic_aggregate, _DISCARD),
    Code.AGGREGATOR: _Rule(OPTIONAL | TRANSITIVE, _read_aggregator, _DISCARD),
    Code.COMMUNITIES: _Rule(OPTIONAL | TRANSITIVE, _read_communities),
    # RFC 7606 section 5.3 and 7.11: which routes are meant cannot be told, so these two reset.
    Code.MP_REACH_NLRI: _Rule(OPTIONAL, _read_reach, resets=True),
    Code.MP_UNREACH_NLRI: _Rule(OPTIONAL, _read_unreach, resets=True),
    Code.AS4_PATH: _Rule(OPTIONAL | TRANSITIVE, _read_as4_path, _DISCARD),
    Code.AS4_AGGREGATOR: _Rule(OPTIONAL | TRANSITIVE, _read_aggregator, _DISCARD),
}
