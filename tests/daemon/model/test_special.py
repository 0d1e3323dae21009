# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that mean something else than a host, in pools and as peers."""

from __future__ import annotations

import pytest
from support.objects import peer, pool, said

from vipcast.model.addresses import parse_address
from vipcast.model.configuration import parse
from vipcast.model.reasons import Effect, Reason


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("0.0.0.0/0", "RFC 1122 section 3.2.1.3"),
        ("::/0", "RFC 4291 section 2.5.2"),
        ("0.0.0.1-0.0.0.9", "RFC 1122 section 3.2.1.3"),
        ("127.0.0.0/24", "RFC 1122 section 3.2.1.3"),
        ("126.255.255.0-127.0.0.0", "RFC 1122 section 3.2.1.3"),
        ("224.0.0.0/28", "RFC 1112 section 4"),
        ("255.255.255.255/32", "RFC 1122 section 3.2.1.3"),
        ("::/128", "RFC 4291 section 2.5.2"),
        ("::1/128", "RFC 4291 section 2.5.3"),
        ("::ffff:192.0.2.0/120", "RFC 4291 section 2.5.5.2"),
        ("ff02::1/128", "RFC 4291 section 2.7"),
    ],
)
def test_ranges_that_no_service_can_have_are_refused_with_their_source(text: str, source: str) -> None:
    found = parse([pool("good", "fd00::/64" if "." in text else "10.9.0.0/24"), pool("bad", text)])
    assert said(found) == [("bad", "spec.addresses[0]", Reason.UNUSABLE_ADDRESSES, Effect.REFUSED)]
    assert source in found.problems[0].message and text in found.problems[0].message
    assert [each.name for each in found.pools] == ["good"]


@pytest.mark.parametrize("text", ["169.254.1.0/24", "fe80::/64", "169.253.255.255-169.254.0.0"])
def test_link_local_ranges_are_in_force_and_warned_of(text: str) -> None:
    found = parse([pool("near", text)])
    assert said(found) == [("near", "spec.addresses[0]", Reason.UNUSABLE_ADDRESSES, Effect.DOUBTFUL)]
    assert found.problems[0].note.endswith("reach such a service (in force)")
    assert [each.name for each in found.pools] == ["near"]
    assert not found.refused


@pytest.mark.parametrize(
    "text",
    [
        "1.0.0.0/8",
        "126.0.0.0/8",
        "128.0.0.0/16",
        "223.255.255.0/24",
        "240.0.0.0/24",
        "::2/128",
        "2001:db8::/32",
        "fd00::/64",
    ],
)
def test_what_is_beside_is_fine(text: str) -> None:
    assert not parse([pool("fine", text)]).problems


@pytest.mark.parametrize(
    ("address", "advice"),
    [
        ("fe80::1%eth0", "write interface: eth0 "),
        ("fe80::1", "write interface: "),
        ("fe80::1%bond0.7", "write interface: bond0.7 "),
    ],
)
def test_a_router_at_a_link_local_address_is_named_by_its_interface(address: str, advice: str) -> None:
    found = parse([peer("r", peerAddress=address)])
    assert [(each.field, each.reason) for each in found.problems] == [
        ("spec.peerAddress", Reason.BAD_ADDRESS)
    ]
    assert advice in found.problems[0].message
    assert not parse([peer("r", peerAddress=None, interface="eth0")]).problems


def test_an_ipv4_router_at_a_link_local_address_is_one_like_others() -> None:
    assert not parse([peer("r", peerAddress="169.254.0.1")]).problems


def test_an_ipv4_mapped_address_is_the_ipv4_address_as_in_go() -> None:
    assert parse_address("::ffff:10.0.0.1") == parse_address("10.0.0.1")
    assert parse_address("::FFFF:a00:1") == parse_address("10.0.0.1")
    assert parse_address("::10.0.0.1").version == 6
