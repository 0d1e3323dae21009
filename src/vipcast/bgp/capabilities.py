# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capabilities in an OPEN (RFC 5492): code, length, value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vipcast.bgp.wire import FAMILIES, Family, MalformedError, Reader

_MULTIPROTOCOL = 1
_ROUTE_REFRESH = 2
_FOUR_OCTET_ASN = 65

_NAMES = {
    5: "extended next hop",
    6: "extended messages",
    9: "BGP role",
    64: "graceful restart",
    66: "dynamic capability",
    67: "dynamic capability",
    69: "ADD-PATH",
    70: "enhanced route refresh",
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
class Unknown:
    """One that we don't implement: kept as it came, for the status."""

    code: int
    data: bytes = b""

    def __str__(self) -> str:
        if self.code == _MULTIPROTOCOL and len(self.data) == 4:
            return f"AFI {int.from_bytes(self.data[:2], 'big')} SAFI {self.data[3]}"
        return _NAMES.get(self.code, f"capability {self.code}")


Capability = Multiprotocol | RouteRefresh | FourOctetAsn | Unknown


def encode_capabilities(capabilities: Iterable[Capability]) -> bytes:
    parts = ((code, data) for code, data in map(_code_and_data, capabilities))
    return b"".join(bytes((code, len(data))) + data for code, data in parts)


def _code_and_data(capability: Capability) -> tuple[int, bytes]:
    match capability:
        case Multiprotocol(family):
            return _MULTIPROTOCOL, family.afi.to_bytes(2, "big") + bytes((0, family.safi))
        case RouteRefresh():
            return _ROUTE_REFRESH, b""
        case FourOctetAsn(asn):
            return _FOUR_OCTET_ASN, asn.to_bytes(4, "big")
        case Unknown(code, data):
            return code, data


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
    return Unknown(code, data)


def _decode_multiprotocol(data: bytes) -> Capability:
    _expect(_MULTIPROTOCOL, data, 4)
    family = FAMILIES.get((int.from_bytes(data[:2], "big"), data[3]))
    return Multiprotocol(family) if family else Unknown(_MULTIPROTOCOL, data)


def _expect(code: int, data: bytes, length: int) -> None:
    if len(data) != length:
        raise MalformedError(f"capability {code} of {len(data)} octets, {length} would be right")
