# SPDX-License-Identifier: GPL-3.0-or-later
"""Segments whose cables are drawn, each direction for itself, and what has to hold when they are at rest.

**The switch.** Each node has a cable to it with two directions: `up` (from the node) and `down` (to it). The
clients are at the switch. A node is *heard by the switch* when both pass frames: a question reaches it, and
its answer comes back. Whatever a node sends to another goes up its own cable and down the other's; beyond
that single flows between two nodes may be lost in one direction (a member of a LAG that drops, a rule, client
isolation).
"""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass, field

from daemon.membership.simulation import Cable, Segment, addresses, want

ALL = addresses(8)
# Until everything has come to rest. With the profile `calm` a death is found after 3 s, and whoever starts
# then waits for three times as long before it takes what a node has that it never heard.
REST, DEATHS = 10.0, 5
MEASURED = 3.0
# Of a node, in a heartbeat, for each other node: a heartbeat, an answer to one, a try or a handshake.
PACKETS = 3.5
# Of a node, in a heartbeat, for each other node, in any ten heartbeats at all: while cables go bad, nodes
# come and go, and everybody tells everybody. Work that fed itself would be a hundred times that.
BUSY, WINDOW = 5.0, 10
# Flows that lose a third of their packets and more: for so long, before everything else comes to rest.
DISTURBED = 10.0
# Who was away again and again is let in after 30 s at most (`vipcast.membership.flap_damping`).
LET_IN = 32.0
# Where such flows stay, a pair comes and goes; in so many seconds no address moves more than so often.
WATCHED, MOVES = 20.0, 4


@dataclass
class Drawing:
    """``lost``: single flows, with the share that is lost; ``late``: who starts after the cables went bad.

    ``disturbed``: flows that lose a share until all else comes to rest; ``lossy``: that go on doing so.
    """

    names: list[str]
    profile: str
    lost: dict[tuple[str, str], float] = field(default_factory=dict)
    up: set[str] = field(default_factory=set)
    down: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    unable: set[str] = field(default_factory=set)
    unlisted: dict[str, frozenset[str]] = field(default_factory=dict)
    suspended: dict[str, float] = field(default_factory=dict)
    disturbed: dict[tuple[str, str], float] = field(default_factory=dict)
    lossy: dict[tuple[str, str], float] = field(default_factory=dict)

    def passes(self, sender: str, receiver: str) -> bool:
        return (
            sender not in self.up
            and receiver not in self.down
            and self.lost.get((sender, receiver), 0.0) < 1.0
        )

    def at_switch(self, name: str) -> bool:
        return name not in self.up | self.down


def draw(seed: int, *, most: int = 12) -> Drawing:
    """Many small segments, some large ones: what goes wrong with few shows with few packets."""
    chance = random.Random(seed)
    count = min(most, chance.choice([3, 3, 3, 4, 4, 4, 4, 5, 5, 6, 7, 8, 10, 12]))
    names = [f"n{number}" for number in range(count)]
    drawing = Drawing(names, chance.choice(["calm", "calm", "calm", "default"] if count < 5 else ["calm"]))
    _draw_flows(drawing, chance)
    for spoilt, share in (
        (drawing.up, 0.07),
        (drawing.down, 0.07),
        (drawing.late, 0.2),
        (drawing.unable, 0.15),
    ):
        spoilt.update(name for name in names if chance.random() < share)
    if chance.random() < 0.3:
        _draw_lists(drawing, chance)
    if chance.random() < 0.3:
        drawing.suspended[chance.choice(names)] = chance.choice([2.0, 6.0])
    # By a chance of its own: a drawing that failed once stays the same otherwise.
    _draw_loss(drawing, random.Random(f"loss {seed}"))
    return drawing


