# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node's part in it: packets, wants and the time in; packets, events and the next timer out.

The driver's loop: give ``receive`` every packet that has come, and only then call ``handle_timer`` when
``timer()`` is reached; after each, send ``output()`` and look at ``events()``. Times are seconds of any
monotonic clock. Whoever calls ``handle_timer`` late has slept: what the others sent meanwhile may be lost,
so that all are granted that time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from vipcast.layer2.wants import AddressWant
from vipcast.members import estate as estates
from vipcast.members import telling
from vipcast.members.entries import Condition, Key, Kind, Node, Ownership, Value
from vipcast.members.least import Least
from vipcast.members.link import Link
from vipcast.members.owning import Owning
from vipcast.members.post import Post
from vipcast.members.shared import Shared
from vipcast.members.watch import Watch
from vipcast.members.words import (
    Address,
    Claim,
    ClaimChanged,
    Drop,
    Endpoint,
    Event,
    Member,
    MemberChanged,
    Profile,
)

# Who has answered and yet does not come to an end with what it tells is waited for no longer than so many
# deaths.
SETTLE_DEATHS = 5
# A few members beat together: whoever hears another's heartbeat says its own if it is nearly due. A process
# that wakes once for all of them takes half as much of a core as one that wakes for each.
TOGETHER = 0.75
# After a split the size of our part of it counts: for so long where others took what we own, and for so many
# deaths where they call us dead, which they do as soon as we hear each other.
SIDE_SECONDS = 10.0
SIDE_DEATHS = 3


