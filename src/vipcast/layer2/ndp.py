# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Neighbor Solicitations and Advertisements (RFC 4861 sections 4.3, 4.4 and 7.1) on Ethernet (RFC 2464)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address
from typing import NamedTuple

from vipcast.layer2.frames import EtherType, FrameError, Ignored, Mac, ether_type

# Destination, source, EtherType; version and flow, payload length, next header, hop limit, addresses; type,
# code, checksum, flags, target. Options follow.
LAYOUT = struct.Struct("!6s6sHIHBB16s16sBBHI16s")
ICMPV6 = 58
HOP_LIMIT = 255
ROUTER, SOLICITED, OVERRIDE = 1 << 31, 1 << 30, 1 << 29
UNSPECIFIED = IPv6Address(0)
ALL_NODES = IPv6Address("ff02::1")

_START = 54  # of ICMPv6 in the frame
_VERSION = 6 << 28
_BODY = struct.Struct("!BBHI16s")
_OPTION = struct.Struct("!BB6s")
_SOURCE_MAC, _TARGET_MAC = 1, 2
_NOWHERE = bytes(16)
_SOLICITED_NODE = IPv6Address("ff02::1:ff00:0").packed[:13]


class Kind(IntEnum):
    """ICMPv6 types."""

    SOLICITATION = 135
    ADVERTISEMENT = 136


class Fields(NamedTuple):
    """A valid message as it stood in the frame; ``mac``: of its link-layer address option, or None."""

    destination_mac: Mac
    source_mac: Mac
    source: bytes
    destination: bytes
    kind: int
    flags: int
    target: bytes
    mac: Mac | None


@dataclass(frozen=True, slots=True)
class Solicitation:
    destination_mac: Mac
    source_mac: Mac
    source: IPv6Address
    destination: IPv6Address
    target: IPv6Address
    mac: Mac | None = None

    def encode(self) -> bytes:
        option = b"" if self.mac is None else _OPTION.pack(_SOURCE_MAC, 1, self.mac)
        addresses = self.source.packed, self.destination.packed
        body = _BODY.pack(Kind.SOLICITATION, 0, 0, 0, self.target.packed) + option
        return _frame(self.destination_mac, self.source_mac, *addresses, body)


@dataclass(frozen=True, slots=True)
class Advertisement:
    destination_mac: Mac
    source_mac: Mac
    source: IPv6Address
    destination: IPv6Address
    target: IPv6Address
    mac: Mac | None = None
    router: bool = False
    solicited: bool = False
    override: bool = False

    def encode(self) -> bytes:
        flags = self.router * ROUTER | self.solicited * SOLICITED | self.override * OVERRIDE
        option = b"" if self.mac is None else _OPTION.pack(_TARGET_MAC, 1, self.mac)
        addresses = self.source.packed, self.destination.packed
        body = _BODY.pack(Kind.ADVERTISEMENT, 0, 0, flags, self.target.packed) + option
        return _frame(self.destination_mac, self.source_mac, *addresses, body)


# ---- addresses ----


def solicited_node(address: IPv6Address) -> IPv6Address:
    """The group that whoever looks for ``address`` asks (RFC 4291 section 2.7.1)."""
    return IPv6Address(_SOLICITED_NODE + address.packed[13:])


def group_mac(group: IPv6Address) -> Mac:
    """Return where frames for a multicast address go (RFC 2464 section 7)."""
    return b"\x33\x33" + group.packed[12:]


# ---- what we say ----


def probe(mac: Mac, address: IPv6Address) -> bytes:
    """Duplicate address detection (RFC 4862 section 5.4.2): from the unspecified address, no option."""
    group = solicited_node(address)
    return Solicitation(group_mac(group), mac, UNSPECIFIED, group, address).encode()


def announcement(mac: Mac, address: IPv6Address) -> bytes:
    """``address`` is at ``mac``, to all nodes (RFC 4861 section 7.2.6); replaces what caches have."""
    return advertisement(group_mac(ALL_NODES), mac, ALL_NODES.packed, address.packed, solicited=False)


def advertisement(
    destination_mac: Mac, mac: Mac, destination: bytes, target: bytes, *, solicited: bool
) -> bytes:
    """An answer, from the address that was asked for, all in octets (RFC 4861 section 7.2.4).

    Override is set: one node at a time owns the address, so it is neither anycast nor proxied for another,
    and a cache that still has the previous owner is to be corrected. Router is not: it routes nothing.
    """
    flags = OVERRIDE | SOLICITED if solicited else OVERRIDE
    body = _BODY.pack(Kind.ADVERTISEMENT, 0, 0, flags, target) + _OPTION.pack(_TARGET_MAC, 1, mac)
    return _frame(destination_mac, mac, target, destination, body)


