# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capabilities in an OPEN (RFC 5492): code, length, value."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from vipcast.bgp.wire import FAMILIES, Family, MalformedError, Reader

_MULTIPROTOCOL = 1
_ROUTE_REFRESH = 2
_EXTENDED_NEXT_HOP = 5
_EXTENDED_MESSAGES = 6
_GRACEFUL_RESTART = 64
_FOUR_OCTET_ASN = 65
_ENHANCED_REFRESH = 70

# RFC 4724 section 3, RFC 8538 section 2: flags above the twelve bits of the time, and those of a family.
MAX_RESTART_TIME = 0xFFF
_RESTARTING = 0x8000
_NOTIFICATION = 0x4000
_FORWARDING = 0x80

_NAMES = {
    5: "extended next hop, malformed",
    6: "extended messages, malformed",
    9: "BGP role",
    64: "graceful restart, malformed",
    66: "dynamic capability",
    67: "dynamic capability",
    69: "ADD-PATH",
    70: "enhanced route refresh, malformed",
    71: "long-lived graceful restart",
    73: "FQDN",
    75: "software version",
    128: "route refresh (before the RFC)",
}


@dataclass(frozen=True, slots=True)
class Multiprotocol:
    """RFC 4760 section 8. A family that we don't know stays an Unknown."""

    family: Family

    def __str__(self) -> str:
        return self.family.words


@dataclass(frozen=True, slots=True)
class RouteRefresh:
    """RFC 2918 section 2."""

    def __str__(self) -> str:
        return "route refresh"


@dataclass(frozen=True, slots=True)
class FourOctetAsn:
    """RFC 6793 section 3."""

    asn: int

    def __str__(self) -> str:
        return f"4-octet AS numbers (AS {self.asn})"


@dataclass(frozen=True, slots=True)
class ExtendedNextHop:
    """RFC 8950 section 4: AFI and SAFI of routes, and the AFI that their next hop may have as well."""

    entries: tuple[tuple[int, int, int], ...] = ((1, 1, 2),)

    @property
    def ipv6_for_ipv4(self) -> bool:
        return (1, 1, 2) in self.entries

    def __str__(self) -> str:
        return "IPv6 next hops for IPv4" if self.ipv6_for_ipv4 else "extended next hop"


@dataclass(frozen=True, slots=True)
class ExtendedMessages:
    """RFC 8654 section 3."""

    def __str__(self) -> str:
        return "messages of up to 65535 octets"


@dataclass(frozen=True, slots=True)
class Preserved:
    """A family in the capability below; ``forwarding``: traffic went on while its speaker was away."""

    afi: int
    safi: int
    forwarding: bool


@dataclass(frozen=True, slots=True)
class GracefulRestart:
    """RFC 4724 section 3; ``notification``: RFC 8538 section 2. ``restart_time`` in seconds.

    Without families its speaker keeps the routes of others, and does not ask for the same.
    """

    restart_time: int
    families: tuple[Preserved, ...] = ()
    restarting: bool = False
    notification: bool = False

    def __str__(self) -> str:
        return f"graceful restart ({self.restart_time} s)" if self.families else "graceful restart (helper)"


@dataclass(frozen=True, slots=True)
class EnhancedRefresh:
    """RFC 7313 section 3.1."""

    def __str__(self) -> str:
        return "enhanced route refresh"


@dataclass(frozen=True, slots=True)
class Unknown:
    """One that we don't implement, or cannot read: kept as it came, for the status."""

    code: int
    data: bytes = b""

    def __str__(self) -> str:
        if self.code == _MULTIPROTOCOL and len(self.data) == 4:
            return f"AFI {int.from_bytes(self.data[:2], 'big')} SAFI {self.data[3]}"
        return _NAMES.get(self.code, f"capability {self.code}")


Capability = (
    Multiprotocol
    | RouteRefresh
    | ExtendedNextHop
    | ExtendedMessages
    | GracefulRestart
    | FourOctetAsn
    | EnhancedRefresh
    | Unknown
)


