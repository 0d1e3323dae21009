# SPDX-License-Identifier: GPL-3.0-or-later
"""(octets, message) pairs, written down from the layouts in the RFCs; each says from which."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

from vipcast.bgp.attributes import (
    MpReach,
    MpUnreach,
    Origin,
    PathAttributes,
    RawAttribute,
    Segment,
    SegmentKind,
)
from vipcast.bgp.capabilities import (
    EnhancedRefresh,
    ExtendedMessages,
    ExtendedNextHop,
    FourOctetAsn,
    GracefulRestart,
    Multiprotocol,
    Preserved,
    Unknown,
)
from vipcast.bgp.capabilities import RouteRefresh as RefreshCapability
from vipcast.bgp.extended_communities import link_bandwidth
from vipcast.bgp.messages import Keepalive, Message, Notification, Open, RouteRefresh, Update
from vipcast.bgp.wire import Family

MARKER = "ff" * 16


def octets(*parts: str) -> bytes:
    return bytes.fromhex("".join(parts).replace(" ", ""))


def sequence(*asns: int) -> Segment:
    return Segment(SegmentKind.SEQUENCE, asns)


# RFC 4271 section 4.2, with RFC 5492 section 4, RFC 4760 section 8, RFC 2918 section 2, RFC 6793 section 3
OPEN = (
    octets(MARKER, "002d 01  04 fc01 0009 0a630001 10  02 0e", "01 04 0001 00 01  02 00  41 04 0000fc01"),
    Open(
        64513,
        9,
        IPv4Address("10.99.0.1"),
        (Multiprotocol(Family.IPV4_UNICAST), RefreshCapability(), FourOctetAsn(64513)),
    ),
)
# RFC 4271 section 4.2: no optional parameters at all
OPEN_OLD = (
    octets(MARKER, "001d 01  04 fc00 005a 0a630002 00"),
    Open(64512, 90, IPv4Address("10.99.0.2")),
)
# RFC 6793 section 9: AS_TRANS in the two-octet field
OPEN_BIG_ASN = (
    octets(MARKER, "0025 01  04 5ba0 00b4 c0000201 08  02 06  41 04 fffffff0"),
    Open(23456, 180, IPv4Address("192.0.2.1"), (FourOctetAsn(4294967280),)),
)
# RFC 4724 section 3, RFC 8538 section 2: R and N, 120 seconds, no families: a helper
OPEN_HELPER = (
    octets(MARKER, "0023 01  04 fc00 0003 0a630002 06  02 04  40 02 c078"),
    Open(64512, 3, IPv4Address("10.99.0.2"), (GracefulRestart(120, (), restarting=True, notification=True),)),
)
# RFC 8950 section 4, RFC 8654 section 3, RFC 4724 section 3 (two families, one of them forwarding),
# RFC 7313 section 3.1; the last is none that we know
OPEN_ALL = (
    octets(
        MARKER,
        "0041 01  04 fc00 0003 0a630002 24  02 22",
        "05 0c 0001 0001 0002 0001 0080 0002",
        "06 00",
        "40 0a 0fff 0001 01 80 0002 01 00",
        "46 00",
        "48 02 abcd",
    ),
    Open(
        64512,
        3,
        IPv4Address("10.99.0.2"),
        (
            ExtendedNextHop(((1, 1, 2), (1, 128, 2))),
            ExtendedMessages(),
            GracefulRestart(4095, (Preserved(1, 1, True), Preserved(2, 1, False))),
            EnhancedRefresh(),
            Unknown(72, bytes.fromhex("abcd")),
        ),
    ),
)
# RFC 9072 section 2: lengths of two octets (ff ff, then the length), here with 2 capabilities of 130 octets
OPEN_EXTENDED = (
    octets(
        MARKER, "012b 01  04 fc00 0003 0a630002 ff ff 010b  02 0108", "49 82", "61" * 130, "4b 82", "62" * 130
    ),
    Open(64512, 3, IPv4Address("10.99.0.2"), (Unknown(73, b"a" * 130), Unknown(75, b"b" * 130))),
)
# RFC 4271 section 4.4
KEEPALIVE = (octets(MARKER, "0013 04"), Keepalive())
# RFC 4271 section 4.5; RFC 9003 section 2: "bye"
NOTIFICATION = (octets(MARKER, "0015 03 04 00"), Notification(4, 0))
SHUTDOWN = (octets(MARKER, "0019 03 06 02 03 627965"), Notification(6, 2, b"\x03bye"))
# RFC 7313 section 3.2: the beginning of a refresh
REFRESH_BEGIN = (octets(MARKER, "0017 05 0001 01 01"), RouteRefresh(1, 1, 1))
# RFC 2918 section 3
REFRESH = (octets(MARKER, "0017 05 0002 00 01"), RouteRefresh(2, 1))
# RFC 4271 section 4.3: two prefixes with ORIGIN, AS_PATH (RFC 6793), NEXT_HOP and COMMUNITIES (RFC 1997)
UPDATE = (
    octets(
        MARKER,
        "003b 02  0000 001b",
        "40 01 01 00",
        "40 02 06 02 01 0000fc01",
        "40 03 04 0a630001",
        "c0 08 04 fc000007",
        "20 0a090001  18 0a0902",
    ),
    Update(
        attributes=PathAttributes(
            origin=Origin.IGP,
            as_path=(sequence(64513),),
            next_hop=IPv4Address("10.99.0.1"),
            communities=frozenset({0xFC000007}),
        ),
        nlri=(ip_network("10.9.0.1/32"), ip_network("10.9.2.0/24")),
    ),
)
# RFC 4271 section 5.1.2 and 5.1.5: to an internal peer, an empty AS_PATH and LOCAL_PREF; MED as well
UPDATE_INTERNAL = (
    octets(
        MARKER,
        "0034 02  0000 001c",
        "40 01 01 02",
        "40 02 00",
        "40 03 04 0a630001",
        "80 04 04 00000014",
        "40 05 04 00000064",
        "00",
    ),
    Update(
        attributes=PathAttributes(
            origin=Origin.INCOMPLETE, as_path=(), next_hop=IPv4Address("10.99.0.1"), med=20, local_pref=100
        ),
        nlri=(ip_network("0.0.0.0/0"),),
    ),
)
# RFC 4271 section 4.3: withdrawn routes alone; lengths of 0, 9 and 32 bits
WITHDRAW = (
    octets(MARKER, "0020 02  0009  00  09 0a80  20 0a090001  0000"),
    Update(withdrawn=(ip_network("0.0.0.0/0"), ip_network("10.128.0.0/9"), ip_network("10.9.0.1/32"))),
)
# RFC 4724 section 2: End-of-RIB
END_OF_RIB = (octets(MARKER, "0017 02 0000 0000"), Update())
END_OF_RIB_6 = (
    octets(MARKER, "001d 02 0000 0006  80 0f 03 0002 01"),
    Update(attributes=PathAttributes(mp_unreach=MpUnreach(Family.IPV6_UNICAST))),
)
# RFC 4760 section 3; RFC 2545 section 3: global and link-local next hop; RFC 7606 section 5.1: it comes first
UPDATE_6 = (
    octets(
        MARKER,
        "0067 02  0000 0050",
        "80 0e 40 0002 01 20",
        "fd990000000000000000000000000001",
        "fe800000000000000000000000000001",
        "00",
        "80 fd000000000000000000000000000005",
        "40 fd00000000000001  00",
        "40 01 01 00",
        "40 02 06 02 01 0000fc01",
    ),
    Update(
        attributes=PathAttributes(
            origin=Origin.IGP,
            as_path=(sequence(64513),),
            mp_reach=MpReach(
                Family.IPV6_UNICAST,
                IPv6Address("fd99::1"),
                (ip_network("fd00::5/128"), ip_network("fd00:0:0:1::/64"), ip_network("::/0")),
                IPv6Address("fe80::1"),
            ),
        )
    ),
)
# RFC 4760 section 4
WITHDRAW_6 = (
    octets(MARKER, "0025 02 0000 000e  80 0f 0b 0002 01  38 20010db8000001"),
    Update(
        attributes=PathAttributes(
            mp_unreach=MpUnreach(Family.IPV6_UNICAST, (ip_network("2001:db8:0:100::/56"),))
        )
    ),
)
# RFC 8092 section 3; the order is ours: ascending
UPDATE_LARGE = (
    octets(
        MARKER, "0032 02  0000 001b", "c0 20 18", "0000fc01 00000001 00000002", "0000fc01 00000002 ffffffff"
    ),
    Update(
        attributes=PathAttributes(
            large_communities=frozenset({(64513, 2, 4294967295), (64513, 1, 2)}),
        )
    ),
)
# RFC 4360 section 2; draft-ietf-idr-link-bandwidth section 3: 125,000,000 octets per second are 1 Gbit/s
UPDATE_BANDWIDTH = (
    octets(MARKER, "0022 02  0000 000b", "c0 10 08", "00 04 fc01 4cee6b28"),
    Update(
        attributes=PathAttributes(
            extended_communities=frozenset({link_bandwidth(64513, 125e6, transitive=True)}),
        )
    ),
)
# RFC 8950 section 3: an IPv4 prefix behind an IPv6 next hop
UPDATE_8950 = (
    octets(
        MARKER,
        "0040 02  0000 0029  80 0e 19 0001 01 10",
        "fe800000000000000000000000000001",
        "00",
        "18 0a0902",
        "40 01 01 00",
        "40 02 06 02 01 0000fc01",
    ),
    Update(
        attributes=PathAttributes(
            origin=Origin.IGP,
            as_path=(sequence(64513),),
            mp_reach=MpReach(Family.IPV4_UNICAST, IPv6Address("fe80::1"), (ip_network("10.9.2.0/24"),)),
        )
    ),
)
# RFC 4271 section 5: an optional transitive attribute that we don't know
UPDATE_UNKNOWN = (
    octets(MARKER, "001d 02  0000 0006", "c0 63 03 0000fc"),
    Update(attributes=PathAttributes(others=(RawAttribute(0xC0, 99, bytes.fromhex("0000fc")),))),
)

CASES: dict[str, tuple[bytes, Message]] = {
    name: value for name, value in globals().items() if name.isupper() and isinstance(value, tuple)
}

# RFC 6793 section 4.2.2: to a speaker with two-octet AS numbers: AS_TRANS, and AS4_PATH beside it
UPDATE_TWO_OCTET: tuple[bytes, Update] = (
    octets(
        MARKER,
        "0037 02  0000 001b",
        "40 01 01 00",
        "40 02 04 02 01 5ba0",
        "40 03 04 0a630001",
        "c0 11 06 02 01 fffffff0",
        "20 0a090001",
    ),
    Update(
        attributes=PathAttributes(
            origin=Origin.IGP,
            as_path=(sequence(23456),),
            next_hop=IPv4Address("10.99.0.1"),
            as4_path=(sequence(4294967280),),
        ),
        nlri=(ip_network("10.9.0.1/32"),),
    ),
)
