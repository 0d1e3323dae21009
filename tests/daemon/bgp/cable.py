# SPDX-License-Identifier: GPL-3.0-or-later
"""Two sessions, a cable between them and a clock that is a float."""

from __future__ import annotations

from collections import deque
from ipaddress import IPv4Address, IPv6Address, ip_address

from support.bounds import at_most

from vipcast.bgp.events import Connect, Disconnect, StateChanged
from vipcast.bgp.fsm import State
from vipcast.bgp.negotiation import SessionSettings
from vipcast.bgp.session import Session

LATENCY = 0.001


def settings(local: int = 64513, remote: int = 64512, **others: object) -> SessionSettings:
    values = {"hold_time": 9, "connect_time": 5.0, **others}
    return SessionSettings(local, remote, **values)  # type: ignore[arg-type]


class End:
    """One side of the cable: a session, its address, its connection's number."""

    def __init__(self, session: Session, address: str, *, dials: bool) -> None:
        self.session = session
        self.address: IPv4Address | IPv6Address = ip_address(address)
        self.dials = dials
        self.connection = 0
        self.frozen = False
        self.changes: list[tuple[float, StateChanged]] = []
        self.dialled: list[float] = []


class Cable:
    """``node`` dials, ``router`` answers. ``cut`` loses everything in silence."""

    def __init__(
        self, node: Session, router: Session, addresses: tuple[str, str] = ("10.99.0.1", "10.99.0.2")
    ):
        self.now = 1000.0
        self.node = End(node, addresses[0], dials=True)
        self.router = End(router, addresses[1], dials=False)
        self.cut = False
        self.refuses = False
        self._connection = 0
        self._transit: deque[tuple[float, End, int, bytes | None]] = deque()

    def start(self) -> None:
        self.node.session.start(self.now)
        self.settle()

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        more = at_most()
        while more() and (at := self._next()) is not None and at <= end:
            self.now = max(self.now, at)
            self._deliver()
            for side in (self.node, self.router):
                timer = side.session.timer()
                if not side.frozen and timer is not None and timer <= self.now:
                    side.session.handle_timer(self.now)
            self.settle()
        self.now = end

    def settle(self) -> None:
        """Do what both ends want to have done now, until neither wants anything."""
        more = at_most()
        while more() and self._act(self.node) | self._act(self.router):
            pass

    def reset(self) -> None:
        """TCP fails on both ends at once."""
        self._transit.clear()
        for side in (self.node, self.router):
            if side.connection:
                side.connection = 0
                side.session.connection_failed(self.now, "the connection broke")
        self.settle()

    def states(self) -> tuple[State, State]:
        return self.node.session.state, self.router.session.state

    def _next(self) -> float | None:
        times = [side.session.timer() for side in (self.node, self.router) if not side.frozen]
        times += [at for at, side, *_frame in self._transit if not side.frozen]
        return min((at for at in times if at is not None), default=None)

    def _deliver(self) -> None:
        waiting = []
        more = at_most()
        while more() and self._transit:
            at, side, connection, data = self._transit.popleft()
            if at > self.now or side.frozen:
                waiting.append((at, side, connection, data))
            elif connection == side.connection and data is None:
                side.connection = 0
                side.session.connection_failed(self.now, "the peer closed the connection")
            elif connection == side.connection and data is not None:
                side.session.receive_data(data, self.now)
                self.settle()
        self._transit.extend(waiting)

    def _other(self, side: End) -> End:
        return self.router if side is self.node else self.node

    def _send(self, side: End, data: bytes | None) -> None:
        if side.connection and not self.cut:
            self._transit.append((self.now + LATENCY, self._other(side), side.connection, data))

    def _act(self, side: End) -> bool:
        if side.frozen:
            return False
        busy = False
        more = at_most()
        while more() and (data := side.session.data_to_send()):
            self._send(side, data)
            busy = True
        more = at_most()
        while more() and (event := side.session.next_event()) is not None:
            busy = True
            match event:
                case Connect():
                    self._dial(side)
                case Disconnect():
                    self._send(side, None)
                    side.connection = 0
                case StateChanged():
                    side.changes.append((self.now, event))
        return busy

    def _dial(self, side: End) -> None:
        if not side.dials:
            side.session.connection_failed(self.now, "a router that waits to be dialled")
            return
        side.dialled.append(self.now)
        if self.cut or self.router.frozen:
            return
        if self.refuses:
            side.session.connection_failed(self.now, "connection refused")
            return
        self._connect()

    def _connect(self) -> None:
        self._connection += 1
        if self.router.session.state is State.IDLE:
            self.router.session.start(self.now, passive=True)
        elif self.router.session.state is not State.ACTIVE:
            self.router.session.connection_failed(self.now, "the peer dialled anew")
            self.router.session.stop(self.now)
            self.router.session.start(self.now, passive=True)
        more = at_most()
        while more() and self.router.session.next_event():
            pass
        for side in (self.node, self.router):
            side.connection = self._connection
            side.session.connected(self.now, side.address)
