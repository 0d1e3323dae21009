# SPDX-License-Identifier: GPL-3.0-or-later
"""Two neighbours that both dial and listen, TCP between them, and a clock that is a float."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address

from vipcast.bgp.events import Dial, HangUp
from vipcast.bgp.fsm import State
from vipcast.bgp.negotiation import SessionSettings
from vipcast.bgp.neighbour import Neighbour, Refusal, refusal_message
from vipcast.bgp.session import Session


@dataclass(eq=False)
class Tcp:
    """One connection: the session at each end, None where it is over or not there yet."""

    number: int
    latency: float
    ends: dict[House, Session | None] = field(default_factory=dict)
    early: list[bytes | None] = field(default_factory=list)
    """What reached a listener that has not accepted yet."""


class House:
    """One side: a neighbour, its address, and the connections of its sessions."""

    def __init__(self, name: str, address: str, neighbour: Neighbour) -> None:
        self.name = name
        self.address: IPv4Address = ip_address(address)  # type: ignore[assignment]
        self.neighbour = neighbour
        self.tcp: dict[Session, Tcp] = {}
        self.served: list[Session] = []
        self.waiting: Tcp | None = None
        self.listens = True

    @property
    def state(self) -> State:
        return self.neighbour.current.state

    @property
    def established(self) -> list[Session]:
        return [s for s in self.neighbour.sessions if s.state is State.ESTABLISHED]


class Street:
    """``latency`` gives the seconds one way for the next connection."""

    def __init__(self, left: House, right: House, latency: Callable[[], float]) -> None:
        self.now = 1000.0
        self.houses = (left, right)
        self._latency = latency
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def other(self, house: House) -> House:
        return self.houses[1 - self.houses.index(house)]

    def start(self, house: House, delay: float = 0.0) -> None:
        self._at(delay, lambda: house.neighbour.start(self.now))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while (at := self._next()) <= end:
            self.now = max(self.now, at)
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
                self.settle()
            for house in self.houses:
                timer = house.neighbour.timer()
                if timer is not None and timer <= self.now:
                    house.neighbour.handle_timer(self.now)
            self.settle()
        self.now = end

    def settle(self) -> None:
        for house in self.houses:
            self._serve(house)

    def _next(self) -> float:
        times = [house.neighbour.timer() for house in self.houses]
        times += [event[0] for event in self._events[:1]]
        return min((at for at in times if at is not None), default=float("inf"))

    def _at(self, delay: float, step: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + delay, next(self._numbers), step))

    # ---- one side ----

    def _serve(self, house: House) -> None:
        for session in dict.fromkeys((*house.served, *house.neighbour.sessions)):
            while data := session.data_to_send():
                self._send(house, session, data)
            while (event := session.next_event()) is not None:
                if isinstance(event, Dial):
                    self._dial(house, session)
                elif isinstance(event, HangUp):
                    self._send(house, session, None)
                    self._forget(house, session)
        house.served = list(house.neighbour.sessions)
        self._take_waiting(house)

    def _forget(self, house: House, session: Session) -> None:
        if (tcp := house.tcp.pop(session, None)) is not None:
            tcp.ends[house] = None

    def _send(self, house: House, session: Session, data: bytes | None) -> None:
        """``None``: the end of the stream."""
        if (tcp := house.tcp.get(session)) is not None:
            self._at(tcp.latency, lambda: self._arrive(self.other(house), tcp, data))

    def _arrive(self, house: House, tcp: Tcp, data: bytes | None) -> None:
        session = tcp.ends.get(house)
        if house.waiting is tcp:
            tcp.early.append(data)
        elif session is None:
            return
        elif data is None:
            self._forget(house, session)
            session.connection_failed(self.now, "the peer closed the connection")
        else:
            session.receive_data(data, self.now)
        house.neighbour.settle(self.now)

    # ---- connections ----

    def _dial(self, house: House, session: Session) -> None:
        tcp = Tcp(next(self._numbers), self._latency(), {house: session})
        house.tcp[session] = tcp
        self._at(tcp.latency, lambda: self._syn(house, tcp))

    def _syn(self, caller: House, tcp: Tcp) -> None:
        callee = self.other(caller)
        if tcp.ends[caller] is None:
            return
        if not callee.listens:
            self._at(tcp.latency, lambda: self._refused(caller, tcp))
            return
        self._at(tcp.latency, lambda: self._synack(caller, tcp))
        self._accept(callee, tcp)

    def _accept(self, house: House, tcp: Tcp) -> None:
        answer = house.neighbour.accept(self.now, house.address)
        house.waiting = tcp if answer is Refusal.LATER else None
        if isinstance(answer, Session):
            tcp.ends[house] = answer
            house.tcp[answer] = tcp
            early, tcp.early = tcp.early, []
            for data in early:
                self._arrive(house, tcp, data)
        elif answer is not Refusal.LATER:
            for data in (refusal_message(answer), None):
                self._at(tcp.latency, lambda data=data: self._arrive(self.other(house), tcp, data))

    def _take_waiting(self, house: House) -> None:
        if house.waiting is not None and house.neighbour.refusal() is not Refusal.LATER:
            self._accept(house, house.waiting)

    def _synack(self, caller: House, tcp: Tcp) -> None:
        if (session := tcp.ends[caller]) is not None:
            session.connected(self.now, caller.address)
            caller.neighbour.settle(self.now)

    def _refused(self, caller: House, tcp: Tcp) -> None:
        if (session := tcp.ends[caller]) is not None:
            self._forget(caller, session)
            session.connection_failed(self.now, "connection refused")
            caller.neighbour.settle(self.now)


def neighbour(local: int, remote: int, seed: int, *, passive: bool = False, **others: object) -> Neighbour:
    jitter = random.Random(seed)
    values = {"hold_time": 9, "connect_time": 5.0, **others}
    settings = SessionSettings(local, remote, **values)  # type: ignore[arg-type]
    return Neighbour(settings, passive=passive, jitter=lambda: jitter.uniform(0.75, 1.0))
