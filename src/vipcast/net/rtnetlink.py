# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking to the kernel by rtnetlink (linux/rtnetlink.h, linux/netlink.h): questions, dumps, and messages in
pieces.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator

__all__ = ["ask", "attribute", "attributes", "dump", "messages"]

_ERROR, _DONE = 2, 3
_REQUEST, _REQUEST_DUMP = 0x1, 0x301  # NLM_F_REQUEST, and NLM_F_DUMP with it
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
                    raise _refusal(found)
                if kind == answer:
                    yield found


def ask(request: int, body: bytes, answer: int) -> bytes:
    """Return the body of the one ``answer`` message to a ``request``. Raises OSError: the kernel refuses."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.settimeout(_SECONDS)
        sock.send(_HEADER.pack(_HEADER.size + len(body), request, _REQUEST, 1, 0) + body)
        kind, found = next(messages(sock.recv(_READ)))
    if kind != answer:
        raise _refusal(found)
    return found


def _refusal(error: bytes) -> OSError:
    number = -int.from_bytes(error[:4], sys.byteorder, signed=True)
    return OSError(number, "the kernel does not tell this host's network")


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute as it stands in a message, filled up to four octets."""
    plain = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value
    return plain + b"\0" * (-len(plain) % 4)


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
