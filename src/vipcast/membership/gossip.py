# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packets that go out and come in: who is told what, and what of a packet is believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from vipcast.membership.entries import BadEntryError, Entry, Key, Value
from vipcast.membership.local_node import LocalNode
from vipcast.membership.packet import FULL, Flag, Packet, decode
from vipcast.membership.peer_link import MAX_FLIGHTS, Acceptance, PeerLink
from vipcast.membership.replicated_state import Merged, ReplicatedState
from vipcast.membership.types import Drop, Endpoint
from vipcast.membership.versions import codec
from vipcast.versions import Versions

# Members that no list has, and who prove themselves: so many, and until they were silent for so long.
MAX_GUESTS = 32
GUEST_SECONDS = 60.0
# One that has not proved itself yet makes room for another after this time.
GREETING_SECONDS = 2.0
_LATER = float("inf")


class Receipt(NamedTuple):
    """The result of a packet. ``sender``: the member that it proves to be of, None where it proves nothing.

    ``drop``: why it, or a part of it, was not taken.
    """

    sender: str | None = None
    drop: Drop | None = None


class Gossip:
    """``random``: unpredictable 64-bit numbers. ``versions``: of the format, that we understand.

    ``trusts``: tells whether claims are taken from a peer. ``on_older``: called with what a peer said of an
    entry that we know better. ``on_standstill``: called when packets show that our clock stood still.
    """

    def __init__(
        self,
        local: LocalNode,
        generation: int,
        *,
        state: ReplicatedState,
        random: Callable[[], int],
        versions: Versions,
        trusts: Callable[[PeerLink, float], bool],
        on_older: Callable[[Key, Value], None],
        on_standstill: Callable[[float], None],
    ) -> None:
        self.generation, self.versions = generation, versions
        self.links: dict[str, PeerLink] = {}
        self.linked: frozenset[str] = frozenset()  # heartbeats go to them
        self.told: dict[str, PeerLink] = {}  # those that are kept up to date
        self.dropped: Counter[Drop] = Counter()
        self.received = self.sent = 0
        self.flush_at = _LATER  # when what does not wait for the next heartbeat is sent
        self._local, self._state, self._random = local, state, random
        self._trusts, self._on_older, self._on_standstill = trusts, on_older, on_standstill
        self._output: list[tuple[Endpoint, bytes]] = []
        self._eager = False  # somebody waits for an answer
        self._refused = False  # there was no room for something that a peer said
        self._source: PeerLink | None = None  # of what is being merged
        self._octets: dict[tuple[int, Key], tuple[Value, bytes]] = {}  # by version, too
        self._turn = 0
        self._flushed_at = -_LATER

    # ---- with whom ----

    def set_peers(self, endpoints: dict[str, Endpoint | None]) -> None:
        """Set who is listed. Who is not any more, and is heard, stays: the key makes a member, not a list."""
        for name in self.links.keys() - endpoints.keys():
            self.links[name].guest = True
        for name, endpoint in endpoints.items():
            link = self.links.setdefault(name, PeerLink(name, endpoint, self.token, self.versions))
            link.guest = False
            if endpoint != link.listed:
                link.listed = link.endpoint = endpoint
                link.found = None

    def guests(self, now: float) -> frozenset[str]:
        """Return those that are in no list; who was silent for long is forgotten."""
        guests = {name: link for name, link in self.links.items() if link.guest}
        for name, link in guests.items():
            if max(link.heard_at, link.answered_at) < now - GUEST_SECONDS:
                self._drop(name)
        return frozenset(name for name, link in self.links.items() if link.guest and link.known)

    def _drop(self, name: str) -> None:
        del self.links[name]
        self.told.pop(name, None)
        self.linked -= {name}

    def restore(self, generation: int, links: Mapping[str, PeerLink]) -> None:
        """Go on where an earlier process of this node ended."""
        self.generation, self.links = generation or 1, dict(links)

    def _admit(self, name: str, source: Endpoint, now: float) -> PeerLink | None:
        """Make room for somebody who has the key, and is in no list."""
        guests = [link for link in self.links.values() if link.guest]
        if len(guests) >= MAX_GUESTS:
            unproven = [
                link for link in guests if not link.known and link.answered_at < now - GREETING_SECONDS
            ]
            if not unproven:
                return None
            self._drop(unproven[0].name)
        link = self.links[name] = PeerLink(name, source, self.token, self.versions)
        link.guest = True
        return link

    def token(self) -> int:
        return self._random() or 1

    def link(self, names: Iterable[str], now: float) -> None:
        """Heartbeats go to these; who is new among them has the time of a dead one to be heard."""
        before, self.linked = self.linked, frozenset(names) & self.links.keys()
        for name in sorted(self.linked - before):
            link = self.links[name]
            link.watched_at = now
            if not link.told:
                self._tell_all(link)
        for name in before - self.linked:
            if self.links[name].watched_until < now:
                self._tell_nothing(self.links[name])

    def heard(self, name: str, now: float) -> bool:
        """Tell whether the member was heard lately."""
        link = self.links.get(name)
        return link is not None and link.heard_at + self._local.profile.dead_after > now

    def all_understand(self, version: int, now: float) -> bool:
        """Tell whether everyone to whom heartbeats go is heard, and reads this version."""
        known = [link.understands for link in self.links.values() if link.understands is not None]
        linked = [self.links[name] for name in self.linked]
        return (
            bool(linked)
            and all(versions.most >= version for versions in known)
            and all(link.understands is not None and self.heard(link.name, now) for link in linked)
        )

    def grant(self, seconds: float, now: float) -> None:
        """Give every peer the time that we slept, before its silence counts."""
        for link in self.links.values():
            link.heard_at = min(now, link.heard_at + seconds)
            link.acknowledged_at = min(now, link.acknowledged_at + seconds)

    # ---- what they are to be told ----

    def tell(self, key: Key, wait: float | None) -> None:
        """Tell everybody of an entry that has changed, ``wait`` seconds after the last news at the earliest.

        So the first news goes out at once, and what comes right after it together. None: it waits for the
        next heartbeat.
        """
        if wait is not None:
            self.flush_at = min(self.flush_at, self._flushed_at + wait)
        for link in self.told.values():
            if link is not self._source:
                link.owe(key)
        if self._source is not None:
            self._source.settle(key)

    @property
    def passes_on(self) -> bool:
        """Tell whether what changes now was heard of another member."""
        return self._source is not None

    def forget(self, keys: Iterable[Key]) -> None:
        """Forget these entries, which the map has forgotten."""
        for key in keys:
            for version in range(self.versions.least, self.versions.most + 1):
                self._octets.pop((version, key), None)
            for link in self.told.values():
                link.settle(key)

    def _tell_all(self, link: PeerLink) -> None:
        link.told = True
        self.told[link.name] = link
        link.owe_only(self._state.worth_telling())
        self.flush_at = -_LATER

    def _tell_nothing(self, link: PeerLink) -> None:
        link.told = False
        link.owe_only(())
        self.told.pop(link.name, None)

    def ask_again(self) -> None:
        """Ask everyone to tell all that it knows once more."""
        for link in self.links.values():
            link.asks = (link.asks + 1) % 256

    def ask_for_refused(self) -> None:
        """Ask again where there was no room for something: there may be now."""
        if self._refused:
            self._refused = False
            self.ask_again()

    # ---- receiving ----

    def receive(self, data: bytes, source: Endpoint, now: float) -> Receipt:
        """Take a packet; return whose it was, if that is believed, and why it was dropped."""
        packet = decode(data, self._local.keys, self.versions)
        receipt = Receipt(drop=packet) if isinstance(packet, Drop) else self._receive(packet, source, now)
        if receipt.drop is not None:
            self.dropped[receipt.drop] += 1
        return receipt

    def _receive(self, packet: Packet, source: Endpoint, now: float) -> Receipt:
        if packet.name == self._local.name:
            return Receipt(drop=Drop.OURSELVES)
        try:
            found = codec(packet.version)[1](packet.body)
        except BadEntryError:
            return Receipt(drop=Drop.BAD_CONTENT)
        link = self.links.get(packet.name) or self._admit(packet.name, source, now)
        if link is None:
            return Receipt(drop=Drop.UNKNOWN_SENDER)
        if link.known and packet.generation == link.generation and self._stood_still(link, packet, now):
            self._on_standstill(now)
        was_silent, version = not self.heard(packet.name, now), link.version
        taken = link.take(packet, now)
        if isinstance(taken, Drop) or taken is Acceptance.HANDSHAKE:
            if taken is not Drop.REPLAYED:
                self._answer(link, source, now)
            return Receipt(drop=taken if isinstance(taken, Drop) else None)
        if source not in (link.endpoint, link.found):
            link.found = source
        # Who understands a later version now may be told what the one before could not say.
        anew = taken is Acceptance.RESTARTED or link.version > version
        self._believe(link, packet, anew, was_silent, now)
        if found.skipped:
            self.dropped[Drop.UNKNOWN_ENTRY] += found.skipped
        return Receipt(link.name, self._merge(link, found.entries, now))

    def _stood_still(self, link: PeerLink, packet: Packet, now: float) -> bool:
        """Return whether the peer has sent more than there was time for: then our clock stood still.

        A virtual machine that is paused, or restored from a snapshot, has no clock that tells it.
        """
        beats = packet.number - link.highest - MAX_FLIGHTS / 8
        profile = self._local.profile
        return beats * 0.9 * profile.heartbeat > now - link.received_at + profile.dead_after

    def _believe(self, link: PeerLink, packet: Packet, anew: bool, was_silent: bool, now: float) -> None:
        self.received += 1
        link.deaf = bool(packet.flags & Flag.DEAF)
        if packet.flags & Flag.WATCHES:
            link.watched_until = now + 2 * self._local.profile.dead_after
        for key, value in link.acknowledge(packet, now):
            if self._state.entries.get(key) == value:
                link.settle(key)
        again = link.asked != packet.asks
        link.asked = packet.asks
        watched = packet.name in self.linked or link.watched_until > now
        if watched and (anew or again or not link.told):
            self._tell_all(link)
        link.told_all |= bool(packet.flags & Flag.ALL)
        # Who is back learns at once that it is heard.
        link.waiting = was_silent or link.bulk or bool(packet.flags & Flag.ANSWER)
        self._eager |= link.waiting

    def _merge(self, link: PeerLink, entries: list[Entry], now: float) -> Drop | None:
        drop, trusted = None, self._trusts(link, now)
        if trusted and link.owes:
            link.owes, link.waiting, self._eager = False, True, True
            link.asks = (link.asks + 1) % 256
        self._source = link
        for key, value in entries:
            if not trusted and not isinstance(key[1], str):
                link.owes = True
                continue
            match self._state.merge(key, value):
                case Merged.SAME:
                    link.settle(key)
                case Merged.OLDER:
                    self._on_older(key, value)
                    if link.told:
                        link.owe(key)
                case Merged.REFUSED:
                    drop, self._refused = Drop.TOO_MANY, True
                case _:
                    pass
        self._source = None
        return drop

    def _answer(self, link: PeerLink, source: Endpoint, now: float) -> None:
        """Answer a handshake, to where it came from; not each of a flood."""
        if now - link.answered_at >= self._local.profile.heartbeat / 4:
            link.answered_at = now
            if (packet := link.answer(self._local.name, self.generation)) is not None:
                self._send(source, packet)

    # ---- sending ----

    def heartbeat(self, gaps: Sequence[Sequence[str]], now: float) -> None:
        """Send a heartbeat to everyone, and to one of each gap: it may have come back."""
        self._turn += 1
        tried = {gap[self._turn % len(gap)] for gap in gaps}
        tried = {name for name in tried if name in self.links} - self.linked
        for name in sorted(self.linked | tried | self.told.keys()):
            link, watches = self.links[name], name in self.linked or name in tried
            self._turn_to(link, now)
            if watches or link.watched_until > now:
                self._tell(link, watches, now)
            else:
                self._tell_nothing(link)

    def _turn_to(self, link: PeerLink, now: float) -> None:
        """Try by turns where the peer is listed and where it was heard from, while nothing arrives."""
        patience = 2 * self._local.profile.dead_after
        if link.found is not None and max(link.acknowledged_at, link.turned_at) < now - patience:
            link.endpoint, link.found, link.turned_at = link.found, link.endpoint, now

    def flush(self, now: float) -> None:
        """Send what does not wait for the next heartbeat: answers at once, news when they are due."""
        due = now >= self.flush_at
        if due:
            self.flush_at, self._flushed_at = _LATER, now
        elif not self._eager:
            return
        self._eager = False
        for name, link in self.told.items():
            if link.waiting or (due and link.fresh and self.heard(name, now)):
                self._tell(link, name in self.linked, now, fresh=True)

    def _tell(self, link: PeerLink, watches: bool, now: float, fresh: bool = False) -> None:
        flags = int(Flag.WATCHES) if watches else 0
        flags |= Flag.DEAF if self._local.deaf else 0
        if link.known and self._misses(link, now):
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
            self._send(link.endpoint, link.packet(self._local.name, self.generation, flags, body, now))
            link.fly(entries, now)

    def _misses(self, link: PeerLink, now: float) -> bool:
        """A heartbeat, or that one of ours was acknowledged."""
        heartbeat = self._local.profile.heartbeat
        return link.heard_at < now - 1.5 * heartbeat or link.acknowledged_at < now - 2.5 * heartbeat

    def _batches(
        self, link: PeerLink, now: float, fresh: bool
    ) -> Iterator[tuple[tuple[tuple[Key, Value], ...], bytes]]:
        """Yield what it has to be told and was not lately, in no more packets than may be under way.

        A peer that we do not hear gets one: it may hear us.
        """
        link.bulk = False
        if not link.pending:
            return
        patience = now - 0.75 * self._local.profile.heartbeat
        keys = list(link.fresh) if fresh else [key for key, at in link.pending.items() if at <= patience]
        heard = self.heard(link.name, now)
        room = MAX_FLIGHTS - sum(
            flight.sent_at > now - 1 for flight in link.flights.values() if flight.entries
        )
        batch: list[tuple[Key, Value]] = []
        octets: list[bytes] = []
        size = 0
        for key in keys:
            value, written = self._written(key, link.version)
            if not written:  # this peer cannot be told
                link.settle(key)
                continue
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

    def _written(self, key: Key, version: int) -> tuple[Value, bytes]:
        value = self._state.entries[key]
        known = self._octets.get((version, key))
        if known is None or known[0] is not value:
            known = self._octets[version, key] = value, codec(version)[0](key, value)
        return known

    def _send(self, endpoint: Endpoint | None, packet: Packet) -> None:
        if self._local.keys and endpoint is not None:
            self.sent += 1
            self._output.append((endpoint, packet.encode(self._local.keys[0])))

    def output(self) -> list[tuple[Endpoint, bytes]]:
        """Take what is to be sent."""
        taken, self._output = self._output, []
        return taken
