# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that let a packet socket have only ARP and neighbor discovery about certain addresses.

A busy segment's other frames cost the process nothing. The result is a program of the classic BPF
(linux/filter.h) for SO_ATTACH_FILTER on a packet socket of type SOCK_RAW. It is right on a socket for all
protocols as well as on one for its own EtherType. To miss nothing and to see nothing else: make the socket
with protocol 0, attach, bind.

Addresses become ranges, at most `MOST_RANGES`: beyond, those with the smallest gaps between them are taken
together, so that what passes may be more than was asked for and is never less. The same is done until the
program has at most `MOST_INSTRUCTIONS`: the kernel keeps it, in a longer form, within net.core.optmem_max.
"""

from __future__ import annotations

import heapq
import itertools
import struct
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from vipcast.layer2 import arp, ndp
from vipcast.layer2.frames import EtherType

MOST_RANGES = 64
# The kernel takes 4096 (BPF_MAXINSNS), but with an optmem_max of 20 KiB, once the default, not even 1,100.
MOST_INSTRUCTIONS = 700

Range = tuple[int, int]  # both ends are in it


class Code(IntEnum):
    """The instructions that are used, as ``code`` of struct sock_filter."""

    LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS; from the frame, or from beside it with `ANCILLARY`
    LOAD_HALF = 0x28
    LOAD_BYTE = 0x30
    JUMP = 0x05  # BPF_JMP | BPF_JA
    IF_EQUAL = 0x15
    IF_GREATER = 0x25
    IF_AT_LEAST = 0x35
    RETURN = 0x06  # how many octets the socket gets


class Instruction(NamedTuple):
    """``true`` and ``false``: how many instructions a condition skips, at most 255."""

    code: Code
    operand: int
    true: int = 0
    false: int = 0


Program = list[Instruction]

ANCILLARY = 0xFFFFF000  # SKF_AD_OFF
PACKET_TYPE = ANCILLARY + 4  # SKF_AD_PKTTYPE
VLAN_TAG_PRESENT = ANCILLARY + 48  # SKF_AD_VLAN_TAG_PRESENT
# PACKET_HOST, PACKET_BROADCAST, PACKET_MULTICAST. Above: for other hosts, our own, and what has a VLAN's tag.
_LAST_FOR_US = 2

_IP_HEADER = 0xFFF00000  # SKF_NET_OFF
_UDP_HEADER, _TTL, _IPV6_HOP_LIMIT = 8, 8, 7
_HEARTBEAT = int.from_bytes(b"vL")
MOST_HOPS = 255

_WHOLE_FRAME = 0x40000
_TAKE, _DROP = Instruction(Code.RETURN, _WHOLE_FRAME), Instruction(Code.RETURN, 0)
_FARTHEST = 255

_WORD_BITS = 32
_WORD = 1 << _WORD_BITS
# Where in a frame: EtherType, hardware and protocol of ARP, their lengths, the addresses; and in IPv6.
_TYPE, _ARP_KINDS, _ARP_LENGTHS, _ARP_SENDER, _ARP_TARGET = 12, 14, 18, 28, 38
_PROTOCOL, _HOP_LIMIT, _ICMP_TYPE, _ND_TARGET = 20, 21, 54, 62
_ARP_KINDS_FIT, _ARP_LENGTHS_FIT = struct.unpack("!IH", arp.CONSTANT[2:])


def arp_filter(addresses: Iterable[IPv4Address], most: int = MOST_RANGES) -> Program:
    """Return a program that takes ARP of which the target or the sender is among ``addresses``."""
    return _fitting(_arp_program, addresses, most)


def _arp_program(wanted: Sequence[Range]) -> Program:
    return [
        *_for_us(EtherType.ARP),
        *_unless_equal(Code.LOAD_WORD, _ARP_KINDS, _ARP_KINDS_FIT),
        *_unless_equal(Code.LOAD_HALF, _ARP_LENGTHS, _ARP_LENGTHS_FIT),
        *_going_on(_lookup((_ARP_TARGET,), wanted)),
        *_lookup((_ARP_SENDER,), wanted),
    ]


def ndp_filter(addresses: Iterable[IPv6Address], most: int = MOST_RANGES) -> Program:
    """Return a program for Neighbor Solicitations and Advertisements with a target among ``addresses``."""
    return _fitting(_ndp_program, addresses, most)


def _ndp_program(wanted: Sequence[Range]) -> Program:
    return [
        *_for_us(EtherType.IPV6),
        *_unless_equal(Code.LOAD_BYTE, _PROTOCOL, ndp.ICMPV6),
        *_unless_equal(Code.LOAD_BYTE, _HOP_LIMIT, ndp.HOP_LIMIT),
        Instruction(Code.LOAD_BYTE, _ICMP_TYPE),
        Instruction(Code.IF_EQUAL, ndp.Kind.SOLICITATION, true=2),
        Instruction(Code.IF_EQUAL, ndp.Kind.ADVERTISEMENT, true=1),
        _DROP,
        *_lookup(tuple(_ND_TARGET + 4 * word for word in range(4)), wanted),
    ]


def heartbeat_filter(version: int, *, on_link: bool) -> Program:
    """Return a program for a UDP socket that takes heartbeats, which it knows by how they begin.

    A filter of such a socket sees the UDP header and, beside it, that of IP (SKF_NET_OFF). ``on_link``: take
    only those with a TTL of 255, which no router has forwarded (RFC 5082).
    """
    hops = _IP_HEADER + {4: _TTL, 6: _IPV6_HOP_LIMIT}[version]
    begin = _unless_equal(Code.LOAD_HALF, _UDP_HEADER, _HEARTBEAT)
    checked = _unless_equal(Code.LOAD_BYTE, hops, MOST_HOPS) if on_link else []
    return [*begin, *checked, _TAKE]


def encode(program: Program) -> bytes:
    """Return an array of struct sock_filter, in this host's byte order."""
    return b"".join(
        struct.pack("=HBBI", code, true, false, operand) for code, operand, true, false in program
    )


