# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds which address, and who merely shows one.

An address that a service has lost, or that somebody else wrote into its status, is *leaving* as long as the
service's status shows it. Nobody is given a leaving address, so that no two services ever show the same one,
not even while the API server is slow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from ..model.addresses import IPAddress
from .request import Allocation, Holder, Sharing

__all__ = ["Book"]

_NOTHING: frozenset[IPAddress] = frozenset()


class Book:
    """Allocations and, for each address, its holders with their terms of sharing."""

    def __init__(self) -> None:
        self.allocations: dict[Holder, Allocation] = {}
        self.leaving: dict[Holder, frozenset[IPAddress]] = {}
        self._holders: dict[IPAddress, dict[Holder, Sharing]] = {}
        self._by_key: defaultdict[str, set[IPAddress]] = defaultdict(set)

    def __contains__(self, address: object) -> bool:
        """Whether the address is held, or leaving a service."""
        return address in self._holders

    def addresses(self) -> Collection[IPAddress]:
        """All addresses that are held or leaving."""
        return self._holders.keys()

    def holders(self, address: IPAddress) -> Mapping[Holder, Sharing]:
        """Who has it, on which terms; those whom it is leaving too."""
        return self._holders.get(address, {})

    def held_by(self, holder: Holder) -> tuple[IPAddress, ...]:
        """What the service holds."""
        allocation = self.allocations.get(holder)
        return allocation.addresses if allocation else ()

    def sharing(self, key: str) -> Iterable[IPAddress]:
        """Addresses of services with this sharing key."""
        return self._by_key.get(key, ())

    def hold(self, holder: Holder, allocation: Allocation, sharing: Sharing) -> None:
        """The service has these addresses from now on; what it had besides is leaving."""
        self.release(holder)
        self.allocations[holder] = allocation
        for address in allocation.addresses:
            self._drop(holder, address)
            self._add(holder, address, sharing)
        self._leave(holder, self.leaving.get(holder, _NOTHING) - set(allocation.addresses))

    def release(self, holder: Holder) -> None:
        """The service shall not have its addresses any longer; they are leaving."""
        allocation = self.allocations.pop(holder, None)
        if allocation is not None:
            self._leave(holder, self.leaving.get(holder, _NOTHING) | set(allocation.addresses))

    def observe(self, holder: Holder, shown: frozenset[IPAddress]) -> list[IPAddress]:
        """The service's status shows exactly these; returned is what has left it because of that."""
        now = shown - set(self.held_by(holder))
        before = self.leaving.get(holder, _NOTHING)
        self._leave(holder, now)
        for address in now - before:
            self._add(holder, address, Sharing())
        for address in before - now:
            self._drop(holder, address)
        return sorted(before - now, key=int)

    def _leave(self, holder: Holder, addresses: frozenset[IPAddress]) -> None:
        if addresses:
            self.leaving[holder] = addresses
        else:
            self.leaving.pop(holder, None)

    def _add(self, holder: Holder, address: IPAddress, sharing: Sharing) -> None:
        self._holders.setdefault(address, {})[holder] = sharing
        if sharing.key:
            self._by_key[sharing.key].add(address)

    def _drop(self, holder: Holder, address: IPAddress) -> None:
        holders = self._holders.get(address, {})
        sharing = holders.pop(holder, None)
        if sharing is None:
            return
        if not any(other.key == sharing.key for other in holders.values()):
            self._forget_key(sharing.key, address)
        if not holders:
            del self._holders[address]

    def _forget_key(self, key: str, address: IPAddress) -> None:
        self._by_key[key].discard(address)
        if not self._by_key[key]:
            del self._by_key[key]
