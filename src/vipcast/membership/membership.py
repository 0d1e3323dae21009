# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node's part in it: packets, wants and the time in; packets, events and the next timer out.

The driver's loop: give ``receive`` every packet that has come, and only then call ``handle_timer`` when
``timer()`` is reached; after each, send ``output()`` and look at ``events()``. Times are seconds of any
monotonic clock. Whoever calls ``handle_timer`` late has slept: what the others sent meanwhile may be lost,
so that all are granted that time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_address as to_address
from typing import Any

from vipcast.layer2.api import AddressWant
from vipcast.membership import descriptions, handover_state
from vipcast.membership.balance import Balance
from vipcast.membership.claim_manager import ClaimManager
from vipcast.membership.entries import (
    Condition,
    Hold,
    Key,
    Kind,
    Node,
    Offers,
    Ownership,
    Unable,
    Value,
    Votes,
)
from vipcast.membership.failure_detector import FailureDetector
from vipcast.membership.gossip import Gossip
from vipcast.membership.peer_link import PeerLink
from vipcast.membership.reach import lost
from vipcast.membership.replicated_state import ReplicatedState
from vipcast.membership.types import (
    AddressDoubted,
    Claim,
    ClaimChanged,
    Drop,
    Endpoint,
    Event,
    Member,
    MemberChanged,
    MemberState,
    Profile,
)
from vipcast.membership.versions import NEWEST, SUPPORTED
from vipcast.membership.windowed_minimum import WindowedMinimum
from vipcast.model.addresses import IPAddress
from vipcast.versions import Versions

# Who has answered and yet does not come to an end with what it tells is waited for no longer than so many
# deaths.
SETTLE_DEATHS = 5
# A few members beat together: whoever hears another's heartbeat says its own if it is nearly due. A process
# that wakes once for all of them takes half as much of a core as one that wakes for each.
TOGETHER = 0.75
# So often it is looked whether who has more than others could give some of it away.
BALANCE_SECONDS = 1.0
# News goes out at once, and what comes in the so many seconds after it together. Through a large segment it
# takes a few hops; `vipcast.membership.failure_detector.HOPS_SECONDS` is for all of them.
NEWS_SECONDS = 0.005
# That somebody is heard by one more can wait: so often in a heartbeat. In a start of all each member says
# that anew for each that it hears, and all of that goes over each pair.
ADDED_A_BEAT = 4
# After a split the size of our part of it counts for so long: others may have taken what we own.
SIDE_SECONDS = 10.0


