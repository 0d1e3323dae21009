# SPDX-License-Identifier: GPL-3.0-or-later
"""Two neighbors that both dial and listen, TCP between them, and a clock that is a float."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address

from support.bounds import at_most

from vipcast.bgp.events import Connect, Disconnect
from vipcast.bgp.fsm import State
from vipcast.bgp.negotiation import SessionSettings
from vipcast.bgp.peer import PeerSessions, Refusal, refusal_message
from vipcast.bgp.session import Session


@dataclass(eq=False)
class Tcp:
    """One connection: the session at each end, None where it is over or not there yet."""

    number: int
    latency: float
    ends: dict[Host, Session | None] = field(default_factory=dict)
    early: list[bytes | None] = field(default_factory=list)
    """What reached a listener that has not accepted yet."""
    shaken: bool = False
    """The listener has the handshake's last segment: three latencies after the first."""


class Host:
    """One side: a neighbor, its address, and the connections of its sessions."""

    def __init__(self, name: str, address: str, neighbor: PeerSessions) -> None:
        self.name = name
        self.address: IPv4Address = ip_address(address)  # type: ignore[assignment]
        self.neighbor = neighbor
        self.tcp: dict[Session, Tcp] = {}
        self.served: list[Session] = []
        self.waiting: Tcp | None = None
        self.listens = True

    @property
    def state(self) -> State:
        return self.neighbor.current.state

    @property
    def established(self) -> list[Session]:
        return [s for s in self.neighbor.sessions if s.state is State.ESTABLISHED]


class SimulatedNetwork:
    """``latency`` gives the seconds one way for the next connection."""

    def __init__(self, left: Host, right: Host, latency: Callable[[], float]) -> None:
        self.now = 1000.0
        self.hosts = (left, right)
        self._latency = latency
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def other(self, host: Host) -> Host:
        return self.hosts[1 - self.hosts.index(host)]

    def start(self, host: Host, delay: float = 0.0) -> None:
        self._at(delay, lambda: host.neighbor.start(self.now))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        more = at_most()
        while more() and (at := self._next()) <= end:
            self.now = max(self.now, at)
            due = at_most()
            while due() and self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
                self.settle()
            for host in self.hosts:
                timer = host.neighbor.timer()
                if timer is not None and timer <= self.now:
                    host.neighbor.handle_timer(self.now, waiting=host.waiting is not None)
            self.settle()
        self.now = end

    def settle(self) -> None:
        for host in self.hosts:
            self._serve(host)

    def _next(self) -> float:
        times = [host.neighbor.timer() for host in self.hosts]
        times += [event[0] for event in self._events[:1]]
        return min((at for at in times if at is not None), default=float("inf"))

    def _at(self, delay: float, step: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + delay, next(self._numbers), step))

    # ---- one side ----

    def _serve(self, host: Host) -> None:
        for session in dict.fromkeys((*host.served, *host.neighbor.sessions)):
            more = at_most()
            while more() and (data := session.data_to_send()):
                self._send(host, session, data)
            more = at_most()
            while more() and (event := session.next_event()) is not None:
                if isinstance(event, Connect):
                    self._dial(host, session)
                elif isinstance(event, Disconnect):
                    self._send(host, session, None)
                    self._forget(host, session)
        host.served = list(host.neighbor.sessions)
        self._take_waiting(host)

    def _forget(self, host: Host, session: Session) -> None:
        if (tcp := host.tcp.pop(session, None)) is not None:
            tcp.ends[host] = None

    def _send(self, host: Host, session: Session, data: bytes | None) -> None:
        """Deliver octets; ``None`` is the end of the stream."""
        if (tcp := host.tcp.get(session)) is not None:
            self._at(tcp.latency, lambda: self._arrive(self.other(host), tcp, data))

    def _arrive(self, host: Host, tcp: Tcp, data: bytes | None) -> None:
        session = tcp.ends.get(host)
        if host.waiting is tcp or (session is None and not tcp.shaken):
            tcp.early.append(data)
        elif session is None:
            return
        elif data is None:
            self._forget(host, session)
            session.connection_failed(self.now, "the peer closed the connection")
        else:
            session.receive_data(data, self.now)
        host.neighbor.settle(self.now)

    # ---- connections ----

    def _dial(self, host: Host, session: Session) -> None:
        tcp = Tcp(next(self._numbers), self._latency(), {host: session})
        host.tcp[session] = tcp
        self._at(tcp.latency, lambda: self._syn(host, tcp))

    def _syn(self, caller: Host, tcp: Tcp) -> None:
        callee = self.other(caller)
        if tcp.ends[caller] is None:
            return
        if not callee.listens:
            self._at(tcp.latency, lambda: self._refused(caller, tcp))
            return
        self._at(tcp.latency, lambda: self._synack(caller, tcp))
        self._at(2 * tcp.latency, lambda: self._accept(callee, tcp))

    def _accept(self, host: Host, tcp: Tcp) -> None:
        tcp.shaken = True
        answer = host.neighbor.accept(self.now, host.address)
        host.waiting = tcp if answer is Refusal.LATER else None
        if isinstance(answer, Session):
            tcp.ends[host] = answer
            host.tcp[answer] = tcp
            early, tcp.early = tcp.early, []
            for data in early:
                self._arrive(host, tcp, data)
        elif answer is not Refusal.LATER:
            for data in (refusal_message(answer), None):
                self._at(tcp.latency, lambda data=data: self._arrive(self.other(host), tcp, data))

    def _take_waiting(self, host: Host) -> None:
        if host.waiting is not None and host.neighbor.refusal(self.now) is not Refusal.LATER:
            self._accept(host, host.waiting)

    def _synack(self, caller: Host, tcp: Tcp) -> None:
        if (session := tcp.ends[caller]) is not None:
            session.connected(self.now, caller.address)
            caller.neighbor.settle(self.now)

    def _refused(self, caller: Host, tcp: Tcp) -> None:
        if (session := tcp.ends[caller]) is not None:
            self._forget(caller, session)
            session.connection_failed(self.now, "connection refused")
            caller.neighbor.settle(self.now)


def neighbor(local: int, remote: int, seed: int, *, passive: bool = False, **others: object) -> PeerSessions:
    jitter = random.Random(seed)
    values = {"hold_time": 9, "connect_time": 5.0, **others}
    settings = SessionSettings(local, remote, **values)  # type: ignore[arg-type]
    return PeerSessions(settings, passive=passive, jitter=lambda: jitter.uniform(0.75, 1.0))
