# SPDX-License-Identifier: GPL-3.0-or-later
"""Test who gets an answer, what it says, and why others get none."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from daemon.layer2.wire_cases import (
    ALL_NODES,
    ALL_NODES_MAC,
    ARP,
    NDP,
    NOWHERE,
    OURS,
    THEIR4,
    THEIR6,
    THEIRS,
    VIP,
    VIP6,
    changed,
    checked,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from vipcast.layer2 import arp, ndp
from vipcast.layer2.frames import BROADCAST, Ignored, Mac
from vipcast.layer2.responder import ARP_RULES, MOST_FOREIGN, Foreign, How, Responder

OTHER_OURS: Mac = bytes.fromhex("02005e005307")
REQUEST, PROBE = ARP["request"][1], ARP["probe"][1]
SOLICITATION, UNICAST, PROBE6 = (
    NDP[name][1]
    for name in ("solicitation", "unicast solicitation without an option", "duplicate address detection")
)
assert isinstance(SOLICITATION, ndp.Solicitation)
assert isinstance(UNICAST, ndp.Solicitation)
assert isinstance(PROBE6, ndp.Solicitation)


def responder() -> Responder:
    """Owns the VIPs; has another interface on the segment."""
    one = Responder(OURS, {OURS, OTHER_OURS})
    one.own(VIP)
    one.own(VIP6)
    return one


def advertised(one: Responder, message: ndp.Solicitation) -> ndp.Advertisement:
    answer = one.answer(message.encode())
    assert answer is not None, one.ignored
    found = ndp.decode(answer)
    assert isinstance(found, ndp.Advertisement)
    return found


# ---- ARP ----


def test_a_broadcast_request_is_answered_to_the_one_that_asks() -> None:
    assert responder().answer(ARP["request"][0] + bytes(18)) == ARP["reply"][0]


def test_a_unicast_request_is_answered_the_same() -> None:
    """A cache that looks whether its entry still holds asks like this (RFC 1122 section 2.3.2.1)."""
    assert responder().answer(replace(REQUEST, destination=OURS).encode()) == ARP["reply"][0]


def test_the_answer_goes_to_the_mac_in_the_packet() -> None:
    """RFC 826: to the sender's hardware address, whatever bridge the frame is from."""
    answer = responder().answer(replace(REQUEST, source=b"\2bridge"[:6]).encode())
    assert answer == ARP["reply"][0]


def test_a_probe_is_defended() -> None:
    """RFC 5227 section 2.1.1: the prober looks for an answer with the address as its sender's."""
    answer = responder().answer(PROBE.encode())
    assert answer is not None
    assert arp.decode(answer) == replace(ARP["reply"][1], target=IPv4Address(0))


def test_one_who_announces_our_address_is_answered_and_told_of() -> None:
    one = responder()
    assert one.answer(replace(REQUEST, sender=VIP).encode()) is not None
    assert one.take_foreign() == [Foreign(VIP, THEIRS, How.REQUEST)]


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (replace(REQUEST, target=THEIR4), Ignored.NOT_OWNED),
        (replace(REQUEST, operation=arp.Operation.REPLY), Ignored.NOT_A_REQUEST),
        (replace(REQUEST, destination=OTHER_OURS), Ignored.OTHER_HOST),
        (replace(REQUEST, sender_mac=OURS), Ignored.OWN),
        (replace(REQUEST, sender_mac=OTHER_OURS), Ignored.OWN),
        (replace(REQUEST, sender_mac=BROADCAST), Ignored.GROUP_SENDER),
    ],
)
def test_an_arp_frame_that_is_not_answered_is_counted_by_its_reason(
    frame: arp.ArpFrame, why: Ignored
) -> None:
    one = responder()
    assert one.answer(frame.encode()) is None
    assert one.ignored == {why: 1}
    assert one.take_foreign() == []


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", Ignored.TOO_SHORT),
        (ARP["request"][0][:41], Ignored.TOO_SHORT),
        (changed(ARP["request"][0], 12, b"\x81\x00"), Ignored.VLAN),
        (changed(ARP["request"][0], 12, b"\x08\x00"), Ignored.OTHER_PROTOCOL),
        (changed(ARP["request"][0], 14, b"\x00\x06"), Ignored.OTHER_HARDWARE),
        (changed(ARP["request"][0], 20, b"\x00\x09"), Ignored.OTHER_OPERATION),
        (changed(NDP["solicitation"][0], 21, b"\xfe"), Ignored.BAD_HOP_LIMIT),
    ],
)
def test_what_cannot_be_read_is_counted_by_its_reason(octets: bytes, why: Ignored) -> None:
    one = responder()
    assert one.answer(octets) is None
    assert one.ignored == {why: 1}


