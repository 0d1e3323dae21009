# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a malformed UPDATE costs: RFC 7606, section by section, over RFC 4271 section 6.3."""

from __future__ import annotations

import pytest
from daemon.bgp.updates import GOOD, PREFIX, update
from daemon.bgp.wire_cases import octets

from vipcast.bgp.attributes import Treatment
from vipcast.bgp.errors import RemoteError
from vipcast.bgp.framing import Frame, MessageType
from vipcast.bgp.messages import Update, decode

ORIGIN, AS_PATH, NEXT_HOP = "40010100", "400206 0201 0000fc01", "4003040a630001"
REACH_6 = "800e1a 0002 01 10 fd990000000000000000000000000001 00 20 20010db8"
UNREACH_6 = "800f08 0002 01 20 20010db8"


def withdrawn(message: Update) -> list[str]:
    assert message.announced == ()
    assert message.counts == (0, len(message.removed))
    assert Treatment.WITHDRAW in [problem.treatment for problem in message.problems]
    return [str(prefix) for prefix in message.removed]


def kept(message: Update) -> list[str]:
    assert message.removed == ()
    assert message.counts == (len(message.announced), 0)
    assert [problem.treatment for problem in message.problems] == [Treatment.DISCARD]
    return [str(prefix) for prefix in message.announced]


WITHDRAWS = [
    # 3 c: flags in conflict with those specified, whatever the attribute
    ("c0010100" + AS_PATH + NEXT_HOP, "ORIGIN with flags 0xc0"),
    (GOOD + "c00600", "ATOMIC_AGGREGATE with flags 0xc0"),
    (GOOD + "400708 0000fc01 0a000001", "AGGREGATOR with flags 0x40"),
    (GOOD + "801100", "AS4_PATH with flags 0x80"),
    (GOOD + "400804 fc000007", "COMMUNITIES with flags 0x40"),
    (GOOD + "80200c 000000010000000200000003", "LARGE_COMMUNITIES with flags 0x80"),
    # 3 d: a mandatory attribute is not there
    (ORIGIN + AS_PATH, "missing NEXT_HOP"),
    (AS_PATH + NEXT_HOP, "missing ORIGIN"),
    ("", "missing ORIGIN, AS_PATH, NEXT_HOP"),
    # 4: an attribute longer than the list, fewer octets left than a header has
    (GOOD + "c0080800", "attribute list: 8 octets announced, 1 there"),
    (GOOD + "c008", "attribute list: 1 octets announced, 0 there"),
    (GOOD + "d00800", "attribute list: 2 octets announced, 1 there"),
    # 4: a length of zero where there has to be something
    ("400100" + AS_PATH + NEXT_HOP, "ORIGIN: 0 octets"),
    (GOOD + "c00800", "COMMUNITIES: 0 octets"),
    # 7.1
    ("4001020000" + AS_PATH + NEXT_HOP, "ORIGIN: 2 octets"),
    ("40010103" + AS_PATH + NEXT_HOP, "ORIGIN: value 3"),
    # 7.2: an unknown kind; a segment beyond the end; one octet behind the last; an empty segment
    (ORIGIN + "4002060701 0000fc01" + NEXT_HOP, "segment of kind 7"),
    (ORIGIN + "4002060202 0000fc01" + NEXT_HOP, "8 octets announced, 4 there"),
    (ORIGIN + "4002070201 0000fc01 02" + NEXT_HOP, "1 octets announced, 0 there"),
    (ORIGIN + "4002020200" + NEXT_HOP, "with 0 AS numbers"),
    # 7.3
    (ORIGIN + AS_PATH + "4003030a6300", "NEXT_HOP: 3 octets"),
    # 7.4
    (GOOD + "8004020000", "MULTI_EXIT_DISC: 2 octets"),
    # 7.5: from an internal peer
    (GOOD + "4005020000", "LOCAL_PREF: 2 octets"),
    # 7.8
    (GOOD + "c008020000", "COMMUNITIES: 2 octets"),
    # 7.9 and 7.10: from an internal peer
    (GOOD + "800903 0a0000", "ORIGINATOR_ID: 3 octets"),
    (GOOD + "800a05 0a00000100", "CLUSTER_LIST: 5 octets"),
    (GOOD + "800a00", "CLUSTER_LIST: 0 octets"),
    # 7.14
    (GOOD + "c01007 00020000000000", "EXTENDED_COMMUNITIES: 7 octets"),
    (GOOD + "c01000", "EXTENDED_COMMUNITIES: 0 octets"),
    # 7.15
    (GOOD + "c01904 00000000", "IPV6_EXTENDED_COMMUNITIES: 4 octets"),
    # RFC 8092 section 6
    (GOOD + "c0200b 0000000100000002000000", "LARGE_COMMUNITIES: 11 octets"),
    (GOOD + "c02000", "LARGE_COMMUNITIES: 0 octets"),
]


@pytest.mark.parametrize(("attributes", "words"), WITHDRAWS)
def test_its_routes_count_as_withdrawn_and_the_session_lives(attributes: str, words: str) -> None:
    message = update(attributes, PREFIX, internal=True)
    assert words in message.problems[0].what
    assert withdrawn(message) == ["10.9.0.1/32"]


DISCARDS = [
    # 3 g: twice
    ("40010100", None),
    # 7.5, 7.9, 7.10: these mean nothing when they come from another AS, well-formed or not
    ("400504 00000064", False),
    ("400502 0000", False),
    ("800904 0a000001", False),
    ("800903 0a0000", False),
    ("800a04 0a000001", False),
    ("800a05 0a00000100", False),
    # 7.6 and 7.7
    ("40 06 01 ff", None),
    ("c0 07 02 0001", None),
    ("c0 07 06 0001 0a000001", None),
    # RFC 6793 section 6
    ("c0 11 02 0201", None),
    ("c0 12 06 000100010001", None),
]


