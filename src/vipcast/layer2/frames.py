# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ethernet II frames: their addresses, and why one of them gets no answer.

A MAC is six octets of ``bytes`` everywhere inside; ``mac_text`` writes it for people. Frames are without
preamble and check sequence, as a packet socket of type SOCK_RAW reads and takes them. They are not padded:
that is the driver's.
"""

from __future__ import annotations

import struct
from enum import Enum, IntEnum

__all__ = [
    "BROADCAST",
    "HEADER",
    "EtherType",
    "FrameError",
    "Ignored",
    "Mac",
    "ether_type",
    "is_group",
    "mac_text",
    "read_mac",
]

Mac = bytes
BROADCAST: Mac = b"\xff" * 6

# Destination, source, EtherType.
HEADER = struct.Struct("!6s6sH")


class EtherType(IntEnum):
    ARP = 0x0806
    VLAN = 0x8100  # IEEE 802.1Q
    IPV6 = 0x86DD
    SERVICE_VLAN = 0x88A8  # IEEE 802.1ad


class Ignored(Enum):
    """The reason why a frame gets no answer. The name is a counter's label, the value says it in words."""

    TOO_SHORT = "shorter than what it says it is"
    VLAN = "tagged for a VLAN"
    OTHER_PROTOCOL = "neither ARP nor ICMPv6"
    OTHER_HARDWARE = "ARP for something else than IPv4 on Ethernet"
    OTHER_OPERATION = "ARP that is neither request nor reply"
    OTHER_MESSAGE = "neither neighbor solicitation nor advertisement"
    BAD_HOP_LIMIT = "hop limit below 255: it has passed a router"
    BAD_CHECKSUM = "wrong checksum"
    BAD_CODE = "ICMPv6 code other than 0"
    BAD_LENGTH = "lengths that do not add up"
    BAD_OPTION = "an option of length 0, or one that runs over the end"
    GROUP_TARGET = "the target is a multicast address"
    GROUP_SOURCE = "the source is a multicast address"
    BAD_PROBE = "source :: with a link-layer address, or not to a solicited-node group"
    BAD_SOLICITED = "advertisement to a group that calls itself solicited"
    OTHER_HOST = "for another host"
    OWN = "our own"
    NOT_A_REQUEST = "asks nothing"
    NOT_OWNED = "for an address that is not ours"
    GROUP_SENDER = "the sender's MAC is a group address"


class FrameError(ValueError):
    """The only error that decoders raise."""

    def __init__(self, reason: Ignored) -> None:
        super().__init__(reason.value)
        self.reason = reason


def is_group(mac: Mac) -> bool:
    """Multicast or broadcast (IEEE 802, the lowest bit of the first octet)."""
    return bool(mac[0] & 1)


def mac_text(mac: Mac) -> str:
    return mac.hex(":")


def read_mac(text: str) -> Mac:
    """The reverse of ``mac_text``; ValueError for anything else."""
    mac = bytes.fromhex(text.replace(":", ""))
    if len(mac) != 6 or mac_text(mac) != text.lower():
        raise ValueError(f"{text!r} is no MAC address, aa:bb:cc:dd:ee:ff would be one")
    return mac


def ether_type(frame: bytes) -> int:
    """Return the parts of an untagged frame. Raises FrameError for one that is too short, or tagged."""
    if len(frame) < HEADER.size:
        raise FrameError(Ignored.TOO_SHORT)
    found: int = HEADER.unpack_from(frame)[2]
    if found in (EtherType.VLAN, EtherType.SERVICE_VLAN):
        raise FrameError(Ignored.VLAN)
    return found
