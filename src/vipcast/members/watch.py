# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is dead: what this node hears, what it votes, and what follows of everyone's votes.

A member is found dead when more than half of its watchers vote that they do not hear it. Watchers that we
do not hear ourselves do not count: they cannot tell us what they hear. So one bad cable kills nobody while
others hear both ends of it, and of a split each side finds the other dead. Of two nodes one vote is enough.
"""

from __future__ import annotations

from collections.abc import Iterable

from vipcast.members.entries import MAX_VOTES, Condition, Key, Kind, Node, Votes
from vipcast.members.graph import Graph
from vipcast.members.post import Post
from vipcast.members.shared import GONE, Shared
from vipcast.members.words import Profile

# A node that is found dead again and again, and is not, comes back after twice the time each time, within
# limits.
DAMPING_WINDOW = 60.0
DAMPING_LIMIT = 30.0
# What is said at once takes a few milliseconds through a large segment.
HOPS_SECONDS = 0.05


class Watch:
    """``number`` and ``condition`` are what this node says of itself."""

    def __init__(self, name: str, profile: Profile, shared: Shared, post: Post) -> None:
        self.name, self.profile = name, profile
        self.number, self.condition = 1, Condition.ALIVE
        self.least_side = 0  # how many we heard, at the worst moment lately
        self.graph = Graph([name])
        self.neighbours: frozenset[str] = frozenset()
        self.gaps: list[list[str]] = []
        self.silent: frozenset[str] = frozenset()
        self.expire_at: float | None = None
        self.refute_at: float | None = None
        self._shared, self._post = shared, post
        self._suspects: set[str] = set()
        self._relink = True
        self._refuted: list[float] = []

    # ---- inputs ----

    def set_names(self, names: Iterable[str]) -> None:
        self.graph = Graph([self.name, *names])
        self._relink = True

    def say(self, condition: Condition) -> None:
        """Of ourselves."""
        self.condition = condition
        self._shared.merge((Kind.NODE, self.name), Node(self.number, condition))

    def changed(self, key: Key, now: float) -> None:
        """An entry of a node, or its votes."""
        kind, name = key
        assert isinstance(name, str)
        if name == self.name:
            self._about_ourselves(kind, now)
        elif kind is Kind.NODE:
            self._relink = True
            self._suspects |= self._shared.voters.keys() & {name, *self._neighbours(name)}
        elif (votes := self._shared.votes(name)) is not None:
            self._suspects.update(silent for silent, _number in votes.silent)

    def heard(self, name: str, now: float) -> None:
        if name in self.silent:
            self._listen(now)

    def doubt(self, name: str, at: float) -> float:
        """Not before then is anything taken from a member that is said to be dead: it may say otherwise.

        After a split each part learns that the other one found its members dead, and then that they are not.
        """
        link = self._post.links.get(name)
        if link is None or self._shared.condition(name) is Condition.LEFT:
            return at
        if name in self.neighbours:
            silent_at = link.heard_at + self.profile.dead_after
            return min(max(at, silent_at), at + self.profile.dead_after)
        return at + HOPS_SECONDS

    def hurry(self, now: float) -> None:
        """No time to lose: should the others take us for dead, they are told otherwise at once."""
        if self.refute_at is not None:
            self.refute_at = min(self.refute_at, now)

    def side(self) -> set[str]:
        """Who is there and heard, by us or by others; ourselves too."""
        return {name for name in self.graph.names - self.silent if self._shared.there(name)}

    # ---- what follows ----

    def work(self, now: float) -> None:
        """After anything that may have changed something."""
        if self._relink:
            self._choose(now)
        if self.expire_at is not None and now >= self.expire_at:
            self._listen(now)
        if self.refute_at is not None and now >= self.refute_at:
            self._refute()
        while self._suspects:
            self._judge(self._suspects.pop())
        if self._relink:
            self._choose(now)

    def _choose(self, now: float) -> None:
        """Whom to exchange heartbeats with."""
        self._relink = False
        self.neighbours = self._neighbours(self.name)
        self.gaps = [] if self.graph.full else self.graph.gaps(self.name, self._shared.there)
        self._post.link(self.neighbours, now)
        self._listen(now)

    def _neighbours(self, name: str) -> frozenset[str]:
        return self.graph.neighbours(name, lambda other: other == self.name or self._shared.there(other))

    def _listen(self, now: float) -> None:
        """Whom we do not hear, and when the next one would be missed."""
        ends = {name: end for name in self.neighbours if (end := self._end(name)) is not None}
        silent = frozenset(name for name, end in ends.items() if end <= now)
        self.expire_at = min((end for end in ends.values() if end > now), default=None)
        if silent != self.silent:
            self.silent = silent
            self._suspects |= self._shared.voters.keys() | silent
        self._vote()

    def _end(self, name: str) -> float | None:
        """When silence becomes death, of those that should be there."""
        link = self._post.links.get(name)
        if link is None or not self._shared.there(name):
            return None
        return max(link.heard_at, link.watched_at) + self.profile.dead_after

    def _vote(self) -> None:
        nodes = ((name, self._shared.node(name)) for name in sorted(self.silent)[:MAX_VOTES])
        silent = tuple((name, node.number) for name, node in nodes if node is not None)
        said = self._shared.votes(self.name)
        if said is None and not silent:
            return
        if said is None or (said.number, said.silent) != (self.number, silent):
            version = said.version + 1 if said is not None and said.number == self.number else 0
            self._shared.merge((Kind.VOTES, self.name), Votes(self.number, version, silent))

    def _judge(self, name: str) -> None:
        node = self._shared.node(name)
        if node is None or node.condition in GONE or name == self.name:
            return
        heard = [watcher for watcher in self._neighbours(name) if self._counts(watcher)]
        votes = sum(self._votes(watcher, name, node.number) for watcher in heard)
        if votes * 2 > len(heard):
            self._shared.merge((Kind.NODE, name), Node(node.number, Condition.DEAD))

    def _counts(self, watcher: str) -> bool:
        return watcher == self.name or (self._shared.there(watcher) and watcher not in self.silent)

    def _votes(self, watcher: str, name: str, number: int) -> bool:
        votes = self._shared.votes(watcher)
        return votes is not None and (name, number) in votes.silent

    # ---- ourselves ----

    @property
    def present(self) -> bool:
        """Alive, and the others know it."""
        return self._shared.node(self.name) == Node(self.number, Condition.ALIVE)

    def _about_ourselves(self, kind: Kind, now: float) -> None:
        """Somebody wrote in our name: found us dead, or remembers an earlier life."""
        node = self._shared.node(self.name)
        if kind is Kind.VOTES:
            self._vote()
        elif node is not None and node != Node(self.number, self.condition) and self.condition not in GONE:
            again = node.number == self.number
            self.refute_at = now + (self._damping(now) if again else 0.0)

    def _refute(self) -> None:
        self.refute_at = None
        node = self._shared.node(self.name)
        if node is not None:
            self.number = node.number + 1
            self.say(self.condition)
            self._vote()

    def _damping(self, now: float) -> float:
        """None where most are on our side: then it is the others who come and go."""
        known = sum(self._shared.node(name) is not None for name in self.graph.names)
        if self.least_side * 2 > known:
            return 0.0
        self._refuted = [*(at for at in self._refuted if at > now - DAMPING_WINDOW), now]
        times = len(self._refuted) - 1
        return min(DAMPING_LIMIT, self.profile.dead_after * 2 ** (times - 1)) if times else 0.0
