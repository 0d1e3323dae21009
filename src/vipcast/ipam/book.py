# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds which address.

An address that a service has lost is *leaving* until the service's status has been seen without it: only then
may another service get it, so that no two services ever show one address, not even while the API server is
slow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from vipcast.ipam.request import Allocation, Holder, Sharing
from vipcast.model.addresses import IPAddress

__all__ = ["Book"]


class Book:
    """Allocations and, for each address, its holders with their terms of sharing."""

    def __init__(self) -> None:
        self.allocations: dict[Holder, Allocation] = {}
        self.leaving: dict[Holder, frozenset[IPAddress]] = {}
        self._holders: dict[IPAddress, dict[Holder, Sharing]] = {}
        self._by_key: defaultdict[str, set[IPAddress]] = defaultdict(set)

    def __contains__(self, address: object) -> bool:
        """Whether the address is held, or still leaving a service."""
        return address in self._holders

    def addresses(self) -> Iterable[IPAddress]:
        """All addresses that are held or leaving."""
        return self._holders.keys()

    def holders(self, address: IPAddress) -> Mapping[Holder, Sharing]:
        """Who has it, on which terms."""
        return self._holders.get(address, {})

    def sharing(self, key: str) -> Iterable[IPAddress]:
        """Addresses of services with this sharing key."""
        return self._by_key.get(key, ())

    def hold(self, holder: Holder, allocation: Allocation, sharing: Sharing) -> None:
        """The service has these addresses from now on; what it had besides must have been released."""
        self.allocations[holder] = allocation
        for address in allocation.addresses:
            self._holders.setdefault(address, {})[holder] = sharing
            if sharing.key:
                self._by_key[sharing.key].add(address)
        self._leave(holder, self.leaving.get(holder, frozenset()) - set(allocation.addresses))

    def release(self, holder: Holder) -> None:
        """The service shall not have its addresses any longer; they are leaving."""
        allocation = self.allocations.pop(holder, None)
        if allocation is not None:
            self._leave(holder, self.leaving.get(holder, frozenset()) | set(allocation.addresses))

    def left(self, holder: Holder, still: Iterable[IPAddress] = ()) -> list[IPAddress]:
        """The service's status has been seen with only these in it: which are free (or freer) now."""
        gone = self.leaving.get(holder, frozenset()) - set(still)
        if gone:
            self._leave(holder, self.leaving[holder] - gone)
            for address in gone:
                self._drop(holder, address)
        return sorted(gone, key=int)

    def _leave(self, holder: Holder, addresses: frozenset[IPAddress]) -> None:
        if addresses:
            self.leaving[holder] = addresses
        else:
            self.leaving.pop(holder, None)

    def _drop(self, holder: Holder, address: IPAddress) -> None:
        holders = self._holders[address]
        sharing = holders.pop(holder)
        if not any(other.key == sharing.key for other in holders.values()):
            self._forget_key(sharing.key, address)
        if not holders:
            del self._holders[address]

    def _forget_key(self, key: str, address: IPAddress) -> None:
        self._by_key[key].discard(address)
        if not self._by_key[key]:
            del self._by_key[key]
