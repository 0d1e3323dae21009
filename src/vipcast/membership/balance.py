# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The offers of an owner to other members, so that the load evens out without a gap.

The design is docs/design/0021-rebalancing.md. An offer names who may take an address; the owner answers
until that one has. At boot the first in the order is offered what a node that was there before it has taken
a moment ago. Later one service at a time is offered, by whoever has clearly more than others, and only after
a long time in which nothing happened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from vipcast import election
from vipcast.election import AddressWant
from vipcast.membership.entries import MAX_OFFERS, Condition, Hold, Kind, Offers, Ownership, Reason, Unable
from vipcast.membership.replicated_state import ReplicatedState
from vipcast.membership.unable import class_of
from vipcast.model.addresses import IPAddress

# For so long after it was first claimed an address is worth nothing to anybody yet.
BOOT_SECONDS = 60.0
# Without a death, a split, a drain, or an address that could not be answered.
QUIET_SECONDS = 120.0
# Between two moves, wherever; and until an offer that nobody takes is given up, and made again.
PAUSE_SECONDS, OFFER_SECONDS, REFUSED_SECONDS = 15.0, 3.0, 300.0
# What a node has to have more than another, at least and of what that has, for a move to be worth it.
LEAST_EXCESS, EXCESS = 2, 0.1
# Reasons of a claim by which nobody was disturbed.
PEACEFUL = frozenset({Reason.OFFERED, Reason.VACANT, Reason.NOT_WANTED, Reason.KEPT})

Offer = tuple[IPAddress, str]


