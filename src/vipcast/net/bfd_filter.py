# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the classic BPF for BFD's sockets: the kernel lets pass what may be a session's.

Whoever can reach the port can fill a socket's buffer, and then packets of the router are lost in it. So what
belongs to no session is dropped before it: whatever is no Control packet of version 1, and then

- with Your Discriminator: what has not one of ours, which are random;
- without it: what is not from a session's peer, on an interface of that session (RFC 5881 section 3).

Of what has a TTL that is too low one in sixteen passes, so that the status can name the reason. A socket with
more sessions than a program may have instructions for looks at the header alone. The programs decide nothing:
`vipcast.bfd_agent.table` judges what passes as if there were no filter.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from vipcast.bfd.echo import MARK
from vipcast.bfd.packet import LENGTH, VERSION
from vipcast.bfd.settings import SINGLE_HOP_TTL
from vipcast.model.addresses import IPAddress
from vipcast.net.bfd_sockets import ECHO_PORT, SINGLE_HOP_PORT

__all__ = ["Expected", "control_filter", "detach", "echo_filter"]

# An instruction: code, how many the true and the false branch skip, operand (linux/filter.h).
_Line = tuple[int, int, int, int]
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE, _LOAD_LENGTH = 0x20, 0x28, 0x30, 0x80
_LOAD_WORD_AT_X, _LOAD_HALF_AT_X, _X_HEADER_LENGTH = 0x40, 0x48, 0xB1
_AND, _JUMP, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x54, 0x05, 0x15, 0x35, 0x45, 0x06
# SKF_NET_OFF, and beside the packet SKF_AD_OFF: interface and a random number.
_IP, _INTERFACE, _RANDOM = 0xFFF00000, 0xFFFFF000 + 8, 0xFFFFF000 + 56
_TTL = {4: _IP + 8, 6: _IP + 7}
_SOURCE = {4: _IP + 12, 6: _IP + 8}
# A UDP socket's packets begin with the UDP header.
_UDP_HEADER = 8
_YOUR_DISCRIMINATOR = 8
_VERSION_BITS = 0xE0
_ONE_IN_SIXTEEN = 15
_FRAGMENT_OFFSET = 0x1FFF
# The kernel takes 4096, but keeps a program within net.core.optmem_max, which was 20 KiB.
_MOST = 700
_SO_DETACH_FILTER = 27

_TAKE, _DROP = (_RETURN, 0, 0, 0x40000), (_RETURN, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Expected:
    """A session's packets. ``interfaces``: indices, where its first packets come in; None: anywhere."""

    discriminator: int
    source: IPAddress
    interfaces: frozenset[int] | None
    least_ttl: int


def control_filter(version: int, expected: Collection[Expected]) -> bytes:
    """Return a program for a UDP socket of an IP version, whose sessions are ``expected``."""
    head = list(_head(version, min((each.least_ttl for each in expected), default=SINGLE_HOP_TTL)))
    known = list(_one_of(sorted(each.discriminator for each in expected)))
    first = [line for each in expected for line in _first_packet(version, each)]
    found: list[_Line] = [
        *head,
        (_LOAD_WORD, 0, 0, _UDP_HEADER + _YOUR_DISCRIMINATOR),
        (_EQUAL, 0, 1, 0),
        (_JUMP, 0, 0, len(known)),
        *known,
        *first,
        _DROP,
    ]
    return _encode(found if len(found) <= _MOST else [*head, _TAKE])


def echo_filter(discriminators: Collection[int]) -> bytes:
    """Return a program for a packet socket without link-layer headers: echo packets of ours (RFC 5881 section
    4), and Control packets of neighbors that know our discriminators, which tell their MACs.
    """
    known = list(_one_of(sorted(discriminators)))
    if 2 * len(known) > _MOST // 2:
        known = [_TAKE]
    control: list[_Line] = [
        (_LOAD_BYTE, 0, 0, 8),
        (_EQUAL, 1, 0, SINGLE_HOP_TTL),
        _DROP,
        (_LOAD_WORD_AT_X, 0, 0, _UDP_HEADER + _YOUR_DISCRIMINATOR),
        *known,
    ]
    echo: list[_Line] = [
        (_LOAD_WORD_AT_X, 0, 0, _UDP_HEADER),
        (_EQUAL, 1, 0, int.from_bytes(MARK, "big")),
        _DROP,
        (_LOAD_WORD_AT_X, 0, 0, _UDP_HEADER + len(MARK)),
        *known,
    ]
    return _encode([
        (_LOAD_BYTE, 0, 0, 9),
        (_EQUAL, 1, 0, socket.IPPROTO_UDP),
        _DROP,
        (_LOAD_HALF, 0, 0, 6),
        (_ANY_BIT, 0, 1, _FRAGMENT_OFFSET),
        _DROP,
        (_X_HEADER_LENGTH, 0, 0, 0),
        (_LOAD_HALF_AT_X, 0, 0, 2),
        (_EQUAL, 0, 1, SINGLE_HOP_PORT),
        (_JUMP, 0, 0, 2 + len(echo)),
        (_EQUAL, 1, 0, ECHO_PORT),
        _DROP,
        *echo,
        *control,
    ])  # fmt: skip


def detach(sock: socket.socket) -> None:
    """Let everything pass again: for whoever takes the socket over and has other sessions."""
    with contextlib.suppress(OSError):  # it had none
        sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def _head(version: int, least_ttl: int) -> Iterator[_Line]:
    yield _LOAD_LENGTH, 0, 0, 0
    yield _AT_LEAST, 1, 0, _UDP_HEADER + LENGTH
    yield _DROP
    yield _LOAD_BYTE, 0, 0, _UDP_HEADER
    yield _AND, 0, 0, _VERSION_BITS
    yield _EQUAL, 1, 0, VERSION << 5
    yield _DROP
    yield _LOAD_BYTE, 0, 0, _TTL[version]
    yield _AT_LEAST, 3, 0, least_ttl
    yield _LOAD_WORD, 0, 0, _RANDOM
    yield _ANY_BIT, 0, 1, _ONE_IN_SIXTEEN
    yield _DROP


def _one_of(numbers: Iterable[int]) -> Iterator[_Line]:
    """Take what has one of the numbers loaded, drop the rest."""
    for number in numbers:
        yield _EQUAL, 0, 1, number
        yield _TAKE
    yield _DROP


def _first_packet(version: int, expected: Expected) -> Iterator[_Line]:
    """Take what is from the peer, and came in where the session is; go on with the next session otherwise."""
    packed = expected.source.packed
    words = [int.from_bytes(packed[at : at + 4], "big") for at in range(0, len(packed), 4)]
    source: list[_Line] = []
    for number, word in enumerate(words):
        left = 2 * (len(words) - number - 1) + 1  # to the end, over the line that takes it
        source += [(_LOAD_WORD, 0, 0, _SOURCE[version] + 4 * number), (_EQUAL, 0, left, word)]
    source.append(_TAKE)
    if expected.interfaces is None:
        yield from source
        return
    for interface in sorted(expected.interfaces):
        yield _LOAD_WORD, 0, 0, _INTERFACE
        yield _EQUAL, 0, len(source), interface
        yield from source


def _encode(program: Iterable[_Line]) -> bytes:
    return b"".join(struct.pack("=HBBI", *line) for line in program)