class Membership:
    """``random``: unpredictable 64-bit numbers (``secrets.randbits(64)``).

    ``epoch``: the wall clock minus the clock of ``now``. ``versions``: of the format, that are spoken.
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
        versions: Versions = SUPPORTED,
    ) -> None:
        self.name, self.profile = name, profile
        self._now, self._epoch, self._random = now, epoch, random
        self._state = ReplicatedState(self._changed)
        self._gossip = Gossip(
            name, random() or 1, profile, state=self._state, random=random, versions=versions
        )
        self._detector = FailureDetector(name, profile, self._state, self._gossip, self._reach_changed)
        self._gossip.trusts = self._detector.trusts
        self._gossip.older = self._older
        self._gossip.slept = lambda: self._measure_side(1, self._now)
        self._manager = ClaimManager(
            name,
            profile,
            self._state,
            wall=self._wall,
            doubt=self._detector.doubt,
            side=lambda: len(self._state.group),
            contested=lambda address: self._events.append(AddressDoubted(address)),
        )
        self._balance = Balance(name, self._state, now)
        self._balance_at = now
        self._gossip.keys = _usable(keys)
        self._heartbeat_at = self._heartbeat_from = now
        self._minimum = WindowedMinimum(now)
        self._started_at: float | None = None
        self._settled = self._ready = self._waits = False
        self._farewell_at: float | None = None
        self._listed: frozenset[str] = frozenset()
        self._moved: dict[IPAddress, None] = {}
        self._claims: dict[IPAddress, Claim] = {}
        self._members: dict[str, Member] = {}
        self._events: list[Event] = []
        self._detector.say(Condition.ALIVE)

    # ---- wants; the whole set each time ----

    @property
    def preempt(self) -> bool:
        """Tell whether the first in the order takes an address from a healthy owner, once it has stayed."""
        return self._manager.preempt

    @preempt.setter
    def preempt(self, preempt: bool) -> None:
        if preempt != self._manager.preempt:
            self._manager.preempt = preempt
            self._manager.look_everywhere()

    @property
    def gentle(self) -> bool:
        """Tell whether who has more than others offers some of it to them, when nothing else happens."""
        return self._balance.gentle

    @gentle.setter
    def gentle(self, gentle: bool) -> None:
        self._balance.gentle = gentle

    def set_orphaned(self, orphaned: bool, now: float) -> None:
        """Say that nobody has said anything for long: what is held stays until others take it over."""
        self._manager.set_orphaned(orphaned)
        self._after(now)

    def set_peers(self, peers: Mapping[str, Sequence[Endpoint]], now: float) -> None:
        """The nodes that may run the program; the first endpoint of each is used. Ours is ignored."""
        others = {name: ends[0] if ends else None for name, ends in peers.items() if name != self.name}
        if self._started_at is None:
            self._begin(now)
        if others.keys() - self._gossip.links.keys():
            self._ask_again()
        self._gossip.set_peers(others)
        self._listed = frozenset(others)
        self._count_in(now)
        self._after(now)

    def _begin(self, now: float) -> None:
        """Begin to wait for the others; one that goes on for another process knows who is there."""
        self._started_at = now
        if not self._settled:
            self._detector.presume(now)

    def _count_in(self, now: float) -> None:
        """Count in who is listed, and who has proved itself without: a list may be late, a key is not."""
        names = self._listed | self._gossip.guests(now)
        if self._state.names != {*names, self.name}:
            self._state.names = {*names, self.name}
            self._detector.set_names(names)

    def traffic(self, received: bool, now: float, *, gone: bool = False) -> None:
        """Say now and then whether an interface has received anything at all since the last time.

        Who hears nobody, and nothing else either, knows nothing of the others: it takes nothing over. Where
        this is never called, that is not judged. ``gone``: as nobody may be there to send anything, that is
        taken for the others' end.
        """
        self._detector.traffic(received, now, gone=gone)
        self._after(now)

    @property
    def one_way(self) -> frozenset[str]:
        """Return the members that are heard, and do not hear us."""
        return self._detector.one_way(self._now)

    @property
    def deaf(self) -> bool:
        """Tell whether nobody is heard, and nothing else either.

        Then this node may have been cut off in this direction alone.
        """
        return self._detector.deaf

    def set_wants(self, addresses: Mapping[IPAddress, AddressWant], now: float) -> None:
        if addresses.keys() - self._manager.wants.keys():
            self._ask_again()
        self._manager.set_wants(addresses)
        self._balance.wants = self._manager.wants
        self._state.wanted = addresses.keys()
        self._after(now)

    def set_unable(self, addresses: Iterable[IPAddress], now: float) -> None:
        """Take the whole set of what this node cannot answer for: no interface, or a foreign duplicate."""
        self._manager.set_unable(frozenset(addresses), now)
        self._balance.disturbed(now)
        self._after(now)

    def set_keys(self, keys: Sequence[bytes], now: float) -> None:
        """The first one signs, each is believed. Without one nothing is sent, believed or owned."""
        if not self._gossip.keys and self._started_at is not None:
            self._begin(now)
        self._gossip.keys = _usable(keys)
        self._after(now)

    def set_profile(self, profile: Profile, now: float) -> None:
        self.profile = self._gossip.profile = self._manager.profile = profile
        self._detector.set_profile(profile)
        self._heartbeat_at = min(self._heartbeat_at, now + profile.heartbeat)
        self._after(now)

    def _ask_again(self) -> None:
        """Ask again for what there was no room for: it may be wanted now."""
        if self._state.refused:
            self._state.refused = False
            self._gossip.ask_again()

    # ---- packets and time ----

    def receive(self, data: bytes, source: Endpoint, now: float) -> Drop | None:
        """Return why it was dropped, or None.

        Who sent it is what it proves; ``source`` is where it is answered.
        """
        self._now = now
        self._grant(now - self._heartbeat_at, now)
        if now - self._heartbeat_at > self.profile.dead_after / 2:
            self._measure_side(1, now)  # we slept, and have no say in what the others did
        drop = self._gossip.receive(data, source, now)
        for name in self._gossip.believed:
            if name not in self._state.names:
                self._count_in(now)
            self._detector.heard(name, now)
        self._gossip.believed.clear()
        if drop is None and self._detector.topology.full and self._heartbeat_from <= now < self._heartbeat_at:
            self._heartbeat(now)
        self._after(now)
        return drop

    def handle_timer(self, now: float) -> None:
        self._grant(now - self.timer(), now)
        if now >= self._heartbeat_at:
            self._heartbeat(now)
        if now >= self._state.sweep_at:
            self._forget(self._state.sweep(now))
        self._after(now)

    def _forget(self, keys: list[Key]) -> None:
        """Forget what the map has forgotten: names come and go for as long as we run."""
        self._gossip.forget(keys)
        for kind, subject in keys:
            if isinstance(subject, str):
                if kind == Kind.NODE:
                    self._members.pop(subject, None)
            elif kind == Kind.CLAIM:
                self._claims.pop(subject, None)

    def all_understand(self, version: int) -> bool:
        """Tell whether everyone with whom we exchange heartbeats is heard, and reads this version."""
        links = self._gossip.links
        known = [link.understands for link in links.values() if link.understands is not None]
        linked = [links[name] for name in self._gossip.linked]
        return (
            bool(linked)
            and all(versions.most >= version for versions in known)
            and all(link.understands is not None and self._hears(link) for link in linked)
        )

    def _grant(self, late: float, now: float) -> None:
        """Give everyone the time that we slept."""
        if late > self.profile.heartbeat / 4:
            for link in self._gossip.links.values():
                link.heard_at = min(now, link.heard_at + late)
                link.acknowledged_at = min(now, link.acknowledged_at + late)

    def timer(self) -> float:
        times = (
            self._heartbeat_at,
            self._detector.timer(),
            max(self._now, self._gossip.flush_at),
            self._manager.timer(self._now),
            self._settle_at(),
        )
        return min(at for at in times if at is not None)

    def output(self) -> list[tuple[Endpoint, bytes]]:
        """Takes what is to be sent."""
        taken, self._gossip.output = self._gossip.output, []
        return taken

    def events(self) -> list[Event]:
        """Takes what has happened."""
        taken, self._events = self._events, []
        return taken

    def _heartbeat(self, now: float) -> None:
        """Jitter: or all of a large segment would send at the same moment, sooner or later."""
        self._heartbeat_at = now + self.profile.heartbeat * (0.9 + 0.1 * (self._random() % 1024) / 1024)
        self._heartbeat_from = now + TOGETHER * self.profile.heartbeat
        heard = [link for link in self._gossip.told.values() if self._gossip.heard(link.name, now)]
        answered = max((link.acknowledged_at for link in heard), default=now)
        in_touch = answered > now - self.profile.dead_after
        self._measure_side(len(self._state.group) if in_touch else 1, now)
        self._count_in(now)
        self._detector.heartbeat(now)
        if now >= self._balance_at:
            self._balance_at = now + BALANCE_SECONDS
            may = self._manager.present and not (self._manager.leaving or self._manager.orphaned or self.deaf)
            self._balance.work(self._manager.held if may else (), now)
        self._gossip.heartbeat(self._detector.gaps, now)

    def _measure_side(self, size: int, now: float) -> None:
        """Take down how few of us there were lately."""
        self._manager.min_partition_size = self._minimum.measure(size, now, SIDE_SECONDS, known=self._ready)

    @contextmanager
    def together(self, now: float) -> Iterator[None]:
        """Take several wants and do what follows of all of them once, in the end."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False
            self._after(now)

    def _after(self, now: float) -> None:
        self._now = now
        if self._waits:
            return
        self._detector.work(now)
        self._judge_ourselves(now)
        self._gossip.deaf = self._detector.deaf
        self._manager.set_standing(self._detector.unheard, self._detector.above, self._detector.deaf)
        self._manager.work(now)
        if self._farewell_at is None and self._manager.leaving:
            self._maybe_go(now)
        if self._moved:
            self._tell_moves()
        self._gossip.flush(now)

    # ---- may we claim ----

    def _judge_ourselves(self, now: float) -> None:
        manager = self._manager
        if not self._settled and self._may_settle(now):
            self._settled = True
        ready = self._settled and manager.told and bool(self._gossip.keys)
        present = self._detector.present
        if self._ready and not ready:
            manager.stop()
        elif (ready, ready and present) != (self._ready, manager.present):
            manager.settled, manager.present = ready, ready and present
            manager.begin_again(now)
        self._ready = ready

    def _may_settle(self, now: float) -> bool:
        """Everyone who answers has told all, and who does not has had the time that a dead one has."""
        if self._started_at is None or not self._gossip.keys:
            return False
        linked = [self._gossip.links[name] for name in self._gossip.linked]
        if self._detector.topology.full and all(map(self._heard_out, linked)):
            return True  # where not everyone is linked, what the others said takes a few hops
        waited = now - self._started_at
        if waited < self.profile.dead_after:
            return False
        answering = [link for link in linked if link.known]
        return all(map(self._heard_out, answering)) or waited >= SETTLE_DEATHS * self.profile.dead_after

    def _heard_out(self, link: PeerLink) -> bool:
        """It has told all, and everybody's lists that show the way to it are here."""
        paired = link.name in self._state.group or link.name not in self._detector.both
        return link.told_all and paired

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
        """No successor: asks to be relieved of everything. ``left``: nothing is held, and the others know."""
        if not self._manager.leaving:
            self._manager.leaving = True
            self._detector.say(Condition.LEAVING)
            self._manager.look_everywhere()
            self._after(now)

    def _maybe_go(self, now: float) -> None:
        if not (self._state.owned.get(self.name) and self._ready):
            self._farewell_at = now
            self._manager.drop_all()
            self._detector.say(Condition.LEFT)

    @property
    def left(self) -> bool:
        if self._farewell_at is None:
            return False
        if self._now >= self._farewell_at + 3 * self.profile.heartbeat:
            return True
        links = self._gossip.told.values()
        return not any((Kind.NODE, self.name) in link.pending for link in links if self._hears(link))

    def _hears(self, link: PeerLink) -> bool:
        return self._gossip.heard(link.name, self._now)

    def export(self, version: int = NEWEST) -> dict[str, Any]:
        """Return JSON for the next process of this node, in a version that it understands.

        After that nothing may be sent by this process.
        """
        return {
            "version": version,
            "name": self.name,
            "life": self._gossip.generation,
            "number": self._detector.number,
            "settled": self._settled,
            "entries": handover_state.write_entries(self._state.entries.items(), version),
            "links": {
                name: handover_state.write_link(link, version) for name, link in self._gossip.links.items()
            },
        }

    def restore(self, exported: Mapping[str, Any], now: float) -> None:
        """Once, before anything else: goes on where `export` ended. ValueError for what is none."""
        version, generation, number = handover_state.read_head(exported, self.name)
        entries = handover_state.read_entries(exported.get("entries"), version)
        written = exported.get("links")
        if not isinstance(written, Mapping):
            raise ValueError("links: a table would be right")
        links = {name: PeerLink(name, None, self._gossip.token, self._gossip.versions) for name in written}
        for name, link in links.items():
            handover_state.read_link(link, written[name], now)
        self._gossip.generation, self._detector.number, self._settled = (
            generation or 1,
            number,
            exported.get("settled") is True,
        )
        self._gossip.links = links
        for key, value in entries:
            self._state.merge(key, value)
        if version != self._gossip.versions.most:
            self._gossip.ask_again()  # for what the process before us did not understand
        self._detector.restored(now)
        self._tell_moves()
        self._events.clear()

    # ---- what is ----

    @property
    def claims(self) -> Mapping[IPAddress, Claim]:
        """Return the claims to every address that has an owner, wanted here or not."""
        return self._claims

    @property
    def held(self) -> frozenset[IPAddress]:
        """Return what this node is to answer for now: the same object for as long as nothing has changed."""
        return self._manager.held

    @property
    def members(self) -> Mapping[str, Member]:
        """The others, and this node."""
        return {name: self._member(name) for name in sorted(self._state.names)}

    @property
    def dropped(self) -> Mapping[Drop, int]:
        return self._gossip.dropped

    @property
    def packets(self) -> tuple[int, int]:
        """Received and believed, sent."""
        return self._gossip.received, self._gossip.sent

    def _member(self, name: str) -> Member:
        known, link = self._members.get(name, Member()), self._gossip.links.get(name)
        if link is None:
            return known
        return Member(known.state, known.since, link.endpoint, link.round_trip, known.why)

    # ---- what has changed ----

    def _changed(self, key: Key, old: Value | None, new: Value) -> None:
        kind, subject = key
        self._gossip.tell(key, self._wait(old, new))
        if isinstance(new, Offers):
            self._manager.look(to_address(address) for address, to in new.offers if to == self.name)
        elif isinstance(new, Unable):
            self._unable_changed(str(subject))
        elif isinstance(subject, str):
            if isinstance(new, Node | Votes):
                self._detector.changed(key, self._now)
            if kind is Kind.NODE:
                self._condition_changed(subject)
        elif isinstance(new, Ownership):
            self._manager.claim_changed(subject, old if isinstance(old, Ownership) else None, new)
            self._moved[subject] = None
            self._balance.claimed(subject, new, self._now)

    def _wait(self, old: Value | None, new: Value) -> float | None:
        """Return how long news of a change waits for more, or None: with the next heartbeat."""
        if self._detector.topology.full:
            return None if self._gossip.passes_on else NEWS_SECONDS
        adds = isinstance(new, Votes) and not (isinstance(old, Votes) and lost(old.links, new.links))
        return self.profile.heartbeat / ADDED_A_BEAT if adds else NEWS_SECONDS

    def _unable_changed(self, name: str) -> None:
        if name == self.name:
            self._manager.say_unable()
        else:
            self._manager.look_at_vacant()
        self._balance.disturbed(self._now)

    def _older(self, key: Key, value: Value) -> None:
        """Look at what another member said and we know better."""
        if isinstance(value, Ownership) and not isinstance(key[1], str):
            self._manager.heard_older(key[1], value)
            if value.owner != self.name and value.hold is not Hold.RELEASED:
                self._doubt(key[1])

    def _doubt(self, address: IPAddress) -> None:
        """Report an address of ours that a member that was not heard has had until now."""
        if address in self._manager.held:
            self._events.append(AddressDoubted(address))

    def _reach_changed(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            self._condition_changed(name)

    def _condition_changed(self, name: str) -> None:
        condition = self._state.condition(name)
        state, known = descriptions.STATES[condition], self._members.get(name, Member())
        if state is not known.state:
            met = known.state is not MemberState.UNKNOWN
            why = descriptions.member(condition, met, self._state.reach - {name})
            self._members[name] = Member(state, self._now, why=why)
            self._events.append(MemberChanged(name, known.state, state, why))
            self._balance.disturbed(self._now)
        self._manager.node_changed(name)

    def _tell_moves(self) -> None:
        """Once for all that happened at one moment."""
        moved, self._moved = self._moved, {}
        for address in moved:
            entry, old = self._state.claim(address), self._claims.pop(address, None)
            new = descriptions.claim(entry)
            if new is not None:
                self._claims[address] = new
            if entry is not None and _seen(old) != _seen(new):
                self._events.append(ClaimChanged(address, old, new, descriptions.move(old, entry)))

    def _wall(self) -> int:
        """Milliseconds since 1970."""
        return max(0, round((self._now + self._epoch) * 1000))


def _seen(claim: Claim | None) -> tuple[str, bool] | None:
    return None if claim is None else (claim.owner, claim.yielding)


def _usable(keys: Sequence[bytes]) -> tuple[bytes, ...]:
    """An empty key is none."""
    return tuple(key for key in keys if key)