class Balance:
    """``gentle``: whether anything is offered at all."""

    def __init__(self, name: str, state: ReplicatedState, now: float) -> None:
        self.name, self.gentle = name, False
        self._wants: Mapping[IPAddress, AddressWant] = {}
        self._state = state
        self._started_at = self._disturbed_at = self._moved_at = now
        self._first: dict[IPAddress, float] = {}  # nobody had it before us, and until when that counts
        self._offered: dict[IPAddress, tuple[str, float]] = {}
        self._refused: dict[Offer, float] = {}

    # ---- inputs ----

    def set_wants(self, wants: Mapping[IPAddress, AddressWant]) -> None:
        """Set the addresses, and who may answer for them."""
        self._wants = wants

    def set_gentle(self, gentle: bool) -> None:
        self.gentle = gentle

    def disturbed(self, now: float) -> None:
        """Note that something happened: a reason to leave everything as it is for a while."""
        self._disturbed_at = now

    def claimed(self, address: IPAddress, claim: Ownership, now: float) -> None:
        """Note that a member claims the address."""
        self._offered.pop(address, None)
        self._first.pop(address, None)
        if claim.owner == self.name and self._at_first(claim, now):
            self._first[address] = now + BOOT_SECONDS
        if claim.reason == Reason.OFFERED:
            self._moved_at = now
        elif claim.reason not in PEACEFUL:
            self._disturbed_at = now

    def _at_first(self, claim: Ownership, now: float) -> bool:
        """Return whether nobody had it before, or whoever had it gave it to us as soon as we were there."""
        young = now < self._started_at + BOOT_SECONDS
        return (claim.reason == Reason.VACANT and claim.term == 1) or (
            claim.reason == Reason.OFFERED and young
        )

    # ---- what follows ----

    def work(self, held: Iterable[IPAddress], now: float) -> None:
        """Say what is offered now; to be called now and then."""
        for address, (to, since) in list(self._offered.items()):
            if now >= since + OFFER_SECONDS:
                del self._offered[address]
                again = OFFER_SECONDS if address in self._first else REFUSED_SECONDS
                self._refused[address, to] = now + again
        self._refused = {offer: at for offer, at in self._refused.items() if at > now}
        self._first = {address: at for address, at in self._first.items() if at > now}
        if self.gentle:
            mine = [address for address in held if self._is_ours(address)]
            found = self._at_boot(mine) or self._later(mine, now)
            for address, to in found[: MAX_OFFERS - len(self._offered)]:
                self._offered.setdefault(address, (to, now))
        else:
            self._offered.clear()
        self._say()

    def _is_ours(self, address: IPAddress) -> bool:
        claim, want = self._state.claim(address), self._wants.get(address)
        return want is not None and claim is not None and claim.owner == self.name and claim.hold is Hold.HELD

    def _at_boot(self, mine: list[IPAddress]) -> list[Offer]:
        """Return offers to the first in the order, where that one came a little later than this node."""
        found = []
        for address in mine:
            if address in self._first and (to := self._first_in_order(address)) not in (None, self.name):
                found.append((address, str(to)))
        return [offer for offer in found if offer not in self._refused]

    def _first_in_order(self, address: IPAddress) -> str | None:
        want = self._wants[address]
        for _preference, group in want.electorate:
            able = [name for name in group if self._can(name, address)]
            if able:
                return min(able, key=lambda name: election.digest(name, want.key))
        return None

    def _later(self, mine: list[IPAddress], now: float) -> list[Offer]:
        """Return offers of one service; who has less than others waits longer, so that it comes later."""
        loads = self.loads()
        place = sum((-load, name) < (-loads[self.name], self.name) for name, load in loads.items())
        quiet = now >= self._disturbed_at + QUIET_SECONDS
        if not quiet or self._offered or now < self._moved_at + PAUSE_SECONDS * (1 + place):
            return []
        services: defaultdict[str, list[IPAddress]] = defaultdict(list)
        for address in mine:
            services[self._wants[address].key].append(address)
        offers = [
            (rank, to, addresses)
            for addresses in services.values()
            for rank, to in self._takers(addresses, loads)
        ]
        if not offers:
            return []
        _rank, to, addresses = min(offers, key=lambda one: (loads[one[1]], one[0], str(one[2][0])))
        return [(address, to) for address in addresses]

    def loads(self) -> dict[str, int]:
        """Return how many addresses each has that is alive."""
        names = {self.name, *(name for name in self._state.reach if self._alive(name))}
        return {name: len(self._state.owned.get(name, ())) for name in names}

    def _takers(self, addresses: list[IPAddress], loads: Mapping[str, int]) -> Iterator[tuple[int, str]]:
        """Yield who may have all of them, is preferred as much, and has clearly less; with its place."""
        wants = [self._wants[address] for address in addresses]
        if any(want.stays for want in wants):
            return
        electorate = wants[0].electorate
        groups = [names for _rank, names in electorate if self.name in names]
        for name in groups[0] & loads.keys() if groups else ():
            excess = loads[self.name] - loads[name]
            worth = excess >= max(LEAST_EXCESS, len(addresses) + 1, EXCESS * loads[name])
            if worth and all(self._would(name, address) for address in addresses):
                place = election.rank(wants[0].key, electorate, name, self._alive)
                yield (0 if place is None else place), name

    def _would(self, name: str, address: IPAddress) -> bool:
        groups = self._wants[address].electorate
        same = any(name in names and self.name in names for _rank, names in groups)
        return same and self._can(name, address) and (address, name) not in self._refused

    def _can(self, name: str, address: IPAddress) -> bool:
        return self._alive(name) and not unable(self._state, name, address, self._wants[address])

    def _alive(self, name: str) -> bool:
        return self._state.condition(name) is Condition.ALIVE

    def _say(self) -> None:
        offers = tuple(sorted((address.packed, to) for address, (to, _at) in self._offered.items()))
        said = self._state.entries.get((Kind.OFFERS, self.name))
        known = said if isinstance(said, Offers) else None
        if (known is None and offers) or (known is not None and known.offers != offers):
            version = 0 if known is None else known.version + 1
            self._state.merge((Kind.OFFERS, self.name), Offers(version, offers))


def unable(state: ReplicatedState, name: str, address: IPAddress, want: AddressWant) -> bool:
    """Return whether ``name`` has said that it cannot answer for it."""
    said = state.entries.get((Kind.UNABLE, name))
    if not isinstance(said, Unable):
        return False
    return address.packed in said.addresses or class_of(address, want) in said.classes


def offered(state: ReplicatedState, owner: str, address: IPAddress, to: str) -> bool:
    """Return whether its owner offers it to that one."""
    said = state.entries.get((Kind.OFFERS, owner))
    return isinstance(said, Offers) and (address.packed, to) in said.offers
