# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames, octets and fields, on a segment with us (OURS) and somebody who asks (THEIRS).

The octets are scapy's, which computes checksums in its own way.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from vipcast.layer2.arp import ArpFrame, Operation
from vipcast.layer2.frames import BROADCAST, Mac
from vipcast.layer2.ndp import Advertisement, Solicitation

OURS: Mac = bytes.fromhex("02005e005301")
THEIRS: Mac = bytes.fromhex("02005e005302")
NOBODY: Mac = bytes(6)
VIP, THEIR4 = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.9")
VIP6, THEIR6 = IPv6Address("2001:db8::1:2:3"), IPv6Address("fe80::9")
GROUP, GROUP_MAC = IPv6Address("ff02::1:ff02:3"), bytes.fromhex("3333ff020003")
ALL_NODES, ALL_NODES_MAC = IPv6Address("ff02::1"), bytes.fromhex("333300000001")
NOWHERE = IPv6Address("::")

ARP: dict[str, tuple[bytes, ArpFrame]] = {
    "request": (
        bytes.fromhex(
            "ffffffffffff 02005e005302 0806 0001 0800 06 04 0001 02005e005302 c0000209 000000000000 c0000201"
        ),
        ArpFrame(BROADCAST, THEIRS, Operation.REQUEST, THEIRS, THEIR4, NOBODY, VIP),
    ),
    "reply": (
        bytes.fromhex(
            "02005e005302 02005e005301 0806 0001 0800 06 04 0002 02005e005301 c0000201 02005e005302 c0000209"
        ),
        ArpFrame(THEIRS, OURS, Operation.REPLY, OURS, VIP, THEIRS, THEIR4),
    ),
    "probe": (
        bytes.fromhex(
            "ffffffffffff 02005e005302 0806 0001 0800 06 04 0001 02005e005302 00000000 000000000000 c0000201"
        ),
        ArpFrame(BROADCAST, THEIRS, Operation.REQUEST, THEIRS, IPv4Address(0), NOBODY, VIP),
    ),
}

NDP: dict[str, tuple[bytes, Solicitation | Advertisement]] = {
    "solicitation": (
        bytes.fromhex(
            "3333ff020003 02005e005302 86dd 60000000 0020 3a ff fe800000000000000000000000000009"
            "ff0200000000000000000001ff020003 87 00 9a4e 00000000 20010db8000000000000000100020003"
            "01 01 02005e005302"
        ),
        Solicitation(GROUP_MAC, THEIRS, THEIR6, GROUP, VIP6, THEIRS),
    ),
    "unicast solicitation without an option": (
        bytes.fromhex(
            "02005e005301 02005e005302 86dd 60000000 0018 3a ff fe800000000000000000000000000009"
            "20010db8000000000000000100020003 87 00 1ea5 00000000 20010db8000000000000000100020003"
        ),
        Solicitation(OURS, THEIRS, THEIR6, VIP6, VIP6),
    ),
    "duplicate address detection": (
        bytes.fromhex(
            "3333ff020003 02005e005302 86dd 60000000 0018 3a ff 00000000000000000000000000000000"
            "ff0200000000000000000001ff020003 87 00 4ce4 00000000 20010db8000000000000000100020003"
        ),
        Solicitation(GROUP_MAC, THEIRS, NOWHERE, GROUP, VIP6),
    ),
    "advertisement": (
        bytes.fromhex(
            "02005e005302 02005e005301 86dd 60000000 0020 3a ff 20010db8000000000000000100020003"
            "fe800000000000000000000000000009 88 00 089a 60000000 20010db8000000000000000100020003"
            "02 01 02005e005301"
        ),
        Advertisement(THEIRS, OURS, VIP6, THEIR6, VIP6, OURS, solicited=True, override=True),
    ),
    "advertisement to all": (
        bytes.fromhex(
            "333300000001 02005e005301 86dd 60000000 0020 3a ff 20010db8000000000000000100020003"
            "ff020000000000000000000000000001 88 00 4820 20000000 20010db8000000000000000100020003"
            "02 01 02005e005301"
        ),
        Advertisement(ALL_NODES_MAC, OURS, VIP6, ALL_NODES, VIP6, OURS, override=True),
    ),
}


def checked(frame: bytes) -> bytes:
    """An ICMPv6 frame with the checksum that it ought to have, summed up word by word (RFC 1071)."""
    length = int.from_bytes(frame[18:20])
    body = frame[54:56] + b"\0\0" + frame[58 : 54 + length]
    data = frame[22:54] + length.to_bytes(4) + (58).to_bytes(4) + body + b"\0" * (len(body) % 2)
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2])
        total = (total & 0xFFFF) + (total >> 16)
    return frame[:56] + (total ^ 0xFFFF).to_bytes(2) + frame[58:]


def changed(frame: bytes, at: int, octets: bytes) -> bytes:
    return frame[:at] + octets + frame[at + len(octets) :]
