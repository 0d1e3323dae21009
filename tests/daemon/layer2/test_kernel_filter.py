# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what the filter lets through, by an interpreter of our own; test_kernel.py has the kernel's word."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from daemon.layer2.classic_bpf import BROADCAST, HOST, MULTICAST, OTHER_HOST, OUTGOING, execute
from daemon.layer2.wire_cases import ARP, NDP, THEIR4, THEIR6, VIP, VIP6, changed
from hypothesis import given, settings
from hypothesis import strategies as st

from vipcast.layer2.arp import Operation
from vipcast.layer2.kernel_filter import (
    MOST_INSTRUCTIONS,
    MOST_RANGES,
    arp_filter,
    encode,
    ndp_filter,
    ranges,
)
from vipcast.layer2.ndp import Advertisement, Solicitation

REQUEST = ARP["request"][1]
SOLICITATION, ADVERTISEMENT = NDP["solicitation"][1], NDP["advertisement"][1]
VIPS, VIPS6 = encode(arp_filter([VIP])), encode(ndp_filter([VIP6]))
ANYBODY = IPv4Address("203.0.113.1")


def arp_frame(target: IPv4Address, sender: IPv4Address = ANYBODY) -> bytes:
    return replace(REQUEST, target=target, sender=sender).encode()


def neighbor(target: IPv6Address) -> bytes:
    assert isinstance(SOLICITATION, Solicitation)
    return replace(SOLICITATION, target=target).encode()


# ---- ranges ----

numbers = st.integers(0, 40) | st.integers(2**32 - 9, 2**32 - 1) | st.integers(0, 2**32 - 1)


@given(st.sets(numbers, max_size=60), st.integers(1, 20))
def test_ranges_hold_every_address_and_are_apart_and_not_too_many(wanted: set[int], most: int) -> None:
    found = ranges(map(IPv4Address, wanted), most)
    assert len(found) <= most
    assert all(low <= high for low, high in found)
    assert all(before[1] + 1 < after[0] for before, after in itertools.pairwise(found))
    assert all(any(low <= number <= high for low, high in found) for number in wanted)
    if len(found) < most:
        assert sum(high - low + 1 for low, high in found) == len(wanted), "exactly those"


def test_of_too_many_ranges_the_nearest_are_taken_together() -> None:
    addresses = [IPv4Address(number) for number in (1, 2, 3, 10, 100, 102, 1000)]
    assert ranges(addresses, 9) == [(1, 3), (10, 10), (100, 100), (102, 102), (1000, 1000)]
    assert ranges(addresses, 3) == [(1, 10), (100, 102), (1000, 1000)]
    assert ranges(addresses, 1) == [(1, 1000)]
    assert ranges([], 3) == []


# ---- programs ----


def near(wanted: set[int], bits: int) -> st.SearchStrategy[int]:
    """Return what is most likely to be judged wrongly."""
    edges = {number + step for number in wanted for step in (-1, 0, 1, 2**32, -(2**32))}
    return st.sampled_from(sorted(edge % 2**bits for edge in edges)) | st.integers(0, 2**bits - 1)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_arp_passes_if_and_only_if_its_target_or_sender_is_in_a_range(data: st.DataObject) -> None:
    wanted = data.draw(st.sets(numbers, min_size=1, max_size=80))
    most = data.draw(st.integers(1, 80))
    target, sender = data.draw(near(wanted, 32)), data.draw(near(wanted, 32))
    program = arp_filter(map(IPv4Address, wanted), most)
    found = ranges(map(IPv4Address, wanted), most)
    expected = any(low <= number <= high for number in (target, sender) for low, high in found)
    frame = arp_frame(IPv4Address(target), IPv4Address(sender))
    assert (execute(encode(program), frame) >= len(frame)) == expected


