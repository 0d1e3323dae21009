# SPDX-License-Identifier: GPL-3.0-or-later
"""The report where the cluster does not answer: what routers have, not what they should have.

**PRIVATE** to the collection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .comparison import Difference
from .expectations import Data, prefix_order, sessions_without_cluster
from .observations import LAYERS, FoundRouter, read_routers
from .rows import hash_policies, hops_of, session_row
from .worst_case import rows as worst_cases


def without_cluster(
    declared: Data, cluster: Data, router_results: Sequence[Data]
) -> tuple[dict[str, Any], list[Difference]]:
    """Return the report and its differences: the cluster's silence, and that of routers."""
    routers = read_routers(declared, router_results)
    sessions = sessions_without_cluster(declared)
    reason = str(cluster.get("msg") or "")
    differences = [Difference("cluster", "its services and nodes", "an answer", "none", reason)]
    differences += [
        Difference(one.host, "its BGP tables", "an answer", "none", one.error) for one in routers if one.error
    ]
    report = {
        "ok": False,
        "sessions": [session_row(one, routers) for one in sessions],
        "routes": [row for router in routers for row in _routes(router)],
        "owners": [],
        "failures": worst_cases(routers, {one.address: one.node for one in sessions}),
        "hash_policy": hash_policies(routers),
        "probes": [],
        "differences": [one.as_dict() for one in differences],
        "notes": ["the cluster does not answer: nothing is known of what should be there"],
    }
    return report, differences


def _routes(router: FoundRouter) -> list[dict[str, Any]]:
    """Return the routes inside the pools that the router has."""
    return [
        {
            "router": router.host,
            "prefix": prefix,
            "services": [],
            "expected": None,
            "without": {},
            **{layer: hops_of(router.routes[prefix], layer) for layer in LAYERS},
            "weights": dict(router.routes[prefix].weights),
        }
        for prefix in sorted(router.routes, key=prefix_order)
    ]
