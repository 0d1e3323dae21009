# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The five messages, each way (RFC 4271 section 4; ROUTE-REFRESH: RFC 2918 section 3).

``encode(message)`` gives octets with their header, ``decode(frame)`` the message; a message that cannot be
carried is a LocalError, octets that are no message are a RemoteError with the NOTIFICATION that answers them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Address

from vipcast.bgp.attribute_decoder import decode_attributes
from vipcast.bgp.attribute_encoder import encode_attributes
from vipcast.bgp.attributes import MAX_TWO_OCTET_ASN, Code, PathAttributes, Problem, Treatment
from vipcast.bgp.capabilities import Capability, FourOctetAsn, decode_capabilities, encode_capabilities
from vipcast.bgp.error_codes import ErrorCode, OpenError, UpdateError, describe
from vipcast.bgp.errors import LocalError, RemoteError
from vipcast.bgp.framing import EXTENDED_MAX_LENGTH, MAX_LENGTH, Frame, MessageType, encode_frame
from vipcast.bgp.route import Prefix
from vipcast.bgp.wire import FAMILIES, Family, MalformedError, PackedPrefixes, Reader, encode_prefixes
from vipcast.model.asns import AS_TRANS

VERSION = 4
NO_ATTRIBUTES = PathAttributes()
_CAPABILITIES = 2  # RFC 5492 section 4: the optional parameter that carries them
_EXTENDED_PARAMETERS = 255  # RFC 9072 section 2


@dataclass(frozen=True, slots=True)
class Open:
    """``my_as`` is the two-octet field; ``asn`` is the AS number that is meant."""

    my_as: int
    hold_time: int
    router_id: IPv4Address
    capabilities: tuple[Capability, ...] = ()

    @classmethod
    def of(cls, asn: int, hold_time: int, router_id: IPv4Address, *capabilities: Capability) -> Open:
        """An OPEN of a speaker with 4-octet AS numbers (RFC 6793 section 4.1 and 9)."""
        field = asn if asn <= MAX_TWO_OCTET_ASN else AS_TRANS
        return cls(field, hold_time, router_id, (*capabilities, FourOctetAsn(asn)))

    @property
    def asn(self) -> int:
        return next((c.asn for c in self.capabilities if isinstance(c, FourOctetAsn)), self.my_as)


@dataclass(frozen=True, slots=True)
class Update:
    """``withdrawn`` and ``nlri`` are IPv4 unicast; the other family is inside the attributes.

    ``problems`` are what was wrong with a received one and needs no reset; they are never sent.
    ``encoded``: the octets of ``attributes`` where they are known already, for the ``asn4`` of the session.
    """

    withdrawn: Sequence[Prefix] = ()
    attributes: PathAttributes = NO_ATTRIBUTES
    nlri: Sequence[Prefix] = ()
    problems: tuple[Problem, ...] = ()
    encoded: bytes | None = field(default=None, compare=False, repr=False)

    @property
    def announced(self) -> tuple[Prefix, ...]:
        """Prefixes of both families that it announces, RFC 7606's treat-as-withdraw considered."""
        return () if self._void else self._carried

    @property
    def removed(self) -> tuple[Prefix, ...]:
        """Prefixes of both families that it withdraws, RFC 7606's treat-as-withdraw considered."""
        gone = (*self.withdrawn, *self._unreach)
        return (*gone, *self._carried) if self._void else gone

    @property
    def counts(self) -> tuple[int, int]:
        """Return how many it announces and how many it withdraws, without making any of them."""
        carried, gone = len(self.nlri) + len(self._reach), len(self.withdrawn) + len(self._unreach)
        return (0, gone + carried) if self._void else (carried, gone)

    @property
    def _void(self) -> bool:
        return any(problem.treatment is Treatment.WITHDRAW for problem in self.problems)

    @property
    def _carried(self) -> tuple[Prefix, ...]:
        return (*self.nlri, *self._reach)

    @property
    def _reach(self) -> Sequence[Prefix]:
        return self.attributes.mp_reach.nlri if self.attributes.mp_reach else ()

    @property
    def _unreach(self) -> Sequence[Prefix]:
        return self.attributes.mp_unreach.nlri if self.attributes.mp_unreach else ()


@dataclass(frozen=True, slots=True)
class Notification:
    code: int
    subcode: int
    data: bytes = b""

    def __str__(self) -> str:
        return describe(self.code, self.subcode, self.data)


@dataclass(frozen=True, slots=True)
class Keepalive:
    pass


