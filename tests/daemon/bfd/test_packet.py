# SPDX-License-Identifier: GPL-3.0-or-later
"""The codec, against the layout of RFC 5880 section 4.1 and the checks of section 6.8.6."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipcast.bfd.fsm import BfdState, Diagnostic
from vipcast.bfd.packet import ControlPacket, Drop, decode

# Version 1, no diagnostic; Up with the C bit; three times; 24 octets; discriminators; 100 ms, 300 ms, 50 ms.
OCTETS = bytes.fromhex("20c8 0318 0000 0001 0000 0002 000186a0 000493e0 0000c350")
PACKET = ControlPacket(
    state=BfdState.UP,
    diagnostic=Diagnostic.NONE,
    detect_multiplier=3,
    my_discriminator=1,
    your_discriminator=2,
    desired_min_tx=0.1,
    required_min_rx=0.3,
    required_min_echo_rx=0.05,
    control_plane_independent=True,
)


def changed(**octets: int) -> bytes:
    data = bytearray(OCTETS)
    for place, value in octets.items():
        data[int(place[1:])] = value
    return bytes(data)


def test_a_packet_is_written_as_the_rfc_draws_it() -> None:
    assert PACKET.encode() == OCTETS


def test_a_packet_is_read_as_it_was_written() -> None:
    assert decode(OCTETS) == PACKET


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", Drop.TOO_SHORT),
        (OCTETS[:23], Drop.TOO_SHORT),
        (changed(_0=0x00), Drop.BAD_VERSION),
        (changed(_0=0x40), Drop.BAD_VERSION),
        (changed(_3=23), Drop.BAD_LENGTH),
        (changed(_3=25), Drop.BAD_LENGTH),  # more than there is
        (changed(_1=0xCC), Drop.BAD_LENGTH),  # the A bit, and no room for a section
        (changed(_2=0), Drop.NO_MULTIPLIER),
        (changed(_1=0xC1), Drop.MULTIPOINT),
        (changed(_7=0), Drop.NO_MY_DISCRIMINATOR),
        (changed(_11=0), Drop.NO_YOUR_DISCRIMINATOR),
        (changed(_1=0x80, _11=0), Drop.NO_YOUR_DISCRIMINATOR),
        (changed(_1=0xCC, _3=26) + b"\1\2", Drop.AUTHENTICATION),
    ],
)
def test_what_section_6_8_6_discards_is_dropped_with_its_reason(octets: bytes, why: Drop) -> None:
    assert decode(octets) is why


@pytest.mark.parametrize("flags", [0x40, 0x00])
def test_down_and_admin_down_need_no_discriminator_of_ours(flags: int) -> None:
    assert isinstance(decode(changed(_1=flags, _11=0)), ControlPacket)


def test_octets_behind_the_packet_are_left_alone() -> None:
    assert decode(OCTETS + b"tail") == PACKET


def test_a_reserved_diagnostic_is_none() -> None:
    packet = decode(changed(_0=0x20 | 31))
    assert isinstance(packet, ControlPacket)
    assert packet.diagnostic is Diagnostic.NONE


@given(st.binary(max_size=64))
def test_whatever_the_octets_are_the_answer_is_a_packet_or_a_reason(data: bytes) -> None:
    assert isinstance(decode(data), ControlPacket | Drop)


@given(st.binary(min_size=24, max_size=24))
def test_what_is_taken_is_written_back_with_the_same_octets(data: bytes) -> None:
    shaped = bytes([0x20 | data[0] % 9, data[1] & 0xFA, data[2], 24]) + data[4:]
    packet = decode(shaped)
    if isinstance(packet, ControlPacket):
        assert packet.encode() == shaped
