# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ARP for IPv4 on Ethernet (RFC 826), frames and fields; probes and announcements (RFC 5227 section 1.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address

from vipcast.layer2.frames import BROADCAST, EtherType, FrameError, Ignored, Mac, ether_type

# Destination, source, what it is (CONSTANT), operation, sender's MAC and address, target's MAC and address.
LAYOUT = struct.Struct("!6s6s8sH6s4s6s4s")
# EtherType, hardware Ethernet, protocol IPv4, their lengths.
CONSTANT = struct.pack("!HHHBB", EtherType.ARP, 1, 0x0800, 6, 4)

UNSPECIFIED = IPv4Address(0)
_NOBODY: Mac = bytes(6)


class Operation(IntEnum):
    REQUEST = 1
    REPLY = 2


@dataclass(frozen=True, slots=True)
class ArpFrame:
    """``destination`` and ``source`` are the frame's MACs, the others the packet's fields."""

    destination: Mac
    source: Mac
    operation: Operation
    sender_mac: Mac
    sender: IPv4Address
    target_mac: Mac
    target: IPv4Address

    def encode(self) -> bytes:
        return LAYOUT.pack(
            self.destination,
            self.source,
            CONSTANT,
            self.operation,
            self.sender_mac,
            self.sender.packed,
            self.target_mac,
            self.target.packed,
        )


def decode(frame: bytes) -> ArpFrame:
    """Octets behind the packet are padding. FrameError where it is none of ours to read."""
    if ether_type(frame) != EtherType.ARP:
        raise FrameError(Ignored.OTHER_PROTOCOL)
    if len(frame) < LAYOUT.size:
        raise FrameError(Ignored.TOO_SHORT)
    destination, source, constant, operation, sender_mac, sender, target_mac, target = LAYOUT.unpack_from(
        frame
    )
    if constant != CONSTANT:
        raise FrameError(Ignored.OTHER_HARDWARE)
    if operation not in (Operation.REQUEST, Operation.REPLY):
        raise FrameError(Ignored.OTHER_OPERATION)
    return ArpFrame(
        destination=destination,
        source=source,
        operation=Operation(operation),
        sender_mac=sender_mac,
        sender=IPv4Address(sender),
        target_mac=target_mac,
        target=IPv4Address(target),
    )


def probe(mac: Mac, address: IPv4Address) -> bytes:
    """Does anybody have it? The sender's address is zero, so that no cache learns from it."""
    return ArpFrame(BROADCAST, mac, Operation.REQUEST, mac, UNSPECIFIED, _NOBODY, address).encode()


def announcements(mac: Mac, address: IPv4Address) -> tuple[bytes, bytes]:
    """``address`` is at ``mac``, to everyone, as a request and as a reply.

    RFC 5227 section 3 says why the request is the right form: it is what every host takes. The reply is
    beside it for the equipment that learns from nothing else (RFC 5944 section 4.6 allows either).
    """
    packed = address.packed
    return (
        LAYOUT.pack(BROADCAST, mac, CONSTANT, Operation.REQUEST, mac, packed, _NOBODY, packed),
        LAYOUT.pack(BROADCAST, mac, CONSTANT, Operation.REPLY, mac, packed, mac, packed),
    )
