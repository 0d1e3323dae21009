# SPDX-License-Identifier: GPL-3.0-or-later
"""The codecs against RFC 826, 5227, 4861 and 4862."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from daemon.layer2.wire_cases import (
    ALL_NODES,
    ALL_NODES_MAC,
    ARP,
    GROUP,
    GROUP_MAC,
    NDP,
    OURS,
    THEIRS,
    VIP,
    VIP6,
    changed,
    checked,
)
from hypothesis import given
from hypothesis import strategies as st

from vipcast.layer2 import arp, ndp
from vipcast.layer2.frames import FrameError, Ignored, mac_text, read_mac

SOLICITATION, PROBE6, ADVERTISEMENT, TO_ALL = (
    NDP[name][0]
    for name in ("solicitation", "duplicate address detection", "advertisement", "advertisement to all")
)

macs = st.binary(min_size=6, max_size=6)
v4 = st.builds(IPv4Address, st.integers(0, 2**32 - 1))
v6 = st.builds(IPv6Address, st.integers(0, 2**128 - 1))
# What is no group's: of such nodes speak.
hosts = v6.filter(lambda address: not address.is_multicast and address != ndp.UNSPECIFIED)


@pytest.mark.parametrize("name", ARP)
def test_an_arp_frame_is_written_as_it_is_read(name: str) -> None:
    octets, frame = ARP[name]
    assert frame.encode() == octets
    assert arp.decode(octets) == frame
    assert arp.decode(octets + bytes(18)) == frame, "padded to the least that Ethernet has"


@pytest.mark.parametrize("name", NDP)
def test_a_neighbor_message_is_written_as_it_is_read(name: str) -> None:
    octets, frame = NDP[name]
    assert frame.encode() == octets
    assert ndp.decode(octets) == frame
    assert ndp.decode(octets + b"tail") == frame


def test_what_we_say_of_our_own_accord_is_what_the_rfcs_write() -> None:
    assert arp.probe(THEIRS, VIP) == ARP["probe"][0]
    assert ndp.probe(THEIRS, VIP6) == PROBE6
    assert ndp.announcement(OURS, VIP6) == TO_ALL


def test_an_address_is_announced_by_a_request_and_a_reply_to_everyone() -> None:
    request, reply = map(arp.decode, arp.announcements(OURS, VIP))
    assert (request.operation, reply.operation) == (arp.Operation.REQUEST, arp.Operation.REPLY)
    for frame in (request, reply):
        assert frame.destination == b"\xff" * 6
        assert (frame.source, frame.sender_mac) == (OURS, OURS)
        assert (frame.sender, frame.target) == (VIP, VIP)


def test_groups_are_those_of_rfc_4291_and_their_macs_those_of_rfc_2464() -> None:
    # The RFC's own example (section 2.7.1).
    assert ndp.solicited_node(IPv6Address("4037::01:800:200e:8c6c")) == IPv6Address("ff02::1:ff0e:8c6c")
    assert ndp.solicited_node(VIP6) == GROUP
    assert ndp.group_mac(GROUP) == GROUP_MAC
    assert ndp.group_mac(ALL_NODES) == ALL_NODES_MAC


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", Ignored.TOO_SHORT),
        (ARP["request"][0][:41], Ignored.TOO_SHORT),
        (changed(ARP["request"][0], 12, b"\x81\x00"), Ignored.VLAN),
        (changed(ARP["request"][0], 12, b"\x88\xa8"), Ignored.VLAN),
        (SOLICITATION, Ignored.OTHER_PROTOCOL),
        (changed(ARP["request"][0], 14, b"\x00\x06"), Ignored.OTHER_HARDWARE),  # IEEE 802 networks
        (changed(ARP["request"][0], 16, b"\x86\xdd"), Ignored.OTHER_HARDWARE),
        (changed(ARP["request"][0], 18, b"\x08"), Ignored.OTHER_HARDWARE),
        (changed(ARP["request"][0], 19, b"\x10"), Ignored.OTHER_HARDWARE),
        (changed(ARP["request"][0], 20, b"\x00\x00"), Ignored.OTHER_OPERATION),
        (changed(ARP["request"][0], 20, b"\x00\x03"), Ignored.OTHER_OPERATION),  # RFC 903, reverse ARP
    ],
)
def test_arp_that_is_none_of_ours_is_named(octets: bytes, why: Ignored) -> None:
    with pytest.raises(FrameError) as error:
        arp.decode(octets)
    assert error.value.reason is why


def with_option(frame: bytes, option: bytes) -> bytes:
    """``option`` behind those that are there."""
    length = int.from_bytes(frame[18:20]) + len(option)
    return checked(changed(frame, 18, length.to_bytes(2)) + option)


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (SOLICITATION[:60], Ignored.TOO_SHORT),
        (ARP["request"][0], Ignored.OTHER_PROTOCOL),
        (changed(SOLICITATION, 12, b"\x81\x00"), Ignored.VLAN),
        (changed(SOLICITATION, 14, b"\x40"), Ignored.OTHER_PROTOCOL),
        (changed(SOLICITATION, 20, b"\x11"), Ignored.OTHER_PROTOCOL),
        (changed(SOLICITATION, 20, b"\x2c"), Ignored.OTHER_PROTOCOL),  # a fragment: RFC 6980
        (changed(SOLICITATION, 54, b"\x86"), Ignored.OTHER_MESSAGE),
        # RFC 4861 section 7.1.1 and 7.1.2, point by point
        (changed(SOLICITATION, 21, b"\xfe"), Ignored.BAD_HOP_LIMIT),
        (changed(ADVERTISEMENT, 21, b"\x40"), Ignored.BAD_HOP_LIMIT),
        (changed(SOLICITATION, 60, b"\x01"), Ignored.BAD_CHECKSUM),
        (checked(changed(SOLICITATION, 55, b"\x01")), Ignored.BAD_CODE),
        (checked(changed(ADVERTISEMENT, 55, b"\x01")), Ignored.BAD_CODE),
        (changed(SOLICITATION, 18, b"\x00\x17"), Ignored.BAD_LENGTH),
        (changed(SOLICITATION, 18, b"\x00\x28"), Ignored.BAD_LENGTH),  # more than there is
        (checked(changed(SOLICITATION, 62, b"\xff")), Ignored.GROUP_TARGET),
        (checked(changed(ADVERTISEMENT, 62, b"\xff")), Ignored.GROUP_TARGET),
        (checked(changed(SOLICITATION, 79, b"\x00")), Ignored.BAD_OPTION),
        (checked(changed(SOLICITATION, 79, b"\x02")), Ignored.BAD_OPTION),
        (with_option(SOLICITATION, b"\x0e"), Ignored.BAD_OPTION),
        (checked(changed(SOLICITATION, 22, bytes(16))), Ignored.BAD_PROBE),  # with the source's MAC
        (checked(changed(PROBE6, 38, VIP6.packed)), Ignored.BAD_PROBE),  # not to the group
        (checked(changed(TO_ALL, 58, b"\x60")), Ignored.BAD_SOLICITED),
        # RFC 4291 section 2.7
        (checked(changed(SOLICITATION, 22, b"\xff")), Ignored.GROUP_SOURCE),
    ],
)
def test_neighbor_messages_that_are_not_valid_are_named(octets: bytes, why: Ignored) -> None:
    with pytest.raises(FrameError) as error:
        ndp.decode(octets)
    assert error.value.reason is why


def test_options_that_nobody_knows_are_skipped() -> None:
    nonce = bytes.fromhex("0e01 010203040506")  # RFC 3971; with RFC 7527 every Linux sends it
    assert ndp.decode(with_option(SOLICITATION, nonce)) == NDP["solicitation"][1]
    assert ndp.decode(with_option(PROBE6, nonce)) == NDP["duplicate address detection"][1]


def test_an_option_for_the_other_message_says_nothing() -> None:
    """A target's MAC in a solicitation: unknown to its section, so ignored (RFC 4861 section 4.3)."""
    found = ndp.decode(checked(changed(SOLICITATION, 78, b"\x02")))
    assert isinstance(found, ndp.Solicitation)
    assert found.mac is None


