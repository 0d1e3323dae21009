# SPDX-License-Identifier: GPL-3.0-or-later
"""Test which interface and source an address is asked for with, by what `ip -json` says."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.segment import (
    Link,
    OffSegmentError,
    interface_towards,
    question,
    read_link,
)

MAC = "02:00:00:00:00:01"
LINK_LOCAL = {"family": "inet6", "local": "fe80::1", "prefixlen": 64, "scope": "link"}


def shown(*infos: dict[str, Any], **values: Any) -> list[dict[str, Any]]:
    """Return what `ip -json address show dev eth0` prints."""
    link = {"ifname": "eth0", "link_type": "ether", "address": MAC, "flags": ["UP", "LOWER_UP"]}
    return [{**link, "addr_info": list(infos), **values}]


def inet(text: str, **values: Any) -> dict[str, Any]:
    address, _slash, length = text.partition("/")
    return {"local": address, "prefixlen": int(length), **values}


def source(address: str, *infos: dict[str, Any]) -> str:
    return str(question(ip_address(address), read_link(shown(*infos), "eth0"), None).source)


def test_a_route_without_a_gateway_leads_to_the_segment() -> None:
    route = [{"dst": "10.31.8.100", "dev": "eth0", "prefsrc": "10.31.200.10"}]
    assert interface_towards(ip_address("10.31.8.100"), route) == "eth0"


@pytest.mark.parametrize(
    ("routes", "words"),
    [
        ([], "no route"),
        ([{"dst": "10.9.0.1", "dev": "eth0", "gateway": "10.31.254.251"}], "through 10.31.254.251"),
        ([{"dst": "10.9.0.1", "dev": "eth0", "via": {"host": "fe80::1"}}], "through fe80::1"),
        ([{"type": "local", "dst": "10.9.0.1", "dev": "lo"}], "this host itself"),
    ],
)
def test_an_address_that_is_not_on_a_segment_is_refused(routes: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(OffSegmentError, match=words):
        interface_towards(ip_address("10.9.0.1"), routes)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "does not exist"),
        (shown(flags=[]), "is down"),
        (shown(flags=["UP", "NO-CARRIER"]), "no carrier"),
        (shown(link_type="none"), "no Ethernet"),
    ],
)
def test_an_interface_that_cannot_ask_is_refused(data: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_link(data, "eth0")


def test_ipv4_is_asked_from_an_address_of_the_same_network() -> None:
    assert source("10.31.8.100", inet("192.0.2.1/24"), inet("10.31.200.10/16")) == "10.31.200.10"


def test_without_one_no_address_is_shown() -> None:
    assert source("10.31.8.100", inet("192.0.2.1/24")) == "0.0.0.0"
    assert source("2001:db8::1", inet("192.0.2.1/24")) == "::"


def test_ipv6_is_asked_from_the_link_local_address() -> None:
    assert source("2001:db8::1", inet("2001:db8::9/64"), LINK_LOCAL) == "fe80::1"


@pytest.mark.parametrize("state", ["tentative", "dadfailed"])
def test_an_address_that_is_not_usable_yet_is_no_source(state: str) -> None:
    assert source("2001:db8::1", inet("2001:db8::9/64", **{state: True})) == "::"


def test_the_source_that_is_named_is_taken_if_it_is_of_the_family() -> None:
    link = Link("eth0", MAC, ())
    asked = question(ip_address("10.31.8.100"), link, ip_address("192.0.2.7"))
    assert str(asked.source) == "192.0.2.7"
    with pytest.raises(ValueError, match="is IPv6"):
        question(ip_address("10.31.8.100"), link, ip_address("fe80::1"))
