# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adj-RIB-Out: what the peer should have, what it has been sent, and the UPDATEs that make the two equal.

The desired set goes in whole; ``take`` gives one UPDATE after another until nothing is left. Routes with the
same attributes share messages, as many prefixes in each as 4096 octets hold; withdrawals come first. What
changes while messages are still being taken is simply a new difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

from vipcast.bgp.attributes import (
    AS_TRANS,
    MAX_TWO_OCTET_ASN,
    MpReach,
    MpUnreach,
    Origin,
    PathAttributes,
    Segment,
    SegmentKind,
    encode_attributes,
)
from vipcast.bgp.errors import LocalError
from vipcast.bgp.framing import HEADER_LENGTH, MAX_LENGTH
from vipcast.bgp.messages import Update
from vipcast.bgp.route import Address, Prefix, Route
from vipcast.bgp.wire import Family, encode_prefix, family_of

DEFAULT_LOCAL_PREF = 100

# Two length fields of two octets each stand before the attributes and after the withdrawn routes.
_ROOM = MAX_LENGTH - HEADER_LENGTH - 4
# A multiprotocol attribute grows a second length octet when it passes 255.
_EXTENDED_LENGTH = 1


class Withheld(Enum):
    """Why a route that should be announced cannot be, on this session."""

    FAMILY_NOT_NEGOTIATED = "the peer did not offer this address family"
    NO_IPV4_NEXT_HOP = "IPv4 routes need a session over IPv4: its local address is their next hop"
    NO_IPV6_NEXT_HOP = "IPv6 routes need a session over IPv6: its local address is their next hop"
    LINK_LOCAL_NEXT_HOP = (
        "the session runs over link-local addresses, which no route can have as its next hop"
    )
    TOO_MANY_COMMUNITIES = "the communities leave no room for a prefix in a message of 4096 octets"


@dataclass(frozen=True, slots=True)
class Export:
    """How routes become attributes on one session."""

    local_asn: int
    internal: bool
    four_octet: bool
    families: frozenset[Family]
    next_hop: Address

    def attributes(self, route: Route) -> PathAttributes:
        """Everything but the prefixes. Only ``local_pref`` and ``communities`` of the route matter."""
        family = family_of(route.prefix)
        hop = self.next_hop
        return PathAttributes(
            origin=Origin.IGP,
            as_path=() if self.internal else (self._segment(self.local_asn),),
            next_hop=hop if isinstance(hop, IPv4Address) and family is Family.IPV4_UNICAST else None,
            # RFC 4271 section 5.1.5: on iBGP it has to be there, on eBGP it must not.
            local_pref=_local_pref(route) if self.internal else None,
            communities=route.communities or None,
            mp_reach=MpReach(family, hop, ()) if family is Family.IPV6_UNICAST else None,
            as4_path=self._as4_path(),
        )

    def _segment(self, asn: int) -> Segment:
        shown = asn if self.four_octet or asn <= MAX_TWO_OCTET_ASN else AS_TRANS
        return Segment(SegmentKind.SEQUENCE, (shown,))

    def _as4_path(self) -> tuple[Segment, ...] | None:
        """RFC 6793 section 4.2.2: an old speaker gets AS_TRANS, and the truth beside it."""
        if self.internal or self.four_octet or self.local_asn <= MAX_TWO_OCTET_ASN:
            return None
        return (Segment(SegmentKind.SEQUENCE, (self.local_asn,)),)

    def withheld(self, route: Route) -> Withheld | None:
        family = family_of(route.prefix)
        return self._no_next_hop(family) or (
            Withheld.FAMILY_NOT_NEGOTIATED if family not in self.families else self._no_room(route)
        )

    def _no_next_hop(self, family: Family) -> Withheld | None:
        if family is Family.IPV4_UNICAST:
            return None if isinstance(self.next_hop, IPv4Address) else Withheld.NO_IPV4_NEXT_HOP
        if not isinstance(self.next_hop, IPv6Address):
            return Withheld.NO_IPV6_NEXT_HOP
        return Withheld.LINK_LOCAL_NEXT_HOP if self.next_hop.is_link_local else None

    def _no_room(self, route: Route) -> Withheld | None:
        """About 1,000 communities of four octets are what a message holds."""
        return Withheld.TOO_MANY_COMMUNITIES if len(route.communities) > 900 else None


def _local_pref(route: Route) -> int:
    return DEFAULT_LOCAL_PREF if route.local_pref is None else route.local_pref


_Key = tuple[Family, int | None, frozenset[int]]


