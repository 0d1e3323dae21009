# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An index of pools by address."""

from __future__ import annotations

from collections.abc import Iterable

from ..model.addresses import IPAddress
from ..model.intervals import Intervals
from ..model.pools import Pool

__all__ = ["PoolIndex"]


class PoolIndex:
    """Pools in force never overlap, so their entries can be sorted by the first address."""

    def __init__(self, pools: Iterable[Pool]) -> None:
        self._entries = Intervals((item, pool) for pool in pools for item in pool.ranges)

    def pool_of(self, address: IPAddress) -> Pool | None:
        """Return the pool that has the address, or None."""
        return self._entries.at(address)
