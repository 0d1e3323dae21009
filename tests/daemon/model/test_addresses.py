# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ipaddress
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipcast.model.addresses import AddressRange, is_buggy, parse_address, parse_range


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("10.9.0.0/16", "10.9.0.0", "10.9.255.255"),
        ("10.9.1.77/16", "10.9.0.0", "10.9.255.255"),
        ("10.31.8.100-10.31.8.200", "10.31.8.100", "10.31.8.200"),
        ("  10.31.8.100  -  10.31.8.200 ", "10.31.8.100", "10.31.8.200"),
        ("10.0.0.1-10.0.0.1", "10.0.0.1", "10.0.0.1"),
        ("fc00::/120", "fc00::", "fc00::ff"),
        ("fc00::1-fc00::1:0", "fc00::1", "fc00::1:0"),
        ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
    ],
)
def test_prefixes_and_ranges_are_read(text: str, first: str, last: str) -> None:
    found = parse_range(text)
    assert (str(found.first), str(found.last)) == (first, last)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("10.0.0.1", "write 10.0.0.1/32"),
        ("fc00::1", "write fc00::1/128"),
        ("10.0.0.9-10.0.0.1", "write 10.0.0.1-10.0.0.9"),
        ("10.0.0.1-fc00::1", "use one family"),
        ("10.0.0.0/33", "0 to 32"),
        ("fc00::/129", "0 to 128"),
        ("10.0.0.0/255.0.0.0", "0 to 32"),
        ("10.0.0.0/", "0 to 32"),
        ("10.0.0.0/+8", "0 to 32"),
        ("10.0.0.0/٨", "0 to 32"),
        ("10.0.0.1-10.0.0.2-10.0.0.3", "write first-last"),
        ("fe80::1%eth0/64", "without it"),
        ("010.0.0.0/8", "not an IPv4 or IPv6 address"),
        ("router", "not an IPv4 or IPv6 address"),
        ("", "not an IPv4 or IPv6 address"),
    ],
)
def test_what_is_no_range_is_refused_with_what_would_be_right(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(hint)):
        parse_range(text)


NUMBERS = st.integers(0, 2**32 - 1)


@given(NUMBERS, NUMBERS)
def test_a_range_is_made_of_the_fewest_prefixes_and_nothing_else(one: int, two: int) -> None:
    found = AddressRange(*(ipaddress.IPv4Address(number) for number in sorted((one, two))))
    networks = found.networks
    assert networks[0][0] == found.first and networks[-1][-1] == found.last
    assert sum(network.num_addresses for network in networks) == found.size
    for before, after in itertools.pairwise(networks):
        assert int(before[-1]) + 1 == int(after[0])
        assert before.supernet() != after.supernet() or before.prefixlen != after.prefixlen


@given(st.integers(0, 2**32 - 3000), st.integers(0, 2999))
def test_avoided_addresses_are_counted_without_looking_at_them(first: int, more: int) -> None:
    found = AddressRange(ipaddress.IPv4Address(first), ipaddress.IPv4Address(first + more))
    assert found.buggy == sum(is_buggy(address) for address in found)


def test_a_huge_range_is_counted_and_begun_in_no_time() -> None:
    found = parse_range("2001:db8::/32")
    assert found.size == 2**96
    assert next(iter(found)) == parse_address("2001:db8::")
    assert parse_address("2001:db8:ffff::1") in found
    assert parse_address("2001:db9::") not in found
    assert parse_address("10.0.0.1") not in found


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_ranges_overlap_if_an_end_of_one_is_in_the_other(a: int, b: int, c: int, d: int) -> None:
    mine, theirs = (
        AddressRange(*(ipaddress.IPv4Address(number) for number in sorted(pair))) for pair in ((a, b), (c, d))
    )
    ends = mine.first in theirs or mine.last in theirs or theirs.first in mine
    assert mine.overlaps(theirs) == ends == theirs.overlaps(mine)


def test_families_never_overlap() -> None:
    assert not parse_range("0.0.0.0/0").overlaps(parse_range("::/0"))
