# SPDX-License-Identifier: GPL-3.0-or-later
"""A segment of many members, and time that passes when it is told to.

Packets take a while, get lost, doubled and overtaken, and cables are bad in one direction or both; processes
sleep, die, start again and hand over. All of it is drawn from one seed.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address

from support.bounds import at_most

from vipcast import election
from vipcast.election import AddressWant
from vipcast.membership import PROFILES, ClaimChanged, Membership, Profile, entries, handover_state
from vipcast.membership.entries import Key, Kind, Value
from vipcast.membership.topology import Topology
from vipcast.membership.types import Endpoint, Event
from vipcast.membership.versions import NEWEST, SUPPORTED
from vipcast.model.addresses import IPAddress
from vipcast.versions import Versions

KEY = b"a key for tests, of thirty-two octets"[:32]
PORT = 7946
# What happens at one moment comes to an end: a member whose timer is due again and again has a fault.
AT_ONE_MOMENT = 100_000


@dataclass
class Cable:
    """The cable of everyone to everyone, unless ``cut`` says otherwise.

    Times are in seconds; probabilities are from 0 to 1.
    """

    delay: float = 0.0002
    jitter: float = 0.0001
    loss: float = 0.0
    doubled: float = 0.0
    late: float = 0.0  # how often a packet takes ``lateness``, and so is overtaken
    lateness: float = 0.05


@dataclass
class Node:
    name: str
    number: int
    members: Membership
    alive: bool = True
    sleeps_until: float = 0.0
    inbox: list[tuple[bytes, Endpoint]] = field(default_factory=list)
    events: list[tuple[float, Event]] = field(default_factory=list)
    offset: float = 0.0  # its monotonic clock minus the simulation's

    @property
    def endpoint(self) -> Endpoint:
        return endpoint(self.number)


def endpoint(number: int) -> Endpoint:
    return IPv4Address(0x0A000000 + number), PORT


def want(address: IPAddress, names: Iterable[str], preferred: Iterable[str] = ()) -> AddressWant:
    first, everyone = frozenset(preferred), frozenset(names)
    groups = ((10, first), (0, everyone - first)) if first else ((0, everyone),)
    return AddressWant(groups, str(address))


def addresses(count: int) -> list[IPAddress]:
    return [ip_address(0x0A63FF00 + number) for number in range(count)]


def moment(due: float, offset: float) -> float:
    """Return when a clock that is ``offset`` ahead of the simulation's reaches ``due``.

    The difference of the two may be rounded to a moment before it. A node that looks then finds nothing due,
    and would look again at the same moment, for ever.
    """
    at = due - offset
    while at + offset < due:
        at = math.nextafter(at, math.inf)
    return at


class Segment:
    """``names``: those that the API lists; who of them runs is up to `start`."""

    def __init__(
        self, names: Iterable[str], profile: str = "default", *, seed: int = 1, cable: Cable | None = None
    ) -> None:
        self.names = list(names)
        self.profile: Profile = PROFILES[profile]
        self.cable = cable or Cable()
        self.random = random.Random(seed)
        self.now = 1000.0
        self.nodes: dict[str, Node] = {}
        self.former: list[Node] = []
        self.wants: dict[str, Mapping[IPAddress, AddressWant]] = {}
        self.cut: Callable[[str, str], bool] = lambda _sender, _receiver: False
        self.gentle = False  # whether load is evened out
        self.loss: dict[tuple[str, str], float] = {}  # of cables that lose more, in one direction
        self.lists: dict[str, frozenset[str]] = {}  # of nodes that know of fewer than there are
        self.sent: Counter[str] = Counter()
        self.octets = 0
        self.trace: list[tuple[float, str, str, bytes]] | None = None
        self.watch: Callable[[], None] | None = None
        self._places = {endpoint(number): name for number, name in enumerate(self.names, 1)}
        self._clock: list[tuple[float, int, Callable[[], None]]] = []
        self._still = 0  # how many things have happened at this moment
        self._count = itertools.count()
        self._armed: dict[str, float] = {}
        self.versions: dict[str, Versions] = {}  # that a node's program speaks; all that there are

    # ---- nodes ----

    def start(self, *names: str, preempt: bool = False, keys: tuple[bytes, ...] = (KEY,)) -> None:
        for name in names or self.names:
            self._begin(name, self._new(name, keys), preempt)

    def start_settled(self) -> None:
        """All, as some time after a start: everybody is known to all, and each address has its first owner.

        A start of all at once is work that grows with the square of their number.
        """
        topology = Topology(self.names)
        pairs = {name: topology.neighbors(name, lambda _other: True) for name in self.names}
        tokens = {(name, other): self.random.getrandbits(64) for name in self.names for other in pairs[name]}
        lives = {name: self.random.getrandbits(64) or 1 for name in self.names}
        known = handover_state.write_entries(self._settled_entries(), NEWEST)
        for name in self.names:
            links = {
                other: {
                    **dict.fromkeys(("number", "highest", "seen", "asked", "asks"), 0),
                    "mine": tokens[name, other],
                    "theirs": tokens[other, name],
                    "life": lives[other],
                }
                for other in pairs[name]
            }
            written = {"version": NEWEST, "name": name, "number": 1, "settled": True}
            node = self._new(name, (KEY,))
            node.members.restore(
                {**written, "life": lives[name], "entries": known, "links": links}, self.time(node)
            )
            self._begin(name, node)

    def _settled_entries(self) -> Iterator[tuple[Key, Value]]:
        for name in self.names:
            yield (Kind.NODE, name), entries.Node(1, entries.Condition.ALIVE)
        for address, wanted in self.wants[self.names[0]].items():
            owner = election.order(wanted.key, self.names)[0]
            held = entries.Hold.HELD, entries.Reason.VACANT
            yield (
                (Kind.CLAIM, address),
                entries.Ownership(1, owner, *held, 0, min(len(self.names), entries.MAX_SUPPORT)),
            )

    def _new(self, name: str, keys: tuple[bytes, ...]) -> Node:
        number = self.names.index(name) + 1
        offset = self.random.uniform(0, 1e6)
        members = Membership(
            name,
            self.profile,
            self.now + offset,
            random=lambda: self.random.getrandbits(64),
            epoch=-offset,
            keys=keys,
            versions=self._spoken(name),
        )
        return Node(name, number, members, offset=offset)

    def _spoken(self, name: str) -> Versions:
        return self.versions.get(name, SUPPORTED)

    def _begin(self, name: str, node: Node, preempt: bool = False) -> None:
        self.nodes[name] = node
        node.members.preempt = preempt
        node.members.gentle = self.gentle
        # In the order of `vipcast.layer2_agent.node`.
        node.members.set_wants(self.wants.get(name, {}), self.time(node))
        node.members.set_peers(self.peers(name), self.time(node))
        self._after(node)

    def peers(self, of: str = "") -> dict[str, tuple[Endpoint, ...]]:
        known = self.lists.get(of, frozenset(self.names))
        return {name: (endpoint(number),) for number, name in enumerate(self.names, 1) if name in known}

    def kill(self, name: str) -> None:
        node = self.nodes.pop(name)
        node.alive = False
        self.former.append(node)

    def replace(self, name: str, versions: Versions) -> None:
        """Replace the node's program by one that speaks these versions: an upgrade, or a roll-back."""
        before, self.versions[name] = self._spoken(name), versions
        self.hand_over(name, version=before.common(versions) or 0)

    def hand_over(
        self,
        name: str,
        exported: Callable[[object], object] = lambda exported: exported,
        version: int = NEWEST,
    ) -> None:
        """Hand over to a new process of the node, which is told what the old one was told."""
        old = self.nodes[name]
        written = exported(old.members.export(version))
        self.kill(name)
        node = self._new(name, (KEY,))
        node.events, old.events = old.events, []
        node.members.set_keys((KEY,), self.time(node))  # some time passes before it is restored
        node.members.restore(written, self.time(node))
        self._begin(name, node)

    def sleep(self, name: str, seconds: float) -> None:
        self.nodes[name].sleeps_until = self.now + seconds

    def suspend(self, name: str, seconds: float) -> None:
        """It stands still, and so does its clock; what is sent to it meanwhile is lost."""
        node = self.nodes.pop(name)
        self.former.append(node)
        node.sleeps_until = self.now + seconds
        node.offset -= seconds

        def resume() -> None:
            self.former.remove(node)
            self.nodes[name] = node
            self._armed.pop(name, None)
            self._after(node)

        self.at(node.sleeps_until, resume)

    def want(self, wants: Mapping[IPAddress, AddressWant], *names: str) -> None:
        for name in names or self.names:
            self.wants[name] = wants
            if name in self.nodes:
                self.nodes[name].members.set_wants(wants, self.time(self.nodes[name]))
                self._after(self.nodes[name])

    def do(self, name: str, action: Callable[[Membership, float], None]) -> None:
        node = self.nodes[name]
        action(node.members, self.time(node))
        self._after(node)

    # ---- cables ----

    def split(self, *sides: Iterable[str]) -> None:
        side = {name: number for number, names in enumerate(sides) for name in names}
        self.cut = lambda sender, receiver: side.get(sender) != side.get(receiver)

    def cut_between(self, *pairs: tuple[str, str]) -> None:
        """Cut these pairs off in this direction alone."""
        cables = frozenset(pairs)
        self.cut = lambda sender, receiver: (sender, receiver) in cables

    def heal(self) -> None:
        self.cut = lambda _sender, _receiver: False

    # ---- time ----

    def time(self, node: Node) -> float:
        return self.now + node.offset

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        more = at_most(10_000_000)
        while more() and self._clock and self._clock[0][0] <= end:
            at, _number, action = heapq.heappop(self._clock)
            self._still = self._still + 1 if at == self.now else 0
            assert self._still < AT_ONE_MOMENT, f"time stands still at {self.now}"
            self.now = at
            action()
            if self.watch is not None:
                self.watch()
        self.now = end

    def run_until(self, condition: Callable[[], bool], limit: float, every: float = 0.0) -> float:
        """Return how long it took.

        The condition is asked after each thing that happens, or ``every`` so often.
        """
        begin, end = self.now, self.now + limit
        more = at_most(10_000_000)
        while more() and not condition():
            assert self._clock and self._clock[0][0] <= end, f"not within {limit} s"
            self.run(max(every, self._clock[0][0] - self.now))
        return self.now - begin

    def at(self, time: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._clock, (time, next(self._count), action))

    def _after(self, node: Node) -> None:
        for place, data in node.members.output():
            self.sent[node.name] += 1
            self.octets += len(data)
            self._send(node, self._places.get(place), data)
        node.events.extend((self.now, event) for event in node.members.events())
        at = max(self.now, moment(node.members.timer(), node.offset))
        if self._armed.get(node.name) != at:
            self._armed[node.name] = at
            self.at(at, lambda: self._timer(node, at))

    def _timer(self, node: Node, at: float) -> None:
        if not node.alive or self._armed.get(node.name) != at:
            return
        if node.sleeps_until > self.now:
            self._armed[node.name] = node.sleeps_until
            self.at(node.sleeps_until, lambda: self._timer(node, node.sleeps_until))
            return
        self._armed.pop(node.name)
        self._read(node)
        node.members.handle_timer(self.time(node))
        self._after(node)

    def _send(self, node: Node, receiver: str | None, data: bytes) -> None:
        if receiver is None or self.cut(node.name, receiver):
            return
        if self.trace is not None:
            self.trace.append((self.now, node.name, receiver, data))
        copies = 1 + (self.random.random() < self.cable.doubled)
        for _copy in range(copies):
            if self.random.random() >= max(self.cable.loss, self.loss.get((node.name, receiver), 0.0)):
                self.at(self.now + self._delay(), lambda: self.deliver(receiver, data, node.endpoint))

    def _delay(self) -> float:
        late = self.cable.lateness if self.random.random() < self.cable.late else 0.0
        return self.cable.delay + self.random.uniform(0, self.cable.jitter + late)

    def deliver(self, receiver: str, data: bytes, source: Endpoint) -> None:
        node = self.nodes.get(receiver)
        if node is None:
            return
        node.inbox.append((data, source))
        if node.sleeps_until <= self.now:
            self._read(node)
            self._after(node)

    def _read(self, node: Node) -> None:
        inbox, node.inbox = node.inbox, []
        for data, source in inbox:
            node.members.receive(data, source, self.time(node))

    # ---- what is ----

    def owners(self, address: IPAddress) -> list[str]:
        """Return who answers for it, by what each believes itself."""
        return [name for name, node in self.nodes.items() if address in node.members.held]

    def moves(self, address: IPAddress | None = None) -> list[ClaimChanged]:
        """Return the moves of an address (None: of any), as the nodes saw them that it came to."""
        return [
            event
            for node in [*self.nodes.values(), *self.former]
            for _at, event in node.events
            if isinstance(event, ClaimChanged) and address in (None, event.address)
            if event.new is not None and event.new.owner == node.name
            if event.old is None or event.old.owner != node.name
        ]
