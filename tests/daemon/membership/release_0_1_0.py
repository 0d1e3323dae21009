# SPDX-License-Identifier: GPL-3.0-or-later
"""Read packets as release 0.1.0 does, word for word: whatever else comes costs it the whole packet."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

_HEAD, _TAG = struct.Struct("!2sBBQQQQQQIBB"), 16
RECORDED = Path(__file__).parent / "recorded" / "release-0.1.0.json"


def recorded() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RECORDED.read_text())
    return found


def reads(packet: bytes) -> bool:
    """Tell whether that release takes the packet; the tag is not looked at."""
    if packet[:3] != b"vL\x01":
        return False
    at, end = _HEAD.size + packet[_HEAD.size - 1], len(packet) - _TAG
    while at < end:
        kind = packet[at]
        at = {1: _node, 2: _votes, 3: _claim}.get(kind, _unknown)(packet, at + 1)
    return at == end


def _unknown(_packet: bytes, _at: int) -> int:
    return 1 << 30


def _name(packet: bytes, at: int) -> int:
    packet[at + 1 : at + 1 + packet[at]].decode()
    return at + 1 + packet[at]


def _node(packet: bytes, at: int) -> int:
    at = _name(packet, at)
    return at + 5 if packet[at + 4] <= 3 else _unknown(packet, at)


def _votes(packet: bytes, at: int) -> int:
    at = _name(packet, at) + 9
    count = packet[at - 1]
    for _each in range(count):
        at = _name(packet, at) + 4
    return at if count <= 32 else _unknown(packet, at)


def _claim(packet: bytes, at: int) -> int:
    at = _name(packet, at + 1 + {4: 4, 6: 16}[packet[at]] + 8)
    hold, reason = packet[at], packet[at + 1]
    return at + 12 if hold <= 2 and reason <= 11 else _unknown(packet, at)
