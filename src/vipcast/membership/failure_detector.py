# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find who is dead, by what this node hears, what it says of that, and what everyone says.

Each member says whom it hears both ways: it gets packets, and its own ones are acknowledged. A member is dead
when no way leads to it over such pairs (`vipcast.membership.reach`). So bad cables kill nobody as long as
somebody hears both ends of them, and of a split each side finds the other dead. All in a group come to the
same, and as long as no cable changes, nothing does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vipcast.membership.entries import MAX_LINKS, MAX_VOTES, Condition, Key, Kind, Node, Votes
from vipcast.membership.flap_damping import FlapDamping
from vipcast.membership.gossip import Gossip
from vipcast.membership.local_node import LocalNode
from vipcast.membership.peer_link import PeerLink
from vipcast.membership.reach import BOTH_WAYS, ONE_WAY, above, group, pair, single, upstream
from vipcast.membership.replicated_state import GONE, ReplicatedState
from vipcast.membership.topology import Topology

# Who has to take a higher number again and again waits twice as long each time, within limits.
REFUTE_WINDOW = 60.0
REFUTE_LIMIT = 30.0
# What is said at once takes a few milliseconds through a large segment.
HOPS_SECONDS = 0.05
# An acknowledgement comes with the peer's next heartbeat, and may be lost like a heartbeat.
ACKNOWLEDGED_BEATS = 2.5
# Whom we hear now, and did not before, is said no more often than so many times in a heartbeat; where not
# everyone is linked once.
NEW_LINKS_A_BEAT = 20

_NOBODY: frozenset[str] = frozenset()

Changed = Callable[[Iterable[str]], None]