class AdjRibOut:
    """Desired routes and one session's progress with them.

    ``open`` begins a session, ``close`` ends it: then nothing has been sent. ``set_desired`` may come at any
    time.
    """

    def __init__(self) -> None:
        self.version = 0
        """Grows with every change of what is desired, sent or withheld."""
        self._desired: dict[Prefix, Route] = {}
        self._sent: dict[Prefix, Route] = {}
        self._export: Export | None = None
        self._withheld: dict[Route, Withheld] = {}
        self._withdraw: dict[Prefix, None] = {}
        self._announce: dict[_Key, dict[Prefix, Route]] = {}
        self._end_of_rib: list[Family] = []
        self._resend: set[Family] = set()

    @property
    def desired(self) -> Collection[Route]:
        return self._desired.values()

    @property
    def sent(self) -> Collection[Route]:
        """What the peer has been told and not been told to forget."""
        return self._sent.values()

    @property
    def withheld(self) -> Mapping[Route, Withheld]:
        return self._withheld

    @property
    def pending(self) -> Iterator[Route]:
        """Routes still to be announced on this session."""
        return (route for group in self._announce.values() for route in group.values())

    @property
    def busy(self) -> bool:
        return bool(self._withdraw or self._announce or self._resend or self._end_of_rib)

    def set_desired(self, routes: Collection[Route]) -> None:
        """The whole set. Raises LocalError where two routes are for one prefix."""
        desired = {route.prefix: route for route in routes}
        if len(desired) != len(routes):
            raise LocalError(f"two routes for {_first_double(routes)}: a session carries one for each prefix")
        self._desired = desired
        self._compare()

    def open(self, export: Export) -> None:
        self._export = export
        self._sent = {}
        self._end_of_rib = [family for family in Family if family in export.families]
        self._compare()

    def close(self) -> None:
        self._export = None
        self._sent = {}
        self._end_of_rib = []
        self._resend = set()
        self._compare()

    def resend(self, family: Family) -> None:
        """Announce everything of a family again (RFC 2918 section 4), once the peer has taken what is due.

        A peer that asks again and again meanwhile gets one answer: its requests cost no more than it reads.
        """
        if self._export is not None and family in self._export.families:
            self._resend.add(family)

    def take(self) -> Update | None:
        """The next UPDATE; None when the peer has been told everything."""
        if self._export is None:
            return None
        self.version += 1
        if self._resend and not (self._withdraw or self._announce):
            self._queue_resend()
        if self._withdraw:
            return self._take_withdrawals()
        if self._announce:
            return self._take_announcements(self._export)
        return self._take_end_of_rib()

    def _compare(self) -> None:
        """Find the difference anew; what is due for a resend and unchanged stays due."""
        again = {route.prefix: route for route in self.pending if self._sent.get(route.prefix) == route}
        self.version += 1
        self._withdraw, self._announce, self._withheld = {}, {}, {}
        if self._export is None:
            return
        wanted, sent = self._sendable(self._export), self._sent
        self._withdraw = dict.fromkeys(prefix for prefix in sent if prefix not in wanted)
        for prefix, route in wanted.items():
            if not sent or sent.get(prefix) != route or again.get(prefix) == route:
                self._queue(route)

    def _sendable(self, export: Export) -> dict[Prefix, Route]:
        """Hashing prefixes is what costs here: the set is copied only where something is withheld."""
        found = ((route, export.withheld(route)) for route in self._desired.values())
        self._withheld = {route: reason for route, reason in found if reason is not None}
        if not self._withheld:
            return self._desired
        return {prefix: route for prefix, route in self._desired.items() if route not in self._withheld}

    def _queue(self, route: Route) -> None:
        key = (family_of(route.prefix), route.local_pref, route.communities)
        self._announce.setdefault(key, {})[route.prefix] = route

    def _queue_resend(self) -> None:
        for prefix, route in self._sent.items():
            if family_of(prefix) in self._resend:
                self._queue(route)
        self._resend.clear()

    def _take_withdrawals(self) -> Update:
        family = family_of(next(iter(self._withdraw)))
        candidates = (prefix for prefix in self._withdraw if family_of(prefix) is family)
        prefixes = _fitting(candidates, _ROOM - (0 if family is Family.IPV4_UNICAST else _UNREACH_OVERHEAD))
        for prefix in prefixes:
            del self._withdraw[prefix], self._sent[prefix]
        if family is Family.IPV4_UNICAST:
            return Update(withdrawn=prefixes)
        return Update(attributes=PathAttributes(mp_unreach=MpUnreach(family, prefixes)))

    def _take_announcements(self, export: Export) -> Update:
        key, group = next(iter(self._announce.items()))
        attributes = export.attributes(next(iter(group.values())))
        used = len(encode_attributes(attributes, four_octet=export.four_octet)) + _EXTENDED_LENGTH
        prefixes = _fitting(group, _ROOM - used)
        for prefix in prefixes:
            self._sent[prefix] = group.pop(prefix)
        if not group:
            del self._announce[key]
        return _announcement(key[0], attributes, prefixes)

    def _take_end_of_rib(self) -> Update | None:
        """RFC 4724 section 2: sent without the graceful restart capability as well; convergence profits."""
        if not self._end_of_rib:
            return None
        family = self._end_of_rib.pop(0)
        if family is Family.IPV4_UNICAST:
            return Update()
        return Update(attributes=PathAttributes(mp_unreach=MpUnreach(family)))


# Flags, type, two octets of length; AFI and SAFI.
_UNREACH_OVERHEAD = 4 + 3


def _announcement(family: Family, attributes: PathAttributes, prefixes: tuple[Prefix, ...]) -> Update:
    if family is Family.IPV4_UNICAST or attributes.mp_reach is None:
        return Update(attributes=attributes, nlri=prefixes)
    reach = MpReach(family, attributes.mp_reach.next_hop, prefixes)
    return Update(attributes=replace(attributes, mp_reach=reach))


def _fitting(prefixes: Collection[Prefix] | Iterator[Prefix], room: int) -> tuple[Prefix, ...]:
    """As many as ``room`` octets hold, at least one being known to fit."""
    taken: list[Prefix] = []
    for prefix in prefixes:
        room -= len(encode_prefix(prefix))
        if room < 0:
            break
        taken.append(prefix)
    return tuple(taken)


def _first_double(routes: Collection[Route]) -> Prefix:
    counts = Counter(route.prefix for route in routes)
    return next(prefix for prefix, count in counts.items() if count > 1)
