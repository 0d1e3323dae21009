# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages and what is wrong with them: RFC 4271 sections 4 and 6."""

from __future__ import annotations

import pytest
from daemon.bgp.updates import GOOD, update
from daemon.bgp.wire_cases import CASES, UPDATE_TWO_OCTET, octets

from vipcast.bgp.attributes import PathAttributes
from vipcast.bgp.capabilities import GracefulRestart, Preserved, Unknown, decode_capabilities
from vipcast.bgp.error_codes import describe, encode_shutdown_message, shutdown_message
from vipcast.bgp.errors import LocalError, RemoteError
from vipcast.bgp.framing import Frame, FrameBuffer, MessageType
from vipcast.bgp.messages import Message, Notification, Open, Update, decode, encode


def parse(data: bytes, *, asn4: bool = True) -> Message:
    buffer = FrameBuffer()
    buffer.receive(data)
    (frame,) = buffer
    return decode(frame, asn4=asn4)


@pytest.mark.parametrize("name", CASES)
def test_octets_and_messages_are_the_same_thing(name: str) -> None:
    data, message = CASES[name]
    assert encode(message) == data
    assert parse(data) == message


def test_a_two_octet_session_writes_as_numbers_in_two() -> None:
    data, message = UPDATE_TWO_OCTET
    assert encode(message, asn4=False) == data
    assert parse(data, asn4=False) == message


def test_the_as_of_an_open_is_the_capabilitys_where_there_is_one() -> None:
    assert CASES["OPEN_OLD"][1].asn == 64512  # type: ignore[union-attr]
    assert CASES["OPEN_BIG_ASN"][1].asn == 4294967280  # type: ignore[union-attr]


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


@pytest.mark.parametrize(
    "data", ["06 01 00", "46 01 00", "40 01 00", "40 03 000000", "05 05 0001000100", "05 00"]
)
def test_a_capability_that_one_can_do_without_is_not_offered_where_it_is_malformed(data: str) -> None:
    """The session works without it; RFC 5492 section 5 has an error for what is required alone."""
    value = octets(data)
    assert decode_capabilities(value) == (Unknown(value[0], value[2:]),)
    assert "malformed" in str(Unknown(value[0], value[2:]))


def test_reserved_bits_of_graceful_restart_are_ignored() -> None:
    """RFC 4724 section 3."""
    (found,) = decode_capabilities(octets("40 06 b078 0001 01 7f"))
    assert found == GracefulRestart(120, (Preserved(1, 1, False),), restarting=True)


def test_an_error_carries_no_more_than_a_notification_holds() -> None:
    """RFC 8654 section 4: its peer may not take more than 4096 octets."""
    attribute = octets("50 63") + (60000).to_bytes(2, "big") + bytes(60000)
    with pytest.raises(RemoteError) as caught:
        decode(Frame(MessageType.UPDATE, bytes(2) + len(attribute).to_bytes(2, "big") + attribute))
    assert (caught.value.code, caught.value.subcode) == (3, 2)
    assert len(encode(Notification(3, 2, caught.value.data))) == 4096


def test_what_does_not_fit_is_our_own_mistake() -> None:
    with pytest.raises(LocalError, match="LOCAL_PREF -1"):
        encode(Update(attributes=PathAttributes(local_pref=-1)))
    with pytest.raises(LocalError, match="AS number"):
        encode(_big_path(), asn4=False)
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
