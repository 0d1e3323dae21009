# SPDX-License-Identifier: GPL-3.0-or-later
"""A session that a test drives: into a state, and through what it says and does."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

from daemon.bgp.cable import settings
from support.bounds import at_most

from vipcast.bgp.capabilities import Multiprotocol
from vipcast.bgp.framing import FrameBuffer
from vipcast.bgp.fsm import State
from vipcast.bgp.messages import Keepalive, Message, Open, decode, encode
from vipcast.bgp.session import Session
from vipcast.bgp.wire import Family

LOCAL = ip_address("10.99.0.1")


ROUTER_ID = IPv4Address("10.99.0.2")


def peer_open(asn: int = 64512, hold: int = 9, router_id: IPv4Address = ROUTER_ID) -> Open:
    return Open.of(asn, hold, router_id, Multiprotocol(Family.IPV4_UNICAST))


def said(session: Session) -> list[Message]:
    buffer = FrameBuffer()
    buffer.max_length = 65535
    more = at_most()
    while more() and (data := session.data_to_send()):
        buffer.receive(data)
    return [decode(frame) for frame in buffer]


def done(session: Session) -> list[object]:
    events = []
    more = at_most()
    while more() and (event := session.next_event()) is not None:
        events.append(event)
    return events


def session_in(state: State, **others: object) -> Session:
    """Brought there by what really brings it there."""
    session = Session(settings(**others))
    if state is State.IDLE:
        return session
    session.start(0.0, passive=state is State.ACTIVE)
    if state in (State.CONNECT, State.ACTIVE):
        return session
    session.connected(0.0, LOCAL)
    if state is not State.OPEN_SENT:
        session.receive_data(encode(peer_open()), 0.0)
    if state is State.ESTABLISHED:
        session.receive_data(encode(Keepalive()), 0.0)
    assert session.state is state
    said(session), done(session)
    return session