class RefreshMark(IntEnum):
    """RFC 7313 section 3.2: the subtypes of a ROUTE-REFRESH."""

    REQUEST = 0
    BEGIN = 1
    END = 2


@dataclass(frozen=True, slots=True)
class RouteRefresh:
    """``subtype`` is a RefreshMark or to be ignored; ``family`` is None for one that we don't know."""

    afi: int
    safi: int
    subtype: int = 0

    @property
    def family(self) -> Family | None:
        return FAMILIES.get((self.afi, self.safi))


Message = Open | Update | Notification | Keepalive | RouteRefresh


# ---- writing ----


def encode(message: Message, *, asn4: bool = True, max_length: int = MAX_LENGTH) -> bytes:
    """``asn4``: whether both sides have the capability of RFC 6793; it decides how AS_PATH looks.

    ``max_length``: of an UPDATE, in octets, as negotiated (RFC 8654).
    """
    match message:
        case Open():
            return encode_frame(MessageType.OPEN, _encode_open(message))
        case Update():
            return encode_frame(MessageType.UPDATE, _encode_update(message, asn4), max_length=max_length)
        case Notification(code, subcode, data):
            return encode_frame(MessageType.NOTIFICATION, bytes((code, subcode)) + data)
        case Keepalive():
            return encode_frame(MessageType.KEEPALIVE, b"")
        case RouteRefresh(afi, safi, subtype):
            return encode_frame(MessageType.ROUTE_REFRESH, afi.to_bytes(2, "big") + bytes((subtype, safi)))


def _encode_open(message: Open) -> bytes:
    if not 0 <= message.my_as <= MAX_TWO_OCTET_ASN or not 0 <= message.hold_time <= 0xFFFF:
        raise LocalError(f"OPEN with AS {message.my_as}, hold time {message.hold_time}: two octets each")
    head = bytes((VERSION,)) + message.my_as.to_bytes(2, "big") + message.hold_time.to_bytes(2, "big")
    return head + message.router_id.packed + _encode_parameters(encode_capabilities(message.capabilities))


def _encode_parameters(capabilities: bytes) -> bytes:
    """One parameter with all capabilities; RFC 9072 section 2 where 255 octets don't hold it."""
    if not capabilities:
        return b"\0"
    if len(capabilities) + 2 < _EXTENDED_PARAMETERS:
        return bytes((len(capabilities) + 2, _CAPABILITIES, len(capabilities))) + capabilities
    parameter = bytes((_CAPABILITIES,)) + len(capabilities).to_bytes(2, "big") + capabilities
    return bytes((_EXTENDED_PARAMETERS, _EXTENDED_PARAMETERS)) + len(parameter).to_bytes(2, "big") + parameter


def _encode_update(message: Update, asn4: bool) -> bytes:
    withdrawn = encode_prefixes(message.withdrawn)
    attributes = message.encoded
    if attributes is None:
        attributes = encode_attributes(message.attributes, asn4=asn4)
    return update_body(withdrawn, attributes, encode_prefixes(message.nlri))


def update_body(withdrawn: bytes, attributes: bytes, nlri: bytes) -> bytes:
    """The three parts, each already octets (RFC 4271 section 4.3)."""
    sizes = len(withdrawn).to_bytes(2, "big"), len(attributes).to_bytes(2, "big")
    return sizes[0] + withdrawn + sizes[1] + attributes + nlri


# ---- reading ----


def decode(frame: Frame, *, asn4: bool = True, internal: bool | None = None) -> Message:
    """``asn4`` as for ``encode``; ``internal``: whether the peer is of our AS, None: not known yet."""
    match frame.type:
        case MessageType.OPEN:
            return _decode_open(frame.body)
        case MessageType.UPDATE:
            return _decode_update(frame.body, asn4, internal)
        case MessageType.NOTIFICATION:
            return Notification(frame.body[0], frame.body[1], frame.body[2:])
        case MessageType.KEEPALIVE:
            return Keepalive()
        case MessageType.ROUTE_REFRESH:
            return _decode_refresh(frame.body)


def _decode_open(body: bytes) -> Open:
    """Version first: what follows it has another layout in another version (RFC 4271 section 6.2)."""
    if body[0] != VERSION:
        ours = VERSION.to_bytes(2, "big")
        raise RemoteError(ErrorCode.OPEN, OpenError.UNSUPPORTED_VERSION, ours, detail=f"version {body[0]}")
    my_as, hold_time = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    return Open(my_as, hold_time, IPv4Address(body[5:9]), _decode_parameters(body[9:]))


