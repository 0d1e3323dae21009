# SPDX-License-Identifier: GPL-3.0-or-later
"""One session and its peer, in virtual time. Sections are RFC 5880's."""

from __future__ import annotations

import itertools

import pytest
from daemon.bfd.wire import LATENCY, Wire, settings, up
from support.bounds import at_most

from vipcast.bfd.echo import decode as decode_echo
from vipcast.bfd.fsm import BfdState, Diagnostic
from vipcast.bfd.packet import ControlPacket, Drop, decode
from vipcast.bfd.session import Session, Variables
from vipcast.bfd.settings import BfdSettings

BOTH_UP = (BfdState.UP, BfdState.UP)


def gaps(wire: Wire, sender: int, since: float) -> list[float]:
    """Return the gaps between packets that the timer sent."""
    times = [at for at, packet in wire.packets(sender, since) if not packet.final]
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def sent_by(session: Session) -> list[ControlPacket]:
    packets = [decode(data) for data in session.packets_to_send()]
    assert all(isinstance(packet, ControlPacket) for packet in packets)
    return packets  # type: ignore[return-value]


def heard(state: BfdState = BfdState.DOWN, **values: object) -> ControlPacket:
    plain: dict[str, object] = {
        "diagnostic": Diagnostic.NONE,
        "detect_multiplier": 3,
        "my_discriminator": 22,
        "your_discriminator": 11,
        "desired_min_tx": 0.1,
        "required_min_rx": 0.1,
    }
    return ControlPacket(state=state, **{**plain, **values})  # type: ignore[arg-type]


def established(given: BfdSettings | None = None) -> Session:
    session = Session(given or settings(), Variables(11), 0.0)
    session.receive(heard(BfdState.INIT), 0.0)
    session.receive(heard(BfdState.UP, final=True), 0.0)
    session.packets_to_send()
    assert session.variables.state is BfdState.UP
    return session


# ---- coming up ----


def test_two_sessions_come_up_by_a_three_way_handshake() -> None:
    wire = Wire(settings(), settings())
    wire.run(5, until=lambda: wire.states == BOTH_UP)
    assert wire.states == BOTH_UP
    assert all(change.diagnostic is Diagnostic.NONE for _when, _end, change in wire.changes)


def test_the_peer_hears_of_a_change_at_once() -> None:
    wire = up()
    wire.lost = lambda sender, _packet: sender == 0
    wire.run(1, until=lambda: wire.states[1] is BfdState.DOWN)
    went = wire.now
    assert wire.run(1, until=lambda: wire.states[0] is BfdState.DOWN) <= 2 * LATENCY
    assert wire.ends[0].variables.diagnostic is Diagnostic.NEIGHBOR_SIGNALED_DOWN
    assert wire.packets(1, went)[0][0] == went


def test_nobody_sends_more_than_once_a_second_until_it_is_up() -> None:
    session = Session(settings(), Variables(11), 0.0)
    now, times = 0.0, []
    more = at_most()
    while more() and now < 20:
        session.handle_timer(now)
        times += [now] * len(sent_by(session))
        now = session.timer() or 20
    assert all(0.75 <= later - earlier <= 1.0 for earlier, later in itertools.pairwise(times))


def test_a_passive_session_says_nothing_until_it_is_spoken_to() -> None:
    session = Session(settings(passive=True), Variables(11), 0.0)
    session.handle_timer(5.0)
    assert sent_by(session) == []
    session.receive(heard(your_discriminator=0), 5.0)
    assert [packet.state for packet in sent_by(session)] == [BfdState.INIT]


def test_two_passive_sessions_stay_silent() -> None:
    wire = Wire(settings(passive=True), settings(passive=True))
    wire.run(30)
    assert wire.sent == []


def test_every_packet_has_the_control_plane_independent_bit() -> None:
    assert all(packet.control_plane_independent and not packet.demand for _when, _end, packet in up().sent)


# ---- intervals ----


