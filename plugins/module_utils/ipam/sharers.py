# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses whose holders share: who is in somebody's way there, and where somebody could join.

All holders of such an address have one sharing key and one backend, and no port twice. Besides them it may be
leaving others. Nothing here looks at all holders of an address or at all addresses of a key.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Callable

from ..model.addresses import IPAddress
from .free_addresses import Position
from .openings import BLOCKED, Openings, Port
from .request import Holder, Sharing

__all__ = ["Place", "Sharers"]

Slot = tuple[str, int]  # pool and family
Place = tuple[Slot, Position]  # where an address comes in its pool
Where = Callable[[IPAddress], "Place | None"]


class _Shared:
    """An address whose holders share it, or would."""

    __slots__ = ("leaving", "names", "place", "ports", "terms")

    def __init__(self, terms: tuple[str, ...], place: Place | None, leaving: Iterable[Holder]) -> None:
        self.terms, self.place = terms, place
        self.names: list[Holder] = []  # who holds it, by name
        self.leaving = sorted(leaving)
        self.ports: dict[Port, Holder] = {}

    def rival(self, holder: Holder, sharing: Sharing, *, has: bool) -> Holder | None:
        """Return the first by name who prevents this holder from having the address, or None."""
        found = [] if has else [*_other(self.leaving, holder)]
        if sharing.terms != self.terms:
            found += _other(self.names, holder)
        else:
            found += [user for port in sharing.ports if (user := self.ports.get(port, holder)) != holder]
        return min(found, default=None)


def _other(names: list[Holder], holder: Holder) -> list[Holder]:
    """Return the first of the names that is not the holder's, in a list; an empty list if there is none."""
    return [name for name in names[:2] if name != holder][:1]


class Sharers:
    """The shared addresses. The book keeps them current; `arrange` says where they are in the pools."""

    def __init__(self) -> None:
        self._at: dict[IPAddress, _Shared] = {}
        self._openings: dict[tuple[Slot, tuple[str, ...]], Openings] = {}
        self._where: Where = lambda _address: None

    # -- what is asked ---------------------------------------------------------------------------------------

    def __contains__(self, address: object) -> bool:
        """Tell whether holders of the address share it, or would."""
        return address in self._at

    def rival(self, holder: Holder, sharing: Sharing, address: IPAddress, *, has: bool) -> Holder | None:
        """Return the first by name who is in the holder's way on this address, which must be in here.

        ``has``: the holder holds it already; then those whom it is leaving are not in the way.
        """
        return self._at[address].rival(holder, sharing, has=has)

    def first(self, slot: Slot, sharing: Sharing) -> Position | None:
        """Return the first address of a pool and family that a service on these terms could join."""
        openings = self._openings.get((slot, sharing.terms)) if sharing.key else None
        return openings.first(sharing.ports) if openings is not None else None

    # -- what happens ----------------------------------------------------------------------------------------

    def arrange(self, where: Where) -> None:
        """Put each address in its new place, or in none, when other pools are in force."""
        self._where, self._openings = where, {}
        for address, shared in self._at.items():
            shared.place = where(address)
            self._list(shared)

    def hold(self, address: IPAddress, holder: Holder, sharing: Sharing, leaving: Iterable[Holder]) -> None:
        """Add a service that holds the address and would share it; `leaving` are those whom it is leaving."""
        shared = self._at.get(address)
        if shared is None:
            shared = self._at[address] = _Shared(sharing.terms, self._where(address), leaving)
            self._list(shared)
        insort(shared.names, holder)
        openings = self._of(shared)
        for port in sharing.ports - shared.ports.keys():
            shared.ports[port] = holder
            if openings is not None and shared.place is not None:
                openings.use(port, shared.place[1])

    def drop(self, address: IPAddress, holder: Holder, sharing: Sharing) -> None:
        """Remove a service that held the address on these terms and does not hold it any more."""
        shared = self._at[address]
        del shared.names[bisect_left(shared.names, holder)]
        openings = self._of(shared)
        for port in [port for port in sharing.ports if shared.ports.get(port) == holder]:
            del shared.ports[port]
            if openings is not None and shared.place is not None:
                openings.free(port, shared.place[1])
        if not shared.names:
            self._forget(address, shared)

    def leave(self, address: IPAddress, holder: Holder) -> None:
        """Note that the address is leaving this service."""
        shared = self._at.get(address)
        if shared is not None:
            insort(shared.leaving, holder)
            if len(shared.leaving) == 1:
                self._block(shared)

    def left(self, address: IPAddress, holder: Holder) -> None:
        """Note that the address has left this service."""
        shared = self._at.get(address)
        if shared is not None:
            del shared.leaving[bisect_left(shared.leaving, holder)]
            openings = self._of(shared)
            if not shared.leaving and openings is not None and shared.place is not None:
                openings.free(BLOCKED, shared.place[1])

    # -- the lists -------------------------------------------------------------------------------------------

    def _of(self, shared: _Shared) -> Openings | None:
        return self._openings[shared.place[0], shared.terms] if shared.place is not None else None

    def _list(self, shared: _Shared) -> None:
        if shared.place is None:
            return
        slot, position = shared.place
        openings = self._openings.setdefault((slot, shared.terms), Openings())
        openings.put(position)
        for port in shared.ports:
            openings.use(port, position)
        if shared.leaving:
            self._block(shared)

    def _block(self, shared: _Shared) -> None:
        openings = self._of(shared)
        if openings is not None and shared.place is not None:
            openings.use(BLOCKED, shared.place[1])

    def _forget(self, address: IPAddress, shared: _Shared) -> None:
        """Remove an address that nobody shares any more; the book has those whom it is leaving."""
        del self._at[address]
        openings = self._of(shared)
        if openings is None or shared.place is None:
            return
        if shared.leaving:
            openings.free(BLOCKED, shared.place[1])
        openings.take(shared.place[1])
        if not openings:
            del self._openings[shared.place[0], shared.terms]
