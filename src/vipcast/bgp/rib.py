# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adj-RIB-Out: what the peer should have, what it has been sent, and the messages that make the two equal.

The desired set goes in whole; ``take`` gives one message after another until nothing is left. Routes with the
same attributes share messages, as many prefixes in each as it holds; withdrawals come first. What changes
while messages are still being taken is simply a new difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from vipcast.bgp.attribute_encoder import encode_multiprotocol, encode_shared
from vipcast.bgp.attributes import MpUnreach, PathAttributes
from vipcast.bgp.errors import LocalError
from vipcast.bgp.export import Export, Group, Withheld
from vipcast.bgp.messages import RefreshMark, RouteRefresh, Update
from vipcast.bgp.route import Prefix, Route
from vipcast.bgp.wire import Family, PackedPrefixes, family_of

# A multiprotocol attribute grows a second length octet when it passes 255.
_EXTENDED_LENGTH = 1
# Flags, type, two octets of length; AFI and SAFI.
_UNREACH_OVERHEAD = 4 + 3


class AdjRibOut:
    """Desired routes and one session's progress with them.

    ``open`` begins a session, ``close`` ends it: then nothing has been sent. ``set_desired`` may come at any
    time.
    """

    def __init__(self) -> None:
        self.version = 0
        """Grows with every change of what is desired, sent or withheld."""
        self._desired: dict[bytes, Route] = {}
        self._sent: dict[bytes, Route] = {}
        self._export: Export | None = None
        self._withheld: dict[Route, Withheld] = {}
        self._withdraw: dict[bytes, Route] = {}
        self._announce: dict[Group, dict[bytes, Route]] = {}
        self._end_of_rib: list[Family] = []
        self._resend: dict[Family, None] = {}
        self._resending: Family | None = None
        self._restarting = False
        self._told = False  # what is desired: until then an empty set means that nobody has said anything

    @property
    def desired(self) -> Collection[Route]:
        return self._desired.values()

    @property
    def sent(self) -> Collection[Route]:
        """Return what the peer has been told and not been told to forget."""
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
        if self._withdraw or self._announce:
            return True
        if self._end_of_rib:  # whatever is to be sent again comes after it
            return not self._waits_for_routes
        return bool(self._resend or self._resending)

    @property
    def _waits_for_routes(self) -> bool:
        return self._restarting and not self._told

    def set_desired(self, routes: Collection[Route]) -> None:
        """The whole set. Raises LocalError where two routes are for one prefix."""
        desired = {route.key: route for route in routes}
        if len(desired) != len(routes):
            raise LocalError(f"two routes for {_first_double(routes)}: a session carries one for each prefix")
        self._told = True
        if desired != self._desired:
            self._desired = desired
            self._compare()

    def open(self, export: Export, *, restarting: bool = False) -> None:
        """``restarting``: until End-of-RIB the peer keeps what it had from us before (RFC 4724 section 4.2),
        so that is not sent before there is a set of routes.
        """
        self._export = export
        self._sent = {}
        self._end_of_rib = [family for family in Family if family in export.families]
        self._restarting = restarting
        self._compare()

    def close(self) -> None:
        self._export = None
        self._sent = {}
        self._end_of_rib = []
        self._resend = {}
        self._resending = None
        self._compare()

    def resend(self, family: Family) -> None:
        """Announce everything of a family again (RFC 2918 section 4), once the peer has taken what is due.

        A peer that asks again and again meanwhile gets one answer: its requests cost no more than it reads.
        """
        if self._export is not None and family in self._export.families:
            self._resend[family] = None

    def take(self) -> Update | RouteRefresh | None:
        """The next message; None when the peer has been told everything."""
        if self._export is None:
            return None
        self.version += 1
        if self._withdraw:
            return self._take_withdrawals(self._export)
        if self._announce:
            return self._take_announcements(self._export)
        if self._end_of_rib:
            return self._take_end_of_rib()
        return self._take_resend(self._export)

    # ---- the difference ----

    def _compare(self) -> None:
        """Find the difference anew; what is due for a resend and unchanged stays due."""
        again = {route.key for route in self.pending if self._sent.get(route.key) == route}
        self.version += 1
        self._withdraw, self._announce, self._withheld = {}, {}, {}
        export, sent = self._export, self._sent
        if export is None:
            return
        wanted: set[bytes] | None = set() if sent else None
        for group, routes in _grouped(self._desired.values(), export).items():
            reason = export.withheld(routes[0])
            if reason is not None:
                self._withheld.update(dict.fromkeys(routes, reason))
                continue
            self._compare_group(export, group, routes, again)
            if wanted is not None:
                wanted.update(route.key for route in routes)
        if wanted is not None:
            self._withdraw = {key: route for key, route in sent.items() if key not in wanted}

    def _compare_group(
        self, export: Export, group: Group, routes: list[Route], again: Collection[bytes]
    ) -> None:
        due, sent = {}, self._sent
        if not sent:
            self._announce[group] = {route.key: route for route in routes}
            return
        for route in routes:
            old = sent.get(route.key)
            if old == route and route.key not in again:
                continue
            if old is not None and export.group(old) == group and route.key not in again:
                sent[route.key] = route  # it differs in what this peer is not told
            else:
                due[route.key] = route
        if due:
            self._announce[group] = due

    # ---- messages ----

    def _take_withdrawals(self, export: Export) -> Update:
        family = family_of(next(iter(self._withdraw.values())).prefix)
        candidates = (route for route in self._withdraw.values() if family_of(route.prefix) is family)
        overhead = 0 if family is Family.IPV4_UNICAST else _UNREACH_OVERHEAD
        routes = _fitting(candidates, export.room - overhead)
        for route in routes:
            del self._withdraw[route.key], self._sent[route.key]
        prefixes = _packed(routes, family)
        if family is Family.IPV4_UNICAST:
            return Update(withdrawn=prefixes)
        return Update(attributes=PathAttributes(mp_unreach=MpUnreach(family, prefixes)))

    def _take_announcements(self, export: Export) -> Update:
        key, group = next(iter(self._announce.items()))
        attributes = export.attributes(next(iter(group.values())))
        shared = encode_shared(attributes, asn4=export.asn4)
        used = len(encode_multiprotocol(attributes)) + _EXTENDED_LENGTH + len(shared)
        routes = _fitting(group.values(), export.room - used)
        for route in routes:
            self._sent[route.key] = group.pop(route.key)
        if not group:
            del self._announce[key]
        return _announcement(attributes, _packed(routes, family_of(routes[0].prefix)), shared)

    def _take_end_of_rib(self) -> Update | None:
        """RFC 4724 section 2: sent without the graceful restart capability as well; convergence profits."""
        if self._waits_for_routes:
            return None
        family = self._end_of_rib.pop(0)
        if family is Family.IPV4_UNICAST:
            return Update()
        return Update(attributes=PathAttributes(mp_unreach=MpUnreach(family)))

    def _take_resend(self, export: Export) -> Update | RouteRefresh | None:
        """One family after the other; RFC 7313 section 4: a mark before, and one after."""
        ended, self._resending = self._resending, None
        if ended is not None and export.enhanced_refresh:
            return RouteRefresh(ended.afi, ended.safi, RefreshMark.END)
        if not self._resend:
            return None
        family = next(iter(self._resend))
        del self._resend[family]
        self._resending = family if export.enhanced_refresh else None
        for route in self._sent.values():
            if family_of(route.prefix) is family:
                self._announce.setdefault(export.group(route), {})[route.key] = route
        if export.enhanced_refresh:
            return RouteRefresh(family.afi, family.safi, RefreshMark.BEGIN)
        return self.take()


