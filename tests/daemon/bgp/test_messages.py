# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages and what is wrong with them: RFC 4271 sections 4 and 6, RFC 7606."""

from __future__ import annotations

import pytest
from daemon.bgp.wire_cases import CASES, UPDATE_TWO_OCTET, octets

from vipcast.bgp.attributes import PathAttributes, Treatment
from vipcast.bgp.codes import describe, encode_shutdown_message, shutdown_message
from vipcast.bgp.errors import LocalError, RemoteError
from vipcast.bgp.framing import Frame, FrameBuffer, MessageType
from vipcast.bgp.messages import Message, Open, Update, decode, encode


def parse(data: bytes, *, four_octet: bool = True) -> Message:
    buffer = FrameBuffer()
    buffer.receive(data)
    (frame,) = buffer
    return decode(frame, four_octet=four_octet)


@pytest.mark.parametrize("name", CASES)
def test_octets_and_messages_are_the_same_thing(name: str) -> None:
    data, message = CASES[name]
    assert encode(message) == data
    assert parse(data) == message


def test_a_two_octet_session_writes_as_numbers_in_two() -> None:
    data, message = UPDATE_TWO_OCTET
    assert encode(message, four_octet=False) == data
    assert parse(data, four_octet=False) == message


def test_the_as_of_an_open_is_the_capabilitys_where_there_is_one() -> None:
    assert CASES["OPEN_OLD"][1].asn == 64512  # type: ignore[union-attr]
    assert CASES["OPEN_BIG_ASN"][1].asn == 4294967280  # type: ignore[union-attr]


def update(attributes: str = "", nlri: str = "", withdrawn: str = "") -> Update:
    parts = [octets(part) for part in (withdrawn, attributes, nlri)]
    body = (
        len(parts[0]).to_bytes(2, "big") + parts[0] + len(parts[1]).to_bytes(2, "big") + parts[1] + parts[2]
    )
    message = decode(Frame(MessageType.UPDATE, body))
    assert isinstance(message, Update)
    return message


GOOD = "40010100 4002060201 0000fc01 4003040a630001"
PREFIX = "200a090001"


@pytest.mark.parametrize(
    ("kind", "body", "code", "subcode", "data"),
    [
        # RFC 4271 section 6.2
        (MessageType.OPEN, "03 fc00 005a 0a630002 00", 2, 1, b"\0\4"),
        (MessageType.OPEN, "04 fc00 005a 0a630002 02 0100", 2, 4, b""),
        (MessageType.OPEN, "04 fc00 005a 0a630002 03 0200", 2, 0, b""),
        (MessageType.OPEN, "04 fc00 005a 0a630002 04 0202 4104", 2, 0, b""),
        (MessageType.OPEN, "04 fc00 005a 0a630002 05 0203 010100", 2, 0, b""),
        (MessageType.OPEN, "04 fc00 005a 0a630002 ff ff 00", 2, 0, b""),
        # RFC 4271 section 6.3 with RFC 7606 sections 3 and 5: what still ends the session
        (MessageType.UPDATE, "0005 0000", 3, 1, b""),
        (MessageType.UPDATE, "0000 0005 40", 3, 1, b""),
        (MessageType.UPDATE, "0001 21 0000", 3, 10, b""),
        (MessageType.UPDATE, "0000 0000 20 0a09", 3, 10, b""),
        (MessageType.UPDATE, "0000 0003 40 63 00", 3, 2, b"\x40\x63\x00"),
        (MessageType.UPDATE, "0000 0004 80 0e 01 00", 3, 9, b""),
        (MessageType.UPDATE, "0000 000c 80 0e 09 0002 01 03 112233 00 00", 3, 9, b""),
        (MessageType.UPDATE, "0000 0007 80 0f 04 0002 01 81", 3, 9, b""),
        (MessageType.UPDATE, "0000 000c 80 0f 03 0002 01 80 0f 03 0002 01", 3, 1, b""),
    ],
)
def test_what_cannot_be_understood_is_answered(
    kind: MessageType, body: str, code: int, subcode: int, data: bytes
) -> None:
    with pytest.raises(RemoteError) as caught:
        decode(Frame(kind, octets(body)))
    assert (caught.value.code, caught.value.subcode, caught.value.data) == (code, subcode, data)


