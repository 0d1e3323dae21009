# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes and clients on one segment, in virtual time: real membership and owned, and frames between them.

A client believes what Linux does: an answer to its question, and whoever announces an address that it already
has in its cache. It asks once and never looks whether its entry still holds: so what corrects it is what the
nodes say, and a mistake stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from daemon.membership.simulation import Node, Segment

from vipcast.layer2 import arp, ndp
from vipcast.layer2.api import Layer2Wants, Settings
from vipcast.layer2.frames import Mac, is_group
from vipcast.layer2.ndp import group_mac, solicited_node
from vipcast.layer2.responder import Foreign, Responder
from vipcast.layer2_agent.owned_addresses import OwnedAddresses
from vipcast.membership import AddressDoubted, ClaimChanged
from vipcast.model.addresses import IPAddress

INTERFACE = "eth0"


class Card:
    """A node's one interface, as `Segments` is to `OwnedAddresses`."""

    def __init__(self, street: SimulatedSegment, name: str, mac: Mac) -> None:
        self.mac, self.responder = mac, Responder(mac, {mac})
        self.macs = {INTERFACE: mac}
        self.by_name = {INTERFACE: self}
        self.retry_at: float | None = None
        self._street, self._name = street, name

    def places(self, _address: IPAddress, interfaces: Set[str] | None) -> frozenset[str]:
        return frozenset({INTERFACE}) if interfaces is None else frozenset({INTERFACE} & interfaces)

    def deaf(self) -> dict[IPAddress, set[str]]:
        return {}

    def want(
        self, owned: Mapping[str, Set[IPAddress]], watched: Mapping[str, Set[IPAddress]], _now: float
    ) -> None:
        here = owned.get(INTERFACE, frozenset())
        for address in self.responder.owned - here:
            self.responder.disown(address)
        for address in here:
            self.responder.own(address)
        for address in watched.get(INTERFACE, ()):
            self.responder.watch(address)

    def send(self, _interface: str, frame: bytes) -> None:
        self._street.carry(self._name, frame)

    def take_foreign(self) -> Iterator[tuple[str, Foreign]]:
        return ((INTERFACE, foreign) for foreign in self.responder.take_foreign())

    def forget(self, _addresses: Set[IPAddress]) -> None:
        pass


@dataclass
class Client:
    name: str
    mac: Mac
    cache: dict[IPAddress, Mac] = field(default_factory=dict)
    asked: set[IPAddress] = field(default_factory=set)

    def hear(self, frame: bytes) -> None:
        address, mac = _said(frame)
        if address in self.cache or address in self.asked:
            self.cache[address] = mac
            self.asked.discard(address)


def _said(frame: bytes) -> tuple[IPAddress, Mac | None]:
    """Return whose MAC it tells, if anybody's."""
    if frame[12:14] == b"\x08\x06":
        packet = arp.decode(frame)
        return packet.sender, packet.sender_mac
    message = ndp.decode(frame)
    if isinstance(message, ndp.Advertisement):
        return message.target, message.mac
    return message.source, message.mac


