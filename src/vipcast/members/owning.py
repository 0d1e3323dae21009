# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who takes an address, and when: this node's claims.

A claim of a living node stays. Of an address without an owner, the first candidate in the order takes it at
once; each later one waits a grace longer for those before it, and where the address is new a moment besides:
they may not have heard of it. An owner that is to have it no longer asks to be relieved, and answers until
another one's claim has come.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping

from vipcast import election
from vipcast.layer2.wants import AddressWant, Electorate
from vipcast.members.entries import MAX_SUPPORT, MAX_TERM, Condition, Hold, Kind, Ownership, Reason
from vipcast.members.shared import Shared
from vipcast.members.words import Address, Profile

# An owner that nobody relieves goes on for so long.
YIELD_SECONDS = 3.0
# Of a new address: nobody misses it yet, and the speaker of the first candidate may be busy.
NEW_PATIENCE = 0.5
# An owner that is no candidate for us may not have heard of it yet, or may know better.
CANDIDATE_PATIENCE = 2.0
# Why a healthy owner loses an address to somebody that has not heard of it.
OF_A_SPLIT = (Reason.OWNER_DEAD, Reason.OWNER_RELEASED, Reason.VACANT)
# With pre-emption: who is back waits until it has stayed.
PREEMPT_PATIENCE = 5.0
# Of a node that hears others, which do not hear it: they decide first.
MUTE_PATIENCE = 2.0
# Who is back, and was missed: others that are back too are heard first.
BACK_PATIENCE = 0.05
# Hashes in one go: some milliseconds. Heartbeats have to go out in between.
BUDGET = 2000


