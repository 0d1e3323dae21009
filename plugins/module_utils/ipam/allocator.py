# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The allocator of addresses. Order of what is tried:

1. what it has, while that is still allowed and asked for; and while what it asks for can not be had, if
   `fate` says so;
2. the addresses it asks for;
3. the pool it asks for;
4. pools for certain services (serviceAllocation), if it is one, by priority (0 comes last), then by name;
5. all other pools, by name.

4 and 5 skip pools with ``autoAssign: false``. Inside a pool the first free address in the order of the
pool's entries is taken; one that may be shared counts as free for those who may share it, and one that is
leaving a service counts as free for that service. All addresses of a service are from the same pool. Who
prefers two families goes to a pool that has both, then to one that has its first, then its second.

A service that had one address of each family and shall have one only keeps the one of that family; one that
had one and shall have two keeps it if the same pool has the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Union

from ..model.addresses import IPAddress
from ..model.pools import Pool
from . import explain
from .allocations import Allocations
from .fate import Fate, fate
from .free_addresses import FreeAddresses
from .index import PoolIndex
from .request import Allocation, Holder, Refusal, Request
from .sharers import Place

__all__ = ["Allocator", "allows"]

Answer = Union[Allocation, Refusal]


class Allocator:
    """The pools in force and who holds what, from `allocate` until `release` and `observe`."""

    def __init__(self, pools: Iterable[Pool] = ()) -> None:
        self.book = Allocations()
        self.pools: tuple[Pool, ...] = ()
        self._by_name: dict[str, Pool] = {}
        self._index = PoolIndex(())
        self._spaces: dict[tuple[str, int], FreeAddresses] = {}
        self._used: Counter[tuple[str, int]] = Counter()
        self.restricted: tuple[Pool, ...] = ()  # pools that are not for every service
        self.configure(pools)

    # -- configuration ---------------------------------------------------------------------------------------

    def configure(self, pools: Iterable[Pool]) -> None:
        """Other pools are in force. Whoever holds an address keeps it until `allocate` is asked again."""
        self.pools = tuple(sorted(pools, key=lambda pool: pool.priority))
        self._by_name = {pool.name: pool for pool in self.pools}
        self._index = PoolIndex(self.pools)
        self._spaces = {
            (pool.name, family): self._space(pool, family) for pool in self.pools for family in pool.families
        }
        found = ((self._index.pool_of(address), address.version) for address in self.book.addresses())
        self._used = Counter((pool.name, version) for pool, version in found if pool is not None)
        self.book.sharers.arrange(self._place)
        self.restricted = tuple(pool for pool in self.pools if _is_restricted(pool))

    def _space(self, pool: Pool, family: int) -> FreeAddresses:
        old = self._spaces.get((pool.name, family))
        return old if old is not None and old.pool == pool else FreeAddresses(pool, family)

    def _place(self, address: IPAddress) -> Place | None:
        """Return the pool, family and position of the address; None if no pool gives it away."""
        pool = self._index.pool_of(address)
        if pool is None or pool.avoids(address):
            return None
        slot = (pool.name, address.version)
        return slot, self._spaces[slot].position(address)

    def usage(self, pool: str, family: int) -> tuple[int, int]:
        """(held, free) addresses of a pool; held are also those that it avoids since it was changed."""
        space = self._spaces.get((pool, family))
        used = self._used[pool, family]
        return (used, max(0, space.size - used)) if space else (0, 0)

    def pool_of(self, address: IPAddress) -> Pool | None:
        """The pool that has this address."""
        return self._index.pool_of(address)

    # -- requests --------------------------------------------------------------------------------------------

    def keep(self, request: Request, addresses: tuple[IPAddress, ...]) -> Allocation | None:
        """Let the service hold exactly these, which it has already, if it may; otherwise nothing changes."""
        checked = self.check(request, addresses)
        if isinstance(checked, Refusal):
            return None
        return self._hold(request, checked)

    def allocate(self, request: Request) -> Answer:
        """Allocate addresses to the service; return them, or why it can not have what it asks for.

        After a refusal the service keeps the addresses that it had, or they leave it, as `fate` says.
        """
        held = self.book.allocations.get(request.holder)
        kept = self.keep(request, held.addresses) if held else None
        if kept is not None:
            return self._hold(request, self._with_other_family(request, kept))
        self.book.release(request.holder)
        answer = self._choose(request)
        if not isinstance(answer, Refusal):
            return self._hold(request, answer)
        self.stay(request, held.addresses if held else (), answer)
        return answer

    def stay(self, request: Request, addresses: tuple[IPAddress, ...], refusal: Refusal) -> bool:
        """Let a service go on with these though its request is refused, if the rules say so (`fate`)."""
        if not addresses or fate(refusal.reason) is not Fate.KEEP:
            return False
        return self.keep(request.without_wishes, addresses) is not None

    def release(self, holder: Holder) -> None:
        """The service shall hold nothing.

        Its addresses are free when `left` says that they have been cleared.
        """
        self.book.release(holder)

    def observe(self, holder: Holder, shown: Iterable[IPAddress] = ()) -> list[IPAddress]:
        """The service shows exactly these addresses now; returned is what has left it because of that."""
        now = frozenset(shown)
        fresh = [address for address in now if address not in self.book]
        gone = self.book.observe(holder, now)
        for address in fresh:
            self._count(address, 1 if address in self.book else 0)
        for address in gone:
            if address not in self.book:
                self._freed(address)
        return gone

    def candidates(self, request: Request) -> tuple[Pool, ...]:
        """The pools that are tried, in order, for a request without explicit addresses."""
        return tuple(self._candidates(request))

    def _candidates(self, request: Request) -> Iterator[Pool]:
        """Yield the pools one after the other, as mostly the first one has a free address."""
        if request.pool is not None:
            pool = self._by_name.get(request.pool)
            yield from (pool,) if pool is not None and allows(pool, request) else ()
            return
        yield from (pool for pool in self.pools if pool.auto_assign and allows(pool, request))

    # -- rules -----------------------------------------------------------------------------------------------

    def _choose(self, request: Request) -> Answer:
        if not self.pools:
            return explain.no_pools()
        if request.addresses:
            return self.check(request, request.addresses)
        if request.pool is not None and request.pool not in self._by_name:
            return explain.pool_not_found(request.pool, [pool.name for pool in self.pools])
        if next(self._candidates(request), None) is None:
            return explain.no_candidates(request, self.pools)
        return self._first(request) or explain.exhausted(request, self.candidates(request))

    def _first(self, request: Request) -> Allocation | None:
        """Choose addresses of all families from one pool; return None if there are none.

        With PreferDualStack the first family alone is tried next, then the second.
        """
        alone = [] if request.require_all else [(family,) for family in request.families]
        for families in [request.families, *alone]:
            kept = self._remaining(request, families)
            if kept is not None:
                return kept
            for pool in self._candidates(request):
                picked = self._pick(pool, families, request)
                if picked is not None:
                    return Allocation(picked, pool.name)
        return None

    def _remaining(self, request: Request, families: tuple[int, ...]) -> Allocation | None:
        """Return what a service keeps that had one family and shall have two, or the other way round."""
        own = self.book.leaving.get(request.holder, frozenset())
        if len(own) + len(families) != 3 or len({address.version for address in own}) != len(own):
            return None
        stays = next((address for address in own if address.version in families), None)
        if stays is None:
            return None
        checked = self.check(replace(request, require_all=False), (stays,))
        if isinstance(checked, Refusal) or len(families) == 1:
            return None if isinstance(checked, Refusal) else checked
        both = self._with_other_family(request, checked)
        return both if len(both.addresses) == 2 else None

    def _with_other_family(self, request: Request, kept: Allocation) -> Allocation:
        """The address of the other family from the same pool too, if it has one."""
        missing = set(request.families) - {address.version for address in kept.addresses}
        found = self._pick(self._by_name[kept.pool], tuple(missing), request) or ()
        return Allocation(tuple(sorted((*kept.addresses, *found), key=lambda item: item.version)), kept.pool)

    def _pick(self, pool: Pool, families: tuple[int, ...], request: Request) -> tuple[IPAddress, ...] | None:
        found = [self._pick_one(pool, family, request) for family in sorted(families)]
        present = tuple(address for address in found if address is not None)
        return present if len(present) == len(found) else None

    def _pick_one(self, pool: Pool, family: int, request: Request) -> IPAddress | None:
        space = self._spaces.get((pool.name, family))
        if space is None:
            return None
        free = space.first_free(self.book)
        found = [space.position(each) for each in (free, *self._own(pool, family, request)) if each]
        joined = self.book.sharers.first((pool.name, family), request.sharing)
        position = min([*found, joined] if joined else found, default=None)
        return space.address(position) if position else None

    def _own(self, pool: Pool, family: int, request: Request) -> list[IPAddress]:
        """Return the addresses of this pool and family that are leaving the service and are free for it."""
        return [
            address
            for address in self.book.leaving.get(request.holder, ())
            if address.version == family
            and self._index.pool_of(address) is pool
            and not pool.avoids(address)
            and self.is_open_to(request, address)
        ]

    def check(self, request: Request, addresses: tuple[IPAddress, ...]) -> Answer:
        """Return what holding exactly these would be, or by which rule the service may not.

        Nothing changes.
        """
        refusal = self._check_form(request, addresses)
        if refusal is not None:
            return refusal
        pools = [self._index.pool_of(address) for address in addresses]
        names = {pool.name for pool in pools if pool is not None}
        for address, pool in zip(addresses, pools):
            refusal = self._check_pool(request, address, pool)
            if refusal is not None:
                return refusal
        if len(names) != 1:
            return explain.two_pools(addresses, sorted(names))
        # Who holds what comes last: a reason that lies in the declarations is the better one, and it stays.
        refusals = (self.may_have(request, address) for address in addresses)
        refusal = next((each for each in refusals if each is not None), None)
        return refusal or Allocation(tuple(sorted(addresses, key=lambda item: item.version)), names.pop())

    def _check_form(self, request: Request, addresses: tuple[IPAddress, ...]) -> Refusal | None:
        if request.addresses and set(request.addresses) != set(addresses):
            return explain.other_addresses(request, addresses)
        families = tuple(sorted(address.version for address in addresses))
        wanted = tuple(sorted(request.families))
        single = len(families) == 1 and families[0] in wanted
        enough = families == wanted or (single and not request.require_all and not request.addresses)
        return None if enough else explain.wrong_family(request, addresses)

    def _check_pool(self, request: Request, address: IPAddress, pool: Pool | None) -> Refusal | None:
        if pool is None:
            return explain.not_in_any_pool(address, self.pools)
        if request.pool is not None and pool.name != request.pool:
            return explain.not_in_pool(address, pool, request.pool)
        if pool.avoids(address):
            return explain.avoided(address, pool)
        if not allows(pool, request):
            return explain.not_allowed(request, pool)
        return None

    def is_open_to(self, request: Request, address: IPAddress) -> bool:
        """Tell whether no other service prevents this one from having the address."""
        return self.book.rival(request.holder, request.sharing, address) is None

    def may_have(self, request: Request, address: IPAddress) -> Refusal | None:
        """Return which service prevents this one from having the address, and why; None if none does."""
        rival = self.book.rival(request.holder, request.sharing, address)
        if rival is None:
            return None
        terms = self.book.holders(address)[rival]
        why = request.sharing.refusal(terms) if terms is not None else None
        return explain.in_use(address, request, rival, why)

    def _hold(self, request: Request, allocation: Allocation) -> Allocation:
        fresh = [address for address in allocation.addresses if address not in self.book]
        self.book.hold(request.holder, allocation, request.sharing)
        for address in fresh:
            self._count(address, 1)
        return allocation

    def _freed(self, address: IPAddress) -> None:
        pool = self._index.pool_of(address)
        if pool is not None:
            self._count(address, -1)
            self._spaces[pool.name, address.version].free(address)

    def _count(self, address: IPAddress, difference: int) -> None:
        pool = self._index.pool_of(address)
        if pool is not None:
            self._used[pool.name, address.version] += difference


def allows(pool: Pool, request: Request) -> bool:
    """Return whether the pool is for such services."""
    allocation = pool.service_allocation
    if allocation is None:
        return True
    return allocation.allows(request.holder[0], request.namespace_labels, request.labels)


def _is_restricted(pool: Pool) -> bool:
    allocation = pool.service_allocation
    return allocation is not None and not allocation.for_all
