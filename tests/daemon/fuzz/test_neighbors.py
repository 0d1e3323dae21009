# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what comes from the link and from the BFD process's clients: only declared errors come of it."""

from __future__ import annotations

import contextlib
import json
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vipcast.bfd.settings import BadSettingsError, BfdSettings, BfdStatus
from vipcast.net.bfd_protocol import read_settings, read_status, write_settings, write_status
from vipcast.net.ipc import ProtocolError, line, read_line
from vipcast.net.router_advertisement import Kind, encode_advertisement, encode_solicitation, valid_kind

MANY = settings(max_examples=400, deadline=None)
LINK_LOCAL = IPv6Address("fe80::1")
GOOD = write_settings(BfdSettings(IPv4Address("10.99.0.2")))

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)


@MANY
@given(st.binary(max_size=200))
def test_any_octets_are_a_line_or_no_protocol(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert isinstance(read_line(data), dict)


@MANY
@given(st.dictionaries(st.sampled_from([*GOOD, "other"]), anything, max_size=4))
def test_any_settings_are_a_session_or_refused(changes: dict[str, Any]) -> None:
    written = json.loads(json.dumps({**GOOD, **changes}))
    try:
        found = read_settings(written)
    except (ProtocolError, BadSettingsError):
        return
    assert read_settings(write_settings(found)) == found
    assert not isinstance(found.detect_multiplier, bool), "true is no number"
    assert 1 <= found.detect_multiplier <= 255


@MANY
@given(st.dictionaries(st.sampled_from(list(write_status(BfdStatus()))), anything, max_size=4))
def test_any_status_is_one_or_refused(changes: dict[str, Any]) -> None:
    with contextlib.suppress(ProtocolError):
        read_status(json.loads(line({**write_status(BfdStatus()), **changes})))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"peer": "10..99.02"}, "does not appear to be an IPv4 or IPv6 address"),
        ({"local": 7}, "does not appear to be"),
        ({"detect_multiplier": 3.5}, "detect_multiplier 3.5"),
        ({"detect_multiplier": True}, "detect_multiplier True"),
        ({"passive": 1}, "passive 1"),
        ({"vrf": ["red"]}, "vrf"),
    ],
)
def test_settings_of_a_wrong_kind_are_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        read_settings({**GOOD, **changes})


def test_a_line_nested_without_end_is_refused() -> None:
    with pytest.raises(ProtocolError, match="not JSON"):
        read_line(b"[" * 500_000)


@MANY
@given(st.binary(max_size=120), st.sampled_from([LINK_LOCAL, IPv6Address("fd99::1")]), st.integers(0, 255))
def test_any_octets_are_a_known_message_or_none(data: bytes, source: IPv6Address, hops: int) -> None:
    if valid_kind(data, source, hops) is not None:
        assert hops == 255, "RFC 4861 section 6.1"


@MANY
@given(
    st.sampled_from([encode_advertisement, encode_solicitation]), st.integers(0, 40), st.binary(max_size=2)
)
def test_a_damaged_message_is_a_known_one_or_none(encode: Any, at: int, damage: bytes) -> None:
    data = bytearray(encode(b"\2\0\0\0\0\1"))
    assert valid_kind(bytes(data), LINK_LOCAL, 255) in Kind
    data[at : at + len(damage)] = damage
    assert valid_kind(bytes(data), LINK_LOCAL, 255) in (None, *Kind)
