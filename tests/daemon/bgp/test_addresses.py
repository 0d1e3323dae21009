# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's addresses: what the kernel says, and which of them others may send to."""

from __future__ import annotations

import json
import subprocess
from ipaddress import ip_address

import pytest

from vipcast.bgp.wire import Family
from vipcast.net.addresses import InterfaceAddress, next_hops, read_addresses

DEPRECATED, TENTATIVE, TEMPORARY = 0x20, 0x40, 0x01


def has(
    address: str, length: int, *, index: int = 2, flags: int = 0, everywhere: bool = True
) -> InterfaceAddress:
    return InterfaceAddress(index, ip_address(address), length, flags, everywhere)


ONLY_V6 = {Family.IPV6_UNICAST: "2001:db8::1"}
V4, V6 = has("10.99.0.1", 24), has("2001:db8::1", 64)
LINK_LOCAL = has("fe80::1", 64, everywhere=False)


def test_the_kernel_says_what_ip_says() -> None:
    shown = json.loads(subprocess.check_output(["ip", "-j", "addr"], text=True))
    expected = {
        (link["ifindex"], each["local"], each["prefixlen"], each["scope"] == "global")
        for link in shown
        for each in link["addr_info"]
    }
    found = read_addresses()
    assert {(a.index, str(a.address), a.prefix_length, a.everywhere) for a in found} == expected
    assert any(str(each.address) == "127.0.0.1" for each in found)


@pytest.mark.parametrize(
    ("local", "index", "known", "expected"),
    [
        ("10.99.0.1", 0, (V4, V6, LINK_LOCAL), ONLY_V6),
        ("2001:db8::1", 0, (V4, V6), {Family.IPV4_UNICAST: "10.99.0.1"}),
        ("fe80::1", 2, (V4, V6), {Family.IPV4_UNICAST: "10.99.0.1", Family.IPV6_UNICAST: "2001:db8::1"}),
        ("fe80::1", 2, (LINK_LOCAL,), {}),
        ("10.99.0.1", 0, (V4, has("2001:db8::1", 64, index=3)), {}),
        ("10.99.0.1", 0, (V4, has("2001:db8::1", 64, flags=TENTATIVE)), {}),
        ("10.99.0.1", 0, (V4, has("2001:db8::9", 64, flags=DEPRECATED), V6), ONLY_V6),
        ("10.99.0.1", 0, (V4, has("2001:db8::9", 64, flags=TEMPORARY), V6), ONLY_V6),
        ("2001:db8::1", 0, (has("192.0.2.10", 32), V4, V6), {Family.IPV4_UNICAST: "10.99.0.1"}),
        ("2001:db8::1", 0, (has("192.0.2.10", 32), V6), {Family.IPV4_UNICAST: "192.0.2.10"}),
        ("198.51.100.1", 0, (V4, V6), {}),
    ],
)  # fmt: skip
def test_the_other_familys_next_hop_is_the_best_of_the_same_interface(
    local: str, index: int, known: tuple[InterfaceAddress, ...], expected: dict[Family, str]
) -> None:
    found = next_hops(ip_address(local), index, known)
    assert {family: str(address) for family, address in found.items()} == expected