@pytest.mark.parametrize("multiplier", [1, 3])
def test_packets_are_jittered_by_a_quarter_at_most(multiplier: int) -> None:
    wire = up(settings(detect_multiplier=multiplier), settings())
    start = wire.now
    wire.run(30)
    found = gaps(wire, 0, start)
    most = 0.09 if multiplier == 1 else 0.1
    assert 0.075 - 1e-9 <= min(found) < 0.078
    assert most - 0.003 < max(found) <= most + 1e-9


def test_the_slower_of_both_wishes_counts() -> None:
    wire = up(settings(transmit_interval=0.1), settings(receive_interval=0.5))
    start = wire.now
    wire.run(20)
    assert min(gaps(wire, 0, start)) >= 0.375 - 1e-9
    assert wire.ends[1].detection_time == pytest.approx(1.5)


def test_intervals_change_by_a_poll_sequence_in_a_session_that_stays_up() -> None:
    wire = up()
    start = wire.now
    wire.ends[0].change(settings(transmit_interval=0.4, receive_interval=0.4), wire.now)
    wire.run(5)
    polls = [packet for _when, packet in wire.packets(0, start) if packet.poll]
    finals = [packet for _when, packet in wire.packets(1, start) if packet.final]
    assert polls and finals and not any(packet.poll and packet.final for _when, _end, packet in wire.sent)
    assert polls[0].desired_min_tx == pytest.approx(0.4)
    assert wire.states == BOTH_UP and len(wire.changes) == 4
    assert min(gaps(wire, 0, start + 1)) >= 0.3 - 1e-9
    assert not wire.ends[0].variables.polling


def test_a_longer_interval_is_not_used_before_the_peer_has_heard_of_it() -> None:
    """Section 6.8.3: or the peer would give us up."""
    wire = up()
    start = wire.now
    wire.lost = lambda sender, packet: sender == 1 and packet.final
    wire.ends[0].change(settings(transmit_interval=2.0), wire.now)
    wire.run(3)
    assert max(gaps(wire, 0, start)) <= 0.1 + 1e-9
    assert wire.states == BOTH_UP


def test_a_shorter_receive_interval_does_not_shorten_detection_before_the_peer_has_heard_of_it() -> None:
    wire = up(settings(receive_interval=1.0), settings(transmit_interval=0.1))
    wire.lost = lambda sender, packet: sender == 1 and packet.final
    wire.ends[0].change(settings(receive_interval=0.1), wire.now)
    wire.run(0.05)
    assert wire.ends[0].detection_time == pytest.approx(3.0)
    wire.lost = lambda _sender, _packet: False
    wire.run(5)
    assert wire.ends[0].detection_time == pytest.approx(0.3)


def test_who_wants_less_is_as_patient_at_once() -> None:
    """The peer may have heard of it and rest already, and its Final may be lost."""
    wire = up()
    wire.lost = lambda sender, _packet: sender == 1
    wire.ends[0].change(settings(receive_interval=2.0), wire.now)
    wire.run(1.5)
    assert wire.states == BOTH_UP
    wire.run(5)
    assert wire.states[0] is BfdState.DOWN


def test_a_poll_is_repeated_until_it_is_answered() -> None:
    wire = up()
    start = wire.now
    drops = iter([True] * 5)
    wire.lost = lambda sender, packet: packet.final and next(drops, False)
    wire.ends[0].change(settings(transmit_interval=0.2), wire.now)
    wire.run(5)
    assert sum(packet.poll for _when, packet in wire.packets(0, start)) >= 6
    assert not wire.ends[0].variables.polling


def test_a_change_during_a_poll_gets_a_poll_of_its_own() -> None:
    wire = up()
    wire.ends[0].change(settings(transmit_interval=0.2), wire.now)
    wire.ends[0].change(settings(transmit_interval=0.4), wire.now)
    wire.run(5)
    variables = wire.ends[0].variables
    assert (variables.polling, variables.tx_in_force) == (False, pytest.approx(0.4))
    assert wire.states == BOTH_UP


