# SPDX-License-Identifier: GPL-3.0-or-later
"""One session, fed by hand: what it says, when, and what it never does."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address, ip_network
from itertools import product
from typing import Any

import pytest
from daemon.bgp.cable import settings
from daemon.bgp.driven_session import LOCAL, ROUTER_ID, done, peer_open, said, session_in
from daemon.bgp.wire_cases import CASES, octets

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
from vipcast.bgp.error_codes import Cease, ErrorCode
from vipcast.bgp.errors import LocalError
from vipcast.bgp.events import Connect, Disconnect, StateChanged
from vipcast.bgp.framing import MessageType, encode_frame
from vipcast.bgp.fsm import Action, Event, State, transition
from vipcast.bgp.messages import Keepalive, Message, Notification, Open, RouteRefresh, Update, encode
from vipcast.bgp.negotiation import derive_router_id
from vipcast.bgp.route import Route
from vipcast.bgp.session import Session
from vipcast.bgp.wire import Family


def message_of(event: Event) -> Message | None:
    """Return what comes with an event: the message received, or the NOTIFICATION to send."""
    match event:
        case Event.UpdateMsg:
            return Update()
        case Event.RouteRefreshMsg:
            return RouteRefresh(1, 1)
        case _:
            return Notification(ErrorCode.CEASE, Cease.UNSPECIFIC)


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_every_event_in_every_state_leaves_a_session_that_makes_sense(state: State, event: Event) -> None:
    session = session_in(state)
    session._local = session._local or LOCAL
    session._handle_event(event, 1.0, message_of(event), why="test")
    after, actions = transition(state, event)
    messages = said(session)
    assert session.state is after
    notified = [message for message in messages if isinstance(message, Notification)]
    assert len(notified) == sum(action.name.startswith("NOTIFY") for action in actions)
    if Action.NOTIFY_FSM_ERROR in actions:
        subcode = {State.OPEN_SENT: 1, State.OPEN_CONFIRM: 2, State.ESTABLISHED: 3}[state]
        assert (notified[0].code, notified[0].subcode) == (ErrorCode.FSM, subcode)
    events = done(session)
    assert (Disconnect() in events) == (Action.DISCONNECT in actions)
    if after is not state:
        assert any(isinstance(e, StateChanged) and (e.old, e.new) == (state, after) for e in events)
    if after is State.IDLE and state is not State.IDLE and event is not Event.ManualStop:
        assert bool(session.last_error) == (event is not Event.OpenCollisionDump)
        assert session.timer() is not None, "nothing would ever bring it back"


def delayed(state: State) -> Session:
    """Return a session in Connect or Active with TCP up: the DelayOpenTimer runs."""
    session = Session(settings(delay_open_time=3.0))
    session.start(0.0, passive=state is State.ACTIVE)
    session.connected(0.0, LOCAL, accepted=state is State.ACTIVE)
    done(session)
    return session


@pytest.mark.parametrize(("state", "event"), list(product((State.CONNECT, State.ACTIVE), Event)))
def test_every_event_while_the_open_is_delayed_leaves_a_session_that_makes_sense(
    state: State, event: Event
) -> None:
    session = delayed(state)
    session._handle_event(event, 1.0, message_of(event), why="test")
    after, actions = transition(state, event, delayed=True)
    assert session.state is after
    assert not any(isinstance(message, Notification) for message in said(session))
    assert (Disconnect() in done(session)) == (Action.DISCONNECT in actions)
    if after is State.IDLE and event is not Event.ManualStop:
        assert session.timer() is not None, "nothing would ever bring it back"


@pytest.mark.parametrize("state", [State.CONNECT, State.ACTIVE])
def test_a_delayed_open_goes_out_when_the_peer_has_spoken_or_time_is_up(state: State) -> None:
    """RFC 4271 section 8.2.2, events 20 and 12."""
    answered = delayed(state)
    assert (answered.state, said(answered)) == (state, [])
    answered.receive_data(encode(peer_open()), 1.0)
    ours, keepalive = said(answered)
    assert (type(ours), keepalive, answered.state) == (Open, Keepalive(), State.OPEN_CONFIRM)
    answered.receive_data(encode(Keepalive()), 1.1)
    assert answered.state is State.ESTABLISHED
    late = delayed(state)
    late.handle_timer(2.9)
    assert said(late) == []
    late.handle_timer(3.0)
    assert [type(message) for message in said(late)] == [Open]
    late.receive_data(encode(peer_open()), 3.1)
    assert late.state is State.OPEN_CONFIRM


def test_a_connection_lost_while_the_open_is_delayed_is_awaited_anew() -> None:
    session = delayed(State.CONNECT)
    session.connection_failed(1.0, "the peer closed the connection")
    assert session.state is State.ACTIVE
    session.handle_timer(6.0)
    assert Connect() in done(session)


def test_a_wrong_open_before_ours_is_not_answered() -> None:
    """SendNOTIFICATIONwithoutOPEN (RFC 4271 section 8.1.1) is off: who has not met us is told nothing."""
    session = delayed(State.CONNECT)
    session.receive_data(encode(peer_open(asn=64999)), 1.0)
    assert (said(session), session.state) == ([], State.IDLE)
    assert "the peer is AS 64999" in session.last_error


def test_a_passive_session_never_dials() -> None:
    session = Session(settings())
    session.start(0.0, passive=True)
    for _again in range(5):
        assert session.timer() is None, "it waits for the peer, however long that takes"
        session.connected(1.0, LOCAL, accepted=True)
        session.receive_data(encode(Notification(6, 4)), 2.0)
        at = session.timer()
        assert at is not None
        session.handle_timer(at)
        assert session.state is State.ACTIVE
        assert Connect() not in done(session)
        said(session)


@pytest.mark.parametrize("state", State)
def test_time_passing_never_breaks_a_session(state: State) -> None:
    session = session_in(state)
    for _again in range(50):
        if (at := session.timer()) is None:
            break
        session.handle_timer(at)
        said(session), done(session)


def test_the_way_up() -> None:
    session = Session(settings())
    session.start(0.0)
    assert done(session) == [Connect(), StateChanged(State.IDLE, State.CONNECT)]
    session.connected(0.1, LOCAL)
    (ours,) = said(session)
    assert isinstance(ours, Open)
    assert (ours.my_as, ours.asn, ours.hold_time, ours.router_id) == (64513, 64513, 9, LOCAL)
    session.receive_data(encode(peer_open()), 0.2)
    assert said(session) == [Keepalive()]
    assert session.state is State.OPEN_CONFIRM
    session.receive_data(encode(Keepalive()), 0.3)
    assert session.state is State.ESTABLISHED
    assert said(session) == [Update()], "End-of-RIB, though there is no route"


def test_an_as_of_four_octets_is_said_in_the_capability() -> None:
    session = Session(settings(local=4200000000))
    session.start(0.0)
    session.connected(0.0, LOCAL)
    (ours,) = said(session)
    assert isinstance(ours, Open)
    assert (ours.my_as, ours.asn) == (23456, 4200000000)


@pytest.mark.parametrize(
    ("theirs", "subcode", "words"),
    [
        (peer_open(asn=64999), 2, "the peer is AS 64999, AS 64512 is configured"),
        (Open(64512, 9, ROUTER_ID, (FourOctetAsn(64999),)), 2, "the peer is AS 64999"),
        (peer_open(router_id=IPv4Address("0.0.0.0")), 3, "router id is 0.0.0.0"),
        (peer_open(hold=1), 6, "asks for 1 s"),
        (peer_open(hold=2), 6, "asks for 2 s"),
    ],
)
def test_an_open_that_is_not_acceptable_is_answered(theirs: Open, subcode: int, words: str) -> None:
    """RFC 4271 section 6.2, RFC 6286 section 2.2, RFC 6793."""
    session = session_in(State.OPEN_SENT)
    session.receive_data(encode(theirs), 1.0)
    assert said(session) == [Notification(2, subcode)]
    assert session.state is State.IDLE
    assert words in session.last_error
    assert Disconnect() in done(session)


def test_inside_an_as_two_equal_router_ids_are_refused() -> None:
    """RFC 6286 section 2.2; between two ASes they are not."""
    same = IPv4Address("10.99.0.1")
    internal = session_in(State.OPEN_SENT, remote=64513)
    internal.receive_data(encode(peer_open(asn=64513, router_id=same)), 1.0)
    assert said(internal) == [Notification(2, 3)]
    external = session_in(State.OPEN_SENT)
    external.receive_data(encode(peer_open(router_id=same)), 1.0)
    assert external.state is State.OPEN_CONFIRM


@pytest.mark.parametrize(
    ("ours", "keepalive", "theirs", "expected"),
    [
        (9, None, 90, (9, 3)),
        (90, None, 9, (9, 3)),
        (90, 10, 180, (90, 10)),
        (90, 10, 9, (9, 3)),
        (0, None, 9, (0, 0)),
        (9, None, 0, (0, 0)),
        (9, 2, 0, (0, 0)),
        (3, None, 3, (3, 1)),
    ],
)
def test_the_smaller_hold_time_counts(
    ours: int, keepalive: float | None, theirs: int, expected: tuple[float, float]
) -> None:
    """RFC 4271 sections 4.2 and 4.4."""
    session = session_in(State.OPEN_SENT, hold_time=ours, keepalive_time=keepalive)
    session.receive_data(encode(peer_open(hold=theirs)), 1.0)
    negotiated = session.negotiated
    assert negotiated is not None
    assert (negotiated.hold_time, negotiated.keepalive_time) == expected
    if expected[0] == 0:
        assert session.timer() is None


@pytest.mark.parametrize(
    ("capabilities", "families"),
    [
        ((), {Family.IPV4_UNICAST}),
        ((Multiprotocol(Family.IPV6_UNICAST),), {Family.IPV6_UNICAST}),
        ((Unknown(1, bytes.fromhex("00190041")),), set()),
    ],
)
def test_the_families_are_those_of_both(capabilities: tuple[object, ...], families: set[Family]) -> None:
    """RFC 4760 section 8: who says nothing means IPv4 unicast."""
    session = session_in(State.OPEN_SENT)
    session.receive_data(encode(Open(64512, 9, ROUTER_ID, capabilities)), 1.0)  # type: ignore[arg-type]
    assert session.negotiated is not None
    assert session.negotiated.families == families


def test_only_what_both_offer_is_used() -> None:
    """RFC 4724 section 3, RFC 7313 section 3.1, RFC 8654 section 3, RFC 8950 section 4."""
    theirs = GracefulRestart(60, (Preserved(1, 1, True),), notification=True)
    offered = ExtendedNextHop(), ExtendedMessages(), GracefulRestart(1), theirs, EnhancedRefresh()
    found = []
    for restart_time, capabilities in ((120, offered), (None, offered), (120, ())):
        session = session_in(State.OPEN_SENT, restart_time=restart_time)
        session.receive_data(encode(Open.of(64512, 9, ROUTER_ID, *capabilities)), 1.0)
        found.append(session.negotiated)
    both, without, nothing = found
    assert both is not None and without is not None and nothing is not None
    assert (both.ipv6_for_ipv4, both.extended_messages, both.enhanced_refresh) == (True, True, True)
    assert (both.graceful_restart, both.keeps_after_notification) == (theirs, True), "the last one counts"
    assert (without.graceful_restart, without.keeps_after_notification) == (None, False)
    assert (nothing.ipv6_for_ipv4, nothing.extended_messages, nothing.enhanced_refresh) == (False,) * 3
    assert nothing.graceful_restart is None


@pytest.mark.parametrize("restarting", [True, False])
@pytest.mark.parametrize("forwarding", [True, False])
def test_graceful_restart_is_offered_as_it_is_set(restarting: bool, forwarding: bool) -> None:
    """RFC 4724 section 3 and 4.1, RFC 8538 section 2; the R bit only until a session has come up."""
    values = {"restart_time": 120, "restarting": restarting, "forwarding_preserved": forwarding}
    session = Session(settings(**values, families=frozenset({Family.IPV4_UNICAST})))
    session.start(0.0)
    session.connected(0.0, LOCAL)
    (ours,) = said(session)
    assert isinstance(ours, Open)
    families = (Preserved(1, 1, forwarding),)
    assert GracefulRestart(120, families, restarting=restarting, notification=True) in ours.capabilities
    session.receive_data(encode(peer_open()) + encode(Keepalive()), 1.0)
    assert session.state is State.ESTABLISHED
    session.connection_failed(2.0, "gone")
    session.handle_timer(session.timer() or 0.0)
    session.connected(20.0, LOCAL)
    again = [m for m in said(session) if isinstance(m, Open)][-1]
    assert GracefulRestart(120, families, restarting=False, notification=True) in again.capabilities


def test_an_update_of_65535_octets_is_read_once_the_opens_are_exchanged() -> None:
    """RFC 8654 section 4: we offer it, so whoever wants to may send it; an OPEN stays within 4096."""
    long = bytes(2) + (65535 - 23).to_bytes(2, "big") + octets("d063") + (65535 - 27).to_bytes(2, "big")
    update = encode_frame(MessageType.UPDATE, long + bytes(65535 - 27), max_length=65535)
    session = session_in(State.ESTABLISHED)
    session.receive_data(update, 1.0)
    assert session.state is State.ESTABLISHED
    early = session_in(State.OPEN_SENT)
    early.receive_data(update, 1.0)
    assert said(early) == [Notification(1, 2, b"\xff\xff")]


def test_a_session_sends_long_messages_only_to_who_takes_them() -> None:
    """RFC 8654 section 4."""
    routes = {Route(ip_network((0x0A000000 + i, 32))) for i in range(5000)}
    lengths = []
    for capabilities in ((), (ExtendedMessages(),)):
        session = session_in(State.OPEN_SENT)
        session.receive_data(encode(Open.of(64512, 9, ROUTER_ID, *capabilities)) + encode(Keepalive()), 1.0)
        said(session)
        session.set_routes(routes)
        lengths.append(len(session.data_to_send(1)))
    assert lengths[0] <= 4096 < 5000 * 5 < lengths[1]


@pytest.mark.parametrize(
    ("values", "asn", "internal"),
    [
        ({"remote": None, "dynamic_asn": "external"}, 65001, False),
        ({"remote": None, "dynamic_asn": "external"}, 4200000000, False),
        ({"remote": None, "dynamic_asn": "internal"}, 64513, True),
        ({"shown_asn": 4200000001}, 64512, False),
        ({"shown_asn": 64512}, 64512, True),
        ({"shown_asn": 64999, "remote": 64513}, 64513, False),
        ({"shown_asn": 64999, "remote": None, "dynamic_asn": "internal"}, 64999, True),
    ],
)
def test_the_peers_as_and_the_one_it_sees_decide_whether_it_is_internal(
    values: dict[str, Any], asn: int, internal: bool
) -> None:
    """RFC 4271 sections 1.1, 5.1.2 and 6.2."""
    session = session_in(State.OPEN_SENT, **values)
    assert session.local_open is not None
    shown = values.get("shown_asn", 64513)
    assert session.local_open.asn == shown
    session.receive_data(encode(peer_open(asn=asn)) + encode(Keepalive()), 1.0)
    assert session.negotiated is not None
    assert (session.negotiated.remote_asn, session.negotiated.internal) == (asn, internal)
    said(session)
    session.set_routes({Route(ip_network("10.9.0.1/32"))})
    (update,) = said(session)
    assert isinstance(update, Update)
    path = [segment.asns for segment in update.attributes.as_path or ()]
    assert path == ([] if internal else [(shown,)])


@pytest.mark.parametrize(
    ("dynamic", "asn", "words"),
    [
        ("external", 64513, "the peer is AS 64513, an external peer of AS 64513 is configured"),
        ("internal", 64512, "the peer is AS 64512, an internal peer of AS 64513 is configured"),
        ("external", 0, "the peer is AS 0"),
        ("external", 23456, "the peer is AS 23456"),
    ],
)
def test_a_peer_of_the_wrong_kind_is_refused(dynamic: str, asn: int, words: str) -> None:
    """RFC 4271 section 6.2, RFC 7607 section 2, RFC 6793 section 9."""
    session = session_in(State.OPEN_SENT, remote=None, dynamic_asn=dynamic)
    session.receive_data(encode(peer_open(asn=asn)), 1.0)
    assert said(session) == [Notification(2, 2)]
    assert words in session.last_error


def test_both_families_go_over_one_session_where_the_interface_has_both() -> None:
    session = Session(settings())
    session.set_routes({Route(ip_network("10.9.0.1/32")), Route(ip_network("fd00::1/128"))})
    session.start(0.0)
    session.connected(0.0, LOCAL, {Family.IPV6_UNICAST: ip_address("fd99::1")})
    both = Multiprotocol(Family.IPV4_UNICAST), Multiprotocol(Family.IPV6_UNICAST)
    session.receive_data(encode(Open.of(64512, 9, ROUTER_ID, *both)) + encode(Keepalive()), 1.0)
    updates = [m for m in said(session) if isinstance(m, Update)]
    hops = {str(u.announced[0]): u.attributes for u in updates if u.announced}
    assert hops["10.9.0.1/32"].next_hop == LOCAL
    reach = hops["fd00::1/128"].mp_reach
    assert reach is not None and reach.next_hop == ip_address("fd99::1")


def test_a_silent_peer_is_noticed_after_the_hold_time() -> None:
    session = session_in(State.ESTABLISHED)
    session.handle_timer(8.9)
    assert session.state is State.ESTABLISHED
    said(session)
    session.handle_timer(9.0)
    assert said(session) == [Notification(4, 0)]
    assert "Hold Timer Expired" in session.last_error


def test_keepalive_and_update_keep_a_session_and_a_route_refresh_does_not() -> None:
    """RFC 4271 section 4.4 and 6.5."""
    for message, alive in ((Keepalive(), True), (Update(), True), (RouteRefresh(1, 1), False)):
        session = session_in(State.ESTABLISHED)
        session.receive_data(encode(message), 5.0)
        session.handle_timer(9.0)
        assert (session.state is State.ESTABLISHED) == alive


def test_a_peer_that_never_sends_an_open_is_given_four_minutes() -> None:
    session = session_in(State.OPEN_SENT)
    session.handle_timer(239.0)
    assert session.state is State.OPEN_SENT
    session.handle_timer(240.0)
    assert said(session) == [Notification(4, 0)]


def test_a_stop_says_why() -> None:
    """RFC 9003."""
    session = session_in(State.ESTABLISHED)
    session.stop(1.0, "rack 4 moves")
    assert said(session) == [Notification(6, 2, b"\x0crack 4 moves")]
    assert session.timer() is None
    again = session_in(State.ESTABLISHED)
    again.stop(1.0, subcode=Cease.PEER_DECONFIGURED)
    assert said(again) == [Notification(6, 3)]


def test_what_the_peer_said_at_the_end_is_the_last_error() -> None:
    session = session_in(State.ESTABLISHED)
    session.receive_data(encode(Notification(6, 4, b"\x05later")), 2.0)
    assert session.last_error == 'the peer ended the session: Cease/Administrative Reset: "later"'
    assert session.last_error_at == 2.0
    assert said(session) == [], "a NOTIFICATION is not answered"


def test_what_comes_after_the_end_is_not_read() -> None:
    session = session_in(State.ESTABLISHED)
    session.receive_data(encode(Notification(6, 2)) + encode(Keepalive()) * 3 + b"rubbish", 2.0)
    assert session.state is State.IDLE
    assert session.counters.messages_in[MessageType.NOTIFICATION] == 1
    assert session.last_error == "the peer ended the session: Cease/Administrative Shutdown"


def test_an_unexpected_message_is_named() -> None:
    session = session_in(State.OPEN_SENT)
    session.receive_data(encode(Update()), 1.0)
    assert said(session) == [Notification(5, 1)]
    assert session.last_error == "we ended the session: UPDATE in OpenSent is not expected"


def test_received_routes_are_counted_and_forgotten() -> None:
    session = session_in(State.ESTABLISHED)
    session.receive_data(CASES["UPDATE"][0], 1.0)
    bad = Update(withdrawn=(ip_network("10.0.0.0/8"),), nlri=(ip_network("10.9.0.2/32"),))
    session.receive_data(encode(bad), 1.0)
    counters = session.counters
    assert session.state is State.ESTABLISHED
    assert (counters.prefixes_received, counters.withdrawals_received, counters.update_problems) == (2, 2, 1)
    assert counters.last_update_problem.startswith("missing ORIGIN, AS_PATH, NEXT_HOP")


def test_a_route_refresh_is_answered_with_everything_once() -> None:
    """RFC 2918 section 4; who asks a hundred times before reading the answer gets one."""
    session = session_in(State.ESTABLISHED)
    route = Route(ip_network("10.9.0.1/32"))
    session.set_routes({route})
    said(session)
    session.receive_data(encode(RouteRefresh(1, 1)) * 100, 1.0)
    assert [u.nlri for u in said(session) if isinstance(u, Update)] == [(route.prefix,)]
    for other in (RouteRefresh(2, 1), RouteRefresh(25, 65), RouteRefresh(1, 1, 1), RouteRefresh(1, 1, 9)):
        session.receive_data(encode(other), 1.0)
    assert said(session) == []


def test_an_enhanced_route_refresh_is_marked() -> None:
    """RFC 7313 section 4."""
    session = session_in(State.OPEN_SENT)
    session.receive_data(encode(Open.of(64512, 9, ROUTER_ID, EnhancedRefresh())) + encode(Keepalive()), 1.0)
    session.set_routes({Route(ip_network("10.9.0.1/32"))})
    said(session)
    session.receive_data(encode(RouteRefresh(1, 1)), 1.0)
    begin, update, end = said(session)
    assert (begin, end) == (RouteRefresh(1, 1, 1), RouteRefresh(1, 1, 2))
    assert isinstance(update, Update) and len(update.nlri) == 1


def test_a_peer_that_does_not_read_costs_nothing_and_is_left() -> None:
    """RFC 9687: eight minutes at least."""
    session = session_in(State.ESTABLISHED)
    session.write_blocked(0.0)
    for second in range(480):
        session.receive_data(encode(Keepalive()), float(second))
        session.handle_timer(float(second))
        session.write_blocked(float(second))
    assert len(session.data_to_send(0)) == 19, "one KEEPALIVE waits, not 160"
    session.handle_timer(480.0)
    assert said(session) == [Keepalive(), Notification(8, 0)]
    assert session.last_error == "we ended the session: Send Hold Timer Expired: the peer does not read"
    resumed = session_in(State.ESTABLISHED)
    resumed.write_blocked(0.0)
    resumed.write_resumed()
    resumed.receive_data(encode(Keepalive()), 479.0)
    resumed.handle_timer(485.0)
    assert resumed.state is State.ESTABLISHED


def test_routes_are_given_out_as_there_is_room() -> None:
    session = session_in(State.ESTABLISHED)
    session.set_routes({Route(ip_network((0x0A000000 + i, 32))) for i in range(5000)})
    first = session.data_to_send(1)
    assert 0 < len(first) <= 4096
    assert session.busy
    assert sum(len(u.announced) for u in said(session) if isinstance(u, Update)) > 4000
    assert not session.busy


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"local": 0}, "local AS number 0"),
        ({"shown_asn": 23456}, "shown AS number 23456"),
        ({"remote": None}, "either a number, or internal or external"),
        ({"dynamic_asn": "external"}, "either a number, or internal or external"),
        ({"families": frozenset()}, "no address family"),
        ({"restart_time": 4096}, "restart time 4096 s"),
        ({"remote": 23456}, "remote AS number 23456"),
        ({"remote": 2**32}, "remote AS number 4294967296"),
        ({"hold_time": 2}, "hold time 2 s"),
        ({"hold_time": 4.5}, "hold time 4.5 s: whole seconds"),
        ({"hold_time": 70000}, "hold time 70000 s"),
        ({"keepalive_time": 0}, "keepalive time 0 s"),
        ({"connect_time": 0}, "connect time 0 s"),
        ({"router_id": IPv4Address(0)}, "router id 0.0.0.0"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(values: dict[str, object], words: str) -> None:
    with pytest.raises(LocalError, match=words):
        settings(**values)  # type: ignore[arg-type]


def test_a_router_id_is_stable_and_differs_between_nodes() -> None:
    v6 = [ip_address(f"fd99::{i}") for i in range(1, 50)]
    assert derive_router_id(LOCAL, "node1") == LOCAL
    assert (
        derive_router_id(v6[0], "node1") == derive_router_id(v6[1], "node1") == IPv4Address("64.37.239.133")
    )
    assert len({derive_router_id(address, "") for address in v6}) == len(v6)
