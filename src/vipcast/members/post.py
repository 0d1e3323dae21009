# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes out and comes in: who is told what, in which packets, and what of a packet is believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from vipcast.members.entries import BadEntryError, Key, Value, read, write
from vipcast.members.link import MAX_FLIGHTS, NEVER, Link, Taken
from vipcast.members.packet import FULL, Flag, Packet, decode
from vipcast.members.shared import Merged, Shared
from vipcast.members.words import Drop, Endpoint, Profile


class Post:
    """``random``: unpredictable 64-bit numbers."""

    def __init__(self, name: str, life: int, profile: Profile, random: Callable[[], int]) -> None:
        self.name, self.life, self.profile = name, life, profile
        self.keys: tuple[bytes, ...] = ()
        self.links: dict[str, Link] = {}
        self.linked: frozenset[str] = frozenset()  # heartbeats go to them
        self.told: dict[str, Link] = {}  # those that are kept up to date
        self.output: list[tuple[Endpoint, bytes]] = []
        self.dropped: Counter[Drop] = Counter()
        self.received = self.sent = 0
        self.returned: set[str] = set()  # who was silent and is heard
        self.eager = False  # there is something that does not wait for the next heartbeat
        self.shared: Shared
        self._random = random
        self._source: Link | None = None  # of what is being merged
        self._octets: dict[Key, tuple[Value, bytes]] = {}
        self._turn = 0

    # ---- with whom ----

    def set_peers(self, endpoints: dict[str, Endpoint | None]) -> None:
        for name in self.links.keys() - endpoints.keys():
            del self.links[name]
            self.told.pop(name, None)
        for name, endpoint in endpoints.items():
            if name in self.links:
                self.links[name].endpoint = endpoint
            else:
                self.links[name] = Link(name, endpoint, self.token)
        self.linked &= self.links.keys()

    def token(self) -> int:
        return self._random() or 1

    def link(self, names: Iterable[str], now: float) -> None:
        """Heartbeats go to these; who is new among them has the time of a dead one to be heard."""
        before, self.linked = self.linked, frozenset(names) & self.links.keys()
        for name in self.linked - before:
            link = self.links[name]
            link.watched_at = now
            if not link.told:
                self._tell_all(link)
        for name in before - self.linked:
            if self.links[name].watched_until < now:
                self._tell_nothing(self.links[name])

    def heard(self, name: str, now: float) -> bool:
        """Lately."""
        link = self.links.get(name)
        return link is not None and link.heard_at + self.profile.dead_after > now

    # ---- what they are to be told ----

    def tell(self, key: Key, at_once: bool) -> None:
        """An entry has changed."""
        self.eager |= at_once or self._source is None
        for link in self.told.values():
            if link is not self._source:
                link.pending[key] = NEVER
        if self._source is not None:
            self._source.pending.pop(key, None)

    def forget(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._octets.pop(key, None)
            for link in self.told.values():
                link.pending.pop(key, None)

    def _tell_all(self, link: Link) -> None:
        link.told = True
        self.told[link.name] = link
        link.pending = dict.fromkeys(self.shared.worth_telling(), NEVER)
        self.eager = True

    def _tell_nothing(self, link: Link) -> None:
        link.told, link.pending = False, {}
        self.told.pop(link.name, None)

    def ask_again(self) -> None:
        for link in self.links.values():
            link.asks = (link.asks + 1) % 256

    # ---- receiving ----

    def receive(self, data: bytes, now: float) -> Drop | None:
        packet = decode(data, self.keys)
        drop = packet if isinstance(packet, Drop) else self._receive(packet, now)
        if drop is not None:
            self.dropped[drop] += 1
        return drop

    def _receive(self, packet: Packet, now: float) -> Drop | None:
        link = self.links.get(packet.name)
        if link is None:
            return Drop.OURSELVES if packet.name == self.name else Drop.UNKNOWN_SENDER
        try:
            entries = read(packet.body) if packet.body else []
        except BadEntryError:
            return Drop.BAD_CONTENT
        was_silent = not self.heard(packet.name, now)
        taken = link.take(packet, now)
        if isinstance(taken, Drop) or taken is Taken.GREETING:
            self._answer(link, now)
            return taken if isinstance(taken, Drop) else None
        self._believe(link, packet, taken is Taken.NEW_LIFE, was_silent, now)
        return self._merge(link, entries)

    def _believe(self, link: Link, packet: Packet, new_life: bool, was_silent: bool, now: float) -> None:
        self.received += 1
        if was_silent:
            self.returned.add(link.name)
        if packet.flags & Flag.WATCHES:
            link.watched_until = now + 2 * self.profile.dead_after
        for key, value in link.acknowledge(packet, now):
            if self.shared.entries.get(key) == value:
                link.pending.pop(key, None)
        again = link.asked != packet.asks
        link.asked = packet.asks
        watched = packet.name in self.linked or link.watched_until > now
        if watched and (new_life or again or not link.told):
            self._tell_all(link)
        link.told_all |= bool(packet.flags & Flag.ALL)
        link.waiting = bool(packet.flags & Flag.ANSWER)
        self.eager |= was_silent or link.waiting or link.bulk

    def _merge(self, link: Link, entries: list[tuple[Key, Value]]) -> Drop | None:
        drop = None
        self._source = link
        for key, value in entries:
            match self.shared.merge(key, value):
                case Merged.SAME:
                    link.pending.pop(key, None)
                case Merged.OLDER if link.told:
                    link.pending[key] = NEVER
                case Merged.REFUSED:
                    drop = Drop.TOO_MANY
                case _:
                    pass
        self._source = None
        return drop

    def _answer(self, link: Link, now: float) -> None:
        """A greeting; not each of a flood."""
        if now - link.answered_at >= self.profile.heartbeat / 4:
            link.answered_at = now
            if (packet := link.answer(self.name, self.life)) is not None:
                self._send(link, packet)

    # ---- sending ----

    def beat(self, gaps: Sequence[Sequence[str]], now: float) -> None:
        """A heartbeat for everyone, and for one of each gap: it may have come back."""
        self._turn += 1
        tried = {gap[self._turn % len(gap)] for gap in gaps} - self.linked
        for name in self.linked | tried | self.told.keys():
            link, watches = self.links[name], name in self.linked or name in tried
            if watches or link.watched_until > now:
                self._tell(link, watches, now)
            else:
                self._tell_nothing(link)

    def flush(self, now: float) -> None:
        """What does not wait for the next heartbeat."""
        if not self.eager:
            return
        self.eager = False
        for name, link in self.told.items():
            fresh = NEVER in link.pending.values() and self.heard(name, now)
            if fresh or link.waiting:
                self._tell(link, name in self.linked, now, fresh=True)

    def _tell(self, link: Link, watches: bool, now: float, fresh: bool = False) -> None:
        flags = int(Flag.WATCHES) if watches else 0
        if link.known and link.heard_at < now - 1.5 * self.profile.heartbeat:
            flags |= Flag.ANSWER
        link.waiting = False
        batches = list(self._batches(link, now, fresh)) or [((), b"")]
        for entries, body in batches:
            if link.bulk and entries is batches[-1][0]:
                flags |= Flag.ANSWER
            if (
                link.told
                and len(link.pending) <= len(entries)
                and link.pending.keys() <= dict(entries).keys()
            ):
                flags |= Flag.ALL
            self._send(link, link.packet(self.name, self.life, flags, body, now))
            link.fly(entries, now)

    def _batches(
        self, link: Link, now: float, fresh: bool
    ) -> Iterator[tuple[tuple[tuple[Key, Value], ...], bytes]]:
        """What it has to be told and was not lately, in packets; no more of them than may be under way.

        One for those that we do not hear: they may hear us.
        """
        link.bulk = False
        if not link.pending:
            return
        patience = NEVER if fresh else now - 0.75 * self.profile.heartbeat
        heard = self.heard(link.name, now)
        room = MAX_FLIGHTS - sum(
            flight.sent_at > now - 1 for flight in link.flights.values() if flight.entries
        )
        batch: list[tuple[Key, Value]] = []
        octets: list[bytes] = []
        size = 0
        for key in [key for key, at in link.pending.items() if at <= patience]:
            value, written = self._written(key)
            if batch and size + len(written) > FULL - 150:
                yield tuple(batch), b"".join(octets)
                batch, octets, size, room = [], [], 0, room - 1
                if room <= 0 or not heard:
                    link.bulk = heard
                    return
            batch.append((key, value))
            octets.append(written)
            size += len(written)
        if batch:
            yield tuple(batch), b"".join(octets)

    def _written(self, key: Key) -> tuple[Value, bytes]:
        value = self.shared.entries[key]
        known = self._octets.get(key)
        if known is None or known[0] is not value:
            known = self._octets[key] = value, write(key, value)
        return known

    def _send(self, link: Link, packet: Packet) -> None:
        if self.keys and link.endpoint is not None:
            self.sent += 1
            self.output.append((link.endpoint, packet.encode(self.keys[0])))
