# SPDX-License-Identifier: GPL-3.0-or-later
"""Test on which interfaces an address belongs."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from vipcast.layer2_agent.address_interfaces import AddressInterfaces

NETWORKS = {
    "eth0": ["10.0.0.0/8", "fd31::/64"],
    "eth1": ["10.1.0.0/16", "192.0.2.0/24"],
    "eth2": ["192.0.2.0/24"],
    "eth3": [],
}


def places(*used: str) -> AddressInterfaces:
    return AddressInterfaces(
        {name: frozenset(map(ip_network, some)) for name, some in NETWORKS.items()}, used or NETWORKS.keys()
    )


@pytest.mark.parametrize(
    ("address", "named", "expected"),
    [
        ("10.2.0.1", None, {"eth0"}),
        ("10.1.0.1", None, {"eth1"}),  # the longest prefix
        ("192.0.2.1", None, {"eth1", "eth2"}),
        ("fd31::1", None, {"eth0"}),
        ("fd32::1", None, {"eth0", "eth1", "eth2", "eth3"}),  # of no network: anywhere
        ("10.1.0.1", {"eth0", "eth3"}, {"eth0"}),  # of those that are named
        ("10.1.0.1", {"eth3"}, {"eth3"}),  # whoever names it knows why
        ("10.1.0.1", {"eth9"}, set()),
        ("172.16.0.1", {"eth2", "eth9"}, {"eth2"}),
    ],
)
def test_an_address_is_answered_where_its_network_is(
    address: str, named: set[str] | None, expected: set[str]
) -> None:
    only = None if named is None else frozenset(named)
    assert places().of(ip_address(address), only) == expected


def test_an_interface_without_a_carrier_is_not_stood_in_for() -> None:
    found = places("eth1", "eth3")
    assert found.of(ip_address("10.2.0.1"), None) == frozenset()
    assert found.of(ip_address("192.0.2.1"), None) == {"eth1"}
    assert found.of(ip_address("172.16.0.1"), None) == {"eth1", "eth3"}
    assert found.of(ip_address("10.2.0.1"), frozenset({"eth0"})) == frozenset()


def test_the_same_interfaces_are_the_same_object() -> None:
    found = places()
    one, other = (found.of(ip_address(each), None) for each in ("10.2.0.1", "10.3.0.1"))
    assert one is other
    assert places() == places() and places() != places("eth0") and places() != AddressInterfaces({}, ())