def test_a_link_layer_address_of_another_length_is_none_of_ethernets() -> None:
    longer = bytes.fromhex("0202") + bytes(14)
    found = ndp.decode(with_option(changed(TO_ALL[:78], 18, b"\x00\x18"), longer))
    assert isinstance(found, ndp.Advertisement)
    assert found.mac is None


@given(st.builds(arp.ArpFrame, macs, macs, st.sampled_from(arp.Operation), macs, v4, macs, v4))
def test_any_arp_frame_is_read_as_it_was_written(frame: arp.ArpFrame) -> None:
    assert arp.decode(frame.encode()) == frame


flags = {name: st.booleans() for name in ("router", "solicited", "override")}


@given(
    st.builds(ndp.Solicitation, macs, macs, hosts, v6, hosts, st.none() | macs)
    | st.builds(ndp.Advertisement, macs, macs, hosts, hosts, hosts, st.none() | macs, **flags)
)
def test_any_neighbor_message_is_read_as_it_was_written(
    message: ndp.Solicitation | ndp.Advertisement,
) -> None:
    assert ndp.decode(message.encode()) == message
    assert message.encode() == checked(message.encode())


def test_a_mac_is_written_as_people_read_it() -> None:
    assert mac_text(OURS) == "02:00:5e:00:53:01"
    assert read_mac("02:00:5E:00:53:01") == OURS


@pytest.mark.parametrize("text", ["", "02:00:5e:00:53", "02:00:5e:00:53:01:00", "0200.5e00.5301", "zz"])
def test_what_is_no_mac_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_mac(text)