# ---- neighbor discovery ----


def test_a_solicitation_is_answered_to_the_one_that_asks() -> None:
    """RFC 4861 section 7.2.4: solicited, override, not a router, with our MAC."""
    assert responder().answer(NDP["solicitation"][0]) == NDP["advertisement"][0]


def test_a_unicast_solicitation_is_answered_where_its_frame_came_from() -> None:
    """A probe of neighbor unreachability detection need not have the option (RFC 4861 section 4.3)."""
    assert responder().answer(UNICAST.encode()) == NDP["advertisement"][0]


def test_the_answer_goes_to_the_mac_in_the_option() -> None:
    found = advertised(responder(), replace(SOLICITATION, source_mac=b"\2proxy"))
    assert found.destination_mac == THEIRS


def test_duplicate_address_detection_is_answered_to_all_nodes() -> None:
    """RFC 4861 section 7.2.4, RFC 4862 section 5.4.3: nobody to answer to, and not solicited."""
    found = advertised(responder(), PROBE6)
    assert (found.destination_mac, found.destination) == (ALL_NODES_MAC, ALL_NODES)
    assert (found.solicited, found.override, found.router, found.mac) == (False, True, False, OURS)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (replace(SOLICITATION, target=THEIR6), Ignored.NOT_OWNED),
        (replace(UNICAST, destination_mac=OTHER_OURS), Ignored.OTHER_HOST),
        (replace(SOLICITATION, mac=OURS), Ignored.OWN),
        (replace(UNICAST, source_mac=OTHER_OURS), Ignored.OWN),
        (replace(SOLICITATION, mac=ALL_NODES_MAC), Ignored.GROUP_SENDER),
        (replace(NDP["advertisement"][1], target=THEIR6), Ignored.NOT_A_REQUEST),
    ],
)
def test_a_neighbor_message_that_is_not_answered_is_counted_by_its_reason(
    message: ndp.Solicitation | ndp.Advertisement, why: Ignored
) -> None:
    one = responder()
    if isinstance(message, ndp.Advertisement):
        message = replace(message, mac=THEIRS)
    assert one.answer(message.encode()) is None
    assert one.ignored == {why: 1}
    assert one.take_foreign() == []


# ---- others with our addresses ----


def advertisement(mac: Mac | None, source_mac: Mac = THEIRS) -> bytes:
    return ndp.Advertisement(ALL_NODES_MAC, source_mac, VIP6, ALL_NODES, VIP6, mac, override=True).encode()


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (arp.announcements(THEIRS, VIP)[0], Foreign(VIP, THEIRS, How.REQUEST)),
        (arp.announcements(THEIRS, VIP)[1], Foreign(VIP, THEIRS, How.REPLY)),
        (replace(REQUEST, sender=VIP, target=THEIR4).encode(), Foreign(VIP, THEIRS, How.REQUEST)),
        (replace(ARP["reply"][1], sender_mac=THEIRS).encode(), Foreign(VIP, THEIRS, How.REPLY)),
        (advertisement(THEIRS), Foreign(VIP6, THEIRS, How.ADVERTISEMENT)),
        (advertisement(None), Foreign(VIP6, THEIRS, How.ADVERTISEMENT)),
        (advertisement(THEIRS, source_mac=OURS), Foreign(VIP6, THEIRS, How.ADVERTISEMENT)),
        (
            replace(SOLICITATION, source=VIP6, target=THEIR6).encode(),
            Foreign(VIP6, THEIRS, How.SOLICITATION),
        ),
    ],
)
def test_who_shows_that_he_has_our_address_is_told_of(octets: bytes, expected: Foreign) -> None:
    one = responder()
    one.answer(octets)
    one.answer(octets)
    assert one.take_foreign() == [expected], "once, however often it was heard"
    assert one.take_foreign() == []


