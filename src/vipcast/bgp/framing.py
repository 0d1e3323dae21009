# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The framing of messages in a stream of octets (RFC 4271 section 4.1).

    0                   16       18     19
    +-------------------+--------+------+------------
    | marker (all ones) | length | type | body ...
    +-------------------+--------+------+------------

The length counts the header. No message longer than 4096 octets, or 65535 where extended messages were
offered (RFC 8654), is ever collected, whatever a peer sends: an announced length is judged before its body is
waited for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from vipcast.bgp.error_codes import ErrorCode, HeaderError
from vipcast.bgp.errors import LocalError, RemoteError

MARKER = b"\xff" * 16
HEADER_LENGTH = 19
MAX_LENGTH = 4096
EXTENDED_MAX_LENGTH = 0xFFFF  # RFC 8654 section 4


class MessageType(IntEnum):
    OPEN = 1
    UPDATE = 2
    NOTIFICATION = 3
    KEEPALIVE = 4
    ROUTE_REFRESH = 5


# RFC 4271 section 6.1: shorter than this is Bad Message Length. A KEEPALIVE is exactly its minimum. The
# length of a ROUTE-REFRESH is judged by its own rule (RFC 7313 section 5), so any length passes here.
_MIN_LENGTH = {
    MessageType.OPEN: 29,
    MessageType.UPDATE: 23,
    MessageType.NOTIFICATION: 21,
    MessageType.KEEPALIVE: 19,
    MessageType.ROUTE_REFRESH: 19,
}


# RFC 8654 section 4: these two are never extended.
_NEVER_EXTENDED = {MessageType.OPEN, MessageType.KEEPALIVE}


@dataclass(frozen=True, slots=True)
class Frame:
    type: MessageType
    body: bytes


def encode_frame(message_type: MessageType, body: bytes, *, max_length: int = MAX_LENGTH) -> bytes:
    length = HEADER_LENGTH + len(body)
    limit = MAX_LENGTH if message_type in _NEVER_EXTENDED else max_length
    if length > limit:
        raise LocalError(f"{message_type.name} of {length} octets: a message has at most {limit}")
    return MARKER + length.to_bytes(2, "big") + bytes((message_type,)) + body


def type_of(frame: bytes) -> MessageType:
    """Return the message type of a frame that ``encode_frame`` has made."""
    return MessageType(frame[HEADER_LENGTH - 1])


class FrameBuffer:
    """Collects what TCP delivers and gives back whole frames, in order.

    >>> buffer.receive(data)
    >>> for frame in buffer: ...

    The iterator ends where more octets are needed. A header error raises RemoteError, and every later attempt
    raises it again: after one, the borders of messages are unknown. ``max_length`` may grow on the way.
    """

    def __init__(self) -> None:
        self.max_length = MAX_LENGTH
        self._data = bytearray()
        self._error: RemoteError | None = None

    def __len__(self) -> int:
        return len(self._data)

    def receive(self, data: bytes) -> None:
        if self._error is None:
            self._data += data

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        if self._error is not None:
            raise self._error
        try:
            return self._cut()
        except RemoteError as error:
            self._error = error
            self._data.clear()
            raise

    def _cut(self) -> Frame | None:
        _check_marker(self._data)
        if len(self._data) < HEADER_LENGTH:
            return None
        length, message_type = _header(self._data, self.max_length)
        if len(self._data) < length:
            return None
        body = bytes(self._data[HEADER_LENGTH:length])
        del self._data[:length]
        return Frame(message_type, body)


def _check_marker(data: bytearray) -> None:
    start = bytes(data[: len(MARKER)])
    if start != MARKER[: len(start)]:
        raise RemoteError(
            ErrorCode.HEADER, HeaderError.NOT_SYNCHRONIZED, detail=f"a marker begins {start[:4].hex()}"
        )


def _header(data: bytearray, max_length: int) -> tuple[int, MessageType]:
    """Length and type. RFC 4271 section 6.1: the data of the NOTIFICATION is the field that was wrong."""
    length_field, kind = bytes(data[16:18]), data[18]
    length = int.from_bytes(length_field, "big")
    if not HEADER_LENGTH <= length <= max_length:
        raise _bad_length(length_field, f"a message of {length} octets")
    if kind not in _MIN_LENGTH:
        raise RemoteError(
            ErrorCode.HEADER, HeaderError.BAD_TYPE, bytes((kind,)), detail=f"a message of type {kind}"
        )
    message_type = MessageType(kind)
    minimum = _MIN_LENGTH[message_type]
    maximum = MAX_LENGTH if message_type in _NEVER_EXTENDED else max_length
    if not minimum <= length <= maximum or (message_type is MessageType.KEEPALIVE and length != minimum):
        raise _bad_length(length_field, f"{message_type.name} of {length} octets")
    return length, message_type


def _bad_length(field: bytes, detail: str) -> RemoteError:
    return RemoteError(ErrorCode.HEADER, HeaderError.BAD_LENGTH, field, detail=detail)
