# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The allocations: which services hold an address, and which merely show one.

An address that a service has lost, or that somebody else wrote into its status, is *leaving* as long as the
service's status shows it. Nobody is given a leaving address, so that no two services ever show the same one,
not even while the API server is slow.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Union

from ..model.addresses import IPAddress
from .request import Allocation, Holder, Sharing
from .sharers import Sharers

__all__ = ["Allocations"]

_NOTHING: frozenset[IPAddress] = frozenset()
_Terms = Union[Sharing, None]  # on which a holder has an address; None: it is leaving


class Allocations:
    """Allocations and, for each address, its holders with their terms of sharing."""

    def __init__(self) -> None:
        self.allocations: dict[Holder, Allocation] = {}
        self.leaving: dict[Holder, frozenset[IPAddress]] = {}
        self.sharers = Sharers()
        self._holders: dict[IPAddress, dict[Holder, _Terms]] = {}

    def __contains__(self, address: object) -> bool:
        """Tell whether the address is held, or leaving a service."""
        return address in self._holders

    def addresses(self) -> Collection[IPAddress]:
        """Return all addresses that are held or leaving."""
        return self._holders.keys()

    def holders(self, address: IPAddress) -> Mapping[Holder, _Terms]:
        """Return who has it, on which terms; None for those whom it is leaving."""
        return self._holders.get(address, {})

    def held_by(self, holder: Holder) -> tuple[IPAddress, ...]:
        """Return what the service holds."""
        allocation = self.allocations.get(holder)
        return allocation.addresses if allocation else ()

    def rival(self, holder: Holder, sharing: Sharing, address: IPAddress) -> Holder | None:
        """Return the first by name who is in the service's way on this address.

        Who has an address keeps it, whatever other services show: they are about to be put right.
        """
        has = address in self.held_by(holder)
        if address in self.sharers:
            return self.sharers.rival(holder, sharing, address, has=has)
        others = self.holders(address).items()
        return min((name for name, terms in others if name != holder and (terms or not has)), default=None)

    def hold(self, holder: Holder, allocation: Allocation, sharing: Sharing) -> None:
        """The service has these addresses from now on; what it had besides is leaving."""
        if self._has(holder, allocation, sharing):
            return
        self.release(holder)
        self.allocations[holder] = allocation
        for address in allocation.addresses:
            self._put(holder, address, sharing)
        self._leave(holder, self.leaving.get(holder, _NOTHING) - set(allocation.addresses))

    def _has(self, holder: Holder, allocation: Allocation, sharing: Sharing) -> bool:
        """Tell whether the service has exactly this allocation already, on these terms of sharing."""
        if self.allocations.get(holder) != allocation:
            return False
        return all(self.holders(address).get(holder) == sharing for address in allocation.addresses)

    def release(self, holder: Holder) -> None:
        """The service shall not have its addresses any longer; they are leaving."""
        allocation = self.allocations.pop(holder, None)
        if allocation is not None:
            for address in allocation.addresses:
                self._put(holder, address, None)
            self._leave(holder, self.leaving.get(holder, _NOTHING) | set(allocation.addresses))

    def observe(self, holder: Holder, shown: frozenset[IPAddress]) -> list[IPAddress]:
        """The service's status shows exactly these; returned is what has left it because of that."""
        now = shown - set(self.held_by(holder))
        before = self.leaving.get(holder, _NOTHING)
        self._leave(holder, now)
        for address in now - before:
            self._put(holder, address, None)
        for address in before - now:
            self._drop(holder, address)
        return sorted(before - now, key=int)

    def _leave(self, holder: Holder, addresses: frozenset[IPAddress]) -> None:
        if addresses:
            self.leaving[holder] = addresses
        else:
            self.leaving.pop(holder, None)

    def _put(self, holder: Holder, address: IPAddress, terms: _Terms) -> None:
        self._drop(holder, address)
        others = self._holders.setdefault(address, {})
        if terms is None:
            self.sharers.leave(address, holder)
        elif terms.key:
            leaving = (name for name, each in others.items() if each is None)
            self.sharers.hold(address, holder, terms, leaving)
        others[holder] = terms

    def _drop(self, holder: Holder, address: IPAddress) -> None:
        holders = self._holders.get(address, {})
        if holder not in holders:
            return
        terms = holders.pop(holder)
        if terms is None:
            self.sharers.left(address, holder)
        elif terms.key:
            self.sharers.drop(address, holder, terms)
        if not holders:
            del self._holders[address]
