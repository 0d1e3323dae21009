# SPDX-License-Identifier: GPL-3.0-or-later
"""Anything may arrive. Nothing but the declared errors may come of it."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from daemon.bgp.cable import settings as session_settings
from daemon.bgp.wire_cases import CASES
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bounds import at_most

from vipcast.bgp.attribute_decoder import decode_attributes
from vipcast.bgp.attribute_encoder import encode_attributes
from vipcast.bgp.attributes import (
    MpReach,
    MpUnreach,
    Origin,
    PathAttributes,
    RawAttribute,
    Segment,
    SegmentKind,
)
from vipcast.bgp.capabilities import (
    EnhancedRefresh,
    ExtendedMessages,
    ExtendedNextHop,
    FourOctetAsn,
    GracefulRestart,
    Multiprotocol,
    Preserved,
    Unknown,
    decode_capabilities,
)
from vipcast.bgp.capabilities import RouteRefresh as RefreshCapability
from vipcast.bgp.errors import RemoteError
from vipcast.bgp.framing import Frame, FrameBuffer, MessageType, encode_frame
from vipcast.bgp.fsm import State
from vipcast.bgp.messages import Keepalive, Message, Notification, Open, RouteRefresh, Update, decode, encode
from vipcast.bgp.session import Session
from vipcast.bgp.wire import Family, MalformedError, PackedPrefixes, encode_prefixes

MANY = settings(max_examples=400, deadline=None)

u8, u16, u32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
v4 = st.builds(IPv4Address, u32)
v6 = st.builds(IPv6Address, st.integers(0, 2**128 - 1))
net4 = st.builds(lambda a, n: IPv4Network((a, n), strict=False), u32, st.integers(0, 32))
net6 = st.builds(
    lambda a, n: IPv6Network((a, n), strict=False), st.integers(0, 2**128 - 1), st.integers(0, 128)
)
nets4, nets6 = (st.lists(net, max_size=20).map(tuple) for net in (net4, net6))
_KNOWN = (1, 2, 5, 6, 64, 65, 70)
capability = st.one_of(
    st.builds(Multiprotocol, st.sampled_from(Family)),
    st.just(RefreshCapability()),
    st.builds(FourOctetAsn, u32),
    st.builds(ExtendedNextHop, st.lists(st.tuples(u16, u16, u16), min_size=1, max_size=9).map(tuple)),
    st.just(ExtendedMessages()),
    st.just(EnhancedRefresh()),
    st.builds(
        GracefulRestart,
        st.integers(0, 4095),
        st.lists(st.builds(Preserved, u16, u8, st.booleans()), max_size=9).map(tuple),
        st.booleans(),
        st.booleans(),
    ),
    st.builds(Unknown, u8.filter(lambda code: code not in _KNOWN), st.binary(max_size=60)),
)
segment = st.builds(Segment, st.sampled_from(SegmentKind), st.lists(u32, min_size=1, max_size=10).map(tuple))
path = st.lists(segment, max_size=4).map(tuple)
reach = st.one_of(
    st.builds(MpReach, st.just(Family.IPV6_UNICAST), v6, nets6, st.none() | v6),
    st.builds(MpReach, st.just(Family.IPV4_UNICAST), v4, nets4),
    st.builds(MpReach, st.just(Family.IPV4_UNICAST), v6, nets4, st.none() | v6),
)
unreach = st.one_of(
    st.builds(MpUnreach, st.just(Family.IPV6_UNICAST), nets6),
    st.builds(MpUnreach, st.just(Family.IPV4_UNICAST), nets4),
)
raw = st.builds(
    RawAttribute,
    st.sampled_from([0x80, 0xC0, 0xE0]),
    st.integers(19, 255).filter(lambda code: code not in (25, 32)),
    st.binary(max_size=300),
)
attributes = st.builds(
    PathAttributes,
    origin=st.sampled_from(Origin),
    as_path=path,
    next_hop=v4,
    med=st.none() | u32,
    local_pref=st.none() | u32,
    communities=st.none() | st.frozensets(u32, min_size=1, max_size=80),
    mp_reach=st.none() | reach,
    mp_unreach=st.none() | unreach,
    extended_communities=st.none() | st.frozensets(st.binary(min_size=8, max_size=8), min_size=1, max_size=9),
    as4_path=st.none() | path,
    large_communities=st.none() | st.frozensets(st.tuples(u32, u32, u32), min_size=1, max_size=9),
    others=st.lists(raw, max_size=3, unique_by=lambda a: a.code).map(tuple),
)
message = st.one_of(
    st.builds(Open, u16, u16, v4, st.lists(capability, max_size=8).map(tuple)),
    st.builds(Update, nets4, attributes, nets4),
    st.builds(Notification, u8, u8, st.binary(max_size=300)),
    st.just(Keepalive()),
    st.builds(RouteRefresh, u16, u8, u8),
)


def one(data: bytes) -> Message:
    buffer = FrameBuffer()
    buffer.receive(data)
    (frame,) = buffer
    return decode(frame)


@MANY
@given(message)
def test_what_is_written_is_read(value: Message) -> None:
    assert one(encode(value)) == value


@MANY
@given(attributes)
def test_attributes_are_read_as_written(value: PathAttributes) -> None:
    assert decode_attributes(encode_attributes(value)) == (value, ())


@MANY
@given(st.sampled_from(MessageType), st.binary(max_size=600), st.booleans(), st.none() | st.booleans())
def test_any_body_is_a_message_or_a_remote_error(
    kind: MessageType, body: bytes, asn4: bool, internal: bool | None
) -> None:
    minimum = {MessageType.OPEN: 10, MessageType.UPDATE: 4, MessageType.NOTIFICATION: 2}
    try:
        decode(Frame(kind, body.ljust(minimum.get(kind, 0), b"\0")), asn4=asn4, internal=internal)
    except RemoteError as error:
        answer = encode(Notification(error.code, error.subcode, error.data))
        assert len(answer) <= 4096


@MANY
@given(st.binary(max_size=400))
def test_any_octets_are_attributes_or_a_remote_error(data: bytes) -> None:
    try:
        decode_attributes(data)
    except RemoteError as error:
        assert error.code == 3


@MANY
@given(st.binary(max_size=200), st.sampled_from(Family))
def test_any_octets_are_prefixes_or_malformed(data: bytes, family: Family) -> None:
    with contextlib.suppress(MalformedError):
        decode_capabilities(data)
    with contextlib.suppress(MalformedError):
        prefixes = PackedPrefixes(data, family)
        assert len(list(prefixes)) == len(prefixes), "what was counted can be made"
        assert PackedPrefixes(encode_prefixes(prefixes), family) == prefixes == tuple(prefixes)


def established() -> Session:
    session = Session(session_settings())
    session.start(0.0)
    session.connected(0.0, IPv4Address("10.99.0.1"))
    session.receive_data(encode(Open.of(64512, 9, IPv4Address("10.99.0.2"))), 0.0)
    session.receive_data(encode(Keepalive()), 0.0)
    assert session.state is State.ESTABLISHED
    return session


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A stream of good messages with some octets changed, put in or left out."""
    data = bytearray(b"".join(draw(st.lists(st.sampled_from([c[0] for c in CASES.values()]), max_size=4))))
    for _again in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        data[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(data)


@MANY
@given(st.one_of(st.binary(max_size=300), damaged()), st.integers(1, 50))
def test_a_session_survives_any_stream(data: bytes, step: int) -> None:
    for session in (established(), Session(session_settings())):
        if session.state is State.IDLE:
            session.start(0.0)
            session.connected(0.0, IPv4Address("10.99.0.1"))
        for at in range(0, len(data), step):
            session.receive_data(data[at : at + step], 1.0)
        assert len(session.data_to_send()) < 3 * 4096
        assert len(session._frames) <= 65535
        more = at_most()
        while more() and (at := session.timer()) is not None and at < 300:
            session.handle_timer(at)
        session.stop(300.0, "enough")
        assert session.state is State.IDLE


@MANY
@given(st.sampled_from(MessageType), st.binary(max_size=300))
def test_a_whole_message_with_any_body_ends_in_a_named_state(kind: MessageType, body: bytes) -> None:
    """Well framed rubbish gets deeper than any stream of octets does."""
    session = established()
    session.receive_data(encode_frame(kind, body), 1.0)
    if session.state is not State.ESTABLISHED:
        assert session.state is State.IDLE
        assert session.last_error.startswith(("we ended the session: ", "the peer ended the session: "))


@pytest.mark.parametrize("size", [1, 19, 4096, 65536])
def test_ten_megabytes_of_rubbish_leave_nothing_behind(size: int) -> None:
    session = established()
    for _again in range(10_000_000 // 65536):
        session.receive_data(b"\xff" * size, 1.0)
    assert len(session._frames) <= 65535 + size