def test_a_peer_that_wants_no_packets_gets_none() -> None:
    session = established()
    session.receive(heard(BfdState.UP, required_min_rx=0.0), 0.0)
    assert session._send_at is None
    session.receive(heard(BfdState.UP, required_min_rx=0.0, poll=True), 0.1)
    assert [packet.final for packet in sent_by(session)] == [True]


def test_a_peer_in_demand_mode_gets_no_periodic_packets_but_answers() -> None:
    session = established()
    session.receive(heard(BfdState.UP, demand=True), 0.0)
    session.handle_timer(0.29)
    assert sent_by(session) == []
    session.receive(heard(BfdState.UP, demand=True, poll=True), 0.29)
    assert [packet.final for packet in sent_by(session)] == [True]


def test_a_peer_in_demand_mode_is_polled_when_an_interval_changes() -> None:
    session = established()
    session.receive(heard(BfdState.UP, demand=True), 0.0)
    session.change(settings(transmit_interval=0.5), 0.1)
    assert [packet.poll for packet in sent_by(session)] == [True]


# ---- detection ----


def test_a_peer_is_gone_after_the_detection_time_and_not_before() -> None:
    wire = up(settings(receive_interval=0.1), settings(transmit_interval=0.3, detect_multiplier=4))
    wire.lost = lambda sender, _packet: sender == 1
    last = wire.packets(1)[-1][0] + LATENCY
    wire.run(5, until=lambda: wire.states[0] is BfdState.DOWN)
    assert wire.now - last == pytest.approx(1.2)
    assert wire.ends[0].variables.diagnostic is Diagnostic.DETECTION_TIME_EXPIRED
    assert wire.ends[0].variables.remote_discriminator == 0
    assert wire.ends[0].variables.went_down == 1


def test_every_second_packet_is_enough() -> None:
    wire = up()
    counts = [itertools.count(), itertools.count()]
    wire.lost = lambda sender, _packet: next(counts[sender]) % 2 == 1
    changes = len(wire.changes)
    wire.run(60)
    assert len(wire.changes) == changes


def test_a_session_comes_back_by_itself() -> None:
    wire = up()
    wire.lost = lambda _sender, _packet: True
    wire.run(2)
    assert wire.states == (BfdState.DOWN, BfdState.DOWN)
    wire.lost = lambda _sender, _packet: False
    wire.run(5)
    assert wire.states == BOTH_UP


def test_a_peer_that_asked_for_silence_and_died_is_spoken_to_again() -> None:
    session = established()
    session.receive(heard(BfdState.UP, required_min_rx=0.0), 0.0)
    session.handle_timer(0.3)
    assert session.variables.state is BfdState.DOWN
    assert [packet.state for packet in sent_by(session)] == [BfdState.DOWN]


# ---- the administrator ----


def test_admin_down_is_told_and_is_nobody_s_failure() -> None:
    wire = up()
    wire.ends[0].disable(wire.now)
    wire.run(0.01)
    assert wire.states == (BfdState.ADMIN_DOWN, BfdState.DOWN)
    assert wire.ends[1].variables.remote_diagnostic is Diagnostic.ADMINISTRATIVELY_DOWN
    assert [end.variables.went_down for end in wire.ends] == [0, 0]
    assert wire.ends[0].finished


def test_admin_down_is_said_for_a_time_and_then_there_is_silence() -> None:
    wire = up()
    wire.lost = lambda _sender, _packet: True
    wire.ends[0].disable(wire.now)
    start = wire.now
    assert not wire.ends[0].finished
    wire.run(30)
    said = [packet.state for _when, packet in wire.packets(0, start)]
    assert wire.ends[0].finished and set(said) == {BfdState.ADMIN_DOWN} and 2 <= len(said) <= 6


def test_nothing_that_is_heard_ends_admin_down() -> None:
    session = established()
    session.disable(0.0)
    for state in BfdState:
        assert session.receive(heard(state), 0.1) is Drop.DISABLED
    assert session.variables.state is BfdState.ADMIN_DOWN


def test_an_enabled_session_comes_up_again() -> None:
    wire = up()
    wire.ends[0].disable(wire.now)
    wire.run(20)
    wire.ends[0].enable(wire.now)
    wire.run(5)
    assert wire.states == BOTH_UP