class FailureDetector:
    """``number`` and ``condition`` are what this node says of itself.

    ``both``: whom it hears both ways; ``faint``: whom it hears, and no more is known of.
    ``deaf``: it hears nobody, and nothing says that its interface receives anything.
    ``changed`` is told of members that have come into reach or left it.
    """

    def __init__(self, local: LocalNode, state: ReplicatedState, gossip: Gossip, changed: Changed) -> None:
        self.name, self._local = local.name, local
        self.number, self.condition = 1, Condition.ALIVE
        self.topology = Topology([local.name])
        self.neighbors: frozenset[str] = frozenset()
        self.gaps: list[list[str]] = []
        self.both: frozenset[str] = frozenset()
        self.faint: frozenset[str] = frozenset()
        self.above: frozenset[str] = frozenset()
        self.deaf = False
        self.expire_at: float | None = None
        self.refute_at: float | None = None
        self._say_at: float | None = None
        self._said: Votes | None = None
        self._said_at = float("-inf")
        self._state, self._gossip, self._changed = state, gossip, changed
        self._damping = FlapDamping(local)
        self._traffic_at: float | None = None  # when something was received; None: nobody says
        self._traffic_asked_at = float("-inf")
        self._deaf_since: float | None = None
        self._hear_until: float | None = None  # something is received again: is anybody heard?
        self._keep: frozenset[str] = frozenset()
        self._turn = 0
        self._fresh: dict[str, float] = {}  # heard both ways since a moment, and until when that counts
        self._relink = self._reckon = True
        self._refuted: list[float] = []
        self._presumed_until: float | None = None  # so long who was never heard of counts as present

    # ---- inputs ----

    def set_names(self, names: Iterable[str]) -> None:
        self.topology = Topology([self.name, *names])
        self._relink = self._reckon = True

    def presume(self, now: float) -> None:
        """Count everybody as present for as long as it takes to find a dead one: this process has started.

        In the second half of that time others are tried as well: those that were chosen may not be there.

        Where all start at once, each then has the pairs that it keeps. Pairs among those that were heard so
        far would be other ones with each that is heard, and each new pair tells each other everything.
        """
        self._presumed_until = now + self._local.profile.dead_after
        self._relink = True

    def say(self, condition: Condition) -> None:
        """Say which condition this node itself is in."""
        self.condition = condition
        self._state.merge((Kind.NODE, self.name), Node(self.number, condition))

    def changed(self, key: Key, now: float) -> None:
        """An entry of a node, or what it hears."""
        kind, name = key
        assert isinstance(name, str)
        self._reckon = True
        if name == self.name:
            self._about_ourselves(kind, now)

    def heard(self, name: str, now: float) -> None:
        """A packet of that member was believed."""
        if name not in self.both:
            self._listen(now)

    def restore(self, number: int, now: float) -> None:
        """Take what is in the map of this node for what it said itself: another process of it did."""
        self.number = number
        self._said = self._state.votes(self.name)
        self._listen(now)
        self._reckon_group(now)
        self._say_at = self.refute_at = None
        self._relink = self._reckon = True

    def traffic(self, received: bool, now: float, *, gone: bool = False) -> None:
        """``received``: since the last time. It counts from then: what came may have come at once.

        ``gone``: that nothing is received is taken for the others' end.
        """
        if gone:
            self._deaf_since = None
        asked_at, self._traffic_asked_at = self._traffic_asked_at, now
        if received:
            self._traffic_at = asked_at
        elif self._traffic_at is None:
            self._traffic_at = float("-inf")

    def heartbeat(self, now: float) -> None:
        """Look, with each heartbeat, for those to whom no way leads, where not everyone is linked."""
        self.gaps = []
        if self.topology.full:
            return
        self._turn += 1
        keep = self._needed(self.both - self.neighbors)
        if keep != self._keep:
            self._keep = keep
            self._gossip.link(self.neighbors | keep, now)
        if self._presumed_until is None or now >= self._presumed_until - self._local.profile.dead_after / 2:
            self.gaps = self.topology.gaps(self.name, self._is_there)
            if away := self._out_of_reach():
                self.gaps.append([away[self._turn % len(away)]])

    def _out_of_reach(self) -> list[str]:
        """Return who is out of reach; those behind us in the alphabet first, so that not all try the same."""
        away = self.topology.names - self._state.group - self._gossip.linked
        return sorted(away, key=lambda name: (name < self.name, name))

    def _needed(self, others: frozenset[str]) -> frozenset[str]:
        """Return those to whom no way leads over the pairs of the circles alone."""
        if not others:
            return others
        lists = self._state.lists
        usual = self.topology.connected(self.name, self._counts, lambda one, other: pair(one, other, lists))
        return others - usual

    def doubt(self, name: str, at: float) -> float:
        """Return the time before which nothing is taken from a member that is out of reach.

        After a split, and where not everyone is linked, the way to it may be heard of in a moment.
        """
        link = self._gossip.links.get(name)
        if link is None or self._state.condition(name) is Condition.LEFT:
            return at
        if name in self.neighbors:
            silent_at = link.heard_at + self._local.profile.dead_after
            return min(max(at, silent_at), at + self._local.profile.dead_after)
        return at + HOPS_SECONDS

    # ---- what is ----

    @property
    def alone(self) -> bool:
        """Tell whether nobody is heard both ways."""
        return len(self._state.group) <= 1

    def one_way(self, now: float) -> frozenset[str]:
        """Return those that are heard, and acknowledge nothing or say that they hear nobody."""
        links = self._gossip.links.values()
        deaf = {link.name for link in links if link.deaf and self._gossip.heard(link.name, now)}
        return self.faint - self._damping.kept_out.keys() | deaf

    @property
    def unheard(self) -> bool:
        """Others are heard, and no way leads to them: they decide first."""
        return self.alone and bool(self.both or self.faint)

    def trusts(self, link: PeerLink, now: float) -> bool:
        """Return whether claims are taken from that link.

        What comes one way from a group that does not hear ours would be taken back and forth without end.
        """
        return self.alone or (self._hears_both(link, now) and link.name not in self._damping.kept_out)

    # ---- what follows ----

    def work(self, now: float) -> None:
        """Do what is due; to be called after anything that may have changed something."""
        if self._presumed_until is not None and now >= self._presumed_until:
            self._presumed_until, self._relink = None, True
        if self._relink:
            self._choose(now)
        if self.expire_at is not None and now >= self.expire_at:
            self._listen(now)
        if self.refute_at is not None and now >= self.refute_at:
            self._refute(now)
        if self._say_at is not None and now >= self._say_at:
            self._say_links(now)
        self.deaf = self._is_deaf(now)
        if any(at <= now for at in self._fresh.values()):
            self._reckon = True
        while self._reckon or self._relink:
            self._reckon_group(now)
            if self._relink:
                self._choose(now)

    def timer(self) -> float | None:
        hear_until = self._hear_until if self.deaf else None
        named = (self.expire_at, self.refute_at, self._say_at, self._presumed_until, hear_until)
        times = (*named, *self._fresh.values())
        return min((at for at in times if at is not None), default=None)

    def _is_deaf(self, now: float) -> bool:
        """Return whether nobody is heard, and nothing else was received since somebody was.

        Who was deaf for a while, and receives something again, was cut off: it hears first who is there, for
        as long as a dead one takes. A frame that is no heartbeat may come before all heartbeats.
        """
        if self._traffic_at is None or self.both or self.faint or len(self.topology.names) < 2:
            self._deaf_since = self._hear_until = None
            return False
        heard_at = max(link.heard_at for link in self._gossip.links.values())
        if heard_at > now - self._local.profile.dead_after:
            return False
        if self._traffic_at <= heard_at:
            self._deaf_since = now if self._deaf_since is None else self._deaf_since
            self._hear_until = None
            return True
        if self._deaf_since is not None and self._deaf_since < now - self._local.profile.heartbeat:
            self._hear_until = now + self._local.profile.dead_after
        self._deaf_since = None
        return self._hear_until is not None and now < self._hear_until

    def _choose(self, now: float) -> None:
        """Choose whom to exchange heartbeats with."""
        self._relink = False
        self.neighbors = self.topology.neighbors(self.name, self._counts)
        self._gossip.link(self.neighbors | self._keep, now)
        self._listen(now)

    def _is_there(self, name: str) -> bool:
        return name == self.name or self._state.is_present(name)

    def _counts(self, name: str) -> bool:
        """Return whether a pair may be made with it: it is there, or presumed to be."""
        presumed = self._presumed_until is not None and self._state.condition(name) is None
        return presumed or self._is_there(name)

    # ---- whom we hear ----

    def _hears(self, link: PeerLink, now: float) -> bool:
        return link.known and not link.deaf and link.heard_at + self._local.profile.dead_after > now

    def _hears_both(self, link: PeerLink, now: float) -> bool:
        return self._hears(link, now) and self._acknowledged_until(link) > now

    def _acknowledged_until(self, link: PeerLink) -> float:
        return (
            link.acknowledged_at
            + self._local.profile.dead_after
            + ACKNOWLEDGED_BEATS * self._local.profile.heartbeat
        )

    def _listen(self, now: float) -> None:
        """Look whom we hear, and when that ends for the next one."""
        heard = [link for link in self._gossip.links.values() if self._hears(link, now)]
        both = {link.name for link in heard if self._acknowledged_until(link) > now}
        out = self._damping.judge(both - self.both, self._singles(both), alone=self.alone, now=now)
        before, self.both = self.both, frozenset(both - out)
        faint, self.faint = self.faint, frozenset(link.name for link in heard) - self.both
        ends = [self._end(link, now) for link in heard]
        self._fresh |= dict.fromkeys(self.both - before, now + self._local.profile.dead_after)
        self._reckon = self._reckon or before != self.both
        self.expire_at = min([*ends, *self._damping.times(now)], default=None)
        if (before - self.both) & self._gossip.linked:
            self._say_links(now)
        elif before != self.both or faint != self.faint:
            often = NEW_LINKS_A_BEAT if self.topology.full else 1
            self._say_at = max(now, self._said_at + self._local.profile.heartbeat / often)

    def _singles(self, names: Iterable[str]) -> set[str]:
        """Return those of ``names`` that have nobody else, and those that we heard both ways before.

        A group that was split off is let in at once, so it is not among them.
        """
        return {name for name in names if name in self.both or single(name, self._state.lists)}

    def _end(self, link: PeerLink, now: float) -> float:
        until = self._acknowledged_until(link)
        silent_at = link.heard_at + self._local.profile.dead_after
        return min(silent_at, until) if until > now else silent_at

    def _say_links(self, now: float) -> None:
        self._say_at, self._said_at = None, now
        links = dict.fromkeys(self._first(self.faint), ONE_WAY)
        links |= dict.fromkeys(self._first(self.both), BOTH_WAYS)
        self._vote(tuple(sorted({**links, self.name: BOTH_WAYS}.items())))

    def _first(self, names: frozenset[str]) -> list[str]:
        """Return no more than there is room for: neighbors before others."""
        return sorted(names, key=lambda name: (name not in self.neighbors, name))[: MAX_LINKS // 2]

    def _vote(self, links: tuple[tuple[str, int], ...]) -> None:
        """Say it; ``silent`` is for members of release 0.1.0, which count votes."""
        silent_names = sorted(self.neighbors - self.both - self.faint)[:MAX_VOTES]
        nodes = ((name, self._state.node(name)) for name in silent_names)
        silent = tuple((name, node.number) for name, node in nodes if node is not None)
        said = self._state.votes(self.name)
        if said is None or (said.number, said.silent, said.links) != (self.number, silent, links):
            version = said.version + 1 if said is not None and said.number == self.number else 0
            self._said = Votes(self.number, version, silent, links)
            self._state.merge((Kind.VOTES, self.name), self._said)
            self._reckon = True

    # ---- who is there ----

    def _reckon_group(self, now: float) -> None:
        self._reckon = False
        lists = self._state.lists
        self._fresh = {name: at for name, at in self._fresh.items() if name in self.both and at > now}
        before, mine = self._state.group, group(self.name, lists, self._fresh)
        alone = len(mine) <= 1
        reach = upstream(self.name, lists) if alone else mine
        before_above, self.above = self.above, above(self.name, lists) if len(reach) > len(mine) else _NOBODY
        if self.above - before_above:
            self._gossip.ask_again()  # what they have, our newer claims notwithstanding
        gone = {name for name in before - mine if self._state.known_alive(name) and single(name, lists)}
        self._damping.left(gone, alone=alone, now=now)
        moved = reach ^ self._state.reach
        self._state.set_reach(mine, reach)
        if moved:
            self._relink = self._relink or not self.topology.full
            self._changed(moved)
        if (len(before) <= 1) is not alone:
            self._listen(now)

    # ---- ourselves ----

    @property
    def present(self) -> bool:
        """Alive, and nobody says otherwise."""
        node = self._state.node(self.name)
        return node is not None and node.condition is Condition.ALIVE and self._is_ours(node)

    def _is_ours(self, node: Node) -> bool:
        return (node.number, node.condition) == (self.number, self.condition)

    def _about_ourselves(self, kind: int, now: float) -> None:
        """Answer an entry that another member wrote in our name.

        It remembers an earlier generation of ours, or (release 0.1.0) found us dead.
        """
        node, said = self._state.node(self.name), self._state.votes(self.name)
        if kind == Kind.VOTES:
            if said is not None and said != self._said:
                self.number = max(self.number, said.number)
                self.say(self.condition)
                self._say_at = now
        elif node is not None and self.condition not in GONE and not self._is_ours(node):
            self.refute_at = self._refute_time(now)

    def _refute_time(self, now: float) -> float:
        """Return when to answer: never more often than with a heartbeat, or a fault would feed itself."""
        self._refuted = [at for at in self._refuted if at > now - REFUTE_WINDOW]
        if not self._refuted:
            return now
        wait: float = self._local.profile.heartbeat * 2.0 ** (len(self._refuted) - 1)
        return max(now, self._refuted[-1] + min(REFUTE_LIMIT, wait))

    def _refute(self, now: float) -> None:
        self.refute_at = None
        node = self._state.node(self.name)
        if node is not None:
            self._refuted.append(now)
            self.number = node.number + 1
            self.say(self.condition)
            self._say_links(now)
