# SPDX-License-Identifier: GPL-3.0-or-later
"""Adj-RIB-Out: the peer ends up with the desired set, in few messages, whatever happens on the way."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vipcast.bgp.attributes import Origin, SegmentKind
from vipcast.bgp.errors import LocalError
from vipcast.bgp.framing import FrameBuffer
from vipcast.bgp.messages import Update, decode, encode
from vipcast.bgp.rib import AdjRibOut, Export, Withheld
from vipcast.bgp.route import Prefix, Route
from vipcast.bgp.wire import Family

BOTH = frozenset(Family)


def export(**values: object) -> Export:
    defaults = {
        "local_asn": 64513,
        "internal": False,
        "four_octet": True,
        "families": BOTH,
        "next_hop": IPv4Address("10.99.0.1"),
    }
    return Export(**{**defaults, **values})  # type: ignore[arg-type]


def over_ipv6(**values: object) -> Export:
    return export(next_hop=IPv6Address("fd99::1"), **values)


def hosts(count: int, start: int = 0x0A090000) -> list[Route]:
    return [Route(IPv4Network((start + i, 32))) for i in range(count)]


def drain(rib: AdjRibOut) -> list[Update]:
    """Everything it wants to say, through octets and back."""
    updates = []
    while (update := rib.take()) is not None:
        buffer = FrameBuffer()
        buffer.receive(encode(update))
        (frame,) = buffer
        decoded = decode(frame)
        assert isinstance(decoded, Update)
        assert decoded.problems == ()
        updates.append(decoded)
    return updates


class Receiver:
    """What a peer makes of UPDATEs."""

    def __init__(self) -> None:
        self.table: dict[Prefix, tuple[int | None, frozenset[int]]] = {}

    def take(self, update: Update) -> None:
        for prefix in update.removed:
            assert prefix in self.table, "a withdrawal of what was never announced"
            del self.table[prefix]
        for prefix in update.announced:
            attributes = update.attributes
            self.table[prefix] = (attributes.local_pref, attributes.communities or frozenset())


def test_many_prefixes_share_few_messages() -> None:
    """A /32 takes 5 of the 4096 octets; 20 of attributes and 23 around them are paid once a message."""
    rib = AdjRibOut()
    rib.open(export())
    rib.set_desired(hosts(10000))
    updates = drain(rib)
    assert [len(u.nlri) for u in updates] == [810] * 12 + [280, 0, 0]
    assert updates[-2] == Update(), "End-of-RIB"
    assert max(len(encode(u)) for u in updates) in range(4092, 4097)


def test_withdrawals_are_split_at_4096_octets() -> None:
    rib = AdjRibOut()
    rib.open(export())
    rib.set_desired(hosts(2000))
    drain(rib)
    rib.set_desired([])
    assert [len(u.withdrawn) for u in drain(rib)] == [814, 814, 372]
    assert list(rib.sent) == []


def test_ipv6_goes_into_the_multiprotocol_attributes() -> None:
    rib = AdjRibOut()
    rib.open(over_ipv6())
    routes = [Route(ip_network((0xFD << 120 | i, 128))) for i in range(1000)]
    rib.set_desired(routes)
    updates = drain(rib)
    assert [len(u.announced) for u in updates] == [237] * 4 + [52, 0, 0]
    reach = updates[0].attributes.mp_reach
    assert reach is not None
    assert (reach.next_hop, reach.link_local) == (IPv6Address("fd99::1"), None)
    assert updates[0].attributes.next_hop is None
    rib.set_desired([])
    assert [len(u.removed) for u in drain(rib)] == [239] * 4 + [44]


def test_routes_with_other_attributes_go_into_other_messages() -> None:
    rib = AdjRibOut()
    rib.open(export())
    plain, marked = hosts(3), [Route(r.prefix, None, frozenset({7, 3})) for r in hosts(2, 0x0A0A0000)]
    rib.set_desired(plain + marked)
    first, second, _end_of_rib = drain(rib)[:3]
    assert (first.attributes.communities, len(first.nlri)) == (None, 3)
    assert (second.attributes.communities, len(second.nlri)) == (frozenset({3, 7}), 2)


def test_only_what_changed_is_sent() -> None:
    rib = AdjRibOut()
    rib.open(export())
    rib.set_desired(hosts(5))
    drain(rib)
    changed = Route(hosts(5)[2].prefix, None, frozenset({1}))
    rib.set_desired([*hosts(5)[:2], changed])
    withdrawal, announcement = drain(rib)
    assert withdrawal.withdrawn == tuple(r.prefix for r in hosts(5)[3:])
    assert announcement.nlri == (changed.prefix,)
    rib.set_desired([*hosts(5)[:2], changed])
    assert drain(rib) == []


def test_attributes_to_an_external_peer() -> None:
    """RFC 4271 sections 5.1.1 to 5.1.5."""
    attributes = export().attributes(Route(ip_network("10.9.0.1/32"), local_pref=200))
    assert attributes.origin is Origin.IGP
    assert [(s.kind, s.asns) for s in attributes.as_path or ()] == [(SegmentKind.SEQUENCE, (64513,))]
    assert attributes.next_hop == IPv4Address("10.99.0.1")
    assert attributes.local_pref is None


@pytest.mark.parametrize(("asked", "sent"), [(None, 100), (0, 0), (200, 200)])
def test_attributes_to_an_internal_peer(asked: int | None, sent: int) -> None:
    attributes = export(internal=True).attributes(Route(ip_network("10.9.0.1/32"), local_pref=asked))
    assert attributes.as_path == ()
    assert attributes.local_pref == sent


def test_an_old_speaker_gets_as_trans_and_the_truth_beside_it() -> None:
    """RFC 6793 section 4.2.2; nothing of the kind where our number fits or the peer is internal."""
    attributes = export(local_asn=4200000000, four_octet=False).attributes(hosts(1)[0])
    assert [s.asns for s in attributes.as_path or ()] == [(23456,)]
    assert [s.asns for s in attributes.as4_path or ()] == [(4200000000,)]
    for other in (export(four_octet=False), export(local_asn=4200000000)):
        assert other.attributes(hosts(1)[0]).as4_path is None


V4, V6 = Route(ip_network("10.9.0.1/32")), Route(ip_network("fd00::1/128"))
CROWDED = Route(ip_network("10.9.0.1/32"), None, frozenset(range(1000)))


@pytest.mark.parametrize(
    ("how", "route", "reason"),
    [
        (export(), V6, Withheld.NO_IPV6_NEXT_HOP),
        (over_ipv6(), V4, Withheld.NO_IPV4_NEXT_HOP),
        (export(next_hop=IPv6Address("fe80::1")), V6, Withheld.LINK_LOCAL_NEXT_HOP),
        (over_ipv6(families=frozenset({Family.IPV4_UNICAST})), V6, Withheld.FAMILY_NOT_NEGOTIATED),
        (export(families=frozenset()), V4, Withheld.FAMILY_NOT_NEGOTIATED),
        (export(), CROWDED, Withheld.TOO_MANY_COMMUNITIES),
    ],
)
def test_what_cannot_be_announced_has_a_reason(how: Export, route: Route, reason: Withheld) -> None:
    rib = AdjRibOut()
    rib.open(how)
    rib.set_desired([route])
    assert rib.withheld == {route: reason}
    assert all(update.announced == () for update in drain(rib))
    rib.close()
    assert rib.withheld == {}


@pytest.mark.parametrize(
    ("local_pref", "communities", "words"),
    [
        (-1, (), "local preference -1"),
        (2**32, (), "local preference"),
        (None, (2**32,), "community 4294967296"),
    ],
)
def test_a_number_that_does_not_fit_is_refused_where_the_route_is_made(
    local_pref: int | None, communities: tuple[int, ...], words: str
) -> None:
    with pytest.raises(LocalError, match=rf"10\.9\.0\.1/32: {words}"):
        Route(V4.prefix, local_pref, frozenset(communities))


def test_two_routes_for_one_prefix_are_our_own_mistake() -> None:
    rib = AdjRibOut()
    with pytest.raises(LocalError, match=r"two routes for 10\.9\.0\.1/32"):
        rib.set_desired([V4, Route(V4.prefix, 200)])


PREFIXES = [IPv4Network((0x0A000000 + i, 32)) for i in range(6)] + [
    IPv4Network((0, n)) for n in (0, 8, 9, 25)
]
ROUTES = st.builds(
    Route,
    st.sampled_from(PREFIXES),
    st.sampled_from([None, 0, 200]),
    st.frozensets(st.sampled_from([0, 1, 0xFFFFFFFF]), max_size=2),
)
DESIRED = st.lists(ROUTES, unique_by=lambda route: route.prefix)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("desire"), DESIRED),
        st.tuples(st.just("take"), st.integers(1, 4)),
        st.tuples(st.sampled_from(["resend", "reconnect"]), st.none()),
    ),
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(steps=STEPS, last=DESIRED)
def test_the_peer_ends_up_with_the_desired_set(steps: list[tuple[str, object]], last: list[Route]) -> None:
    rib, peer = AdjRibOut(), Receiver()
    rib.open(export(internal=True))
    for what, value in [*steps, ("desire", last)]:
        if what == "desire":
            rib.set_desired(value)  # type: ignore[arg-type]
        elif what == "take":
            for _again in range(value):  # type: ignore[call-overload]
                if (update := rib.take()) is not None:
                    peer.take(update)
        elif what == "resend":
            rib.resend(Family.IPV4_UNICAST)
        else:
            rib.close()
            peer = Receiver()
            rib.open(export(internal=True))
    for update in drain(rib):
        peer.take(update)
    assert peer.table == {
        r.prefix: (100 if r.local_pref is None else r.local_pref, r.communities) for r in last
    }
    assert set(rib.sent) == set(last)
    assert not rib.busy
