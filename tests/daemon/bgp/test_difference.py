# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is desired, in whatever order: the peer has it in the end, and was told no more than it needed."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import pairwise
from typing import Any

from daemon.bgp.reader import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bounds import at_most

from vipcast.bgp.export import Export, NextHop
from vipcast.bgp.framing import FrameBuffer
from vipcast.bgp.messages import RouteRefresh, Update, decode, encode
from vipcast.bgp.rib import AdjRibOut
from vipcast.bgp.route import Prefix, Route
from vipcast.bgp.wire import Family

V4 = [IPv4Network((0x0A000000 + i, 32)) for i in range(4)] + [IPv4Network((0, n)) for n in (0, 8, 9, 25)]
V6 = [IPv6Network((0xFD << 120 | i, 128)) for i in range(4)] + [IPv6Network((0, n)) for n in (0, 8, 65)]
IPV6_HOP = NextHop(IPv6Address("fd99::1"), IPv6Address("fe80::1"))
HOPS = {
    "classic": {Family.IPV4_UNICAST: NextHop(IPv4Address("10.99.0.1")), Family.IPV6_UNICAST: IPV6_HOP},
    "RFC 8950": {Family.IPV4_UNICAST: IPV6_HOP, Family.IPV6_UNICAST: IPV6_HOP},
    "IPv4 alone": {Family.IPV4_UNICAST: NextHop(IPv4Address("10.99.0.1"))},
}
EXPORTS = st.builds(
    Export,
    asn=st.sampled_from([64513, 4200000000]),
    internal=st.booleans(),
    asn4=st.just(True),
    families=st.sampled_from([frozenset(Family), frozenset({Family.IPV4_UNICAST})]),
    next_hops=st.sampled_from(list(HOPS.values())),
    max_length=st.sampled_from([4096, 65535]),
    enhanced_refresh=st.booleans(),
)
ROUTES = st.builds(
    Route,
    st.sampled_from(V4 + V6),
    st.sampled_from([None, 0, 100, 200]),
    st.frozensets(st.sampled_from([0, 1, 0xFFFFFFFF]), max_size=2),
    st.frozensets(st.sampled_from([(1, 2, 3), (64513, 0, 0xFFFFFFFF)]), max_size=2),
    st.sampled_from([None, 0.0, 3.0]),
)
DESIRED = st.lists(ROUTES, max_size=10, unique_by=lambda route: route.key)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("desire"), DESIRED),
        st.tuples(st.just("take"), st.integers(1, 4)),
        st.tuples(st.just("resend"), st.sampled_from(Family)),
        st.tuples(st.just("reconnect"), EXPORTS),
    ),
    max_size=12,
)
MANY = settings(max_examples=300, deadline=None)


def shown(route: Route, export: Export) -> dict[str, Any] | None:
    """Return what the second reader should find, said from the RFCs; None: it must not be announced."""
    family = Family.IPV4_UNICAST if route.prefix.version == 4 else Family.IPV6_UNICAST
    hop = export.next_hops.get(family)
    if family not in export.families or hop is None:
        return None
    hops = [hop.address] if isinstance(hop.address, IPv4Address) else [hop.address, hop.link_local]
    asn = export.asn if export.asn < 65536 else 23456
    kind = 0x40 if export.internal else 0
    return {
        "origin": 0,
        "path": [] if export.internal else [export.asn],
        "next hop": " ".join(map(str, hops)),
        **({"preference": 100 if route.local_pref is None else route.local_pref} if export.internal else {}),
        **({"communities": [(value,) for value in sorted(route.communities)]} if route.communities else {}),
        **({"extended": [(kind, 4, asn, route.bandwidth)]} if route.bandwidth is not None else {}),
        **({"large": sorted(route.large_communities)} if route.large_communities else {}),
    }


@dataclass
class Peer:
    """Both readers, fed with the same octets."""

    export: Export

    def __post_init__(self) -> None:
        self.rib_in: dict[Prefix, Any] = {}
        self.second = Table(self.export.max_length)
        self._frames = FrameBuffer()
        self._frames.max_length = self.export.max_length

    def take(self, message: Update | RouteRefresh) -> None:
        data = encode(message, max_length=self.export.max_length)
        self.second.read(data)
        self._frames.receive(data)
        for frame in self._frames:
            update = decode(frame, internal=self.export.internal)
            if not isinstance(update, Update):
                continue
            assert update.problems == ()
            for prefix in update.removed:
                del self.rib_in[prefix]
            self.rib_in.update(dict.fromkeys(update.announced, update.attributes))

    def drain(self, rib: AdjRibOut) -> None:
        more = at_most()
        while more() and (message := rib.take()) is not None:
            self.take(message)
        assert not rib.busy

    def has(self, routes: list[Route]) -> None:
        expected = {str(route.prefix): shown(route, self.export) for route in routes}
        wanted = {prefix: attributes for prefix, attributes in expected.items() if attributes is not None}
        assert self.second.routes == wanted
        assert {str(prefix) for prefix in self.rib_in} == set(wanted)


