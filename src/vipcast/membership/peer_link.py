# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exchange of this node with one other: tokens, numbers, acknowledgments, what it has yet to tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum, auto
from typing import NamedTuple

from vipcast.membership.entries import Key, Value
from vipcast.membership.packet import MAX_HELD_BACK, WINDOW, Packet
from vipcast.membership.types import Drop, Endpoint
from vipcast.membership.versions import SUPPORTED
from vipcast.versions import Versions

NEVER = float("-inf")
_MASK = (1 << WINDOW) - 1
# Packets that wait to be acknowledged: fewer than the window, or their acknowledgement would not find room.
MAX_FLIGHTS = 32


class Acceptance(Enum):
    """The kinds of packets that have a good tag."""

    BELIEVED = auto()
    RESTARTED = auto()  # believed; the peer has started again, or is new
    HANDSHAKE = auto()  # not believed: the sender has yet to prove itself


class Handshake(NamedTuple):
    """A handshake, whose sender has yet to prove itself.

    ``mine``: our token for it. ``version``: the one of the packet that it has sent.
    """

    generation: int
    theirs: int
    mine: int
    version: int


class Flight(NamedTuple):
    sent_at: float
    entries: tuple[tuple[Key, Value], ...]


class PeerLink:
    """Times are of the caller's clock. ``pending``: when each entry was last sent, or NEVER.

    ``fresh``: those of them that were never sent.
    ``versions``: those that we understand; ``version``: the one in which we speak to the peer.
    """

    def __init__(
        self, name: str, endpoint: Endpoint | None, token: Callable[[], int], versions: Versions = SUPPORTED
    ) -> None:
        self.name, self.endpoint = name, endpoint
        self._token = token
        self.versions, self.version = versions, versions.least
        self.understands: Versions | None = None  # the peer; None until it has said so
        self.mine, self.theirs, self.generation = token(), 0, 0
        self.handshake: Handshake | None = None
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
        self.answered_at = NEVER  # its last handshake
        self.waiting = False  # the peer wants an answer at once
        self.deaf = False  # the peer says that it hears nobody
        self.guest = False  # nobody has listed it: it proved itself, or is about to
        self.listed = endpoint
        self.found: Endpoint | None = None  # where it was heard from, and is not said to be
        self.turned_at = NEVER  # when the two were exchanged
        self.owes = False  # claims of the peer were not taken, and have to be told again
        self.told = False  # the peer is kept up to date: `pending` says what it lacks
        self.bulk = False  # there is more for it than may be under way
        self.pending: dict[Key, float] = {}
        self.fresh: dict[Key, None] = {}
        self.flights: dict[int, Flight] = {}

    @property
    def known(self) -> bool:
        """The peer has proved itself, in this generation."""
        return self.generation != 0

    # ---- receiving ----

    def take(self, packet: Packet, now: float) -> Acceptance | Drop:
        """Judge whether a packet is of now (see `vipcast.membership.packet`).

        What it acknowledges is for `acknowledge`.
        """
        if packet.yours == self.mine and packet.generation == (self.generation or packet.generation):
            return self._current(packet, now)
        handshake = self.handshake
        if handshake is not None and (packet.yours, packet.generation) == (
            handshake.mine,
            handshake.generation,
        ):
            return self._begin(packet, handshake.mine, now)
        return self._greet(packet)

    def _current(self, packet: Packet, now: float) -> Acceptance | Drop:
        if not self.known:
            return self._begin(packet, self.mine, now)
        if not self._is_new(packet.number):
            return Drop.REPLAYED
        self._hear(packet, now)
        return Acceptance.BELIEVED

    def _begin(self, packet: Packet, mine: int, now: float) -> Acceptance:
        self.generation, self.mine, self.handshake = packet.generation, mine, None
        self.highest = self.seen = 0
        self.asked, self.told_all, self.round_trip = packet.asks, False, None
        self.flights.clear()
        self.acknowledged_at = now
        self._hear(packet, now)
        return Acceptance.RESTARTED

    def _greet(self, packet: Packet) -> Acceptance | Drop:
        """Take the packet as a handshake.

        A peer of the same generation does not know our token. One of another generation may be the peer's new
        one.

        In both cases `answer` has what its sender needs to prove itself.
        """
        if self.known and packet.generation != self.generation:
            if self.handshake is None or self.handshake[:2] != (packet.generation, packet.mine):
                self.handshake = Handshake(packet.generation, packet.mine, self._token(), packet.version)
        else:
            self.handshake = Handshake(packet.generation, packet.mine, self.mine, packet.version)
        return Acceptance.HANDSHAKE if packet.yours == 0 else Drop.OTHER_GENERATION

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
            self.understand(packet.understands)
        else:
            self.seen |= 1 << (-ahead - 1)
        self.heard_at = max(self.heard_at, now)

    def understand(self, versions: Versions) -> None:
        """The peer has said which versions it can read. Where we have none in common, the last one stays."""
        if versions != self.understands:
            self.understands = versions
            self.version = self.versions.common(versions) or self.version

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

    # ---- what it lacks ----

    def owe(self, key: Key) -> None:
        """Note an entry that the peer is to be told."""
        self.pending[key] = NEVER
        self.fresh[key] = None

    def owe_only(self, keys: Iterable[Key]) -> None:
        """Note these entries, and no others."""
        self.fresh = dict.fromkeys(keys)
        self.pending = dict.fromkeys(self.fresh, NEVER)

    def settle(self, key: Key) -> None:
        """Note that the peer knows an entry, or is not to be told."""
        self.pending.pop(key, None)
        self.fresh.pop(key, None)

    # ---- sending ----

    def packet(self, name: str, generation: int, flags: int, body: bytes, now: float) -> Packet:
        self.number += 1
        held_back = min(MAX_HELD_BACK, max(0, round((now - self.received_at) * 1e6)))
        return Packet(
            name,
            generation,
            self.mine,
            self.theirs,
            self.number,
            self.highest,
            self.seen,
            held_back,
            self.asks,
            flags,
            body,
            self.version,
            self.versions,
        )

    def answer(self, name: str, generation: int) -> Packet | None:
        """Return the answer to a handshake, in the version of its sender; None where there is none.

        It has our token, and that of the sender to show that it is of now.
        """
        handshake = self.handshake
        if handshake is None:
            return None
        self.number += 1
        packet = Packet(name, generation, handshake.mine, handshake.theirs, self.number)
        packet.version, packet.understands = handshake.version, self.versions
        return packet

    def fly(self, entries: tuple[tuple[Key, Value], ...], now: float) -> None:
        self.flights[self.number] = Flight(now, entries)
        for key, _value in entries:
            self.settle(key)
            self.pending[key] = now  # at the end: it is others' turn first
        if len(self.flights) > WINDOW:
            del self.flights[next(iter(self.flights))]
