# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the pools that are announced at layer 2 are free: a segment has other users.

**PRIVATE** to the collection.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from .._declared import pool_ranges
from .expectations import Data, pool_of

# After so many addresses of a pool the picture is clear.
MOST_NAMED = 5


def unused_addresses(declared: Data, cluster: Data, limit: int) -> list[str]:
    """The first addresses of each range that is announced at layer 2, without those that services have.

    `limit`: so many of each range, at most; one of IPv6 has no end.
    """
    taken = {address for service in cluster["services"] for address in service["addresses"]}
    named = {name for one in declared.get("l2_advertisements", ()) for name in one["pools"]}
    found: list[str] = []
    for pool in (one for one in declared["pools"] if one["name"] in named):
        for addresses in pool_ranges(pool):
            found += itertools.islice((text for text in map(str, addresses) if text not in taken), limit)
    return found


def in_use(declared: Data, results: Sequence[Data]) -> list[str]:
    """A sentence for each address of a pool that somebody answers for.

    `results`: of neighbor_probe as a loop over hosts registered, with the host as `item`.
    """
    found: dict[str, dict[str, str]] = {}
    for result in results:
        for one in result.get("neighbors") or ():
            pool = pool_of(declared, one["address"])
            if pool and one["answers"]:
                macs = " and ".join(answer["mac"] for answer in one["answers"])
                text = f"{one['address']} of pool {pool['name']} is in use by {macs} on the segment"
                found.setdefault(pool["name"], {}).setdefault(one["address"], f"{text} of {result['item']}")
    return [text for name, texts in found.items() for text in _shortened(name, list(texts.values()))]


def _shortened(name: str, texts: Sequence[str]) -> list[str]:
    left = len(texts) - MOST_NAMED
    rest = [f"{left} more addresses of pool {name} are in use"] if left > 0 else []
    return [*texts[:MOST_NAMED], *rest]


def not_asked(results: Sequence[Data]) -> list[str]:
    """Why a host could not ask; one that is not on the segment is none."""
    return [
        f"host {result['item']} could not ask the segment whether the pools are free: {_why(result)}"
        for result in results
        if "neighbors" not in result
    ]


def _why(result: Data) -> str:
    return str(result.get("msg") or "it cannot be reached").strip()
