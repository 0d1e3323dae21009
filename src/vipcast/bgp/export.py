# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The export of routes on one session: their path attributes, and the reasons why some cannot be sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

from vipcast.bgp.attributes import (
    MAX_TWO_OCTET_ASN,
    MpReach,
    Origin,
    PathAttributes,
    Segment,
    SegmentKind,
)
from vipcast.bgp.extended_communities import link_bandwidth
from vipcast.bgp.framing import HEADER_LENGTH, MAX_LENGTH
from vipcast.bgp.negotiation import Negotiated, SessionSettings
from vipcast.bgp.route import LargeCommunity, Route
from vipcast.bgp.wire import Family, family_of
from vipcast.model.addresses import IPAddress
from vipcast.model.asns import AS_TRANS

DEFAULT_LOCAL_PREF = 100

# What a message can need beside communities: header, lengths, all other attributes, the longest prefix.
_BESIDE_COMMUNITIES = 300


class Withheld(Enum):
    """The reason why a route cannot be announced on this session."""

    FAMILY_NOT_NEGOTIATED = "not both sides offered this address family"
    NO_IPV4_NEXT_HOP = (
        "the session's interface has no IPv4 address to be the next hop, "
        "and the peer takes no IPv6 next hop for IPv4 routes (RFC 8950)"
    )
    NO_IPV6_NEXT_HOP = "the session's interface has no IPv6 address to be the next hop"
    TOO_MANY_COMMUNITIES = "the communities leave no room for a prefix in a message of this session"


@dataclass(frozen=True, slots=True)
class NextHop:
    """``link_local`` beside a global address: RFC 2545 section 3."""

    address: IPAddress
    link_local: IPv6Address | None = None


def choose_next_hops(
    local: IPAddress, others: Mapping[Family, IPAddress], *, ipv6_for_ipv4: bool
) -> dict[Family, NextHop]:
    """A next hop for each family that has one: our address on the connection where it is of that family.

    ``others``: global addresses of the same interface. ``ipv6_for_ipv4``: whether the peer takes IPv6 next
    hops for IPv4 routes (RFC 8950). It then gets them where there is no IPv4 address, and on link-local
    sessions: nothing says that the two ends have a common IPv4 network.
    """
    ipv6 = _ipv6_next_hop(local, others.get(Family.IPV6_UNICAST))
    ipv4 = local if isinstance(local, IPv4Address) else others.get(Family.IPV4_UNICAST)
    found: dict[Family, NextHop] = {}
    if ipv6 is not None:
        found[Family.IPV6_UNICAST] = ipv6
    unnumbered = isinstance(local, IPv6Address) and local.is_link_local
    if ipv6_for_ipv4 and ipv6 is not None and (ipv4 is None or unnumbered):
        found[Family.IPV4_UNICAST] = ipv6
    elif isinstance(ipv4, IPv4Address):
        found[Family.IPV4_UNICAST] = NextHop(ipv4)
    return found


def _ipv6_next_hop(local: IPAddress, other: IPAddress | None) -> NextHop | None:
    if isinstance(local, IPv6Address) and not local.is_link_local:
        return NextHop(_plain(local))
    link_local = _plain(local) if isinstance(local, IPv6Address) else None
    if isinstance(other, IPv6Address):
        return NextHop(_plain(other), link_local)
    return None if link_local is None else NextHop(link_local)


def _plain(address: IPv6Address) -> IPv6Address:
    """Return the address without its zone, which only this host knows."""
    return IPv6Address(address.packed)


# What tells groups of routes apart; the first is the IP version.
Group = tuple[int, int | None, frozenset[int], frozenset[LargeCommunity], float | None, int | None, int]


