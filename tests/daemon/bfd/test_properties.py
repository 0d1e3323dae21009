# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what holds for any two sessions, on any wire."""

from __future__ import annotations

from daemon.bfd.wire import Wire, settings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from vipcast.bfd.fsm import BfdState
from vipcast.bfd.packet import ControlPacket, Drop, decode
from vipcast.bfd.session import Session, Variables

intervals = st.sampled_from([0.01, 0.05, 0.1, 0.3, 1.0, 2.5])
sides = st.builds(
    settings,
    transmit_interval=intervals,
    receive_interval=intervals,
    detect_multiplier=st.integers(1, 5),
)
# Seconds of the wire's life: both ways open, one way cut, or all cut.
weather = st.lists(
    st.tuples(st.floats(0.05, 8), st.sampled_from(["fair", "left", "right", "cut", "rain"])), max_size=8
)


def lossy(wire: Wire, kind: str) -> None:
    wire.lost = {
        "fair": lambda _sender, _packet: False,
        "left": lambda sender, _packet: sender == 0,
        "right": lambda sender, _packet: sender == 1,
        "cut": lambda _sender, _packet: True,
        "rain": lambda _sender, _packet: wire.random.random() < 0.4,
    }[kind]


@hypothesis_settings(max_examples=60, deadline=None)
@given(sides, sides, weather, st.integers(0, 1000))
def test_nobody_is_up_alone_for_longer_than_its_detection_time(one, two, story, seed) -> None:  # type: ignore[no-untyped-def]
    """A session that is Up has heard its peer within its detection time, whatever the wire did."""
    wire = Wire(one, two, seed=seed)
    for seconds, kind in story:
        lossy(wire, kind)
        alone_since: list[float | None] = [None, None]
        end = wire.now + seconds
        while wire.now < end:
            wire.run(min(0.05, end - wire.now))
            for me in (0, 1):
                alone = wire.states[me] is BfdState.UP and wire.states[1 - me] is not BfdState.UP
                if not alone:
                    alone_since[me] = None
                elif alone_since[me] is None:
                    alone_since[me] = wire.now
                if kind in ("fair", "cut") and alone_since[me] is not None:
                    # Who isn't Up sends once a second at most, and learns that we are at our own scheduler.
                    ours = wire.ends[me].status(0.0).transmit_interval or 0
                    patience = max(wire.ends[me].detection_time or 0, 1.0, ours) + 0.11
                    assert wire.now - (alone_since[me] or 0) <= patience


@hypothesis_settings(max_examples=60, deadline=None)
@given(sides, sides, weather, st.integers(0, 1000))
def test_fair_weather_brings_every_session_up(one, two, story, seed) -> None:  # type: ignore[no-untyped-def]
    wire = Wire(one, two, seed=seed)
    for seconds, kind in story:
        lossy(wire, kind)
        wire.run(seconds)
    lossy(wire, "fair")
    wire.run(40)
    assert wire.states == (BfdState.UP, BfdState.UP)
    changes = len(wire.changes)
    wire.run(60)
    assert len(wire.changes) == changes
    assert not any(end.variables.polling for end in wire.ends)


@hypothesis_settings(max_examples=60, deadline=None)
@given(sides, sides, st.integers(0, 1000))
def test_a_dead_peer_is_noticed_within_the_detection_time(one, two, seed) -> None:  # type: ignore[no-untyped-def]
    wire = Wire(one, two, seed=seed)
    wire.run(40)
    wire.lost = lambda sender, _packet: sender == 1
    patience = wire.ends[0].detection_time
    assert patience is not None
    took = wire.run(100, until=lambda: wire.states[0] is not BfdState.UP)
    assert took <= patience + 0.01


@hypothesis_settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 2), st.binary(min_size=20, max_size=30)), max_size=20))
def test_whatever_a_peer_sends_a_session_lives_and_sends_good_packets(story) -> None:  # type: ignore[no-untyped-def]
    session, now = Session(settings(), Variables(11), 0.0), 0.0
    for seconds, octets in story:
        now += seconds
        shaped = bytes([0x20 | octets[0] & 0x1F, octets[1] & 0xFA, octets[2] or 1, 24]) + octets[4:].ljust(
            20, b"\1"
        )
        packet = decode(shaped)
        if isinstance(packet, ControlPacket):
            session.receive(packet, now)
        session.handle_timer(now)
        sent = session.packets_to_send()
        assert len(sent) <= 4 and not any(isinstance(decode(data), Drop) for data in sent)
        assert (at := session.timer()) is None or at >= now
