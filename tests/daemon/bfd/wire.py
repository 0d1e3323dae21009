# SPDX-License-Identifier: GPL-3.0-or-later
"""Two sessions and a wire between them that can lose, delay and stop: in virtual time."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from support.bounds import at_most

from vipcast.bfd.fsm import BfdState
from vipcast.bfd.packet import ControlPacket, decode
from vipcast.bfd.session import Session, StateChanged, Variables
from vipcast.bfd.settings import BfdSettings

LATENCY = 0.001


def settings(**values: Any) -> BfdSettings:
    plain = {"transmit_interval": 0.1, "receive_interval": 0.1}
    return BfdSettings(ip_address("192.0.2.1"), **{**plain, **values})


class Wire:
    """Ends 0 and 1. ``lost(sender, packet)``: whether one gets lost. ``sent`` and ``changes``: the story."""

    def __init__(self, one: BfdSettings, two: BfdSettings, *, seed: int = 1) -> None:
        self.now = 0.0
        self.random = random.Random(seed)
        self.ends = [
            Session(one, Variables(11), 0.0, jitter=self.random.random),
            Session(two, Variables(22), 0.0, jitter=self.random.random),
        ]
        self.lost: Callable[[int, ControlPacket], bool] = lambda _sender, _packet: False
        self.sent: list[tuple[float, int, ControlPacket]] = []
        self.changes: list[tuple[float, int, StateChanged]] = []
        self._order = itertools.count()
        self._flying: list[tuple[float, int, int, ControlPacket]] = []

    @property
    def states(self) -> tuple[BfdState, BfdState]:
        return self.ends[0].variables.state, self.ends[1].variables.state

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
        """Seconds until ``until`` holds, or all of them."""
        start, end = self.now, self.now + seconds
        self._collect()
        more = at_most()
        while more() and not until():
            at = self._next()
            if at is None or at > end:
                self.now = end
                break
            self.now = max(self.now, at)
            self._step()
        return self.now - start

    def packets(self, sender: int, since: float = 0.0) -> list[tuple[float, ControlPacket]]:
        return [(at, packet) for at, who, packet in self.sent if who == sender and at >= since]

    def _next(self) -> float | None:
        times = [end.timer() for end in self.ends] + [self._flying[0][0] if self._flying else None]
        return min((at for at in times if at is not None), default=None)

    def _step(self) -> None:
        while self._flying and self._flying[0][0] <= self.now:
            _at, _order, receiver, packet = heapq.heappop(self._flying)
            self.ends[receiver].receive(packet, self.now)
            self._collect()
        for end in self.ends:
            if (at := end.timer()) is not None and at <= self.now:
                end.handle_timer(self.now)
        self._collect()

    def _collect(self) -> None:
        for who, end in enumerate(self.ends):
            for data in end.packets_to_send():
                packet = decode(data)
                assert isinstance(packet, ControlPacket), packet
                self.sent.append((self.now, who, packet))
                if not self.lost(who, packet):
                    heapq.heappush(self._flying, (self.now + LATENCY, next(self._order), 1 - who, packet))
            more = at_most()
            while more() and (change := end.next_event()) is not None:
                self.changes.append((self.now, who, change))


def up(one: BfdSettings | None = None, two: BfdSettings | None = None, *, seed: int = 1) -> Wire:
    """Both ends Up, and their poll sequences over."""
    wire = Wire(one or settings(), two or settings(), seed=seed)
    wire.run(10, until=lambda: wire.states == (BfdState.UP, BfdState.UP))
    wire.run(2)
    assert wire.states == (BfdState.UP, BfdState.UP)
    return wire
