# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this node exchanges with one other: tokens, numbers, acknowledgements, what it has yet to tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import NamedTuple

from vipcast.members.entries import Key, Value
from vipcast.members.packet import MAX_HELD_BACK, WINDOW, Packet
from vipcast.members.words import Drop, Endpoint

NEVER = float("-inf")
_MASK = (1 << WINDOW) - 1
# Packets that wait to be acknowledged: fewer than the window, or their acknowledgement would not find room.
MAX_FLIGHTS = 32


class Taken(Enum):
    """What a packet with a good tag was."""

    BELIEVED = auto()
    NEW_LIFE = auto()  # believed; the peer has started again, or is new
    GREETING = auto()  # not believed: the sender has yet to prove itself


class Greeting(NamedTuple):
    """Somebody who has yet to prove itself. ``mine``: our token for it."""

    life: int
    theirs: int
    mine: int


class Flight(NamedTuple):
    sent_at: float
    entries: tuple[tuple[Key, Value], ...]


class Link:
    """Times are of the caller's clock. ``pending``: when each entry was last sent, or NEVER."""

    def __init__(self, name: str, endpoint: Endpoint | None, token: Callable[[], int]) -> None:
        self.name, self.endpoint = name, endpoint
        self._token = token
        self.mine, self.theirs, self.life = token(), 0, 0
        self.greeting: Greeting | None = None
        self.number = 0  # of the last packet sent
        self.highest = self.seen = 0  # received: number, and bits of those before it
        self.received_at = 0.0
        self.heard_at = NEVER
        self.acknowledged_at = NEVER
        self.round_trip: float | None = None
        self.asked, self.asks = 0, 0  # heard of the peer, told to it
        self.told_all = False  # the peer has told us all that it knows
        self.watched_until = NEVER  # the peer wants heartbeats until then
        self.watched_at = NEVER  # since then heartbeats are expected of it
        self.answered_at = NEVER  # its last greeting
        self.waiting = False  # the peer wants an answer at once
        self.told = False  # the peer is kept up to date: `pending` says what it lacks
        self.bulk = False  # there is more for it than may be under way
        self.pending: dict[Key, float] = {}
        self.flights: dict[int, Flight] = {}

    @property
    def known(self) -> bool:
        """The peer has proved itself, in this life."""
        return self.life != 0

    # ---- receiving ----

    def take(self, packet: Packet, now: float) -> Taken | Drop:
        """Whether it is of now (see `vipcast.members.packet`); what it acknowledges is for `acknowledge`."""
        if packet.yours == self.mine and packet.life == (self.life or packet.life):
            return self._current(packet, now)
        greeting = self.greeting
        if greeting is not None and (packet.yours, packet.life) == (greeting.mine, greeting.life):
            return self._begin(packet, greeting.mine, now)
        return self._greet(packet)

    def _current(self, packet: Packet, now: float) -> Taken | Drop:
        if not self.known:
            return self._begin(packet, self.mine, now)
        if not self._is_new(packet.number):
            return Drop.REPLAYED
        self._hear(packet, now)
        return Taken.BELIEVED

    def _begin(self, packet: Packet, mine: int, now: float) -> Taken:
        self.life, self.mine, self.greeting = packet.life, mine, None
        self.highest = self.seen = 0
        self.asked, self.told_all, self.round_trip = packet.asks, False, None
        self.flights.clear()
        self.acknowledged_at = now
        self._hear(packet, now)
        return Taken.NEW_LIFE

    def _greet(self, packet: Packet) -> Taken | Drop:
        """Of the same life: it does not know our token. Of another: it may be the peer's new one.

        In both cases `answer` has what its sender needs to prove itself.
        """
        if self.known and packet.life != self.life:
            if self.greeting is None or self.greeting[:2] != (packet.life, packet.mine):
                self.greeting = Greeting(packet.life, packet.mine, self._token())
        else:
            self.greeting = Greeting(packet.life, packet.mine, self.mine)
        return Taken.GREETING if packet.yours == 0 else Drop.OTHER_LIFE

    def _is_new(self, number: int) -> bool:
        behind = self.highest - number
        return behind < 0 or (0 < behind <= WINDOW and not self.seen >> (behind - 1) & 1)

    def _hear(self, packet: Packet, now: float) -> None:
        ahead = packet.number - self.highest
        if ahead > 0:
            seen = (self.seen << 1 | (self.highest > 0)) << (ahead - 1)
            self.seen = seen & _MASK if ahead <= WINDOW else 0
            self.highest, self.received_at = packet.number, now
            self.theirs = packet.mine
        else:
            self.seen |= 1 << (-ahead - 1)
        self.heard_at = max(self.heard_at, now)

    def acknowledge(self, packet: Packet, now: float) -> Iterator[tuple[Key, Value]]:
        """The entries that have arrived."""
        if not packet.acknowledged:
            return
        flights = self.flights
        for number in [number for number in flights if number <= packet.acknowledged]:
            behind = packet.acknowledged - number
            if behind == 0 or packet.earlier >> (behind - 1) & 1:
                flight = flights.pop(number)
                self.acknowledged_at = max(self.acknowledged_at, flight.sent_at)
                if behind == 0:
                    self._measure(now - flight.sent_at - packet.held_back / 1e6)
                yield from flight.entries
            elif behind > WINDOW:
                del flights[number]

    def _measure(self, round_trip: float) -> None:
        """Smoothed as TCP does (RFC 6298 section 2)."""
        if round_trip >= 0:
            old = self.round_trip
            self.round_trip = round_trip if old is None else old + (round_trip - old) / 8

    # ---- sending ----

    def packet(self, name: str, life: int, flags: int, body: bytes, now: float) -> Packet:
        self.number += 1
        held_back = min(MAX_HELD_BACK, max(0, round((now - self.received_at) * 1e6)))
        return Packet(
            name,
            life,
            self.mine,
            self.theirs,
            self.number,
            self.highest,
            self.seen,
            held_back,
            self.asks,
            flags,
            body,
        )

    def answer(self, name: str, life: int) -> Packet | None:
        """To a greeting: our token, and theirs to show that it is of now."""
        greeting = self.greeting
        if greeting is None:
            return None
        self.number += 1
        return Packet(name, life, greeting.mine, greeting.theirs, self.number)

    def fly(self, entries: tuple[tuple[Key, Value], ...], now: float) -> None:
        self.flights[self.number] = Flight(now, entries)
        for key, _value in entries:
            self.pending.pop(key, None)
            self.pending[key] = now  # at the end: it is others' turn first
        if len(self.flights) > WINDOW:
            del self.flights[next(iter(self.flights))]
