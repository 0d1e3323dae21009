# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames that ask a segment, byte by byte, and the answers to them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.neighbors import (
    Answer,
    Sent,
    frame,
    read_answer,
    tally,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.segment import Question

ASKER, OWNER = "020000000001", "020000000010"
OWNER_MAC = "02:00:00:00:00:10"
ADDRESS, SOURCE = ip_address("10.31.8.100"), ip_address("10.31.200.10")
ADDRESS6, SOURCE6 = ip_address("fd00:31:8::100"), ip_address("fe80::1")
# RFC 826: hardware type Ethernet, protocol type IPv4, their lengths, the operation.
ARP_HEADER = "0806 0001 0800 06 04"


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


def asked(address: object = ADDRESS, source: object = SOURCE) -> Question:
    return Question(address, "eth0", "02:00:00:00:00:01", source)  # type: ignore[arg-type]


def test_ipv4_is_asked_for_by_broadcast() -> None:
    """RFC 826."""
    expected = f"ffffffffffff {ASKER} {ARP_HEADER} 0001 {ASKER} 0a1fc80a 000000000000 0a1f0864"
    assert bytes(frame(asked())) == hexed(expected)


def test_without_a_source_it_is_a_probe() -> None:
    """RFC 5227, 2.1.1: the sender IP address is all zero, so that nobody's cache learns it."""
    expected = f"ffffffffffff {ASKER} {ARP_HEADER} 0001 {ASKER} 00000000 000000000000 0a1f0864"
    assert bytes(frame(asked(source=ip_address("0.0.0.0")))) == hexed(expected)


def test_ipv6_is_asked_for_at_the_solicited_node_address() -> None:
    """RFC 4861, 4.3 and 7.2.2; RFC 2464, 7; RFC 4291, 2.7.1. Bytes 56 and 57 are the checksum."""
    data = bytes(frame(asked(ADDRESS6, SOURCE6)))
    ethernet = f"3333ff000100 {ASKER} 86dd"
    header = f"60000000 0020 3a ff {SOURCE6.packed.hex()} ff0200000000000000000001ff000100"
    body = f"00000000 {ADDRESS6.packed.hex()} 0101{ASKER}"
    assert data[:56] == hexed(f"{ethernet} {header} 8700")
    assert data[58:] == hexed(body)


def test_from_the_unspecified_address_no_link_layer_address_is_shown() -> None:
    """RFC 4861, 4.3: the option must not be there."""
    data = bytes(frame(asked(ADDRESS6, ip_address("::"))))
    assert data[58:] == hexed(f"00000000 {ADDRESS6.packed.hex()}")


ARP_REPLY = f"{ASKER} {OWNER} {ARP_HEADER} 0002 {OWNER} 0a1f0864 {ASKER} 0a1fc80a"


def advertisement(option: str, hops: str = "ff", kind: str = "88") -> str:
    """RFC 4861, 4.4: router 0, solicited and override set."""
    length = 24 + len(option) // 2
    header = f"60000000 {length:04x} 3a {hops} {ADDRESS6.packed.hex()} {SOURCE6.packed.hex()}"
    return f"{ASKER} {OWNER} 86dd {header} {kind}00 0000 60000000 {ADDRESS6.packed.hex()} {option}"


def test_an_arp_reply_says_who_has_the_address() -> None:
    assert read_answer("eth0", hexed(ARP_REPLY), 7.5) == Answer("eth0", ADDRESS, OWNER_MAC, 7.5)


def test_the_mac_in_the_reply_counts_and_not_the_frames_sender() -> None:
    """A neighbor learns `ar$sha` (RFC 826)."""
    relayed = ARP_REPLY.replace(f"{ASKER} {OWNER} 0806", f"{ASKER} 0200000000ee 0806", 1)
    answer = read_answer("eth0", hexed(relayed), 0)
    assert answer is not None
    assert answer.mac == OWNER_MAC


def test_an_advertisement_says_who_has_the_address() -> None:
    answer = read_answer("eth0", hexed(advertisement(f"0201{OWNER}")), 7.5)
    assert answer == Answer("eth0", ADDRESS6, OWNER_MAC, 7.5)


def test_an_advertisement_without_the_option_is_its_senders() -> None:
    """RFC 4861, 4.4: it may be left out of the answer to a unicast solicitation."""
    answer = read_answer("eth0", hexed(advertisement("")), 0)
    assert answer is not None
    assert answer.mac == OWNER_MAC


@pytest.mark.parametrize(
    "text",
    [
        ARP_REPLY.replace("0002", "0001", 1),  # a request
        advertisement(f"0201{OWNER}", hops="40"),  # from beyond a router (RFC 4861, 7.1.2)
        advertisement(f"0201{OWNER}", kind="87"),  # a solicitation
        f"{ASKER} {OWNER} 0800 4500",  # another EtherType
        f"{ASKER} {OWNER} 86dd 6000",  # cut off
        f"{ASKER} {OWNER}",
        ARP_REPLY[:40],
        "",
    ],
)
def test_everything_else_is_no_answer(text: str) -> None:
    assert read_answer("eth0", hexed(text), 0) is None


def test_each_mac_is_counted_with_the_time_since_the_last_request() -> None:
    sent = [Sent("eth0", ADDRESS, at) for at in (10.0, 11.0, 12.0)]
    one, two = OWNER_MAC, "02:00:00:00:00:11"
    times = [(one, 10.001), (two, 10.5), (one, 11.002), (one, 12.009)]
    answers = [Answer("eth0", ADDRESS, mac, at) for mac, at in times]
    answers.append(Answer("eth0", ADDRESS6, one, 10.1))
    assert tally(asked(), sent, answers) == [
        {"mac": one, "times": 3, "latency_ms": 2.0},
        {"mac": two, "times": 1, "latency_ms": 500.0},
    ]


def test_the_same_address_on_another_interface_is_another_question() -> None:
    answers = [Answer("eth1", ADDRESS, OWNER_MAC, 10.1)]
    assert tally(asked(), [Sent("eth0", ADDRESS, 10.0)], answers) == []