class SimulatedSegment(Segment):
    """`Segment` with frames. ``clients`` and ``strangers`` by name; on a side of a split as nodes are."""

    cards: dict[str, Card]
    owned: dict[str, OwnedAddresses]
    clients: dict[str, Client]
    strangers: dict[str, Responder]
    _woken: dict[str, float]

    def begin(self, *clients: str, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.cards, self.owned_addresses = {}, {}
        self.clients = {name: Client(name, b"\2cli" + bytes([n, n])) for n, name in enumerate(clients)}
        self.strangers, self._woken = {}, {}

    def settle(self, name: str, address: IPAddress) -> None:
        """A host that has the address, and answers as any host does."""
        mac = b"\2oth" + bytes([len(self.strangers)] * 2)
        self.strangers[name] = Responder(mac, {mac})
        self.strangers[name].own(address)
        frames = arp.announcements(mac, address) if isinstance(address, IPv4Address) else ()
        for frame in frames or (ndp.announcement(mac, address),):
            self.carry(name, frame)

    def _begin(self, name: str, node: Node, preempt: bool = False) -> None:
        self.cards[name] = Card(self, name, b"\2node" + bytes([node.number]))
        self.owned_addresses[name] = OwnedAddresses(self.cards[name], node.members)  # type: ignore[arg-type]
        super()._begin(name, node, preempt)
        wants = Layer2Wants(name, addresses=self.wants.get(name, {}), settings=self.settings)
        self.owned_addresses[name].set_wants(wants, 2 * self.profile.dead_after, self.time(node))
        self._after(node)

    # ---- a node does what its membership says ----

    def _after(self, node: Node) -> None:
        known = len(node.events)
        super()._after(node)
        owned = self.owned_addresses[node.name]
        for _at, event in node.events[known:]:
            if isinstance(event, ClaimChanged):
                owned.claim_changed(event)
            elif isinstance(event, AddressDoubted):
                owned.say_again(event.address, self.time(node))
            else:
                owned.member_changed(event, self.time(node))
        if len(node.events) > known or node.members.held != owned.answering.keys():
            owned.apply(self.time(node))
        self._speak(node)

    def _speak(self, node: Node) -> None:
        owned = self.owned_addresses[node.name]
        if not node.alive or self.nodes.get(node.name) is not node:
            return
        if node.sleeps_until > self.now:
            self.at(node.sleeps_until, lambda: self._speak(node))
            return
        owned.look(self.time(node))
        owned.handle_timer(self.time(node))
        at = owned.timer()
        if at is not None:
            self._wake(node, max(self.now + 1e-6, at - node.offset))

    def _wake(self, node: Node, at: float) -> None:
        """Once; an earlier time replaces it."""
        if not self.now < self._woken.get(node.name, 0.0) <= at:
            self._woken[node.name] = at
            self.at(at, lambda: self._speak(node))

    # ---- frames ----

    def carry(self, sender: str, frame: bytes) -> None:
        for name in (*self.nodes, *self.clients, *self.strangers):
            if name != sender and not self.cut(sender, name):
                self.at(self.now + self._delay(), lambda name=name: self._arrive(name, frame))

    def _arrive(self, name: str, frame: bytes) -> None:
        client, node, stranger = self.clients.get(name), self.nodes.get(name), self.strangers.get(name)
        if client is not None:
            if is_group(frame[:6]) or frame[:6] == client.mac:
                client.hear(frame)
        elif node is not None and node.sleeps_until > self.now:
            self.at(node.sleeps_until, lambda: self._arrive(name, frame))
        elif node is not None:
            self._answer(name, self.cards[name].responder, frame)
            self._speak(node)
        elif stranger is not None:
            self._answer(name, stranger, frame)

    def _answer(self, name: str, responder: Responder, frame: bytes) -> None:
        if is_group(frame[:6]) or frame[:6] == responder.mac:
            answer = responder.answer(frame)
            if answer is not None:
                self.carry(name, answer)

    def ask(self, client: str, address: IPAddress) -> None:
        asking = self.clients[client]
        asking.asked.add(address)
        self.carry(client, question(asking.mac, address))

    # ---- what is ----

    def reached(self, client: str, address: IPAddress) -> str | None:
        """Return which node has what the client sends, if one that answers for the address has it."""
        mac = self.clients[client].cache.get(address)
        for name, node in self.nodes.items():
            here = self.cards[name].mac == mac and address in self.owned_addresses[name].answering
            if here and node.sleeps_until <= self.now and not self.cut(client, name):
                return name
        return None

    def alarms(self) -> int:
        """Alarms about foreign MACs, of all nodes."""
        return sum(owned.foreign.total() for owned in self.owned_addresses.values())


def question(mac: Mac, address: IPAddress) -> bytes:
    if isinstance(address, IPv4Address):
        mine = IPv4Address("10.9.9.0") + mac[-1]
        nobody, everyone = bytes(6), b"\xff" * 6
        return arp.ArpFrame(everyone, mac, arp.Operation.REQUEST, mac, mine, nobody, address).encode()
    group, mine6 = solicited_node(address), IPv6Address("fe80::9:0") + mac[-1]
    return ndp.Solicitation(group_mac(group), mac, mine6, group, address, mac).encode()
