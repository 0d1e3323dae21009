# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status of the agent, for the speaker and for the status page."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from typing import Any

from vipcast.layer2.api import (
    AddressCounters,
    AddressStatus,
    Holding,
    InterfaceStatus,
    Layer2Status,
    MemberStatus,
    Traffic,
)
from vipcast.layer2.frames import mac_text
from vipcast.layer2_agent.node import Node
from vipcast.layer2_agent.segments import Segments
from vipcast.membership import PROFILES, Member
from vipcast.model.addresses import IPAddress
from vipcast.net.layer2_protocol import PIECE

__all__ = ["StatusReport"]

# Of a time: what is of no use to anybody, and differs each time that it is computed.
_DIGITS = 3


class StatusReport:
    """``status`` is as it was when `look` was called last; only what was touched is looked at again."""

    def __init__(self, segments: Segments, node: Node, epoch: float) -> None:
        self.status = Layer2Status()
        self._segments, self._node, self._epoch = segments, node, epoch
        self._addresses: dict[IPAddress, AddressStatus] = {}
        self.more = False  # addresses that were touched were not looked at yet
        self._known: tuple[Any, ...] | None = None  # what an address's status depends on besides itself

    def look(self, *, counters: bool) -> None:
        """``counters``: at them too. Of many addresses only at some, and at others the next time."""
        node = self._node
        touched = node.owned_addresses.touched
        common = (self._segments.macs, bool(node.wants.keys), node.members.settled)
        if common != self._known:
            self._known, touched = common, touched | node.wants.addresses.keys()
        now = set(itertools.islice(touched, 4 * PIECE))
        node.owned_addresses.touched = touched - now
        self.more = bool(node.owned_addresses.touched)
        if now:
            self._look_again(now)
        self.status = Layer2Status(
            addresses=self._addresses,
            members=self._members(),
            links=self._segments.statuses(),
            counters=self._counters() if counters else self.status.counters,
            traffic=self._traffic() if counters else self.status.traffic,
            problems=tuple(self._problems()),
            deaf=node.members.deaf,
        )

    def _look_again(self, touched: Iterable[IPAddress]) -> None:
        addresses = dict(self._addresses)
        for address in touched:
            if address in self._node.wants.addresses:
                addresses[address] = self._address(address)
            else:
                addresses.pop(address, None)
        self._addresses = addresses

    def _address(self, address: IPAddress) -> AddressStatus:
        owned, claim = self._node.owned_addresses, self._node.members.claims.get(address)
        answering = address in owned.answering
        macs = self._segments.macs
        names = owned.answering[address] & macs.keys() if answering else ()
        stranger = owned.duplicates.get(address)
        return AddressStatus(
            holding=self._holding(address),
            owner=None if claim is None else claim.owner,
            term=0 if claim is None else claim.term,
            since_wall=0.0 if claim is None else round(claim.since_wall, _DIGITS),
            interfaces=tuple(InterfaceStatus(name, mac_text(macs[name])) for name in sorted(names)),
            foreign=(stranger,) if stranger else tuple(map(mac_text, owned.watch.macs(address))),
            why="" if claim is None else claim.why,
        )

    def _holding(self, address: IPAddress) -> Holding:
        node, want = self._node, self._node.wants.addresses[address]
        claim, owned = node.members.claims.get(address), node.owned_addresses
        ours = claim is not None and claim.owner == node.wants.node
        # The first one that holds.
        table = (
            (Holding.NO_KEY, not node.wants.keys),
            (
                Holding.YIELDING,
                address in owned.answering and ours and claim is not None and claim.yielding,
            ),
            (Holding.OWNER, address in owned.answering),
            (Holding.DUPLICATE, address in owned.duplicates),
            (Holding.PROBING, address in owned.probing),
            (Holding.NOT_CANDIDATE, not any(node.wants.node in nodes for _rank, nodes in want.electorate)),
            (Holding.NO_INTERFACE, address in owned.unable),
            (Holding.WAITING, not node.members.settled),
        )
        return next((holding for holding, holds in table if holds), Holding.STANDBY)

    def _members(self) -> dict[str, MemberStatus]:
        members, one_way = self._node.members.members, self._node.members.one_way
        return {name: self._member(member, one_way=name in one_way) for name, member in members.items()}

    def _member(self, member: Member, *, one_way: bool) -> MemberStatus:
        return MemberStatus(
            state=member.state.value,
            since_wall=round(member.since + self._epoch, _DIGITS),
            address=None if member.endpoint is None else str(member.endpoint[0]),
            round_trip=None if member.round_trip is None else round(member.round_trip, _DIGITS + 1),
            why=member.why,
            one_way=one_way,
        )

    def _counters(self) -> dict[IPAddress, AddressCounters]:
        """Return the counters of wanted addresses; one that nothing happened to has none."""
        answered: dict[IPAddress, int] = {}
        for segment in self._segments.by_name.values():
            for address, count in segment.answered().items():
                answered[address] = answered.get(address, 0) + count
        announced, foreign = self._node.owned_addresses.announced(), self._node.owned_addresses.foreign
        happened = (
            {address for address, count in answered.items() if count} | announced.keys() | foreign.keys()
        )
        return {
            address: self._count(address, answered.get(address, 0), announced.get(address, 0))
            for address in happened & self._node.wants.addresses.keys()
        }

    def _count(self, address: IPAddress, answered: int, announced: int) -> AddressCounters:
        """The one of last time, where nothing happened: thousands are compared with what was told."""
        now = AddressCounters(answered, announced, self._node.owned_addresses.foreign[address])
        before = self.status.counters.get(address)
        return before if before is not None and before == now else now

    def _traffic(self) -> Traffic:
        received, sent = self._node.members.packets
        ignored: Counter[str] = Counter()
        for segment in self._segments.by_name.values():
            ignored.update({why.name: count for why, count in segment.responder.ignored.items()})
        errors = {name: each.send_errors for name, each in self._segments.by_name.items() if each.send_errors}
        dropped = {why.name: count for why, count in self._node.members.dropped.items()}
        if failed := sum(self._node.port.errors.values()):
            errors["heartbeats"] = failed
        return Traffic(sent, received, dropped, dict(ignored), errors)

    def _problems(self) -> Iterable[str]:
        node = self._node
        if not node.wants.keys:
            yield "there is no key: nothing is sent, believed or answered"
        if node.members.deaf:
            yield "nothing is received, neither from other nodes nor else: nothing is taken over or announced"
        if one_way := sorted(node.members.one_way):
            yield f"heard, and it does not hear this node: {', '.join(one_way)}"
        if node.port.problem is not None:
            yield node.port.problem
        if node.wants.settings.profile not in PROFILES:
            yield f"there is no profile {node.wants.settings.profile!r}: {', '.join(PROFILES)}"