class Members:
    """``random``: unpredictable 64-bit numbers (``secrets.randbits(64)``).

    ``epoch``: the wall clock minus the clock of ``now``.
    """

    def __init__(
        self,
        name: str,
        profile: Profile,
        now: float,
        *,
        random: Callable[[], int],
        epoch: float = 0.0,
        keys: Sequence[bytes] = (),
    ) -> None:
        self.name, self.profile = name, profile
        self._now, self._epoch, self._random = now, epoch, random
        self._shared = Shared(self._changed)
        self._post = Post(name, random() or 1, profile, random)
        self._post.shared = self._shared
        self._watch = Watch(name, profile, self._shared, self._post)
        self._owning = Owning(
            name,
            profile,
            self._shared,
            wall=self._wall,
            doubt=self._watch.doubt,
            side=lambda: len(self._watch.side()),
        )
        self._post.keys = _usable(keys)
        self._beat_at = self._beat_from = now
        self._least, self._least_now = Least(now), Least(now)
        self._started_at: float | None = None
        self._settled = self._ready = False
        self._farewell_at: float | None = None
        self._moved: dict[Address, None] = {}
        self._claims: dict[Address, Claim] = {}
        self._members: dict[str, Member] = {}
        self._events: list[Event] = []
        self._watch.say(Condition.ALIVE)

    # ---- wants; the whole set each time ----

    @property
    def preempt(self) -> bool:
        """Whether the first in the order takes an address from a healthy owner, once it has stayed."""
        return self._owning.preempt

    @preempt.setter
    def preempt(self, preempt: bool) -> None:
        if preempt != self._owning.preempt:
            self._owning.preempt = preempt
            self._owning.look_everywhere()

    def set_peers(self, peers: Mapping[str, Sequence[Endpoint]], now: float) -> None:
        """The nodes that may run the program; the first endpoint of each is used. Ours is ignored."""
        others = {name: ends[0] if ends else None for name, ends in peers.items() if name != self.name}
        if self._started_at is None:
            self._started_at = now
        if others.keys() - self._post.links.keys():
            self._ask_again()
        self._post.set_peers(others)
        self._shared.names = {*others, self.name}
        self._watch.set_names(others)
        self._after(now)

    def set_wants(self, addresses: Mapping[Address, AddressWant], now: float) -> None:
        if addresses.keys() - self._owning.wants.keys():
            self._ask_again()
        self._owning.set_wants(addresses)
        self._shared.wanted = addresses.keys()
        self._after(now)

    def set_unable(self, addresses: Iterable[Address], now: float) -> None:
        """What this node cannot answer for now: no interface, or a foreign duplicate. The whole set."""
        self._owning.set_unable(frozenset(addresses), now)
        self._after(now)

    def set_keys(self, keys: Sequence[bytes], now: float) -> None:
        """The first one signs, each is believed. Without one nothing is sent, believed or owned."""
        if not self._post.keys and self._started_at is not None:
            self._started_at = now
        self._post.keys = _usable(keys)
        self._after(now)

    def set_profile(self, profile: Profile, now: float) -> None:
        self.profile = self._post.profile = self._watch.profile = self._owning.profile = profile
        self._beat_at = min(self._beat_at, now + profile.heartbeat)
        self._after(now)

    def _ask_again(self) -> None:
        """What there was no room for may be wanted now."""
        if self._shared.refused:
            self._shared.refused = False
            self._post.ask_again()

    # ---- packets and time ----

    def receive(self, data: bytes, source: Endpoint, now: float) -> Drop | None:  # noqa: ARG002
        """Why it was dropped, or None. Who sent it is what it proves; ``source`` is not asked."""
        self._now = now
        if now - self._beat_at > self.profile.dead_after / 2:
            self._measure_side(1, now)  # we slept, and have no say in what the others did
        drop = self._post.receive(data, now)
        if self._post.returned:
            for name in self._post.returned:
                self._watch.heard(name, now)
            self._post.returned.clear()
        if drop is None and self._watch.graph.full and self._beat_from <= now < self._beat_at:
            self._beat(now)
        self._after(now)
        return drop

    def handle_timer(self, now: float) -> None:
        due = self.timer()
        late = now - due
        if late > self.profile.heartbeat / 4:
            for link in self._post.links.values():
                link.heard_at = min(now, link.heard_at + late)
                link.watched_at = min(now, link.watched_at + late)
        if now >= self._beat_at:
            self._beat(now)
        if now >= self._shared.sweep_at:
            self._post.forget(self._shared.sweep(now))
        self._after(now)

    def timer(self) -> float:
        times = (
            self._beat_at,
            self._watch.expire_at,
            self._watch.refute_at,
            self._owning.timer(self._now),
            self._settle_at(),
        )
        return min(at for at in times if at is not None)

    def output(self) -> list[tuple[Endpoint, bytes]]:
        """Takes what is to be sent."""
        taken, self._post.output = self._post.output, []
        return taken

    def events(self) -> list[Event]:
        """Takes what has happened."""
        taken, self._events = self._events, []
        return taken

    def _beat(self, now: float) -> None:
        """Jitter: or all of a large segment would send at the same moment, sooner or later."""
        self._beat_at = now + self.profile.heartbeat * (0.9 + 0.1 * (self._random() % 1024) / 1024)
        self._beat_from = now + TOGETHER * self.profile.heartbeat
        heard = [link for link in self._post.told.values() if self._post.heard(link.name, now)]
        answered = max((link.acknowledged_at for link in heard), default=now)
        self._owning.mute = answered < now - 2 * self.profile.dead_after
        if answered > now - self.profile.dead_after:
            side = self._watch.side()
            self._measure_side(len(side), now, len(side.union((link.name for link in heard), [self.name])))
        else:
            self._measure_side(1, now)
        self._post.beat(self._watch.gaps, now)

    def _measure_side(self, size: int, now: float, audible: int = 1) -> None:
        """How few of us there were lately; ``audible``: with those who are there and count as dead."""
        self._owning.least_side = self._least.measure(size, now, SIDE_SECONDS, known=self._ready)
        seconds = SIDE_DEATHS * self.profile.dead_after
        self._watch.least_side = self._least_now.measure(audible, now, seconds, known=self._ready)

    def _after(self, now: float) -> None:
        self._now = now
        self._watch.work(now)
        self._judge_ourselves(now)
        self._owning.work(now)
        if self._owning.missed:
            self._owning.missed = False
            self._watch.hurry(now)
        if self._farewell_at is None and self._owning.leaving:
            self._maybe_go(now)
        if self._moved:
            self._tell_moves()
        self._post.flush(now)

    # ---- may we claim ----

    def _judge_ourselves(self, now: float) -> None:
        owning = self._owning
        if not self._settled and self._may_settle(now):
            self._settled = True
        ready = self._settled and owning.told and bool(self._post.keys)
        present = self._watch.present
        if self._ready and not ready:
            owning.stop()
        elif (ready, ready and present) != (self._ready, owning.present):
            owning.settled, owning.present = ready, ready and present
            owning.begin_again(now)
        self._ready = ready

    def _may_settle(self, now: float) -> bool:
        """Everyone who answers has told all, and who does not has had the time that a dead one has."""
        if self._started_at is None or not self._post.keys:
            return False
        linked = [self._post.links[name] for name in self._post.linked]
        if self._watch.graph.full and all(link.told_all for link in linked):
            return True  # where not everyone is linked, what the others said takes a few hops
        waited = now - self._started_at
        if waited < self.profile.dead_after:
            return False
        answering = [link for link in linked if link.known]
        return all(link.told_all for link in answering) or waited >= SETTLE_DEATHS * self.profile.dead_after

    def _settle_at(self) -> float | None:
        if self._settled or self._started_at is None:
            return None
        waits = (self._started_at + times * self.profile.dead_after for times in (1, SETTLE_DEATHS))
        return next((at for at in waits if at > self._now), None)

    @property
    def settled(self) -> bool:
        """Has heard everyone who is there, so that it may claim; the status WAITING is for before."""
        return self._settled

    # ---- the end ----

    def leave(self, now: float) -> None:
        """No heir: asks to be relieved of everything. ``left``: nothing is held, and the others know."""
        if not self._owning.leaving:
            self._owning.leaving = True
            self._watch.say(Condition.LEAVING)
            self._owning.look_everywhere()
            self._after(now)

    def _maybe_go(self, now: float) -> None:
        if not (self._shared.owned.get(self.name) and self._ready):
            self._farewell_at = now
            self._owning.drop_all()
            self._watch.say(Condition.LEFT)

    @property
    def left(self) -> bool:
        if self._farewell_at is None:
            return False
        if self._now >= self._farewell_at + 3 * self.profile.heartbeat:
            return True
        links = self._post.told.values()
        return not any((Kind.NODE, self.name) in link.pending for link in links if self._hears(link))

    def _hears(self, link: Link) -> bool:
        return self._post.heard(link.name, self._now)

    def export(self) -> dict[str, Any]:
        """For the next process of this node: JSON. After it, nothing may be sent by this one."""
        return {
            "version": estates.VERSION,
            "name": self.name,
            "life": self._post.life,
            "number": self._watch.number,
            "settled": self._settled,
            "entries": estates.write_entries(self._shared.entries.items()),
            "links": {name: estates.write_link(link) for name, link in self._post.links.items()},
        }

    def restore(self, estate: Mapping[str, Any], now: float) -> None:
        """Once, before anything else: goes on where `export` ended. ValueError for what is none."""
        life, number = estates.read_head(estate, self.name)
        entries = estates.read_entries(estate.get("entries"))
        written = estate.get("links")
        if not isinstance(written, Mapping):
            raise ValueError("links: a table would be right")
        links = {name: Link(name, None, self._post.token) for name in written}
        for name, link in links.items():
            estates.read_link(link, written[name], now)
        self._post.life, self._watch.number, self._settled = life or 1, number, estate.get("settled") is True
        self._post.links = links
        for key, value in entries:
            self._shared.merge(key, value)
        self._watch.refute_at = None
        self._tell_moves()
        self._events.clear()

    # ---- what is ----

    @property
    def claims(self) -> Mapping[Address, Claim]:
        """Of every address that somebody owns, wanted here or not."""
        return self._claims

    @property
    def held(self) -> frozenset[Address]:
        """What this node is to answer for, now: the same object for as long as nothing has changed."""
        return self._owning.held

    @property
    def members(self) -> Mapping[str, Member]:
        """The others, and this node."""
        return {name: self._member(name) for name in sorted(self._shared.names)}

    @property
    def dropped(self) -> Mapping[Drop, int]:
        return self._post.dropped

    @property
    def packets(self) -> tuple[int, int]:
        """Received and believed, sent."""
        return self._post.received, self._post.sent

    def _member(self, name: str) -> Member:
        known, link = self._members.get(name, Member()), self._post.links.get(name)
        if link is None:
            return known
        return Member(known.state, known.since, link.endpoint, link.round_trip, known.why)

    # ---- what has changed ----

    def _changed(self, key: Key, old: Value | None, new: Value) -> None:
        kind, subject = key
        self._post.tell(key, at_once=not self._watch.graph.full)
        if isinstance(subject, str):
            self._watch.changed(key, self._now)
            if kind is Kind.NODE:
                self._node_changed(subject, old, new)
        elif isinstance(new, Ownership):
            self._owning.claim_changed(subject, old if isinstance(old, Ownership) else None, new)
            self._moved[subject] = None

    def _node_changed(self, name: str, old: Value | None, new: Value) -> None:
        before = old.condition if isinstance(old, Node) else None
        after = new.condition if isinstance(new, Node) else None
        if before is not after:
            state, known = telling.STATES[after], self._members.get(name, Member())
            why = telling.member(after, old is not None, self._shared.voters.get(name, ()))
            self._members[name] = Member(state, self._now, why=why)
            if state is not known.state:
                self._events.append(MemberChanged(name, known.state, state, why))
        self._owning.node_changed(name)

    def _tell_moves(self) -> None:
        """Once for all that happened at one moment."""
        moved, self._moved = self._moved, {}
        for address in moved:
            entry, old = self._shared.claim(address), self._claims.pop(address, None)
            new = telling.claim(entry)
            if new is not None:
                self._claims[address] = new
            if entry is not None and _seen(old) != _seen(new):
                self._events.append(ClaimChanged(address, old, new, telling.move(old, entry)))

    def _wall(self) -> int:
        """Milliseconds since 1970."""
        return max(0, round((self._now + self._epoch) * 1000))


def _seen(claim: Claim | None) -> tuple[str, bool] | None:
    return None if claim is None else (claim.owner, claim.yielding)


def _usable(keys: Sequence[bytes]) -> tuple[bytes, ...]:
    """An empty key is none."""
    return tuple(key for key in keys if key)