def ranges(addresses: Iterable[IPv4Address | IPv6Address], most: int) -> list[Range]:
    """Return at most ``most`` ranges, sorted and apart from each other, that hold all of ``addresses``."""
    numbers = sorted({int(address) for address in addresses})
    return _joined([(number, number) for number in numbers], most)


def _joined(apart: Sequence[Range], most: int) -> list[Range]:
    """The widest gaps stay."""
    if not apart:
        return []
    gaps = ((after[0] - before[1], before[1], after[0]) for before, after in itertools.pairwise(apart))
    widest = heapq.nlargest(most - 1, (gap for gap in gaps if gap[0] > 1))
    starts = [apart[0][0], *sorted(start for _size, _end, start in widest)]
    ends = [*sorted(end for _size, end, _start in widest), apart[-1][1]]
    return list(zip(starts, ends, strict=True))


# ---- pieces of a program ----


def _fitting(
    build: Callable[[Sequence[Range]], Program], addresses: Iterable[IPv4Address | IPv6Address], most: int
) -> Program:
    wanted = ranges(addresses, most)
    if not wanted:
        return [_DROP]
    while len(program := build(wanted)) > MOST_INSTRUCTIONS:
        most //= 2
        wanted = _joined(wanted, most)
    return program


def _for_us(ether_type: EtherType) -> Program:
    return [
        *_unless_equal(Code.LOAD_HALF, _TYPE, ether_type),
        Instruction(Code.LOAD_WORD, PACKET_TYPE),
        Instruction(Code.IF_GREATER, _LAST_FOR_US, false=1),
        _DROP,
        *_unless_equal(Code.LOAD_WORD, VLAN_TAG_PRESENT, 0),
    ]


def _unless_equal(load: Code, where: int, value: int) -> Program:
    """Drop, unless ``value`` is there."""
    return [Instruction(load, where), Instruction(Code.IF_EQUAL, value, true=1), _DROP]


def _going_on(program: Program) -> Program:
    """Return a program that goes on behind itself where ``program`` would drop the packet."""
    last = len(program) - 1
    return [
        Instruction(Code.JUMP, last - place) if instruction == _DROP else instruction
        for place, instruction in enumerate(program)
    ]


def _lookup(places: Sequence[int], wanted: Sequence[Range]) -> Program:
    """Take what has a number of ``wanted`` in the words at ``places``, the highest first; drop the others."""
    load = Instruction(Code.LOAD_WORD, places[0])
    return [load, *_search(_steps(wanted, len(places)), places[1:])]


# A value of a word from which on another thing holds: in it, not in it, or it depends on the words behind.
_Step = tuple[int, bool | tuple[Range, ...]]


def _search(steps: Sequence[_Step], below: Sequence[int]) -> Program:
    """Return a balanced tree of comparisons with the word that is loaded."""
    if len(steps) == 1:
        found = steps[0][1]
        if isinstance(found, bool):
            return [_TAKE if found else _DROP]
        return _lookup(below, found)
    middle = len(steps) // 2
    less, more = _search(steps[:middle], below), _search(steps[middle:], below)
    if len(less) <= _FARTHEST:
        return [Instruction(Code.IF_AT_LEAST, steps[middle][0], true=len(less)), *less, *more]
    far = Instruction(Code.JUMP, len(less))
    return [Instruction(Code.IF_AT_LEAST, steps[middle][0], false=1), far, *less, *more]


def _steps(wanted: Sequence[Range], words: int) -> list[_Step]:
    """Return the steps by the highest of ``words`` words; the first step is at 0."""
    steps: list[_Step] = []
    end = 0
    for first, last, found in _blocks(wanted, words):
        if first > end:
            steps.append((end, False))
        steps.append((first, found))
        end = last + 1
    if end < _WORD:
        steps.append((end, False))
    return steps


def _blocks(wanted: Sequence[Range], words: int) -> list[tuple[int, int, bool | tuple[Range, ...]]]:
    """Values of the highest word, first and last, in ascending order: what is wanted of the words behind."""
    size = 1 << _WORD_BITS * (words - 1)
    blocks: list[tuple[int, int, bool | tuple[Range, ...]]] = []
    for low, high in _cut(wanted, size):
        first, last = low // size, high // size
        if (low % size, high % size) == (0, size - 1):
            blocks.append((first, last, True))
            continue
        rest: tuple[Range, ...] = ((low % size, high % size),)
        if blocks and blocks[-1][0] == first and isinstance(before := blocks[-1][2], tuple):
            rest = before + rest
            blocks.pop()
        blocks.append((first, first, rest))
    return blocks


def _cut(wanted: Sequence[Range], size: int) -> Iterable[Range]:
    """Cut the ranges into ones within one block of ``size`` and ones of whole blocks."""
    for low, high in wanted:
        start = low
        if start % size and start // size != high // size:
            yield start, start - start % size + size - 1
            start += size - start % size
        whole = (high + 1) - (high + 1) % size
        if start < whole and start % size == 0:
            yield start, whole - 1
            start = whole
        if start <= high:
            yield start, high
