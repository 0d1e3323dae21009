# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses that services of one sharing key have in one pool, and which ports are used on them.

    addresses      10  11  12  13  14  15        in the pool's order
    use 80/TCP     10  11  12      14            each a part of the addresses
    use 443/TCP    10  11      13

Whoever asks with 80 and 443 may join 15. As long as the two lists agree from some place on, every address of
that piece uses the port; where they agree no more is found by halving. So neither a thousand addresses nor a
thousand services are looked at one by one.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection

from .free_addresses import Position

__all__ = ["BLOCKED", "LOOKS", "Openings", "Port"]

Port = tuple[str, int]  # (protocol, port)
# Used on an address that is leaving somebody: nobody joins there.
BLOCKED: Port = ("", 0)
# Where ports are used in turns (80 here, 443 there), a service with both goes from one to the next: so often
# at most. Then it is as if none were open.
LOOKS = 256


class Openings:
    """The addresses of one key, as positions in the order of the pool."""

    def __init__(self) -> None:
        self._members: list[Position] = []
        self._used: dict[Port, list[Position]] = {}

    def __bool__(self) -> bool:
        """Tell whether there is any address."""
        return bool(self._members)

    def put(self, position: Position) -> None:
        """An address is of this key now."""
        insort(self._members, position)

    def take(self, position: Position) -> None:
        """An address is of this key no more; no port is used on it."""
        _drop(self._members, position)

    def use(self, port: Port, position: Position) -> None:
        """A port is used on one of the addresses."""
        insort(self._used.setdefault(port, []), position)

    def free(self, port: Port, position: Position) -> None:
        """A port is used there no more."""
        used = self._used[port]
        _drop(used, position)
        if not used:
            del self._used[port]

    def first(self, ports: Collection[Port]) -> Position | None:
        """Return the first address on which none of these ports is used, or None."""
        place = 0
        for _look in range(LOOKS):
            if place >= len(self._members):
                return None
            following = max(self._gap(port, place) for port in (BLOCKED, *ports))
            if following == place:
                return self._members[place]
            place = following
        return None

    def _gap(self, port: Port, place: int) -> int:
        """Return the place of the first address from `place` on that does not use the port."""
        used = self._used.get(port, ())
        at = bisect_left(used, self._members[place])
        low, high = 0, min(len(self._members) - place, len(used) - at)
        while low < high:
            middle = (low + high) // 2
            if self._members[place + middle] == used[at + middle]:
                low = middle + 1
            else:
                high = middle
        return place + low


def _drop(sorted_list: list[Position], position: Position) -> None:
    del sorted_list[bisect_left(sorted_list, position)]