# ---- going on elsewhere ----


def test_a_session_goes_on_in_another_process() -> None:
    wire = up()
    changes = len(wire.changes)
    for _time in range(20):
        old = wire.ends[0]
        wire.ends[0] = Session(old.settings, old.variables, wire.now, jitter=wire.random.random)
        wire.run(0.33)
    assert wire.states == BOTH_UP and len(wire.changes) == changes


# ---- echo ----


def test_echo_runs_while_up_and_at_the_peer_s_pace() -> None:
    session = established(settings(echo_interval=0.05))
    session.receive(heard(BfdState.UP, required_min_echo_rx=0.2), 0.0)
    now, times = 0.0, []
    more = at_most()
    while more() and now < 0.25:
        session.handle_timer(now)
        times += [now] * len(session.echoes_to_send())
        now = session.timer() or 1
    assert times[:2] == [0.0, pytest.approx(0.15)]


def test_echo_packets_that_stop_coming_back_take_the_session_down() -> None:
    session = established(settings(echo_interval=0.05))
    session.receive(heard(BfdState.UP, required_min_echo_rx=0.05), 0.0)
    now = 0.0
    while now < 0.1:  # for so long they come back
        _step(session, now, returns=True)
        now += 0.005
    last = session.echo.sent
    while session.variables.state is BfdState.UP:
        _step(session, now, returns=False)
        now += 0.005
    assert session.variables.diagnostic is Diagnostic.ECHO_FAILED
    assert session.echo.sent >= last + 3, "as many as the multiplier says were missed"
    assert now < 0.1 + 4 * 0.05 + 0.05


def test_a_pause_of_our_own_is_no_loss_of_echo_packets() -> None:
    """RFC 5880 section 6.4: packets that were sent have to be missing; in a pause none is."""
    session = established(settings(echo_interval=0.05))
    session.receive(heard(BfdState.UP, required_min_echo_rx=0.05), 0.0)
    now = 0.0
    for pause in (0.0, 0.2, 0.2, 0.25):
        now += pause
        for _each in range(40):
            _step(session, now, returns=True)
            now += 0.005
    assert session.variables.state is BfdState.UP
    assert session.echo.received == session.echo.sent > 10


def test_echo_packets_that_wait_while_we_pause_are_not_missing() -> None:
    session = established(settings(echo_interval=0.05))
    session.receive(heard(BfdState.UP, required_min_echo_rx=0.05), 0.0)
    _step(session, 0.0, returns=True)
    _step(session, 0.05, returns=False)
    session.receive(heard(BfdState.UP, required_min_echo_rx=0.05), 0.4)
    session.handle_timer(0.4)  # one packet is out, and has had its interval
    assert session.variables.state is BfdState.UP


def _step(session: Session, now: float, *, returns: bool) -> None:
    """Do as a driver: read, then look at the timers; each echo packet comes back at once, or never."""
    session.receive(heard(BfdState.UP, required_min_echo_rx=0.05), now)
    session.handle_timer(now)
    for payload in session.echoes_to_send():
        discriminator, number = decode_echo(payload) or (0, 0)
        assert discriminator == session.variables.local_discriminator
        if returns:
            session.echo_returned(number)


def test_echo_packets_that_never_came_back_prove_nothing() -> None:
    session = established(settings(echo_interval=0.05))
    now = 0.0
    while now < 2:
        session.receive(heard(BfdState.UP, required_min_echo_rx=0.05), now)
        session.handle_timer(now)
        now += 0.1
    assert session.variables.state is BfdState.UP


@pytest.mark.parametrize("given", [settings(), settings(multihop=True, echo_interval=0.05)])
def test_without_a_profile_for_it_or_over_several_hops_there_is_no_echo(given: BfdSettings) -> None:
    session = established(given)
    session.receive(heard(BfdState.UP, required_min_echo_rx=0.05), 0.0)
    session.handle_timer(0.2)
    assert session.echoes_to_send() == []
    assert all(packet.required_min_echo_rx == 0 for packet in sent_by(session))
