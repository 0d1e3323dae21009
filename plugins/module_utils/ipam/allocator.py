# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses a service gets. Order of what is tried:

1. what it has, while that is still allowed and asked for;
2. the addresses it asks for;
3. the pool it asks for;
4. pools for certain services (serviceAllocation), if it is one, by priority (0 comes last), then by name;
5. all other pools, by name.

4 and 5 skip pools with ``autoAssign: false``. Inside a pool the first free address in the order of the
pool's entries is taken; one that may be shared counts as free for those who may share it, and one that is
leaving a service counts as free for that service. All addresses of a service are from the same pool.

A service that had one address of each family and shall have one only keeps the one of that family; one that
had one and shall have two keeps it if the same pool has the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from operator import itemgetter
from typing import Union

from ..model.addresses import IPAddress
from ..model.pools import Pool
from . import explain
from .book import Book
from .index import PoolIndex
from .request import Allocation, Holder, Refusal, Request
from .space import Space

__all__ = ["Allocator", "allows"]

Answer = Union[Allocation, Refusal]


class Allocator:
    """The pools in force and who holds what, from `allocate` until `release` and `observe`."""

    def __init__(self, pools: Iterable[Pool] = ()) -> None:
        self.book = Book()
        self.pools: tuple[Pool, ...] = ()
        self._by_name: dict[str, Pool] = {}
        self._index = PoolIndex(())
        self._spaces: dict[tuple[str, int], Space] = {}
        self._used: Counter[tuple[str, int]] = Counter()
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

    def _space(self, pool: Pool, family: int) -> Space:
        old = self._spaces.get((pool.name, family))
        return old if old is not None and old.pool == pool else Space(pool, family)

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
        """What the service holds from now on, or why it holds nothing (and then what it had is leaving)."""
        held = self.book.allocations.get(request.holder)
        kept = self.keep(request, held.addresses) if held else None
        if kept is not None:
            return self._hold(request, self._with_other_family(request, kept))
        self.book.release(request.holder)
        answer = self._choose(request)
        return answer if isinstance(answer, Refusal) else self._hold(request, answer)

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
        if request.pool is not None:
            pool = self._by_name.get(request.pool)
            return (pool,) if pool is not None and allows(pool, request) else ()
        return tuple(pool for pool in self.pools if pool.auto_assign and allows(pool, request))

    # -- rules -----------------------------------------------------------------------------------------------

    def _choose(self, request: Request) -> Answer:
        if not self.pools:
            return explain.no_pools()
        if request.addresses:
            return self.check(request, request.addresses)
        if request.pool is not None and request.pool not in self._by_name:
            return explain.pool_not_found(request.pool, [pool.name for pool in self.pools])
        candidates = self.candidates(request)
        if not candidates:
            return explain.no_candidates(request, self.pools)
        return self._first(request, candidates)

    def _first(self, request: Request, candidates: tuple[Pool, ...]) -> Answer:
        """All families from one pool; with PreferDualStack then the first family alone."""
        wishes = [request.families] if request.require_all else [request.families, request.families[:1]]
        for families in wishes:
            kept = self._remaining(request, families)
            if kept is not None:
                return kept
            for pool in candidates:
                picked = self._pick(pool, families, request)
                if picked is not None:
                    return Allocation(picked, pool.name)
        return explain.exhausted(request, candidates)

    def _remaining(self, request: Request, families: tuple[int, ...]) -> Allocation | None:
        """What a service keeps that had one family and shall have two, or the other way round."""
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
        found = [*self._open_to(pool, family, request), *([free] if free else [])]
        return min(found, key=space.position, default=None)

    def _open_to(self, pool: Pool, family: int, request: Request) -> list[IPAddress]:
        """Addresses that are not free, but open to the service: to be shared, or its own that are leaving."""
        own = self.book.leaving.get(request.holder, ())
        shared = self.book.sharing(request.sharing.key) if request.sharing.key else ()
        return [
            address
            for address in {*own, *shared}
            if address.version == family
            and address in pool
            and not pool.avoids(address)
            and self._may_have(request, address) is None
        ]

    def check(self, request: Request, addresses: tuple[IPAddress, ...]) -> Answer:
        """What holding exactly these would be, or by which rule the service may not; nothing changes."""
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
        refusals = (self._may_have(request, address) for address in addresses)
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

    def _may_have(self, request: Request, address: IPAddress) -> Refusal | None:
        holders = self.book.holders(address)
        mine = address in self.book.held_by(request.holder)
        for holder, terms in sorted(holders.items(), key=itemgetter(0)):
            leaving = address in self.book.leaving.get(holder, ())
            # Who has an address keeps it, whatever other services show: they are about to be put right.
            if holder == request.holder or (mine and leaving):
                continue
            why = request.sharing.refusal(terms)
            if why is not None or leaving:
                return explain.in_use(address, holder, why or "", request.sharing, leaving)
        return None

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
    """Whether the pool is for such services."""
    allocation = pool.service_allocation
    if allocation is None:
        return True
    return allocation.allows(request.holder[0], request.namespace_labels, request.labels)
