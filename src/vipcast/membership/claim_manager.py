# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims of this node: who takes an address, and when.

A claim of a living node stays. Of an address without an owner, the first candidate in the order takes it at
once; each later one waits a grace longer for those before it, and where the address is new a moment besides:
they may not have heard of it. An owner that is to have it no longer asks to be relieved, and answers until
another one's claim has come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping

from vipcast import election
from vipcast.election import AddressWant, Electorate
from vipcast.membership.address_queue import AddressQueue
from vipcast.membership.balance import offered, unable
from vipcast.membership.entries import (
    MAX_SUPPORT,
    MAX_TERM,
    Condition,
    Hold,
    Kind,
    Ownership,
    Reason,
)
from vipcast.membership.local_node import LocalNode
from vipcast.membership.replicated_state import ReplicatedState, update_index
from vipcast.membership.takeover import Case, Standing, takeover_time
from vipcast.membership.unable import UnableAddresses
from vipcast.model.addresses import IPAddress

# An owner whose process ends, and that nobody relieves, goes on for so long.
YIELD_SECONDS = 3.0
# Why a healthy owner loses an address to somebody that has not heard of it.
OF_A_SPLIT = (Reason.OWNER_DEAD, Reason.OWNER_RELEASED, Reason.VACANT)
# Hashes in one go: some milliseconds. Heartbeats have to go out in between.
BUDGET = 2000


