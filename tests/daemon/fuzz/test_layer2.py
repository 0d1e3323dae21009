# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is on the segment, only the declared error comes of it."""

from __future__ import annotations

import contextlib

import pytest
from daemon.layer2.wire_cases import ARP, NDP, OURS, VIP, VIP6, changed, checked
from hypothesis import given, settings
from hypothesis import strategies as st

from vipcast.layer2 import arp, ndp
from vipcast.layer2.frames import FrameError
from vipcast.layer2.responder import Responder

MANY = settings(max_examples=400, deadline=None)
FRAMES = [octets for octets, _message in (*ARP.values(), *NDP.values())]


@pytest.mark.parametrize("decode", [arp.decode, ndp.decode])
@MANY
@given(
    frame=st.sampled_from(FRAMES),
    at=st.integers(0, 90),
    damage=st.binary(max_size=40),
    length=st.integers(0, 99),
)
def test_a_damaged_frame_is_one_or_the_declared_error(
    decode: object, frame: bytes, at: int, damage: bytes, length: int
) -> None:
    octets = changed(frame, at, damage)[:length]
    with contextlib.suppress(FrameError):
        decode(octets)  # type: ignore[operator]
    if len(octets) >= 58:
        with contextlib.suppress(FrameError):
            decode(checked(octets))  # type: ignore[operator]


@MANY
@given(st.binary(max_size=100), st.sampled_from([b"", b"\x08\x06", b"\x86\xdd", b"\x81\x00"]))
def test_any_octets_are_answered_or_counted(data: bytes, kind: bytes) -> None:
    one = Responder(OURS, {OURS})
    one.own(VIP)
    one.own(VIP6)
    answer = one.answer(data[:12] + kind + data[12:])
    assert (answer is not None) + one.ignored.total() == 1