def _frame(destination_mac: Mac, source_mac: Mac, source: bytes, destination: bytes, body: bytes) -> bytes:
    """``body`` without its checksum, which is put in."""
    addresses = source + destination
    checksum = _checksum(addresses, body)
    head = struct.pack("!HIHBB", EtherType.IPV6, _VERSION, len(body), ICMPV6, HOP_LIMIT)
    return b"".join((destination_mac, source_mac, head, addresses, body[:2], checksum.to_bytes(2), body[4:]))


def _checksum(addresses: bytes, body: bytes) -> int:
    """RFC 4443 section 2.3, with the pseudo-header of RFC 8200 section 8.1; 0 where the right one is in.

    Sixteen-bit one's complement addition is arithmetic modulo 65535 (RFC 1071), so one long number does it.
    """
    padded = addresses + (body + b"\0" if len(body) % 2 else body)
    return -(int.from_bytes(padded) + len(body) + ICMPV6) % 0xFFFF


# ---- what we hear ----


def decode(frame: bytes) -> Solicitation | Advertisement:
    """Return what sections 7.1.1 and 7.1.2 call valid. FrameError where it is not, or is something else."""
    if ether_type(frame) != EtherType.IPV6:
        raise FrameError(Ignored.OTHER_PROTOCOL)
    found = read(frame)
    macs, target = (found.destination_mac, found.source_mac), IPv6Address(found.target)
    addresses = IPv6Address(found.source), IPv6Address(found.destination)
    if found.kind == Kind.SOLICITATION:
        return Solicitation(*macs, *addresses, target, found.mac)
    return Advertisement(
        *macs,
        *addresses,
        target,
        found.mac,
        router=bool(found.flags & ROUTER),
        solicited=bool(found.flags & SOLICITED),
        override=bool(found.flags & OVERRIDE),
    )


def read(frame: bytes) -> Fields:
    """The same in octets, of a frame whose EtherType is known. Octets behind the packet are padding."""
    if len(frame) < LAYOUT.size:
        raise FrameError(_why_short(frame))
    (
        destination_mac,
        source_mac,
        _ether_type,
        version,
        length,
        protocol,
        hops,
        source,
        destination,
        kind,
        code,
        _checksum_field,
        flags,
        target,
    ) = LAYOUT.unpack_from(frame)
    if version >> 28 != 6 or protocol != ICMPV6:
        raise FrameError(Ignored.OTHER_PROTOCOL)
    _check_sizes(len(frame), length, hops, kind)
    body = frame[_START : _START + length]
    if _checksum(source + destination, body):
        raise FrameError(Ignored.BAD_CHECKSUM)
    mac = _link_layer_address(body, _SOURCE_MAC if kind == Kind.SOLICITATION else _TARGET_MAC)
    found = Fields(destination_mac, source_mac, source, destination, kind, flags, target, mac)
    _check_message(found, code)
    return found


def _why_short(frame: bytes) -> Ignored:
    other = len(frame) > 20 and frame[20] != ICMPV6
    return Ignored.OTHER_PROTOCOL if other else Ignored.TOO_SHORT


def _check_sizes(size: int, length: int, hops: int, kind: int) -> None:
    """Return the ICMPv6 message right behind the header: RFC 6980 forbids fragments of these messages."""
    if kind not in (Kind.SOLICITATION, Kind.ADVERTISEMENT):
        raise FrameError(Ignored.OTHER_MESSAGE)
    if hops != HOP_LIMIT:
        raise FrameError(Ignored.BAD_HOP_LIMIT)
    if length < _BODY.size or _START + length > size:
        raise FrameError(Ignored.BAD_LENGTH)


def _check_message(found: Fields, code: int) -> None:
    if code != 0:
        raise FrameError(Ignored.BAD_CODE)
    if found.target[0] == 0xFF:
        raise FrameError(Ignored.GROUP_TARGET)
    if found.source[0] == 0xFF:
        raise FrameError(Ignored.GROUP_SOURCE)
    if found.kind == Kind.ADVERTISEMENT:
        if found.flags & SOLICITED and found.destination[0] == 0xFF:
            raise FrameError(Ignored.BAD_SOLICITED)
    elif found.source == _NOWHERE and (found.mac or found.destination[:13] != _SOLICITED_NODE):
        raise FrameError(Ignored.BAD_PROBE)


def _link_layer_address(body: bytes, wanted: int) -> Mac | None:
    """The first such option's; others are skipped (section 7.1: unknown ones are no error)."""
    found, at = None, _BODY.size
    while at < len(body):
        length = 8 * body[at + 1] if at + 1 < len(body) else 0
        if length == 0 or at + length > len(body):
            raise FrameError(Ignored.BAD_OPTION)
        if body[at] == wanted and length == _OPTION.size and found is None:
            found = body[at + 2 : at + length]
        at += length
    return found
