# SPDX-License-Identifier: GPL-3.0-or-later
"""An interpreter of the classic BPF, as far as our filters go (linux/filter.h, linux/bpf_common.h).

It reads the octets that the kernel is given, so that it knows nothing of how they were made.
"""

from __future__ import annotations

import struct

_SIZES = {0x00: 4, 0x08: 2, 0x10: 1}
_ANCILLARY = 0xFFFFF000
HOST, BROADCAST, MULTICAST, OTHER_HOST, OUTGOING = range(5)


def execute(program: bytes, frame: bytes, packet_type: int = HOST, vlan: bool = False) -> int:
    """Return how many octets of the frame are taken; 0: none."""
    instructions = list(struct.iter_unpack("=HBBI", program))
    beside = {_ANCILLARY + 4: packet_type, _ANCILLARY + 48: int(vlan)}
    at = accumulator = 0
    while True:
        code, true, false, operand = instructions[at]
        at += 1
        if code & 0x07 == 0x06:
            return int(operand)
        if code & 0x07 == 0x00:
            size = _SIZES[code & 0x18]
            if operand in beside:
                accumulator = beside[operand]
            elif operand + size > len(frame):
                return 0
            else:
                accumulator = int.from_bytes(frame[operand : operand + size])
        else:
            assert code & 0x07 == 0x05, f"no such instruction: {code:#x}"
            at += _skipped(code, accumulator, operand, true, false)


def _skipped(code: int, accumulator: int, operand: int, true: int, false: int) -> int:
    if code == 0x05:
        return operand
    holds = {0x15: accumulator == operand, 0x25: accumulator > operand, 0x35: accumulator >= operand}[code]
    return true if holds else false