@pytest.mark.parametrize(("attribute", "internal"), DISCARDS)
def test_the_attribute_is_dropped_and_the_routes_stay(attribute: str, internal: bool | None) -> None:
    assert kept(update(GOOD + attribute, PREFIX, internal=internal)) == ["10.9.0.1/32"]


@pytest.mark.parametrize(
    ("attribute", "internal"),
    [
        ("400504 00000064", True),
        ("800904 0a000001", True),
        ("800a08 0a000001 0a000002", True),
        ("400600", None),
        ("c00708 0000fc01 0a000001", None),
        ("c01010 ffff000000000001 0002fc0100000001", None),
        ("c01914 0002 fd990000000000000000000000000001 0001", None),
        ("c06300", None),
    ],
)
def test_what_is_well_formed_is_no_problem(attribute: str, internal: bool | None) -> None:
    """Section 7.14: an extended community of a type that nobody knows is not malformed."""
    message = update(GOOD + attribute, PREFIX, internal=internal)
    assert message.problems == ()
    assert len(message.announced) == 1


RESETS = [
    # RFC 4271 section 6.3 and RFC 7606 section 3 a: the parts do not add up
    ("0005 0000", 1, ""),
    ("0000 0005 40", 1, ""),
    # 3 i and j, 5.3: prefixes that are too long, or not there
    ("0001 21 0000", 10, ""),
    ("0000 0000 20 0a09", 10, ""),
    # a well-known attribute that nobody knows
    ("0000 0003 40 63 00", 2, "40 63 00"),
    # 5.3 and 7.11: which routes are meant cannot be told
    ("0000 0004 80 0e 01 00", 9, "80 0e 01 00"),
    ("0000 000c 80 0e 09 0002 01 03 112233 00 00", 9, "80 0e 09 0002 01 03 112233 00 00"),
    ("0000 0008 80 0e 05 0002 01 10 00", 9, "80 0e 05 0002 01 10 00"),
    ("0000 000d 80 0e 0a 0001 01 04 0a630001 00 21", 9, "80 0e 0a 0001 01 04 0a630001 00 21"),
    # 5.3 and 7.12
    ("0000 0007 80 0f 04 0002 01 81", 9, "80 0f 04 0002 01 81"),
    ("0000 0005 80 0f 02 0002", 9, "80 0f 02 0002"),
    # 3 g: one of these two, twice
    ("0000 000c 80 0f 03 0002 01 80 0f 03 0002 01", 1, ""),
    # 5.2: an error, and no route that could be withdrawn
    ("0000 0004 40 01 01 03", 1, ""),
    ("0000 0004 c0 08 04 00", 1, ""),
    ("0000 000a 80 0f 03 0002 01 40 01 01 03", 1, ""),
    ("0000 0010 80 0e 09 0001 01 04 0a630001 00 40 01 01 03", 1, ""),
    # 3 h: the strongest of several
    ("0000 000a 40 01 01 03 80 0f 03 0002 01 20 0a09", 10, ""),
]


@pytest.mark.parametrize(("body", "subcode", "data"), RESETS)
def test_the_session_is_reset(body: str, subcode: int, data: str) -> None:
    with pytest.raises(RemoteError) as caught:
        decode(Frame(MessageType.UPDATE, octets(body)))
    assert (caught.value.code, caught.value.subcode, caught.value.data) == (3, subcode, octets(data))


def test_of_two_problems_the_stronger_counts() -> None:
    """Section 3 h."""
    message = update(GOOD + "c00702 0001" + "8004020000", PREFIX)
    assert [problem.treatment for problem in message.problems] == [Treatment.DISCARD, Treatment.WITHDRAW]
    assert withdrawn(message) == ["10.9.0.1/32"]


def test_routes_of_both_families_are_withdrawn_together() -> None:
    """Sections 2 and 3 j; section 5.1: the attributes may come in any order."""
    message = update("40010103" + AS_PATH + NEXT_HOP + REACH_6 + UNREACH_6, PREFIX, "080b")
    assert withdrawn(message) == ["11.0.0.0/8", "2001:db8::/32", "10.9.0.1/32", "2001:db8::/32"]


def test_flags_that_are_wrong_on_the_routes_themselves_withdraw_them() -> None:
    """Section 3 c for MP_REACH_NLRI and MP_UNREACH_NLRI."""
    assert withdrawn(update("c0" + REACH_6[2:] + ORIGIN + AS_PATH)) == ["2001:db8::/32"]
    assert withdrawn(update("c0" + UNREACH_6[2:])) == ["2001:db8::/32"]


def test_a_discarded_attribute_without_routes_is_no_reason_to_reset() -> None:
    """Section 5.2: but for attribute discard."""
    message = update(ORIGIN + "c0 07 02 0001")
    assert [problem.treatment for problem in message.problems] == [Treatment.DISCARD]


def test_routes_of_a_family_that_is_not_ours_count_as_routes() -> None:
    """Section 5.4 leaves them alone; there is something to withdraw, and nothing of it is ours."""
    message = update("40010103" + AS_PATH + "800e09 0001 80 00 00 11223344")
    assert (message.announced, message.removed) == ((), ())
    assert {problem.treatment for problem in message.problems} == {Treatment.WITHDRAW}