def _grouped(routes: Collection[Route], export: Export) -> dict[Group, list[Route]]:
    groups: dict[Group, list[Route]] = {}
    for route in routes:
        groups.setdefault(export.group(route), []).append(route)
    return groups


def _packed(routes: list[Route], family: Family) -> PackedPrefixes:
    return PackedPrefixes(b"".join([route.key[1:] for route in routes]), family)


def _announcement(attributes: PathAttributes, prefixes: PackedPrefixes, shared: bytes) -> Update:
    """Return the UPDATE; ``shared``: the octets of all attributes but MP_REACH_NLRI."""
    reach = attributes.mp_reach
    if reach is None:
        return Update(attributes=attributes, nlri=prefixes, encoded=shared)
    full = replace(attributes, mp_reach=replace(reach, nlri=prefixes))
    return Update(attributes=full, encoded=encode_multiprotocol(full) + shared)


def _fitting(routes: Collection[Route] | Iterator[Route], room: int) -> list[Route]:
    """Return the first prefixes that fit into ``max_bytes`` octets; at least one is known to fit."""
    taken: list[Route] = []
    for route in routes:
        room -= len(route.key) - 1
        if room < 0:
            break
        taken.append(route)
    return taken


def _first_double(routes: Collection[Route]) -> Prefix:
    counts = Counter(route.prefix for route in routes)
    return next(prefix for prefix, count in counts.items() if count > 1)
