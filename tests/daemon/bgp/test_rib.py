# SPDX-License-Identifier: GPL-3.0-or-later
"""Adj-RIB-Out: the peer ends up with the desired set, in few messages, whatever happens on the way."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_network
from typing import Any

import pytest
from support.bounds import at_most

from vipcast.bgp.attribute_encoder import encode_attributes
from vipcast.bgp.attributes import MpUnreach, Origin, PathAttributes, SegmentKind
from vipcast.bgp.errors import LocalError
from vipcast.bgp.export import Export, NextHop, Withheld, choose_next_hops
from vipcast.bgp.framing import FrameBuffer
from vipcast.bgp.messages import Message, RouteRefresh, Update, decode, encode
from vipcast.bgp.rib import AdjRibOut
from vipcast.bgp.route import GRACEFUL_SHUTDOWN, Route
from vipcast.bgp.wire import Family
from vipcast.model.addresses import IPAddress

BOTH = frozenset(Family)


ASN4 = 4200000001


def export(**values: object) -> Export:
    defaults = {
        "asn": 64513,
        "internal": False,
        "asn4": True,
        "families": BOTH,
        "next_hops": {Family.IPV4_UNICAST: NextHop(IPv4Address("10.99.0.1"))},
    }
    return Export(**{**defaults, **values})  # type: ignore[arg-type]


def over_ipv6(**values: object) -> Export:
    return export(next_hops={Family.IPV6_UNICAST: NextHop(IPv6Address("fd99::1"))}, **values)


def hosts(count: int, start: int = 0x0A090000) -> list[Route]:
    return [Route(IPv4Network((start + i, 32))) for i in range(count)]


def through_octets(message: Message, *, asn4: bool = True) -> Message:
    buffer = FrameBuffer()
    buffer.max_length = 65535
    buffer.receive(encode(message, asn4=asn4, max_length=65535))
    (frame,) = buffer
    return decode(frame, asn4=asn4)


def drain(rib: AdjRibOut, *, asn4: bool = True) -> list[Update]:
    """Return everything it wants to say, through octets and back. `asn4`: as in its `Export`."""
    updates = []
    more = at_most()
    while more() and (update := rib.take()) is not None:
        assert isinstance(update, Update)
        assert update.encoded in (None, encode_attributes(update.attributes, asn4=asn4))
        decoded = through_octets(update, asn4=asn4)
        assert isinstance(decoded, Update)
        assert decoded.problems == ()
        updates.append(decoded)
    return updates


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
    attributes = export(asn=4200000000, asn4=False).attributes(hosts(1)[0])
    assert [s.asns for s in attributes.as_path or ()] == [(23456,)]
    assert [s.asns for s in attributes.as4_path or ()] == [(4200000000,)]
    for other in (export(asn4=False), export(asn=4200000000)):
        assert other.attributes(hosts(1)[0]).as4_path is None


PATH4, PATH6 = IPv4Address("10.99.0.1"), IPv6Address("fd99::1")
LINK = IPv6Address("fe80::1%eth0")
LINK_ALONE = IPv6Address("fe80::1")


@pytest.mark.parametrize(
    ("local", "others", "extended", "ipv4", "ipv6"),
    [
        (PATH4, [], False, NextHop(PATH4), None),
        (PATH4, [PATH6], False, NextHop(PATH4), NextHop(PATH6)),
        (PATH4, [PATH6], True, NextHop(PATH4), NextHop(PATH6)),
        (PATH6, [], False, None, NextHop(PATH6)),
        (PATH6, [PATH4], True, NextHop(PATH4), NextHop(PATH6)),
        (PATH6, [], True, NextHop(PATH6), NextHop(PATH6)),
        (LINK, [], False, None, NextHop(LINK_ALONE)),
        (LINK, [PATH4], False, NextHop(PATH4), NextHop(LINK_ALONE)),
        (LINK, [PATH4], True, NextHop(LINK_ALONE), NextHop(LINK_ALONE)),
        (LINK, [PATH4, PATH6], True, NextHop(PATH6, LINK_ALONE), NextHop(PATH6, LINK_ALONE)),
    ],
)
def test_each_family_has_a_next_hop_where_there_is_an_address_for_it(
    local: IPAddress, others: list[IPAddress], extended: bool, ipv4: NextHop | None, ipv6: NextHop | None
) -> None:
    """RFC 2545 section 3 and RFC 8950 section 3."""
    found = choose_next_hops(
        local,
        {Family[f"IPV{address.version}_UNICAST"]: address for address in others},
        ipv6_for_ipv4=extended,
    )
    assert (found.get(Family.IPV4_UNICAST), found.get(Family.IPV6_UNICAST)) == (ipv4, ipv6)
    assert all(hop.address.scope_id is None for hop in found.values() if isinstance(hop.address, IPv6Address))


def test_ipv4_routes_with_an_ipv6_next_hop_go_into_the_multiprotocol_attribute() -> None:
    """RFC 8950 section 3; two addresses where the session is link-local (RFC 2545 section 3)."""
    rib = AdjRibOut()
    hop = NextHop(PATH6, LINK_ALONE)
    rib.open(export(next_hops={Family.IPV4_UNICAST: hop, Family.IPV6_UNICAST: hop}))
    rib.set_desired([*hosts(1000), V6])
    updates = drain(rib)
    assert [len(u.announced) for u in updates[:3]] == [803, 197, 1]
    for update in updates[:3]:
        reach = update.attributes.mp_reach
        assert reach is not None
        assert (reach.next_hop, reach.link_local, update.attributes.next_hop, update.nlri) == (
            PATH6,
            LINK_ALONE,
            None,
            (),
        )
    assert max(len(encode(u)) for u in updates) in range(4092, 4097)


def test_communities_of_every_kind_are_sent_and_tell_groups_apart() -> None:
    """RFC 1997, RFC 8092, draft-ietf-idr-link-bandwidth."""
    rib = AdjRibOut()
    rib.open(export())
    rib.set_desired(
        [
            Route(hosts(1)[0].prefix, communities=frozenset({GRACEFUL_SHUTDOWN})),
            Route(hosts(2)[1].prefix, large_communities=frozenset({(64513, 2, 3), (64513, 1, 2)})),
            Route(hosts(3)[2].prefix, bandwidth=3.0),
            Route(hosts(4)[3].prefix, bandwidth=3.0),
            Route(hosts(5)[4].prefix, bandwidth=4.0),
        ]
    )
    plain, large, three, four, *_end = drain(rib)
    assert plain.attributes.communities == {0xFFFF0000}
    assert large.attributes.large_communities == {(64513, 1, 2), (64513, 2, 3)}
    assert (three.attributes.extended_communities, len(three.nlri)) == ({b"\0\4\xfc\x01\x40\x40\0\0"}, 2)
    assert four.attributes.extended_communities == {b"\0\4\xfc\x01\x40\x80\0\0"}


def test_a_bandwidth_passes_the_border_of_an_as_only_where_it_is_transitive() -> None:
    """RFC 4360 section 6; AS_TRANS where two octets don't hold our AS."""
    route = Route(hosts(1)[0].prefix, bandwidth=1.0)
    assert export(internal=True).attributes(route).extended_communities == {b"\x40\4\xfc\x01\x3f\x80\0\0"}
    assert export(asn=4200000000).attributes(route).extended_communities == {b"\0\4\x5b\xa0\x3f\x80\0\0"}