def test_a_route_refresh_of_a_wrong_length_is_answered_with_itself() -> None:
    """RFC 7313 section 5."""
    with pytest.raises(RemoteError) as caught:
        decode(Frame(MessageType.ROUTE_REFRESH, octets("0001 00")))
    assert (caught.value.code, caught.value.subcode) == (7, 1)
    assert caught.value.data == octets("ff" * 16, "0016 05 000100")


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ("40010103" + GOOD[8:], "ORIGIN: value 3"),
        ("4001020000" + GOOD[8:], "ORIGIN: 2 octets"),
        ("c0010100" + GOOD[8:], "ORIGIN with flags 0xc0"),
        ("40010100 4002060701 0000fc01 4003040a630001", "segment of kind 7"),
        ("40010100 4002020200 4003040a630001", "with 0 AS numbers"),
        ("40010100 4002060202 0000fc01 4003040a630001", "8 octets announced, 4 there"),
        ("40010100 4002060201 0000fc01 4003030a6300", "NEXT_HOP: 3 octets"),
        (GOOD + "8004020000", "MULTI_EXIT_DISC: 2 octets"),
        (GOOD + "4005020000", "LOCAL_PREF: 2 octets"),
        (GOOD + "c008020000", "COMMUNITIES: 2 octets"),
        (GOOD + "c00800", "COMMUNITIES: 0 octets"),
        (GOOD + "c0080800", "attribute list: 8 octets announced, 1 there"),
        ("40010100 4002060201 0000fc01", "missing NEXT_HOP"),
        ("", "missing ORIGIN, AS_PATH, NEXT_HOP"),
    ],
)
def test_a_malformed_attribute_withdraws_the_routes_and_spares_the_session(
    attributes: str, words: str
) -> None:
    """RFC 7606 section 7."""
    message = update(attributes, PREFIX)
    assert words in message.problems[0].what
    assert message.problems[0].treatment is Treatment.WITHDRAW
    assert message.announced == ()
    assert [str(prefix) for prefix in message.removed] == ["10.9.0.1/32"]


@pytest.mark.parametrize(
    "attribute",
    ["40 06 01 ff", "c0 07 02 0001", "c0 11 02 0201", "c0 12 06 000100010001", "40 01 01 00", "80 11 00"],
)
def test_a_harmless_attribute_is_dropped_and_the_routes_stay(attribute: str) -> None:
    """RFC 7606 section 3 g and sections 7.6 and 7.7, RFC 6793 section 6."""
    message = update(GOOD + attribute, PREFIX)
    assert [problem.treatment for problem in message.problems] == [Treatment.DISCARD]
    assert [str(prefix) for prefix in message.announced] == ["10.9.0.1/32"]
    assert message.removed == ()


def test_bits_behind_a_prefix_are_irrelevant() -> None:
    """RFC 4271 section 4.3."""
    assert [str(prefix) for prefix in update(GOOD, "08ff 19ffffffff").announced] == [
        "255.0.0.0/8",
        "255.255.255.128/25",
    ]


def test_another_family_is_carried_and_not_read() -> None:
    """RFC 4760: a VPN route (SAFI 128) is none of ours."""
    message = update("40010100 400200 800e09 0001 80 00 00 11223344")
    assert message.problems == ()
    assert message.attributes.mp_reach is None
    assert [raw.code for raw in message.attributes.others] == [14]


def test_what_does_not_fit_is_our_own_mistake() -> None:
    with pytest.raises(LocalError, match="LOCAL_PREF -1"):
        encode(Update(attributes=PathAttributes(local_pref=-1)))
    with pytest.raises(LocalError, match="AS number"):
        encode(_big_path(), four_octet=False)
    with pytest.raises(LocalError, match="hold time 70000"):
        encode(Open(1, 70000, CASES["OPEN"][1].router_id))  # type: ignore[union-attr]


def _big_path() -> Update:
    return Update(attributes=PathAttributes(as_path=UPDATE_TWO_OCTET[1].attributes.as4_path))


@pytest.mark.parametrize(
    ("code", "subcode", "data", "words"),
    [
        (6, 2, b"", "Cease/Administrative Shutdown"),
        (6, 2, b"\x06rack 4", 'Cease/Administrative Shutdown: "rack 4"'),
        (6, 4, b"\x04" + "größ".encode(), 'Cease/Administrative Reset: "grö"'),
        (6, 4, b"\x03a\x1b\n", 'Cease/Administrative Reset: "a\ufffd\ufffd"'),
        (6, 4, b"\x02\xff\xfe", 'Cease/Administrative Reset: "\ufffd\ufffd"'),
        (6, 4, b"\xff", "Cease/Administrative Reset"),
        (2, 2, b"\x03abc", "OPEN Message Error/Bad Peer AS"),
        (4, 0, b"", "Hold Timer Expired"),
        (6, 99, b"", "Cease/subcode 99"),
        (77, 0, b"", "error code 77"),
    ],
)
def test_a_notification_reads_like_a_sentence(code: int, subcode: int, data: bytes, words: str) -> None:
    """RFC 4271 section 4.5, RFC 4486, RFC 9003 section 2 and 5."""
    assert describe(code, subcode, data) == words


def test_a_shutdown_message_is_cut_between_characters() -> None:
    """RFC 9003 section 2: at most 255 octets of UTF-8."""
    data = encode_shutdown_message("ü" * 200)
    assert (data[0], len(data)) == (254, 255)
    assert shutdown_message(6, 2, data) == "ü" * 127
    assert encode_shutdown_message("") == b""
