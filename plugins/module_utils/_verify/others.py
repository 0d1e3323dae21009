# SPDX-License-Identifier: GPL-3.0-or-later
"""The pools of a cluster in which others keep them: the inventory has ranges instead of addresses.

**PRIVATE** to the collection. Advertisements choose pools by names and labels, so which of them is about an
address only the cluster's IPAddressPools say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._declaration.options import selectors
from .._declaration.outputs import pool_ranges
from .._declaration.values import Place
from ..model.addresses import AddressRange, parse_range
from ..model.selectors import any_matches

Data = Mapping[str, Any]

# Keys of the names and the selectors by which an advertisement of each kind chooses pools.
_CHOICES = {
    "advertisements": ("named_pools", "pool_selectors"),
    "l2_advertisements": ("ip_address_pools", "ip_address_pool_selectors"),
}


def with_cluster_pools(declared: Data, cluster: Data) -> Data:
    """Return a declaration in which the cluster's pools stand in the place of vipcast_pool_ranges.

    ``declared``: a declaration; one whose pools are the inventory's is returned as it is. ``cluster``: what
    cluster_services_info returned. A pool counts as far as it lies in the ranges, for routers accept no more.
    The result has ``pools_of``, the namespace in which pools were looked for.
    """
    if "pools" not in cluster or all(pool.get("managed", True) for pool in declared["pools"]):
        return declared
    ranges = [one for pool in declared["pools"] for one in pool_ranges(pool)]
    namespace = declared["namespace"]
    pools = [_inside(pool, ranges) for pool in cluster["pools"] if pool["namespace"] == namespace]
    advertisements = {
        kind: [{**one, "pools": _chosen(one, pools, *keys)} for one in declared.get(kind, ())]
        for kind, keys in _CHOICES.items()
    }
    return {**declared, **advertisements, "pools": pools, "pools_of": namespace}


def _inside(pool: Data, ranges: Sequence[AddressRange]) -> dict[str, Any]:
    """Return a pool with those of its addresses that are in the ranges."""
    shared = [_shared(one, other) for one in _readable(pool["addresses"]) for other in ranges]
    return {"name": pool["name"], "labels": pool["labels"], "addresses": [text for text in shared if text]}


def _readable(texts: Iterable[str]) -> list[AddressRange]:
    """Return ranges as numbers, without texts that are none: the load balancer refuses those, too."""
    found = []
    for text in texts:
        try:
            found.append(parse_range(text))
        except ValueError:
            continue
    return found


def _shared(one: AddressRange, other: AddressRange) -> str:
    """Return the addresses that are in both ranges as ``first-last``, or an empty text."""
    if not one.overlaps(other):
        return ""
    return f"{max(one.first, other.first)}-{min(one.last, other.last)}"


def _chosen(one: Data, pools: Sequence[Data], names: str, wanted: str) -> list[str]:
    """Return the names of the pools that an advertisement is about: all of them where it says nothing."""
    named = one.get(names) or ()
    asked = selectors(one[wanted], Place(wanted)) if one.get(wanted) else []
    if not named and not asked:
        return [pool["name"] for pool in pools]
    return [pool["name"] for pool in pools if pool["name"] in named or any_matches(asked, pool["labels"])]