def encode_capabilities(capabilities: Iterable[Capability]) -> bytes:
    parts = ((code, data) for code, data in map(_code_and_data, capabilities))
    return b"".join(bytes((code, len(data))) + data for code, data in parts)


def _code_and_data(capability: Capability) -> tuple[int, bytes]:
    if isinstance(capability, Unknown):
        return capability.code, capability.data
    return _CODES[type(capability)], _data(capability)


_CODES: dict[type[Capability], int] = {
    Multiprotocol: _MULTIPROTOCOL,
    RouteRefresh: _ROUTE_REFRESH,
    ExtendedNextHop: _EXTENDED_NEXT_HOP,
    ExtendedMessages: _EXTENDED_MESSAGES,
    GracefulRestart: _GRACEFUL_RESTART,
    FourOctetAsn: _FOUR_OCTET_ASN,
    EnhancedRefresh: _ENHANCED_REFRESH,
}


def _data(capability: Capability) -> bytes:
    match capability:
        case Multiprotocol(family):
            return family.afi.to_bytes(2, "big") + bytes((0, family.safi))
        case ExtendedNextHop(entries):
            return b"".join(struct.pack(">HHH", *entry) for entry in entries)
        case GracefulRestart():
            return _encode_restart(capability)
        case FourOctetAsn(asn):
            return asn.to_bytes(4, "big")
        case _:
            return b""


def _encode_restart(capability: GracefulRestart) -> bytes:
    flags = _RESTARTING * capability.restarting | _NOTIFICATION * capability.notification
    head = (flags | capability.restart_time).to_bytes(2, "big")
    families = ((f.afi, f.safi, _FORWARDING * f.forwarding) for f in capability.families)
    return head + b"".join(struct.pack(">HBB", *family) for family in families)


def decode_capabilities(data: bytes) -> tuple[Capability, ...]:
    """Raises MalformedError where a length runs over the end or is not the one of a known capability."""
    reader = Reader(data)
    found: list[Capability] = []
    while reader:
        code = reader.uint(1)
        found.append(_decode(code, reader.take(reader.uint(1))))
    return tuple(found)


def _decode(code: int, data: bytes) -> Capability:
    if code == _MULTIPROTOCOL:
        return _decode_multiprotocol(data)
    if code == _ROUTE_REFRESH:
        _expect(code, data, 0)
        return RouteRefresh()
    if code == _FOUR_OCTET_ASN:
        _expect(code, data, 4)
        return FourOctetAsn(int.from_bytes(data, "big"))
    return _decode_optional(code, data) or Unknown(code, data)


def _decode_optional(code: int, data: bytes) -> Capability | None:
    """Return those that one can do without: what is malformed there counts as not offered."""
    if code == _EXTENDED_NEXT_HOP and data and len(data) % 6 == 0:
        return ExtendedNextHop(tuple(struct.iter_unpack(">HHH", data)))
    if code == _EXTENDED_MESSAGES and not data:
        return ExtendedMessages()
    if code == _ENHANCED_REFRESH and not data:
        return EnhancedRefresh()
    if code == _GRACEFUL_RESTART and len(data) % 4 == 2:
        return _decode_restart(data)
    return None


def _decode_restart(data: bytes) -> GracefulRestart:
    head = int.from_bytes(data[:2], "big")
    families = (
        Preserved(afi, safi, bool(flags & _FORWARDING))
        for afi, safi, flags in struct.iter_unpack(">HBB", data[2:])
    )
    return GracefulRestart(
        restart_time=head & MAX_RESTART_TIME,
        families=tuple(families),
        restarting=bool(head & _RESTARTING),
        notification=bool(head & _NOTIFICATION),
    )


def _decode_multiprotocol(data: bytes) -> Capability:
    _expect(_MULTIPROTOCOL, data, 4)
    family = FAMILIES.get((int.from_bytes(data[:2], "big"), data[3]))
    return Multiprotocol(family) if family else Unknown(_MULTIPROTOCOL, data)


def _expect(code: int, data: bytes, length: int) -> None:
    if len(data) != length:
        raise MalformedError(f"capability {code} of {len(data)} octets, {length} would be right")