def test_what_an_external_peer_does_not_see_is_not_sent_again() -> None:
    """LOCAL_PREF stays at home (RFC 4271 section 5.1.5)."""
    for internal, expected in ((False, 0), (True, 1)):
        rib = AdjRibOut()
        rib.open(export(internal=internal))
        rib.set_desired([Route(V4.prefix, 100)])
        drain(rib)
        rib.set_desired([Route(V4.prefix, 200)])
        assert set(rib.sent) == {Route(V4.prefix, 100 if internal else 200)}
        assert len(drain(rib)) == expected
        assert set(rib.sent) == set(rib.desired)


def test_a_session_with_extended_messages_fills_them() -> None:
    """RFC 8654 section 4: 65535 octets, 43 of them before the prefixes."""
    rib = AdjRibOut()
    rib.open(export(max_length=65535))
    rib.set_desired(hosts(30000))
    updates = drain(rib)
    assert [len(u.nlri) for u in updates] == [13098, 13098, 3804, 0, 0]
    rib.set_desired([])
    assert [len(u.withdrawn) for u in drain(rib)] == [13102, 13102, 3796]


def test_nothing_is_the_end_before_a_restarted_speaker_knows_its_routes() -> None:
    """RFC 4724 section 4.1: End-of-RIB makes the peer forget what was not sent again."""
    rib = AdjRibOut()
    rib.open(export(), restarting=True)
    assert drain(rib) == []
    assert not rib.busy
    rib.set_desired(hosts(1))
    assert [len(u.nlri) for u in drain(rib)] == [1, 0, 0]


def test_an_enhanced_refresh_stands_between_two_marks_and_after_the_first_end_of_rib() -> None:
    """RFC 7313 section 4."""
    rib = AdjRibOut()
    rib.open(export(enhanced_refresh=True))
    rib.set_desired(hosts(1000))
    rib.take()
    rib.resend(Family.IPV4_UNICAST)
    rib.resend(Family.IPV6_UNICAST)
    said: list[Message] = []
    more = at_most()
    while more() and (message := rib.take()) is not None:
        said.append(message)
    assert said[0] == Update(attributes=said[0].attributes, nlri=said[0].nlri)  # type: ignore[union-attr]
    assert said[1:4] == [
        Update(),
        Update(attributes=PathAttributes(mp_unreach=MpUnreach(Family.IPV6_UNICAST))),
        RouteRefresh(1, 1, 1),
    ]
    assert sum(len(update.announced) for update in said[4:6] if isinstance(update, Update)) == 1000
    assert said[6:] == [RouteRefresh(1, 1, 2), RouteRefresh(2, 1, 1), RouteRefresh(2, 1, 2)]
    assert not rib.busy