@pytest.mark.parametrize(
    "octets",
    [
        *arp.announcements(OURS, VIP),
        *arp.announcements(OTHER_OURS, VIP),
        advertisement(OTHER_OURS),
        advertisement(None, source_mac=OURS),
        arp.announcements(THEIRS, THEIR4)[0],
        PROBE.encode(),
        PROBE6.encode(),
        changed(arp.announcements(THEIRS, VIP)[0], 14, b"\x00\x06"),
        changed(advertisement(THEIRS), 56, b"\0\0"),  # a wrong checksum
    ],
)
def test_nobody_else_is(octets: bytes) -> None:
    one = responder()
    one.answer(octets)
    assert one.take_foreign() == []


def test_a_watched_address_is_not_answered_and_its_probers_are_told_of() -> None:
    one = Responder(OURS, {OURS})
    one.watch(VIP)
    one.watch(VIP6)
    for octets in (ARP["request"][0], NDP["solicitation"][0], PROBE.encode(), PROBE6.encode()):
        assert one.answer(octets) is None
    assert one.take_foreign() == [Foreign(VIP, THEIRS, How.PROBE), Foreign(VIP6, THEIRS, How.PROBE)]
    one.answer(arp.announcements(THEIRS, VIP)[0])
    assert one.take_foreign() == [Foreign(VIP, THEIRS, How.REQUEST)]


def test_our_own_probe_that_comes_back_is_nobodys() -> None:
    one = Responder(OURS, {OURS, OTHER_OURS})
    one.watch(VIP)
    one.answer(arp.probe(OTHER_OURS, VIP))
    assert one.take_foreign() == []


def test_an_address_is_watched_and_then_owned_and_then_nothing() -> None:
    one = Responder(OURS, {OURS})
    one.watch(VIP)
    one.own(VIP)
    one.unwatch(VIP)
    assert one.answer(PROBE.encode()) is not None
    assert one.take_foreign() == [], "the answer defends it"
    one.watch(VIP)
    assert one.answer(PROBE.encode()) is not None
    one.disown(VIP)
    one.answer(arp.announcements(THEIRS, VIP)[0])
    assert one.take_foreign() == []


def test_a_flood_of_macs_fills_no_memory() -> None:
    one = responder()
    for number in range(2 * MOST_FOREIGN):
        one.answer(arp.announcements(b"\2\0" + number.to_bytes(4), VIP)[1])
    assert len(one.take_foreign()) == MOST_FOREIGN


# ---- the interface ----


def test_another_mac_answers_from_then_on() -> None:
    macs = {OURS}
    one = Responder(OURS, macs)
    one.own(VIP)
    one.mac = OTHER_OURS
    macs.add(OTHER_OURS)
    answer = one.answer(ARP["request"][0])
    assert answer is not None
    assert arp.decode(answer) == replace(ARP["reply"][1], source=OTHER_OURS, sender_mac=OTHER_OURS)


def test_answers_are_counted_by_address_and_survive_that_it_is_owned_again() -> None:
    one = responder()
    for octets in (ARP["request"][0], PROBE.encode(), NDP["solicitation"][0]):
        one.answer(octets)
    one.own(VIP)
    assert one.counts() == {VIP: 2, VIP6: 1}
    assert one.owned == {VIP, VIP6}


mac = st.sampled_from([OURS, OTHER_OURS, THEIRS, BROADCAST, bytes(6)])
address4 = st.sampled_from([VIP, THEIR4, IPv4Address(0)])
address6 = st.sampled_from([VIP6, THEIR6, NOWHERE, ALL_NODES, IPv6Address("ff02::1:ff02:3")])
frames = (
    st.builds(arp.ArpFrame, mac, mac, st.sampled_from(arp.Operation), mac, address4, mac, address4)
    | st.builds(ndp.Solicitation, mac, mac, address6, address6, address6, st.none() | mac)
    | st.builds(ndp.Advertisement, mac, mac, address6, address6, address6, st.none() | mac)
)


@settings(max_examples=500)
@given(frames, st.integers(0, 60), st.binary(max_size=2))
def test_every_frame_is_answered_or_counted_never_both(frame: object, at: int, damage: bytes) -> None:
    one = responder()
    octets = changed(frame.encode(), at, damage)  # type: ignore[attr-defined]
    if octets[12:14] == b"\x86\xdd" and len(octets) > 62:
        octets = checked(octets)
    answered = one.answer(octets) is not None
    assert answered + one.ignored.total() == 1
    assert answered == sum(one.counts().values())


def test_every_rule_of_arp_has_a_name_of_its_own() -> None:
    names = [reason for reason, _holds in ARP_RULES]
    assert len(set(names)) == len(names)
