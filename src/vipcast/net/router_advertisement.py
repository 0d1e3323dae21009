# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Router Solicitations and Advertisements (RFC 4861 sections 4.1, 4.2, 6.1), as far as finding takes it."""

from __future__ import annotations

import struct
from enum import IntEnum
from ipaddress import IPv6Address

HOP_LIMIT = 255
ALL_NODES, ALL_ROUTERS = "ff02::1", "ff02::2"

_SOURCE_LINK_LAYER_ADDRESS = 1
# Type, code, checksum (the kernel's), current hop limit, flags, router lifetime, reachable time, timer.
_ADVERTISEMENT = struct.Struct("!BBHBBHII")
_SOLICITATION = struct.Struct("!BBHI")
_SIZES = {133: _SOLICITATION.size, 134: _ADVERTISEMENT.size}


class Kind(IntEnum):
    """ICMPv6 types."""

    SOLICITATION = 133
    ADVERTISEMENT = 134


def encode_advertisement(link_layer_address: bytes) -> bytes:
    """Lifetime 0: we are here, and nobody's default router."""
    option = _link_layer_option(link_layer_address)
    return _ADVERTISEMENT.pack(Kind.ADVERTISEMENT, 0, 0, 0, 0, 0, 0, 0) + option


def encode_solicitation(link_layer_address: bytes) -> bytes:
    return _SOLICITATION.pack(Kind.SOLICITATION, 0, 0, 0) + _link_layer_option(link_layer_address)


def _link_layer_option(address: bytes) -> bytes:
    """Section 4.6.1: the length counts units of 8 octets. Only Ethernet's fits without padding."""
    return bytes((_SOURCE_LINK_LAYER_ADDRESS, 1)) + address if len(address) == 6 else b""


def valid_kind(data: bytes, source: IPv6Address, hop_limit: int) -> Kind | None:
    """Return the kind of message, or None for what is discarded (sections 6.1.1, 6.1.2) or is another."""
    if hop_limit != HOP_LIMIT or len(data) < 2 or data[1] != 0 or len(data) < _SIZES.get(data[0], 1 << 16):
        return None
    kind = Kind(data[0])
    if kind is Kind.ADVERTISEMENT and not source.is_link_local:
        return None
    return kind if _options_fit(data[_SIZES[kind] :]) else None


def _options_fit(options: bytes) -> bool:
    while options:
        length = options[1] * 8 if len(options) > 1 else 0
        if not 0 < length <= len(options):
            return False
        options = options[length:]
    return True
