# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Path attributes: what an UPDATE says about its routes (RFC 4271 section 4.3 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from ipaddress import IPv4Address, IPv6Address

from vipcast.bgp.route import LargeCommunity, Prefix
from vipcast.bgp.wire import Family
from vipcast.model.addresses import IPAddress

MAX_TWO_OCTET_ASN = 0xFFFF

OPTIONAL, TRANSITIVE, PARTIAL, EXTENDED = 0x80, 0x40, 0x20, 0x10


class Code(IntEnum):
    ORIGIN = 1
    AS_PATH = 2
    NEXT_HOP = 3
    MULTI_EXIT_DISC = 4
    LOCAL_PREF = 5
    ATOMIC_AGGREGATE = 6
    AGGREGATOR = 7
    COMMUNITIES = 8
    ORIGINATOR_ID = 9
    CLUSTER_LIST = 10
    MP_REACH_NLRI = 14
    MP_UNREACH_NLRI = 15
    EXTENDED_COMMUNITIES = 16
    AS4_PATH = 17
    AS4_AGGREGATOR = 18
    IPV6_EXTENDED_COMMUNITIES = 25
    LARGE_COMMUNITIES = 32


class Origin(IntEnum):
    IGP = 0
    EGP = 1
    INCOMPLETE = 2


class SegmentKind(IntEnum):
    """RFC 4271 section 4.3 b and RFC 5065 section 3."""

    SET = 1
    SEQUENCE = 2
    CONFED_SEQUENCE = 3
    CONFED_SET = 4


@dataclass(frozen=True, slots=True)
class Segment:
    kind: SegmentKind
    asns: tuple[int, ...]


AsPath = tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class MpReach:
    """MP_REACH_NLRI (RFC 4760 section 3); ``link_local`` as in RFC 2545 section 3."""

    family: Family
    next_hop: IPAddress
    nlri: Sequence[Prefix]
    link_local: IPv6Address | None = None


@dataclass(frozen=True, slots=True)
class MpUnreach:
    """MP_UNREACH_NLRI (RFC 4760 section 4). Without prefixes it is an End-of-RIB (RFC 4724 section 2)."""

    family: Family
    nlri: Sequence[Prefix] = ()


@dataclass(frozen=True, slots=True)
class RawAttribute:
    """One that we don't interpret; ``flags`` without the extended-length bit."""

    flags: int
    code: int
    value: bytes


@dataclass(frozen=True, slots=True)
class PathAttributes:
    """The path attributes of one UPDATE. None: the attribute is absent.

    An extended community is its eight octets (RFC 4360 section 2); ``vipcast.bgp.extended_communities`` makes
    them.
    """

    origin: Origin | None = None
    as_path: AsPath | None = None
    next_hop: IPv4Address | None = None
    med: int | None = None
    local_pref: int | None = None
    communities: frozenset[int] | None = None
    mp_reach: MpReach | None = None
    mp_unreach: MpUnreach | None = None
    extended_communities: frozenset[bytes] | None = None
    as4_path: AsPath | None = None
    large_communities: frozenset[LargeCommunity] | None = None
    others: tuple[RawAttribute, ...] = ()


class Treatment(Enum):
    """The treatments of RFC 7606 section 2 for an error that needs no reset."""

    DISCARD = "attribute discarded"
    WITHDRAW = "routes treated as withdrawn"


@dataclass(frozen=True, slots=True)
class Problem:
    """``code`` is that of the attribute, where it is about one."""

    treatment: Treatment
    what: str
    code: int | None = None
