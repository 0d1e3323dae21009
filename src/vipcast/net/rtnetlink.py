# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking to the kernel by rtnetlink (linux/rtnetlink.h, linux/netlink.h): dumps, and messages in pieces."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator

__all__ = ["attributes", "dump", "messages"]

_ERROR, _DONE = 2, 3
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_HEADER, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")
_TYPE_MASK = 0x3FFF  # NLA_TYPE_MASK
_SECONDS = 2.0
_READ = 65536


def dump(request: int, body: bytes, answer: int) -> Iterator[bytes]:
    """The bodies of all ``answer`` messages to a ``request``. Raises OSError where the kernel refuses."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.settimeout(_SECONDS)
        sock.send(_HEADER.pack(_HEADER.size + len(body), request, _REQUEST_DUMP, 1, 0) + body)
        while True:
            for kind, found in messages(sock.recv(_READ)):
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    number = -int.from_bytes(found[:4], sys.byteorder, signed=True)
                    raise OSError(number, "the kernel does not tell this host's network")
                if kind == answer:
                    yield found


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each."""
    while len(data) >= _HEADER.size:
        length, kind, *_rest = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : length]
        data = data[max((length + 3) & ~3, _HEADER.size) :]


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each."""
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        yield kind & _TYPE_MASK, data[_ATTRIBUTE.size : length]
        data = data[max((length + 3) & ~3, _ATTRIBUTE.size) :]
