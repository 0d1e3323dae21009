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

from vipcast.election import AddressWant
from vipcast.membership import handover_state
from vipcast.membership.balance import Balance
from vipcast.membership.claim_manager import ClaimManager
from vipcast.membership.departure import Departure
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
from vipcast.membership.event_log import EventLog
from vipcast.membership.failure_detector import FailureDetector
from vipcast.membership.gossip import Gossip
from vipcast.membership.local_node import LocalNode
from vipcast.membership.peer_link import PeerLink
from vipcast.membership.reach import lost
from vipcast.membership.readiness import Readiness
from vipcast.membership.replicated_state import Merged, ReplicatedState
from vipcast.membership.types import (
    Claim,
    Drop,
    Endpoint,
    Event,
    Member,
    Profile,
)
from vipcast.membership.versions import NEWEST, SUPPORTED
from vipcast.membership.windowed_minimum import WindowedMinimum
from vipcast.model.addresses import IPAddress
from vipcast.versions import Versions

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
        self._local = LocalNode(name, profile)
        self._local.set_keys(keys)
        self._now, self._epoch, self._random = now, epoch, random
        self._state = ReplicatedState(self._changed)
        self._log = EventLog(self._state)
        self._gossip = Gossip(
            self._local,
            random() or 1,
            state=self._state,
            random=random,
            versions=versions,
            trusts=self._trusts,
            on_older=self._older,
            on_standstill=lambda at: self._measure_side(1, at),
        )
        self._detector = FailureDetector(self._local, self._state, self._gossip, self._reach_changed)
        self._readiness = Readiness(self._local, self._state, self._gossip, self._detector)
        self._manager = ClaimManager(
            self._local,
            self._state,
            wall=self._wall,
            doubt=self._detector.doubt,
            side=lambda: len(self._state.group),
            contested=self._log.doubt,
        )
        self._balance = Balance(name, self._state, now)
        self._balance_at = now
        self._heartbeat_at = self._heartbeat_from = now
        self._minimum = WindowedMinimum(now)
        self._waits = False
        self._departure = Departure(self._local, self._state, self._gossip, self._detector, self._manager)
        self._listed: frozenset[str] = frozenset()
        self._detector.say(Condition.ALIVE)

    @property
    def name(self) -> str:
        return self._local.name

    @property
    def profile(self) -> Profile:
        return self._local.profile

    # ---- wants; the whole set each time ----

    @property
    def preempt(self) -> bool:
        """Tell whether the first in the order takes an address from a healthy owner, once it has stayed."""
        return self._manager.preempt

    @preempt.setter
    def preempt(self, preempt: bool) -> None:
        self._manager.set_preempt(preempt)

    @property
    def gentle(self) -> bool:
        """Tell whether who has more than others offers some of it to them, when nothing else happens."""
        return self._balance.gentle

    @gentle.setter
    def gentle(self, gentle: bool) -> None:
        self._balance.set_gentle(gentle)

    def set_orphaned(self, orphaned: bool, now: float) -> None:
        """Say that nobody has said anything for long: what is held stays until others take it over."""
        self._manager.set_orphaned(orphaned)
        self._after(now)

    def set_peers(self, peers: Mapping[str, Sequence[Endpoint]], now: float) -> None:
        """The nodes that may run the program; the first endpoint of each is used. Ours is ignored."""
        others = {name: ends[0] if ends else None for name, ends in peers.items() if name != self.name}
        if not self._readiness.started:
            self._readiness.begin(now)
        if others.keys() - self._gossip.links.keys():
            self._gossip.ask_for_refused()
        self._gossip.set_peers(others)
        self._listed = frozenset(others)
        self._count_in(now)
        self._after(now)

    def _count_in(self, now: float) -> None:
        """Count in who is listed, and who has proved itself without: a list may be late, a key is not."""
        names = self._listed | self._gossip.guests(now)
        if self._state.names != {*names, self.name}:
            self._state.set_names({*names, self.name})
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
            self._gossip.ask_for_refused()
        self._manager.set_wants(addresses)
        self._balance.set_wants(self._manager.wants)
        self._state.set_wanted(addresses.keys())
        self._after(now)

    def set_unable(self, addresses: Iterable[IPAddress], now: float) -> None:
        """Take the whole set of what this node cannot answer for: no interface, or a foreign duplicate."""
        self._manager.set_unable(frozenset(addresses), now)
        self._balance.disturbed(now)
        self._after(now)

    def set_keys(self, keys: Sequence[bytes], now: float) -> None:
        """The first one signs, each is believed. Without one nothing is sent, believed or owned."""
        if not self._local.keys and self._readiness.started:
            self._readiness.begin(now)
        self._local.set_keys(keys)
        self._after(now)

    def set_profile(self, profile: Profile, now: float) -> None:
        self._local.profile = profile
        self._heartbeat_at = min(self._heartbeat_at, now + profile.heartbeat)
        self._after(now)

    # ---- packets and time ----

    def receive(self, data: bytes, source: Endpoint, now: float) -> Drop | None:
        """Return why it was dropped, or None.

        Who sent it is what it proves; ``source`` is where it is answered.
        """
        self._now = now
        self._grant(now - self._heartbeat_at, now)
        if now - self._heartbeat_at > self.profile.dead_after / 2:
            self._measure_side(1, now)  # we slept, and have no say in what the others did
        sender, drop = self._gossip.receive(data, source, now)
        if sender is not None:
            if sender not in self._state.names:
                self._count_in(now)
            self._detector.heard(sender, now)
        if drop is None and self._detector.topology.full and self._heartbeat_from <= now < self._heartbeat_at:
            self._heartbeat(now)
        self._after(now)
        return drop

    def handle_timer(self, now: float) -> None:
        self._grant(now - self.timer(), now)
        if now >= self._heartbeat_at:
            self._heartbeat(now)
        if now >= self._state.sweep_at:
            forgotten = self._state.sweep(now)
            self._gossip.forget(forgotten)
            self._log.forget(forgotten)
        self._after(now)

    def all_understand(self, version: int) -> bool:
        """Tell whether everyone with whom we exchange heartbeats is heard, and reads this version."""
        return self._gossip.all_understand(version, self._now)

    def _grant(self, late: float, now: float) -> None:
        """Give everyone the time that we slept."""
        if late > self.profile.heartbeat / 4:
            self._gossip.grant(late, now)

    def timer(self) -> float:
        times = (
            self._heartbeat_at,
            self._detector.timer(),
            max(self._now, self._gossip.flush_at),
            self._manager.timer(self._now),
            self._readiness.timer(self._now),
        )
        return min(at for at in times if at is not None)

    def output(self) -> list[tuple[Endpoint, bytes]]:
        """Take what is to be sent."""
        return self._gossip.output()

    def events(self) -> list[Event]:
        """Take what has happened."""
        return self._log.take()

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
        known = self._manager.settled
        self._manager.set_min_partition_size(self._minimum.measure(size, now, SIDE_SECONDS, known=known))

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
        self._local.deaf = self._detector.deaf
        self._manager.set_standing(self._detector.unheard, self._detector.above, self._detector.deaf)
        self._manager.work(now)
        self._departure.work(now)
        self._log.tell_moves()
        self._gossip.flush(now)

    def _judge_ourselves(self, now: float) -> None:
        """Say whether we may claim."""
        self._readiness.work(now)
        ready = self._readiness.settled and self._manager.told and bool(self._local.keys)
        self._manager.set_ready(ready, self._detector.present, now)

    @property
    def settled(self) -> bool:
        """Has heard everyone who is there, so that it may claim; the status WAITING is for before."""
        return self._readiness.settled

    # ---- the end ----

    def leave(self, now: float) -> None:
        """No successor: asks to be relieved of everything. ``left``: nothing is held, and the others know."""
        if not self._manager.leaving:
            self._departure.begin()
            self._after(now)

    @property
    def left(self) -> bool:
        """Tell whether nothing is held, and the others know it."""
        return self._departure.over(self._now)

    def export(self, version: int = NEWEST) -> dict[str, Any]:
        """Return JSON for the next process of this node, in a version that it understands.

        After that nothing may be sent by this process.
        """
        return {
            "version": version,
            "name": self.name,
            "life": self._gossip.generation,
            "number": self._detector.number,
            "settled": self._readiness.settled,
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
        self._gossip.restore(generation, links)
        self._readiness.restore(exported.get("settled") is True)
        merged = [self._state.merge(key, value) for key, value in entries]
        if version != self._gossip.versions.most or Merged.REFUSED in merged:
            self._gossip.ask_again()  # for what was not understood before us, or what we had no room for
        self._detector.restore(number, now)
        self._log.tell_moves()
        self._log.take()  # the process before us has told it

    # ---- what is ----

    @property
    def claims(self) -> Mapping[IPAddress, Claim]:
        """Return the claims to every address that has an owner, wanted here or not."""
        return self._log.claims

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
        known, link = self._log.members.get(name, Member()), self._gossip.links.get(name)
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
            self._log.claim_changed(subject)
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

    def _trusts(self, link: PeerLink, now: float) -> bool:
        return self._detector.trusts(link, now)

    def _older(self, key: Key, value: Value) -> None:
        """Look at what another member said and we know better."""
        if isinstance(value, Ownership) and not isinstance(key[1], str):
            self._manager.heard_older(key[1], value)
            taken = value.owner != self.name and value.hold is not Hold.RELEASED
            if taken and key[1] in self._manager.held:
                self._log.doubt(key[1])

    def _reach_changed(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            self._condition_changed(name)

    def _condition_changed(self, name: str) -> None:
        if self._log.condition_changed(name, self._now):
            self._balance.disturbed(self._now)
        self._manager.node_changed(name)

    def _wall(self) -> int:
        """Milliseconds since 1970."""
        return max(0, round((self._now + self._epoch) * 1000))