@MANY
@given(steps=STEPS, last=DESIRED, export=EXPORTS)
def test_the_peer_ends_up_with_the_desired_set(
    steps: list[tuple[str, Any]], last: list[Route], export: Export
) -> None:
    rib, peer = AdjRibOut(), Peer(export)
    rib.open(export)
    for what, value in [*steps, ("desire", last)]:
        if what == "desire":
            rib.set_desired(value)
        elif what == "take":
            for _again in range(value):
                if (message := rib.take()) is not None:
                    peer.take(message)
        elif what == "resend":
            rib.resend(value)
        else:
            rib.close()
            peer = Peer(value)
            rib.open(value)
    peer.drain(rib)
    peer.has(last)
    assert set(rib.sent) | set(rib.withheld) == set(last)
    assert peer.second.ends == [family.afi for family in Family if family in peer.export.families]


@MANY
@given(sets=st.lists(DESIRED, min_size=1, max_size=5), export=EXPORTS)
def test_no_change_takes_more_messages_than_it_has_to(sets: list[list[Route]], export: Export) -> None:
    """One for each family with withdrawals, one for each set of attributes among what is new or different."""
    rib, peer = AdjRibOut(), Peer(export)
    rib.open(export)
    peer.drain(rib)
    before: dict[str, Any] = {}
    for routes in sets:
        after = {str(r.prefix): a for r in routes if (a := shown(r, export)) is not None}
        gone = {":" in prefix for prefix in before if prefix not in after}
        changed = {(":" in p, repr(a)) for p, a in after.items() if before.get(p) != a}
        updates = peer.second.updates
        rib.set_desired(routes)
        peer.drain(rib)
        peer.has(routes)
        assert peer.second.updates - updates == len(gone) + len(changed)
        before = after


@MANY
@given(routes=DESIRED, families=st.lists(st.sampled_from(Family), min_size=1, max_size=4), export=EXPORTS)
def test_what_is_asked_for_again_comes_once_more_and_is_marked(
    routes: list[Route], families: list[Family], export: Export
) -> None:
    """RFC 2918 section 4, RFC 7313 section 4; doubles are one, families that are not negotiated none."""
    rib, peer = AdjRibOut(), Peer(export)
    rib.open(export)
    rib.set_desired(routes)
    peer.drain(rib)
    updates = peer.second.updates
    for family in families:
        rib.resend(family)
    peer.drain(rib)
    peer.has(routes)
    asked = [family for family in dict.fromkeys(families) if family in export.families]
    marks = [(family.afi, mark, family.safi) for family in asked for mark in (1, 2)]
    assert peer.second.marks == (marks if export.enhanced_refresh else [])
    again = {
        (route.prefix.version, repr(attributes))
        for route in routes
        if (attributes := shown(route, export)) is not None
        and (4 if Family.IPV4_UNICAST in asked else 0, 6 if Family.IPV6_UNICAST in asked else 0).count(
            route.prefix.version
        )
    }
    assert peer.second.updates - updates == len(again)


@given(count=st.integers(0, 3000), export=EXPORTS)
@settings(max_examples=25, deadline=None)
def test_messages_are_full(count: int, export: Export) -> None:
    """Each but the last of a group has no room for another prefix."""
    rib, peer = AdjRibOut(), Peer(export)
    rib.open(export)
    peer.drain(rib)
    routes = [Route(IPv4Network((0x0A000000 + i, 32)), None, frozenset({i % 2})) for i in range(count)]
    rib.set_desired(routes)
    lengths: list[tuple[frozenset[int] | None, int]] = []
    more = at_most()
    while more() and (message := rib.take()) is not None:
        peer.take(message)
        assert isinstance(message, Update)
        lengths.append((message.attributes.communities, len(encode(message, max_length=export.max_length))))
    peer.has(routes)
    for (group, length), (following, _length) in pairwise(lengths):
        if group == following:
            assert length > export.max_length - 6