# Several addresses with the same first words, which is where the comparisons of words meet.
words = st.sampled_from([0, 1, 0x20010DB8, 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1)
numbers6 = st.tuples(words, words, words, words).map(
    lambda parts: parts[0] << 96 | parts[1] << 64 | parts[2] << 32 | parts[3]
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_solicitation_passes_if_and_only_if_its_target_is_in_a_range(data: st.DataObject) -> None:
    wanted = data.draw(st.sets(numbers6, min_size=1, max_size=20))
    most = data.draw(st.integers(1, 20))
    target = data.draw(near(wanted, 128) | numbers6)
    found = ranges(map(IPv6Address, wanted), most)
    expected = any(low <= target <= high for low, high in found)
    frame = neighbor(IPv6Address(target))
    program = ndp_filter(map(IPv6Address, wanted), most)
    assert (execute(encode(program), frame) >= len(frame)) == expected


@settings(max_examples=200, deadline=None)
@given(st.sets(st.integers(0, 2**128 - 1), min_size=1, max_size=300))
def test_whatever_the_addresses_none_is_missed_and_the_program_is_short(wanted: set[int]) -> None:
    addresses = [IPv6Address(number) for number in wanted]
    program = ndp_filter(addresses)
    assert len(program) <= MOST_INSTRUCTIONS
    assert all(execute(encode(program), neighbor(address)) for address in addresses[:20])


def test_five_thousand_addresses_all_over_are_a_short_program_of_few_steps() -> None:
    some = random.Random(1)
    four = [IPv4Address(some.getrandbits(32)) for _number in range(5000)]
    six = [IPv6Address((0x20010DB8 << 96) + some.getrandbits(24)) for _number in range(5000)]
    assert len(arp_filter(four)) <= 2 * (4 * MOST_RANGES + 2) + 20
    assert len(ndp_filter(six)) <= 4 * MOST_RANGES + 40
    assert all(execute(encode(arp_filter(four)), arp_frame(address)) for address in four[:50])


@pytest.mark.parametrize("packet_type", [HOST, BROADCAST, MULTICAST])
def test_what_comes_for_us_passes(packet_type: int) -> None:
    assert execute(VIPS, ARP["request"][0], packet_type) >= 42
    assert execute(VIPS, replace(REQUEST, operation=Operation.REPLY).encode(), packet_type) >= 42
    assert execute(VIPS, arp_frame(THEIR4, VIP), packet_type) >= 42
    for frame in (octets for octets, _message in NDP.values()):
        assert execute(VIPS6, frame, packet_type) >= len(frame)


@pytest.mark.parametrize("packet_type", [OTHER_HOST, OUTGOING])
def test_what_we_sent_and_what_is_for_others_does_not(packet_type: int) -> None:
    assert not execute(VIPS, ARP["request"][0], packet_type)
    assert not execute(VIPS6, NDP["solicitation"][0], packet_type)


def test_what_the_card_has_taken_a_vlans_tag_from_does_not() -> None:
    assert not execute(VIPS, ARP["request"][0], vlan=True)
    assert not execute(VIPS6, NDP["solicitation"][0], vlan=True)


@pytest.mark.parametrize(
    "frame",
    [
        arp_frame(THEIR4),
        ARP["request"][0][:41],
        changed(ARP["request"][0], 12, b"\x81\x00"),
        changed(ARP["request"][0], 12, b"\x08\x00"),
        changed(ARP["request"][0], 14, b"\x00\x06"),
        changed(ARP["request"][0], 18, b"\x08\x04"),
        NDP["solicitation"][0],
    ],
)
def test_what_is_no_arp_of_ours_does_not(frame: bytes) -> None:
    assert not execute(VIPS, frame)


@pytest.mark.parametrize(
    "frame",
    [
        neighbor(THEIR6),
        NDP["solicitation"][0][:76],
        changed(NDP["solicitation"][0], 12, b"\x81\x00"),
        changed(NDP["solicitation"][0], 20, b"\x11"),
        changed(NDP["solicitation"][0], 21, b"\xfe"),
        changed(NDP["solicitation"][0], 54, b"\x86"),
        changed(NDP["solicitation"][0], 54, b"\x89"),
        ARP["request"][0],
    ],
)
def test_what_is_no_neighbor_message_of_ours_does_not(frame: bytes) -> None:
    assert not execute(VIPS6, frame)


def test_without_addresses_nothing_passes() -> None:
    assert not execute(encode(arp_filter([])), ARP["request"][0])
    assert not execute(encode(ndp_filter([])), NDP["solicitation"][0])


def test_an_advertisement_passes_as_a_solicitation_does() -> None:
    assert isinstance(ADVERTISEMENT, Advertisement)
    assert not execute(VIPS6, replace(ADVERTISEMENT, target=THEIR6).encode())