class Owning:
    """``wall``: milliseconds since 1970. ``doubt``: puts off what follows of a member's death.
    ``side``: how many members we hear, ourselves too.

    ``settled``: everyone who is there has been heard. ``present``: the others know that we are alive.
    ``mute``: we hear others, and they do not hear us. ``missed``: an address has nobody, because the others
    take us for dead: it is time to tell them.
    """

    def __init__(
        self,
        name: str,
        profile: Profile,
        shared: Shared,
        *,
        wall: Callable[[], int],
        doubt: Callable[[str, float], float],
        side: Callable[[], int],
    ) -> None:
        self.name, self.profile = name, profile
        self.wants: Mapping[Address, AddressWant] = {}
        self.told = False  # what is wanted: an heir that has not been told gives nothing up
        self.unable: frozenset[Address] = frozenset()
        self.settled = self.present = self.leaving = self.mute = self.missed = False
        self.preempt = False
        self.stable_since = 0.0
        self.least_side = 0  # lately; 0 while that is not known
        self._shared, self._wall, self._doubt, self._side = shared, wall, doubt, side
        self._support: int | None = None  # of claims that are made now
        self._holding: set[Address] = set()
        self._held: frozenset[Address] | None = frozenset()
        self._queue: deque[Address] = deque()
        self._queued: set[Address] = set()
        self._vacant: dict[Address, tuple[Reason, float]] = {}
        self._listens: dict[Address, float] = {}  # until when nothing is taken
        self._contested: dict[Address, int] = {}  # since when we had them
        self._yields: dict[Address, float] = {}
        self._spent: set[Address] = set()  # has been taken from a living owner, or by one from us
        self._posthumous: set[Address] = set()  # claimed by one that we took for dead
        self._clock: list[tuple[float, int, Address]] = []  # a heap; what is not armed is old
        self._armed: dict[Address, float] = {}
        self._alarms = 0

    # ---- inputs ----

    def set_wants(self, wants: Mapping[Address, AddressWant]) -> None:
        before, self.wants, self.told = self.wants, dict(wants), True
        changed = [a for a in before.keys() | wants.keys() if before.get(a) != wants.get(a)]
        self._spent.difference_update(changed)
        self._posthumous &= wants.keys()
        self.look(changed)

    def set_unable(self, addresses: Collection[Address], now: float) -> None:
        """Who can answer again listens first: it may have heard nobody meanwhile, and others may own."""
        before, self.unable = self.unable, frozenset(addresses)
        changed = before ^ self.unable
        self._listens = {address: at for address, at in self._listens.items() if at > now}
        self._listens |= dict.fromkeys(before - self.unable, now + self.profile.dead_after)
        self._spent -= changed
        self.look(changed)

    def look(self, addresses: Iterable[Address]) -> None:
        """Something about them may have changed."""
        for address in addresses:
            if address not in self._queued:
                self._queued.add(address)
                self._queue.append(address)

    def begin_again(self, now: float) -> None:
        """We are back, or may claim from now on."""
        self.stable_since = now
        self._spent.clear()
        self.look_everywhere()

    def stop(self) -> None:
        """Nothing may be owned: there is no key."""
        self.settled = False
        self.drop_all()

    def drop_all(self) -> None:
        self._holding.clear()
        self._held = None

    @property
    def held(self) -> frozenset[Address]:
        """The same object for as long as nothing has changed."""
        if self._held is None:
            self._held = frozenset(self._holding)
        return self._held

    def look_everywhere(self) -> None:
        self.look([*self.wants, *self._shared.owned.get(self.name, ())])

    def claim_changed(self, address: Address, old: Ownership | None, new: Ownership) -> None:
        taken = old is not None and old.owner == self.name != new.owner and old.hold is Hold.HELD
        if taken and new.reason in (Reason.OWNER_NO_CANDIDATE, Reason.PREEMPTED):
            self._spent.add(address)
        if taken and old is not None and new.reason in OF_A_SPLIT and new.support < self.least_side:
            self._contested[address] = old.since
        if new.owner == self.name or self._shared.there(new.owner):
            self._posthumous.discard(address)
        elif address in self.wants:
            self._posthumous.add(address)
            self._vacant.pop(address, None)
        self.look([address])

    def node_changed(self, name: str) -> None:
        if self._shared.there(name):
            self._posthumous.difference_update(self._shared.owned.get(name, ()))
        self.look(self._shared.owned.get(name, ()))
        self.look(list(self._vacant))
        if self.preempt:
            self.look(self.wants)

    # ---- what follows ----

    def timer(self, now: float) -> float | None:
        if self._queue:
            return now
        return self._clock[0][0] if self._clock else None

    def work(self, now: float) -> None:
        while self._clock and self._clock[0][0] <= now:
            at, _number, address = heapq.heappop(self._clock)
            if self._armed.get(address) == at:
                del self._armed[address]
                self.look([address])
        self._support = None
        budget = BUDGET
        while self._queue and budget > 0:
            address = self._queue.popleft()
            self._queued.discard(address)
            budget -= self._decide(address, now)

    def _decide(self, address: Address, now: float) -> int:
        """What it cost, in hashes or so."""
        want, claim = self.wants.get(address), self._shared.claim(address)
        if claim is not None and claim.owner == self.name and claim.hold is not Hold.RELEASED:
            self._vacant.pop(address, None)
            self._keep(address, claim, want, now)
            return 1
        if self._contest(address, claim, want):
            return 1
        self._hold(address, False)
        self._yields.pop(address, None)
        if want is None or not self._may_take(address, want):
            self._vacant.pop(address, None)
            self.missed = self.missed or (want is not None and self._is_missed(address, claim, want))
            return 1
        return self._consider(address, claim, want, now)

    # ---- ours ----

    def _keep(self, address: Address, claim: Ownership, want: AddressWant | None, now: float) -> None:
        """Until we are settled, a claim of an earlier life of ours is neither used nor given up."""
        if not self.settled:
            return
        if want is None:
            self._release(address, claim, Reason.NOT_WANTED)
        elif address in self.unable:
            self._release(address, claim, Reason.UNABLE)
        elif self.leaving or not _within(want.electorate, self.name):
            self._yield(address, claim, want, now)
        else:
            self._yields.pop(address, None)
            if claim.hold is Hold.YIELDING:
                self._claim(address, claim, Reason.KEPT)
            self._hold(address, True)

    def _yield(self, address: Address, claim: Ownership, want: AddressWant, now: float) -> None:
        reason = Reason.LEAVING if self.leaving else Reason.NOT_CANDIDATE
        until = self._yields.setdefault(address, now + YIELD_SECONDS)
        if now >= until or not self._somebody_else(want.electorate):
            self._release(address, claim, reason)
            return
        self._hold(address, True)
        self._wake(address, until)
        if claim.hold is Hold.HELD:
            self._put(address, claim._replace(hold=Hold.YIELDING, reason=reason))

    def _release(self, address: Address, claim: Ownership, reason: Reason) -> None:
        self._hold(address, False)
        self._yields.pop(address, None)
        self._put(address, claim._replace(hold=Hold.RELEASED, reason=reason))

    def _somebody_else(self, electorate: Electorate) -> bool:
        return any(
            self._present(name) for _preference, group in electorate for name in group if name != self.name
        )

    # ---- others', or nobody's ----

    def _contest(self, address: Address, claim: Ownership | None, want: AddressWant | None) -> bool:
        """A smaller part of a split took us for dead, and what it took stays where it was."""
        since = self._contested.pop(address, None)
        if since is None or claim is None or want is None or not self._may_take(address, want):
            return False
        self._claim(address, claim._replace(since=since), Reason.CONTESTED)
        self._hold(address, True)
        return True

    def _is_missed(self, address: Address, claim: Ownership | None, want: AddressWant) -> bool:
        """Whether it is free, and we would take it if the others did not take us for dead."""
        return (
            not self.present
            and self._can_take(address, want)
            and self._vacancy(address, claim, want) is not None
            and not self._somebody_else(want.electorate)
        )

    def _may_take(self, address: Address, want: AddressWant) -> bool:
        return self.present and self._can_take(address, want)

    def _can_take(self, address: Address, want: AddressWant) -> bool:
        return (
            self.settled
            and not self.leaving
            and address not in self.unable
            and _within(want.electorate, self.name)
        )

    def _consider(self, address: Address, claim: Ownership | None, want: AddressWant, now: float) -> int:
        cost = sum(len(group) for _preference, group in want.electorate)
        reason = self._vacancy(address, claim, want)
        if reason is None:
            self._vacant.pop(address, None)
            return 1
        known = self._vacant.get(address)
        if known is None or known[0] is not reason:
            known = self._vacant[address] = reason, now
        at = self._turn(claim, want, reason, known[1])
        if at is not None and claim is not None and reason is Reason.OWNER_DEAD:
            at = self._doubt_of(address, claim.owner, at)
        if at is not None:
            at = max(at, self._listens.get(address, at))
        if at is None:
            self._vacant.pop(address, None)
        elif now < at:
            self._wake(address, at)
        else:
            self._take(address, claim, reason)
        return cost

    def _vacancy(self, address: Address, claim: Ownership | None, want: AddressWant) -> Reason | None:
        """Why somebody else should have it, or None."""
        if claim is None or (claim.hold is Hold.RELEASED and claim.reason is Reason.NOT_WANTED):
            return Reason.VACANT
        unspent = address not in self._spent
        reasons = {
            Reason.OWNER_RELEASED: claim.hold is Hold.RELEASED,
            Reason.OWNER_DEAD: not self._shared.there(claim.owner),
            Reason.OWNER_YIELDED: claim.hold is Hold.YIELDING,
            Reason.OWNER_NO_CANDIDATE: unspent and not _within(want.electorate, claim.owner),
            Reason.PREEMPTED: unspent and self.preempt,
        }
        return next((reason for reason, true in reasons.items() if true), None)

    def _turn(self, claim: Ownership | None, want: AddressWant, reason: Reason, since: float) -> float | None:
        """When this node takes it, if nobody else has."""
        out = claim.owner if claim is not None and reason not in (Reason.VACANT, Reason.PREEMPTED) else None
        place = election.rank(
            want.key, want.electorate, self.name, lambda name: name != out and self._present(name)
        )
        if place is None or (reason is Reason.PREEMPTED and place > 0):
            return None
        at = since + place * self.profile.grace + (MUTE_PATIENCE if self.mute else 0.0)
        if reason is Reason.VACANT and place > 0:
            at += NEW_PATIENCE
        if claim is not None:
            if self._shared.condition(claim.owner) is None:
                at += 2 * self.profile.dead_after  # its claim may have come before the owner's own entry
            at = max(at, self.stable_since + BACK_PATIENCE)
        if reason is Reason.OWNER_NO_CANDIDATE:
            return at + CANDIDATE_PATIENCE
        return max(at, self.stable_since + PREEMPT_PATIENCE) if reason is Reason.PREEMPTED else at

    def _doubt_of(self, address: Address, owner: str, at: float) -> float:
        """A claim that has come after its owner's death: it was dead for us alone, and is heard soon."""
        return at + self.profile.dead_after if address in self._posthumous else self._doubt(owner, at)

    def _present(self, name: str) -> bool:
        return self._shared.condition(name) is Condition.ALIVE

    def _take(self, address: Address, claim: Ownership | None, reason: Reason) -> None:
        if reason in (Reason.OWNER_NO_CANDIDATE, Reason.PREEMPTED):
            self._spent.add(address)
        self._vacant.pop(address, None)
        self._claim(address, claim, reason)
        self._hold(address, True)

    def _claim(self, address: Address, claim: Ownership | None, reason: Reason) -> None:
        term = 1 if claim is None else min(claim.term + 1, MAX_TERM)
        keeps = reason in (Reason.KEPT, Reason.CONTESTED)
        since = claim.since if claim is not None and keeps else self._wall()
        if self._support is None:
            self._support = self._side()
        support = self.least_side if reason is Reason.CONTESTED else self._support
        self._put(address, Ownership(term, self.name, Hold.HELD, reason, since, min(support, MAX_SUPPORT)))

    def _hold(self, address: Address, held: bool) -> None:
        if held is not (address in self._holding):
            self._holding ^= {address}
            self._held = None

    def _put(self, address: Address, claim: Ownership) -> None:
        self._shared.merge((Kind.CLAIM, address), claim)

    def _wake(self, address: Address, at: float) -> None:
        if self._armed.get(address) != at:
            self._armed[address] = at
            self._alarms += 1
            heapq.heappush(self._clock, (at, self._alarms, address))


def _within(electorate: Electorate, name: str) -> bool:
    return any(name in group for _preference, group in electorate)