@dataclass(frozen=True, slots=True)
class Export:
    """One session's rules. ``asn`` is the AS that the peer sees us in; ``max_length`` that of a message.

    ``enhanced_refresh``: routes that are sent again stand between two marks (RFC 7313).
    """

    asn: int
    internal: bool
    asn4: bool
    families: frozenset[Family]
    next_hops: Mapping[Family, NextHop]
    max_length: int = MAX_LENGTH
    enhanced_refresh: bool = False

    @classmethod
    def of(
        cls,
        settings: SessionSettings,
        negotiated: Negotiated,
        local: IPAddress,
        others: Mapping[Family, IPAddress],
    ) -> Export:
        """``local`` and ``others`` as for ``choose_next_hops``."""
        return cls(
            asn=settings.speaking_asn,
            internal=negotiated.internal,
            asn4=negotiated.asn4,
            families=negotiated.families,
            next_hops=choose_next_hops(local, others, ipv6_for_ipv4=negotiated.ipv6_for_ipv4),
            max_length=negotiated.max_length,
            enhanced_refresh=negotiated.enhanced_refresh,
        )

    @property
    def room(self) -> int:
        """Octets for prefixes and attributes; two lengths of two octets each stand before them."""
        return self.max_length - HEADER_LENGTH - 4

    def group(self, route: Route) -> Group:
        """Routes of one group share messages. External peers see no LOCAL_PREF (RFC 4271 section 5.1.5), and
        internal ones a path that is empty (section 5.1.2).
        """
        preference, prepend = (_local_pref(route), 0) if self.internal else (None, route.prepend)
        shown = route.communities, route.large_communities, route.bandwidth, route.med
        return route.key[0], preference, *shown, prepend

    def attributes(self, route: Route) -> PathAttributes:
        """Everything but the prefixes; the same for the whole group."""
        family = family_of(route.prefix)
        hop = self.next_hops[family]
        ipv4 = hop.address if isinstance(hop.address, IPv4Address) else None
        return PathAttributes(
            origin=Origin.IGP,
            as_path=() if self.internal else (self._segment(route),),
            next_hop=ipv4,
            med=route.med,
            # RFC 4271 section 5.1.5: on iBGP it has to be there, on eBGP it must not.
            local_pref=_local_pref(route) if self.internal else None,
            communities=route.communities or None,
            extended_communities=self._extended(route),
            large_communities=route.large_communities or None,
            mp_reach=None if ipv4 else MpReach(family, hop.address, (), hop.link_local),
            as4_path=self._as4_path(route),
        )

    def _extended(self, route: Route) -> frozenset[bytes] | None:
        """RFC 4360 section 6: what is not transitive does not pass the border of an AS."""
        if route.bandwidth is None:
            return None
        return frozenset({link_bandwidth(self.asn, route.bandwidth, transitive=not self.internal)})

    def _segment(self, route: Route) -> Segment:
        shown = self.asn if self.asn4 or self.asn <= MAX_TWO_OCTET_ASN else AS_TRANS
        return Segment(SegmentKind.SEQUENCE, (shown,) * (1 + route.prepend))

    def _as4_path(self, route: Route) -> tuple[Segment, ...] | None:
        """RFC 6793 section 4.2.2: an old speaker gets AS_TRANS, and the truth beside it."""
        if self.internal or self.asn4 or self.asn <= MAX_TWO_OCTET_ASN:
            return None
        return (Segment(SegmentKind.SEQUENCE, (self.asn,) * (1 + route.prepend)),)

    def withheld(self, route: Route) -> Withheld | None:
        """The same for the whole group."""
        family = family_of(route.prefix)
        if family not in self.families:
            return Withheld.FAMILY_NOT_NEGOTIATED
        if family not in self.next_hops:
            return _NO_NEXT_HOP[family]
        octets = 4 * len(route.communities) + 12 * len(route.large_communities) + _BESIDE_COMMUNITIES
        return Withheld.TOO_MANY_COMMUNITIES if octets > self.max_length else None


_NO_NEXT_HOP = {
    Family.IPV4_UNICAST: Withheld.NO_IPV4_NEXT_HOP,
    Family.IPV6_UNICAST: Withheld.NO_IPV6_NEXT_HOP,
}


def _local_pref(route: Route) -> int:
    return DEFAULT_LOCAL_PREF if route.local_pref is None else route.local_pref