def _decode_parameters(data: bytes) -> tuple[Capability, ...]:
    try:
        reader, size = _parameters(Reader(data))
        capabilities: list[Capability] = []
        while reader:
            kind, value = reader.uint(1), reader.take(reader.uint(size))
            if kind != _CAPABILITIES:
                raise RemoteError(ErrorCode.OPEN, OpenError.UNSUPPORTED_PARAMETER, detail=f"parameter {kind}")
            capabilities.extend(decode_capabilities(value))
    except MalformedError as exc:
        raise RemoteError(ErrorCode.OPEN, OpenError.UNSPECIFIC, detail=str(exc)) from exc
    return tuple(capabilities)


def _parameters(reader: Reader) -> tuple[Reader, int]:
    """The optional parameters, and how many octets their lengths have."""
    length, size = reader.uint(1), 1
    body = reader.rest()
    if length and body[:1] == bytes((_EXTENDED_PARAMETERS,)):
        extended = Reader(body[1:])
        length, size = extended.uint(2), 2
        body = extended.rest()
    if length != len(body):
        raise MalformedError(f"optional parameters of {length} octets announced, {len(body)} there")
    return Reader(body), size


def _decode_update(body: bytes, asn4: bool, internal: bool | None) -> Update:
    """RFC 7606 section 3 and 5.3: where the three parts cannot be told apart, the session is reset."""
    reader = Reader(body)
    try:
        withdrawn = reader.take(reader.uint(2))
        attributes = reader.take(reader.uint(2))
    except MalformedError as exc:
        raise _malformed_list(str(exc)) from exc
    try:
        gone = PackedPrefixes(withdrawn, Family.IPV4_UNICAST)
        nlri = PackedPrefixes(reader.rest(), Family.IPV4_UNICAST)
    except MalformedError as exc:
        raise RemoteError(ErrorCode.UPDATE, UpdateError.INVALID_NETWORK, detail=str(exc)) from exc
    parsed, problems = decode_attributes(attributes, asn4=asn4, internal=internal)
    if _reaches(parsed, nlri):
        return Update(gone, parsed, nlri, (*problems, *_missing(parsed, nlri)))
    _check_lost_routes(parsed, problems)
    return Update(gone, parsed, nlri, problems)


def _malformed_list(detail: str) -> RemoteError:
    return RemoteError(ErrorCode.UPDATE, UpdateError.MALFORMED_ATTRIBUTE_LIST, detail=detail)


def _reaches(attributes: PathAttributes, nlri: Sequence[Prefix]) -> bool:
    """Return whether it announces anything; of another family that is taken for granted."""
    reach = attributes.mp_reach
    foreign = any(raw.code == Code.MP_REACH_NLRI for raw in attributes.others)
    return bool(nlri or foreign or (reach is not None and reach.nlri))


def _check_lost_routes(attributes: PathAttributes, problems: tuple[Problem, ...]) -> None:
    """RFC 7606 section 5.2: an error in attributes without routes: the routes may have been lost."""
    worst = next((p for p in problems if p.treatment is Treatment.WITHDRAW), None)
    alone = attributes == PathAttributes(mp_unreach=attributes.mp_unreach)
    if worst is not None and not (alone and worst.code == Code.MP_UNREACH_NLRI):
        raise _malformed_list(f"{worst.what}, in an UPDATE without routes")


def _missing(attributes: PathAttributes, nlri: Sequence[Prefix]) -> tuple[Problem, ...]:
    """Mandatory attributes that are not there (RFC 4271 section 6.3, RFC 7606 section 3 d)."""
    needed: dict[str, object] = {"ORIGIN": attributes.origin, "AS_PATH": attributes.as_path}
    if nlri:
        needed["NEXT_HOP"] = attributes.next_hop
    absent = ", ".join(name for name, value in needed.items() if value is None)
    return (Problem(Treatment.WITHDRAW, f"missing {absent}"),) if absent else ()


def _decode_refresh(body: bytes) -> RouteRefresh:
    """RFC 7313 section 5: a ROUTE-REFRESH of another length is answered with its own error, and itself."""
    if len(body) != 4:
        frame = encode_frame(MessageType.ROUTE_REFRESH, body, max_length=EXTENDED_MAX_LENGTH)
        raise RemoteError(ErrorCode.ROUTE_REFRESH, 1, frame, detail=f"{len(body)} octets")
    return RouteRefresh(int.from_bytes(body[:2], "big"), body[3], body[2])
