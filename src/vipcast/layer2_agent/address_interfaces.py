# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interfaces on which an address belongs: those whose network it is in, or all where it is in none."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set

from vipcast.model.addresses import IPAddress
from vipcast.net.interface_networks import Network

__all__ = ["AddressInterfaces"]


class AddressInterfaces:
    """``networks``: of each interface that may be used, with a carrier or without; ``used``: those with one.

    So an address whose network's interface has lost its cable is at home there all the same, and a node that
    has another interface cannot answer for it.
    """

    def __init__(self, networks: Mapping[str, frozenset[Network]], used: Collection[str]) -> None:
        self._networks, self._used = dict(networks), frozenset(used)
        # As numbers, since thousands of addresses are looked up; the longest prefix first.
        self._rows: dict[int, list[tuple[int, int, frozenset[str]]]] = {4: [], 6: []}
        every = {each for some in networks.values() for each in some}
        for network in sorted(every, key=lambda network: -network.prefixlen):
            names = frozenset(name for name, some in networks.items() if network in some)
            row = int(network.network_address), int(network.netmask), names
            self._rows[network.version].append(row)
        self._same: dict[frozenset[str], frozenset[str]] = {}  # one object for all addresses
        self._known: dict[tuple[IPAddress, Set[str] | None], frozenset[str]] = {}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AddressInterfaces):
            return NotImplemented
        return (self._networks, self._used) == (other._networks, other._used)

    __hash__ = None  # type: ignore[assignment]

    def of(self, address: IPAddress, interfaces: Set[str] | None) -> frozenset[str]:
        """``interfaces``: the names of those that may be, None for all. The longest prefix counts."""
        key = address, interfaces
        found = self._known.get(key)
        if found is None:
            names = self._find(address, interfaces) & self._used
            found = self._known[key] = self._same.setdefault(names, names)
        return found

    def _find(self, address: IPAddress, interfaces: Set[str] | None) -> frozenset[str]:
        number = int(address)
        for first, mask, names in self._rows[address.version]:
            if number & mask == first and (found := names if interfaces is None else names & interfaces):
                return found
        return frozenset(self._networks if interfaces is None else self._networks.keys() & interfaces)