class ClaimManager:
    """``wall``: milliseconds since 1970. ``doubt``: puts off what follows of a member's death.
    ``side``: how many members we hear, ourselves too.

    ``settled``: everyone who is there has been heard. ``present``: nobody says that we are dead.
    ``unheard``: we hear others, and they do not hear us. ``above``: those of them that do not depend on us.
    ``deaf``: nothing at all is heard, so that nothing is known of the others either.
    """

    def __init__(
        self,
        local: LocalNode,
        state: ReplicatedState,
        *,
        wall: Callable[[], int],
        doubt: Callable[[str, float], float],
        side: Callable[[], int],
        contested: Callable[[IPAddress], None] = lambda _address: None,
    ) -> None:
        self.name, self._local = local.name, local
        self.wants: Mapping[IPAddress, AddressWant] = {}
        self.told = False  # what is wanted: a successor that has not been told gives nothing up
        self.unable = UnableAddresses(local, state)
        self.settled = self.present = self.leaving = self.unheard = self.deaf = False
        self.preempt = self.orphaned = False
        self._keys: defaultdict[str, set[IPAddress]] = defaultdict(set)  # addresses that go to one node
        self.stable_since = 0.0
        self._min_partition_size = 0  # lately; 0 while that is not known
        self._state, self._wall, self._doubt, self._side = state, wall, doubt, side
        self._say_contested = contested
        self._support: int | None = None  # of claims that are made now
        self._holding: set[IPAddress] = set()
        self._held: frozenset[IPAddress] | None = frozenset()
        self._queue = AddressQueue()
        self._vacant: dict[IPAddress, tuple[Reason, float]] = {}
        self.above: frozenset[str] = frozenset()
        self._contested: dict[IPAddress, int] = {}  # since when we had them
        self._deferred: dict[IPAddress, str] = {}  # to whom, though our claim is the newer one
        self._taken: dict[IPAddress, str] = {}  # what we have, of whom we took for dead
        self._yields: dict[IPAddress, float] = {}
        self._spent: set[IPAddress] = set()  # has been taken from a living owner, or by one from us
        self._posthumous: set[IPAddress] = set()  # claimed by one that we took for dead

    # ---- inputs ----

    def set_wants(self, wants: Mapping[IPAddress, AddressWant]) -> None:
        before, self.wants, self.told = self.wants, dict(wants), True
        changed = [a for a, want in wants.items() if (was := before.get(a)) is not want and was != want]
        changed += before.keys() - wants.keys()
        for address in changed:
            for want in (before.get(address), wants.get(address)):
                if want is not None:
                    present = want is wants.get(address)
                    update_index(self._keys, want.key, address, present=present)
        self._spent.difference_update(changed)
        self._posthumous &= wants.keys()
        self._taken = {address: owner for address, owner in self._taken.items() if address in wants}
        self.look(changed)
        if self.unable and changed:
            self.say_unable()

    def set_unable(self, addresses: Collection[IPAddress], now: float) -> None:
        """Set what this node cannot answer for."""
        changed = self.unable.set(addresses, now)
        self._spent -= changed
        self.look(changed)
        self.say_unable()

    def say_unable(self) -> None:
        """Tell the others: they do not wait for us then."""
        self.unable.say(self.wants)

    def set_orphaned(self, orphaned: bool) -> None:
        """Note whether nobody has told us anything for long.

        Others are then asked to take over, and until they do we go on.
        """
        if orphaned is not self.orphaned:
            self.orphaned = orphaned
            self.look_everywhere()

    def look(self, addresses: Iterable[IPAddress]) -> None:
        """Have these addresses looked at: something about them may have changed."""
        self._queue.put(addresses)

    def begin_again(self, now: float) -> None:
        """Begin again: we are back, or may claim from now on."""
        self.stable_since = now
        self._spent.clear()
        self.look_everywhere()

    def set_ready(self, ready: bool, present: bool, now: float) -> None:
        """Say whether everyone was heard, and whether nobody says that we are dead: see the class."""
        if self.settled and not ready:  # there is no key any more
            self.settled = False
            self.drop_all()
        elif (ready, ready and present) != (self.settled, self.present):
            self.settled, self.present = ready, ready and present
            self.begin_again(now)

    def set_preempt(self, preempt: bool) -> None:
        """Say whether the first in the order takes an address from a healthy owner, once it has stayed."""
        if preempt != self.preempt:
            self.preempt = preempt
            self.look_everywhere()

    def set_min_partition_size(self, size: int) -> None:
        """Say how few of us there were lately."""
        self._min_partition_size = size

    def leave(self) -> None:
        """Ask to be relieved of everything."""
        self.leaving = True
        self.look_everywhere()

    def drop_all(self) -> None:
        self._holding.clear()
        self._held = None

    @property
    def held(self) -> frozenset[IPAddress]:
        """The same object for as long as nothing has changed."""
        if self._held is None:
            self._held = frozenset(self._holding)
        return self._held

    def look_everywhere(self) -> None:
        self.look([*self.wants, *self._state.owned.get(self.name, ())])

    def claim_changed(self, address: IPAddress, old: Ownership | None, new: Ownership) -> None:
        taken = old is not None and old.owner == self.name != new.owner and old.hold is Hold.HELD
        self._deferred.pop(address, None)
        self._note_taken(address, old, new)
        if taken and new.reason in (Reason.OWNER_NO_CANDIDATE, Reason.PREEMPTED):
            self._spent.add(address)
        if taken and old is not None and new.reason in OF_A_SPLIT and new.support < self._min_partition_size:
            self._contested[address] = old.since
        want = self.wants.get(address)
        if want is not None and len(siblings := self._keys[want.key]) > 1:
            self.look(sibling for sibling in siblings if sibling in self._vacant)
        if new.owner == self.name or self._state.is_present(new.owner):
            self._posthumous.discard(address)
        elif address in self.wants:
            self._posthumous.add(address)
            self._vacant.pop(address, None)
        self.look([address])

    def _note_taken(self, address: IPAddress, old: Ownership | None, new: Ownership) -> None:
        if new.owner != self.name:
            self._taken.pop(address, None)
        elif old is not None and old.owner != self.name:
            if new.reason is Reason.OWNER_DEAD:
                self._taken[address] = old.owner
            else:
                self._taken.pop(address, None)

    def heard_older(self, address: IPAddress, said: Ownership) -> None:
        """A claim that ours has overtaken, and its owner does not know."""
        known = self._state.claim(address)
        if known is not None and known.owner == self.name and said.owner in self.above:
            if said.hold is Hold.HELD:
                self._deferred[address] = said.owner
            else:
                self._deferred.pop(address, None)
            self.look([address])

    def set_standing(self, unheard: bool, above: frozenset[str], deaf: bool) -> None:
        """``unheard``, ``above`` and ``deaf``: see the class."""
        if deaf is not self.deaf:
            self.deaf = deaf
            self.look_everywhere()
        if unheard is not self.unheard:
            self.unheard = unheard
            self.look(list(self._vacant))
        if above != self.above:
            self.above = above
            # Whom we took for dead, and who does not hear us, never lost what we took: nobody tells us again.
            deferred = {address: owner for address, owner in self._taken.items() if owner in above}
            self._deferred = deferred | self._deferred
            self.look(list(self._deferred))

    def node_changed(self, name: str) -> None:
        if self._state.is_present(name):
            self._posthumous.difference_update(self._state.owned.get(name, ()))
        self.look(self._state.owned.get(name, ()))
        self.look(list(self._vacant))
        if self.preempt:
            self.look(self.wants)

    def look_at_vacant(self) -> None:
        """Look again at what has no owner: a member can answer for more than before, or for less."""
        self.look(list(self._vacant))

    # ---- what follows ----

    def timer(self, now: float) -> float | None:
        return self._queue.timer(now)

    def work(self, now: float) -> None:
        self._queue.ring(now)
        self._support = None
        budget = BUDGET
        while self._queue and budget > 0:
            budget -= self._decide(self._queue.take(), now)

    def _decide(self, address: IPAddress, now: float) -> int:
        """Decide about an address; return what that cost, in hashes or so."""
        want, claim = self.wants.get(address), self._state.claim(address)
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
            return 1
        return self._consider(address, claim, want, now)

    # ---- ours ----

    def _keep(self, address: IPAddress, claim: Ownership, want: AddressWant | None, now: float) -> None:
        """Keep a claim of ours or give it up.

        Until we are settled, one of an earlier generation stays as it is.
        """
        if not self.settled:
            return
        if self._defers(address):
            self._hold(address, False)
            return
        if want is None:
            self._release(address, claim, Reason.NOT_WANTED)
        elif address in self.unable:
            self._release(address, claim, Reason.UNABLE)
        elif self.leaving or self.orphaned or not _within(want.electorate, self.name):
            self._yield(address, claim, want, now)
        else:
            self._yields.pop(address, None)
            if claim.hold is Hold.YIELDING:
                self._claim(address, claim, Reason.KEPT)
            self._hold(address, True)

    def _defers(self, address: IPAddress) -> bool:
        """We were cut off and are not let in yet, and somebody whom we hear has it."""
        owner = self._deferred.get(address)
        if owner is None:
            return False
        if owner in self.above and self._state.is_present(owner):
            return True
        del self._deferred[address]
        return False

    def _yield(self, address: IPAddress, claim: Ownership, want: AddressWant, now: float) -> None:
        orphaned = self.orphaned and _within(want.electorate, self.name)
        waiting = Reason.ORPHANED if orphaned else Reason.NOT_CANDIDATE
        reason = Reason.LEAVING if self.leaving else waiting
        until = self._yields.setdefault(address, now + YIELD_SECONDS)
        if self._gives_up(want) and (now >= until or not self._somebody_else(address, want)):
            self._release(address, claim, reason)
            return
        self._hold(address, True)
        if now < until:
            self._queue.put_at(address, until)
        if claim.hold is Hold.HELD:
            self._put(address, claim._replace(hold=Hold.YIELDING, reason=reason))

    def _release(self, address: IPAddress, claim: Ownership, reason: Reason) -> None:
        self._hold(address, False)
        self._yields.pop(address, None)
        self._put(address, claim._replace(hold=Hold.RELEASED, reason=reason))

    def _gives_up(self, want: AddressWant) -> bool:
        """Return whether it is given up though nobody takes it: answers of ours would be worth nothing.

        Of who is no candidate any more they are worth something, unless its packets would be dropped, or
        nobody at all may answer.
        """
        nobody = not any(group for _preference, group in want.electorate)
        return self.leaving or nobody or (want.local and not _within(want.electorate, self.name))

    def _somebody_else(self, address: IPAddress, want: AddressWant) -> bool:
        names = (name for _preference, group in want.electorate for name in group)
        return any(name != self.name and self._can(name, address, want) for name in names)

    def _can(self, name: str, address: IPAddress, want: AddressWant) -> bool:
        return self._present(name) and not unable(self._state, name, address, want)

    # ---- others', or nobody's ----

    def _contest(self, address: IPAddress, claim: Ownership | None, want: AddressWant | None) -> bool:
        """A smaller part of a split took us for dead, and what it took stays where it was."""
        since = self._contested.pop(address, None)
        if since is None or claim is None or want is None or not self._may_take(address, want):
            return False
        self._claim(address, claim._replace(since=since), Reason.CONTESTED)
        self._hold(address, True)
        self._say_contested(address)
        return True

    def _may_take(self, address: IPAddress, want: AddressWant) -> bool:
        return self.present and self._can_take(address, want)

    def _can_take(self, address: IPAddress, want: AddressWant) -> bool:
        return (
            self.settled
            and not self.leaving
            and not self.deaf
            and address not in self.unable
            and _within(want.electorate, self.name)
        )

    def _consider(self, address: IPAddress, claim: Ownership | None, want: AddressWant, now: float) -> int:
        cost = sum(len(group) for _preference, group in want.electorate)
        reason = self._vacancy(address, claim, want)
        if reason is None:
            self._vacant.pop(address, None)
            return 1
        known = self._vacant.get(address)
        if known is None or known[0] is not reason:
            known = self._vacant[address] = reason, now
        at = self._turn(address, claim, want, reason, known[1])
        if at is not None and claim is not None and reason is Reason.OWNER_DEAD:
            at = self._doubt_of(address, claim.owner, at)
        if at is not None and (listens := self.unable.listens_until(address)) is not None:
            at = max(at, listens)
        if at is None:
            self._vacant.pop(address, None)
        elif now < at:
            self._queue.put_at(address, at)
        else:
            self._take(address, claim, reason)
        return cost

    def _vacancy(self, address: IPAddress, claim: Ownership | None, want: AddressWant) -> Reason | None:
        """Return why somebody else should have it, or None."""
        if claim is None or (claim.hold is Hold.RELEASED and claim.reason is Reason.NOT_WANTED):
            return Reason.VACANT
        unspent = address not in self._spent
        ours = offered(self._state, claim.owner, address, self.name)
        reasons = {
            Reason.OFFERED: ours and claim.hold is Hold.HELD,
            Reason.OWNER_RELEASED: claim.hold is Hold.RELEASED,
            Reason.OWNER_DEAD: not self._state.is_present(claim.owner),
            Reason.OWNER_YIELDED: claim.hold is Hold.YIELDING,
            Reason.OWNER_NO_CANDIDATE: unspent and not _within(want.electorate, claim.owner),
            Reason.PREEMPTED: unspent and self.preempt,
        }
        if self.orphaned and self._state.is_present(claim.owner) and claim.hold is not Hold.RELEASED:
            return None  # whoever has it knows no less than we do
        return next((reason for reason, true in reasons.items() if true), None)

    def _turn(
        self, address: IPAddress, claim: Ownership | None, want: AddressWant, reason: Reason, since: float
    ) -> float | None:
        """Return when this node takes it, if no other one has; None for never."""
        if reason is Reason.OFFERED:
            return since
        out = claim.owner if claim is not None and reason not in (Reason.VACANT, Reason.PREEMPTED) else None
        place = election.rank(
            want.key,
            want.electorate,
            self.name,
            lambda name: name != out and self._can(name, address, want),
        )
        if place is not None and reason is not Reason.PREEMPTED:
            place = self._beside(address, want, place)
        if place is None:
            return None
        unknown = claim is not None and self._state.condition(claim.owner) is None
        standing = Standing(self.stable_since, self.unheard, self.orphaned)
        return takeover_time(Case(reason, since, claim, unknown), place, standing, self._local.profile)

    def _beside(self, address: IPAddress, want: AddressWant, place: int) -> int:
        """Return our place, where whoever has the service's other address comes first."""
        for sibling in self._keys[want.key]:
            claim = self._state.claim(sibling) if sibling != address else None
            if claim is None or claim.hold is not Hold.HELD or not _within(want.electorate, claim.owner):
                continue
            if self._can(claim.owner, address, want):
                return 0 if claim.owner == self.name else place + 1
        return place

    def _doubt_of(self, address: IPAddress, owner: str, at: float) -> float:
        """A claim that has come after its owner's death: it was dead for us alone, and is heard soon."""
        return at + self._local.profile.dead_after if address in self._posthumous else self._doubt(owner, at)

    def _present(self, name: str) -> bool:
        return self._state.condition(name) is Condition.ALIVE

    def _take(self, address: IPAddress, claim: Ownership | None, reason: Reason) -> None:
        if reason in (Reason.OWNER_NO_CANDIDATE, Reason.PREEMPTED):
            self._spent.add(address)
        self._vacant.pop(address, None)
        self._claim(address, claim, reason)
        self._hold(address, True)

    def _claim(self, address: IPAddress, claim: Ownership | None, reason: Reason) -> None:
        term = 1 if claim is None else min(claim.term + 1, MAX_TERM)
        keeps = reason in (Reason.KEPT, Reason.CONTESTED)
        since = claim.since if claim is not None and keeps else self._wall()
        if self._support is None:
            self._support = self._side()
        support = self._min_partition_size if reason is Reason.CONTESTED else self._support
        self._put(address, Ownership(term, self.name, Hold.HELD, reason, since, min(support, MAX_SUPPORT)))

    def _hold(self, address: IPAddress, held: bool) -> None:
        if held is not (address in self._holding):
            self._holding ^= {address}
            self._held = None

    def _put(self, address: IPAddress, claim: Ownership) -> None:
        self._state.merge((Kind.CLAIM, address), claim)


def _within(electorate: Electorate, name: str) -> bool:
    return any(name in group for _preference, group in electorate)
