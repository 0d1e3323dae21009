# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses that a node cannot answer for, in few words: in classes as far as it goes, and single ones.

A class is all addresses of a family that are wanted on the same interfaces: where a node has none of these,
it cannot answer for any of the class. Who is unable is not waited for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from zlib import crc32

from vipcast.election import AddressWant
from vipcast.membership.entries import MAX_UNABLE, Kind, Unable
from vipcast.membership.local_node import LocalNode
from vipcast.membership.replicated_state import ReplicatedState
from vipcast.model.addresses import IPAddress


class UnableAddresses:
    """The addresses that this node cannot answer for, and those that it could not until a moment ago."""

    def __init__(self, local: LocalNode, state: ReplicatedState) -> None:
        self._local, self._state = local, state
        self._addresses: frozenset[IPAddress] = frozenset()
        self._listens: dict[IPAddress, float] = {}

    def __contains__(self, address: IPAddress) -> bool:
        return address in self._addresses

    def __bool__(self) -> bool:
        return bool(self._addresses)

    def set(self, addresses: Collection[IPAddress], now: float) -> frozenset[IPAddress]:
        """Set the whole; return what has changed. Who can again listens first: others may own it by now."""
        before, self._addresses = self._addresses, frozenset(addresses)
        self._listens = {address: at for address, at in self._listens.items() if at > now}
        again = dict.fromkeys(before - self._addresses, now + self._local.profile.dead_after)
        self._listens |= again
        return before ^ self._addresses

    def listens_until(self, address: IPAddress) -> float | None:
        """Return the time before which the address is not taken, or None."""
        return self._listens.get(address)

    def say(self, wants: Mapping[IPAddress, AddressWant]) -> None:
        """Tell the others: they do not wait for us then."""
        classes, addresses = summary(self._addresses, wants)
        known = self._state.entries.get((Kind.UNABLE, self._local.name))
        said = known if isinstance(known, Unable) else None
        if (said.classes, said.addresses) != (classes, addresses) if said else bool(classes or addresses):
            version = said.version + 1 if said else 0
            self._state.merge((Kind.UNABLE, self._local.name), Unable(version, classes, addresses))


def class_of(address: IPAddress, want: AddressWant) -> int:
    """Return the class's number: of the family and the names of the interfaces."""
    names = "*" if want.interfaces is None else ",".join(sorted(want.interfaces))
    return crc32(f"{address.version} {names}".encode())


def summary(
    unable: Collection[IPAddress], wants: Mapping[IPAddress, AddressWant]
) -> tuple[tuple[int, ...], tuple[bytes, ...]]:
    """Return whole classes, and single addresses; what there is no room for is not said, and waited for."""
    if not unable:
        return (), ()
    classes = {address: class_of(address, want) for address, want in wants.items()}
    able = Counter(number for address, number in classes.items() if address not in unable)
    known = [address for address in unable if address in classes]
    whole = {classes[address] for address in known if not able[classes[address]]}
    single = sorted(address.packed for address in known if classes[address] not in whole)
    return tuple(sorted(whole)[:MAX_UNABLE]), tuple(single[:MAX_UNABLE])