def _draw_loss(drawing: Drawing, chance: random.Random) -> None:
    """Flows that lose 30 to 80 % of their packets, in one direction: for a while, or for good."""
    share = chance.choice([0.1, 0.3, 0.6])
    pairs = [(one, other) for one in drawing.names for other in drawing.names if one != other]
    drawn = {pair: chance.uniform(0.3, 0.8) for pair in pairs if chance.random() < share}
    kind = chance.random()
    if kind < 0.3:
        drawing.disturbed = drawn
    elif kind < 0.45:
        drawing.lossy = drawn


def _draw_flows(drawing: Drawing, chance: random.Random) -> None:
    """Any at all; only those between two halves; or a shape that is known to be hard."""
    names, share = drawing.names, chance.choice([0.1, 0.25, 0.5, 0.75])
    pairs = [(one, other) for one in names for other in names if one != other]
    half = set(names[: len(names) // 2])
    shape = chance.choice(["any", "any", "crossing", "both ways", "ring", "star", "none"])
    table = {
        "any": lambda one, other: chance.random() < share,
        "crossing": lambda one, other: ((one in half) != (other in half)) and chance.random() < share,
        "both ways": lambda one, other: random.Random(f"{share}{sorted((one, other))}").random() < share,
        "ring": lambda one, other: (
            (names.index(one) - names.index(other)) % len(names) not in (1, len(names) - 1)
        ),
        "star": lambda one, other: names[0] not in (one, other),
        "none": lambda one, other: False,
    }
    drawing.lost = {pair: 1.0 for pair in pairs if table[shape](*pair)}
    weak = chance.choice([0.0, 0.0, 0.02])
    drawing.lost |= {pair: weak for pair in pairs if weak and pair not in drawing.lost}


def _draw_lists(drawing: Drawing, chance: random.Random) -> None:
    """Some do not know of others, which know of them."""
    for name in drawing.names:
        if chance.random() < 0.3:
            others = frozenset(other for other in drawing.names if other == name or chance.random() < 0.6)
            drawing.unlisted[name] = others


class Play:
    """A drawing that is played: whole at first, then with its bad cables, until it is at rest."""

    def __init__(self, drawing: Drawing, seed: int) -> None:
        self.drawing, self.spoilt = drawing, False
        self.busiest = 0.0  # see BUSY
        self._counts: deque[Counter[str]] = deque(maxlen=WINDOW + 1)
        self.segment = Segment(drawing.names, drawing.profile, seed=seed, cable=Cable())
        self.segment.lists = drawing.unlisted
        self.segment.want({address: want(address, drawing.names) for address in ALL})
        self._listen()
        self.segment.start(*[name for name in drawing.names if name not in drawing.late])
        self.segment.run(1 + 2 * self.segment.profile.dead_after)
        self._spoil()
        self.segment.run(max(REST, DEATHS * self.segment.profile.dead_after))
        if drawing.disturbed:
            self.segment.run(LET_IN)

    def _spoil(self) -> None:
        drawing, made = self.drawing, self.segment
        self.spoilt = True
        made.cut = lambda sender, receiver: not drawing.passes(sender, receiver)
        made.loss = {**drawing.lost, **drawing.disturbed, **drawing.lossy}
        made.run(2.0)
        for name in sorted(drawing.unable & set(made.nodes)):
            made.do(name, lambda members, now: members.set_unable(ALL, now))
        for name, seconds in drawing.suspended.items():
            if name in made.nodes:
                made.suspend(name, seconds)
        made.run(7.0 if drawing.suspended else 0.1)
        for name in sorted(drawing.late):
            made.start(name)
            if name in drawing.unable:
                made.do(name, lambda members, now: members.set_unable(ALL, now))
        if drawing.disturbed:
            made.run(DISTURBED)
            made.loss = {**drawing.lost, **drawing.lossy}

    def _listen(self) -> None:
        """There is always some traffic on a segment: whoever's cable passes it down hears that."""
        for name, node in self.segment.nodes.items():
            received = name not in self.drawing.down or not self.spoilt
            node.members.traffic(received, self.segment.time(node))
            self.segment._after(node)
        self._count()
        self.segment.at(self.segment.now + self.segment.profile.heartbeat, self._listen)

    def _count(self) -> None:
        """Take down who has sent most in the last ten heartbeats."""
        self._counts.append(Counter(self.segment.sent))
        most = max((self._counts[-1] - self._counts[0]).values(), default=0)
        self.busiest = max(self.busiest, most / WINDOW / (len(self.drawing.names) - 1))

    # ---- what has to hold ----

    def faults(self) -> list[str]:
        found = self._at_loss() if self.drawing.lossy else self._at_rest()
        if self.busiest > BUSY:
            found.append(f"{self.busiest:.1f} packets in a heartbeat for each other node, at most {BUSY:g}")
        return found

    def _at_loss(self) -> list[str]:
        """Nothing is at rest: there is an end to what moves."""
        before = len(self.segment.moves())
        self.segment.run(WATCHED)
        moves = Counter(move.address for move in self.segment.moves()[before:])
        return [f"{address} moved {count} times" for address, count in moves.items() if count > MOVES]

    def _at_rest(self) -> list[str]:
        moves, sent = len(self.segment.moves()), dict(self.segment.sent)
        self.segment.run(MEASURED)
        found = [*self._owners()]
        if more := len(self.segment.moves()) - moves:
            found.append(f"{more} moves in {MEASURED} s at rest")
        beats = MEASURED / self.segment.profile.heartbeat
        most = PACKETS * (len(self.drawing.names) - 1) * beats
        found += [
            f"{name} sent {self.segment.sent[name] - sent.get(name, 0)} packets, at most {most:.0f}"
            for name in self.drawing.names
            if self.segment.sent[name] - sent.get(name, 0) > most
        ]
        return found

    def _owners(self) -> list[str]:
        found = []
        able = set(self.drawing.names) - self.drawing.unable
        for address in ALL:
            owners = set(self.segment.owners(address))
            found += [f"{address}: {one}" for one in self._of_groups(owners, able)]
            heard = {name for name in able if self.drawing.at_switch(name)}
            if heard and not owners & heard:
                found.append(f"{address}: nobody whom the switch hears has it, of {sorted(heard)}: {owners}")
        return found

    def _of_groups(self, owners: set[str], able: set[str]) -> list[str]:
        found = []
        for group in self.groups():
            mine = owners & group
            if len(mine) > 1:
                found.append(f"{sorted(mine)} have it in the group {sorted(group)}")
            if not mine and group & able and not self._gives_way(group):
                found.append(f"nobody has it in the group {sorted(group)}")
        return found

    def _gives_way(self, group: set[str]) -> bool:
        """Return whether it is one node that hears others, which do not hear it; or hears nothing at all."""
        (name, *others) = group
        hears = any(self.drawing.passes(other, name) for other in self.drawing.names if other != name)
        return not others and (hears or name in self.drawing.down)

    def groups(self) -> list[set[str]]:
        """Return who hear each other both ways, by way of others too."""
        left, found = set(self.drawing.names), []
        while left:
            group, todo = set(), [min(left)]
            while todo:
                one = todo.pop()
                group.add(one)
                todo += [other for other in left - group - set(todo) if self._pair(one, other)]
            left -= group
            found.append(group)
        return found

    def _pair(self, one: str, other: str) -> bool:
        lists = self.drawing.unlisted
        known = other in lists.get(one, [other]) or one in lists.get(other, [one])
        return known and self.drawing.passes(one, other) and self.drawing.passes(other, one)


def shrink(drawing: Drawing, seed: int) -> Drawing:
    """Return the drawing without what is not needed for a fault: nodes' troubles, then single flows."""
    for part in ("disturbed", "lossy", "suspended", "unlisted", "late", "unable", "up", "down", "lost"):
        things = getattr(drawing, part)
        for thing in sorted(things):
            kept = things.pop(thing) if isinstance(things, dict) else things.discard(thing)
            if not Play(drawing, seed).faults():
                things.update({thing: kept} if isinstance(things, dict) else {thing})
    return drawing
