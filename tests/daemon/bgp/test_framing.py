# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how to get from a stream to messages: RFC 4271 sections 4.1 and 6.1."""

from __future__ import annotations

import pytest
from daemon.bgp.wire_cases import CASES, MARKER, octets

from vipcast.bgp.errors import LocalError, RemoteError
from vipcast.bgp.framing import FrameBuffer, MessageType, encode_frame
from vipcast.bgp.messages import decode

STREAM = b"".join(data for data, _message in CASES.values())
MESSAGES = [message for _data, message in CASES.values()]


def read(*chunks: bytes) -> list[object]:
    buffer, found = FrameBuffer(), []
    for chunk in chunks:
        buffer.receive(chunk)
        found.extend(decode(frame) for frame in buffer)
    return found


def test_a_stream_in_one_piece_gives_every_message() -> None:
    assert read(STREAM) == MESSAGES


def test_a_stream_byte_by_byte_gives_every_message() -> None:
    assert read(*(STREAM[i : i + 1] for i in range(len(STREAM)))) == MESSAGES


def test_an_unfinished_message_waits() -> None:
    tail = CASES["UPDATE"][0][:-1]
    buffer = FrameBuffer()
    buffer.receive(STREAM + tail)
    assert len(list(buffer)) == len(MESSAGES)
    assert len(buffer) == len(tail)


@pytest.mark.parametrize(
    ("data", "subcode", "field"),
    [
        (octets("fffe"), 1, b""),
        (octets("ff" * 15, "00"), 1, b""),
        (octets(MARKER, "0012 04"), 2, b"\x00\x12"),
        (octets(MARKER, "1001 02"), 2, b"\x10\x01"),
        (octets(MARKER, "ffff 02"), 2, b"\xff\xff"),
        (octets(MARKER, "0014 04"), 2, b"\x00\x14"),
        (octets(MARKER, "001c 01"), 2, b"\x00\x1c"),
        (octets(MARKER, "0016 02"), 2, b"\x00\x16"),
        (octets(MARKER, "0014 03"), 2, b"\x00\x14"),
        (octets(MARKER, "0013 00"), 3, b"\x00"),
        (octets(MARKER, "0013 06"), 3, b"\x06"),
    ],
)
def test_a_bad_header_is_refused_before_its_body_is_there(data: bytes, subcode: int, field: bytes) -> None:
    buffer = FrameBuffer()
    buffer.receive(data)
    for _again in range(2):  # and it stays refused
        with pytest.raises(RemoteError) as caught:
            next(iter(buffer))
        assert (caught.value.code, caught.value.subcode, caught.value.data) == (1, subcode, field)
        buffer.receive(CASES["KEEPALIVE"][0])
    assert len(buffer) == 0


def test_the_longest_message_passes_and_a_longer_one_is_our_own_mistake() -> None:
    buffer = FrameBuffer()
    buffer.receive(encode_frame(MessageType.UPDATE, bytes(4096 - 19)))
    assert [len(frame.body) for frame in buffer] == [4096 - 19]
    with pytest.raises(LocalError, match="4097 octets"):
        encode_frame(MessageType.UPDATE, bytes(4097 - 19))


@pytest.mark.parametrize(
    ("kind", "length", "passes"),
    [
        (MessageType.UPDATE, 4097, True),
        (MessageType.UPDATE, 65535, True),
        (MessageType.NOTIFICATION, 65535, True),
        (MessageType.ROUTE_REFRESH, 65535, True),
        (MessageType.OPEN, 4096, True),
        (MessageType.OPEN, 4097, False),
        (MessageType.KEEPALIVE, 4097, False),
    ],
)
def test_what_may_be_extended_passes_whole_and_in_pieces(
    kind: MessageType, length: int, passes: bool
) -> None:
    """RFC 8654 section 4 and 5: an OPEN or KEEPALIVE of more than 4096 octets is Bad Message Length."""
    header = octets(MARKER) + length.to_bytes(2, "big") + bytes((kind,))
    for step in (length, 1000):
        buffer, frames = FrameBuffer(), []
        buffer.max_length = 65535
        data = header + bytes(length - 19) if passes else header
        try:
            for at in range(0, len(data), step):
                buffer.receive(data[at : at + step])
                frames.extend(buffer)
        except RemoteError as error:
            assert not passes
            assert (error.code, error.subcode, error.data) == (1, 2, length.to_bytes(2, "big"))
            continue
        assert passes
        assert [(frame.type, len(frame.body)) for frame in frames] == [(kind, length - 19)]
        assert encode_frame(kind, frames[0].body, max_length=65535) == data