V4, V6 = Route(ip_network("10.9.0.1/32")), Route(ip_network("fd00::1/128"))
CROWDED = Route(ip_network("10.9.0.1/32"), None, frozenset(range(1000)))


@pytest.mark.parametrize(
    ("how", "route", "reason"),
    [
        (export(), V6, Withheld.NO_IPV6_NEXT_HOP),
        (over_ipv6(), V4, Withheld.NO_IPV4_NEXT_HOP),
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


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"large_communities": frozenset({(1, 2, 2**32)})}, "large community 1:2:4294967296"),
        ({"large_communities": frozenset({(1, 2)})}, "large community 1:2"),
        ({"bandwidth": -1.0}, "bandwidth -1.0"),
        ({"bandwidth": float("inf")}, "bandwidth inf"),
        ({"bandwidth": float("nan")}, "bandwidth nan"),
        ({"bandwidth": 1e39}, "bandwidth 1e"),
    ],
)
def test_a_community_that_does_not_fit_is_refused_where_the_route_is_made(
    values: dict[str, Any], words: str
) -> None:
    with pytest.raises(LocalError, match=rf"10\.9\.0\.1/32: {words}"):
        Route(V4.prefix, **values)


def test_prefixes_of_two_families_with_equal_octets_are_two() -> None:
    rib = AdjRibOut()
    rib.set_desired([Route(ip_network("0.0.0.0/0")), Route(ip_network("::/0"))])
    assert len(rib.desired) == 2
    assert Route(ip_network("a00::/8")) != Route(ip_network("10.0.0.0/8"))


def test_two_routes_for_one_prefix_are_our_own_mistake() -> None:
    rib = AdjRibOut()
    with pytest.raises(LocalError, match=r"two routes for 10\.9\.0\.1/32"):
        rib.set_desired([V4, Route(V4.prefix, 200)])


def test_who_was_told_that_nothing_is_announced_does_not_wait_for_routes() -> None:
    """An empty set that was said, and a set that nobody has said yet, are two things."""
    rib = AdjRibOut()
    rib.set_desired([])
    rib.open(export(), restarting=True)
    assert rib.busy
    assert [update.announced for update in drain(rib)] == [(), ()], "End-of-RIB of both families"
    assert not rib.busy


@pytest.mark.parametrize("refresh", [True, False])
def test_whatever_is_asked_for_while_nobody_has_said_a_set_there_is_nothing_to_do(refresh: bool) -> None:
    """A driver that is told that there is comes again at once, for ever."""
    rib = AdjRibOut()
    rib.open(export(enhanced_refresh=refresh), restarting=True)
    rib.resend(Family.IPV4_UNICAST)
    assert not rib.busy
    assert rib.take() is None
    rib.set_desired([V4])
    assert rib.busy
    while rib.busy:
        assert rib.take() is not None


@pytest.mark.parametrize(
    ("asn4", "internal", "path", "as4_path"),
    [
        (True, False, (ASN4,) * 3, None),
        (False, False, (23456,) * 3, (ASN4,) * 3),
        (True, True, (), None),
    ],
    ids=["external", "an old speaker", "internal"],
)
def test_our_as_stands_in_the_path_as_often_as_it_is_asked_for(
    asn4: bool, internal: bool, path: tuple[int, ...], as4_path: tuple[int, ...] | None
) -> None:
    """RFC 4271 section 5.1.2; RFC 6793 section 4.2.2: AS_TRANS as often as the number beside it."""
    rib = AdjRibOut()
    rib.open(export(asn=ASN4, asn4=asn4, internal=internal))
    rib.set_desired([Route(V4.prefix, prepend=2, med=7)])
    found = drain(rib, asn4=asn4)[0].attributes
    assert tuple(asn for segment in found.as_path or () for asn in segment.asns) == path
    shown = None if found.as4_path is None else tuple(asn for each in found.as4_path for asn in each.asns)
    assert (shown, found.med) == (as4_path, 7)


def test_an_internal_peer_is_told_nothing_of_a_longer_path() -> None:
    rib = AdjRibOut()
    rib.open(export(internal=True))
    rib.set_desired([V4])
    drain(rib)
    rib.set_desired([Route(V4.prefix, prepend=2)])
    assert not rib.busy
    rib.set_desired([Route(V4.prefix, prepend=2, med=0)])
    assert rib.busy
