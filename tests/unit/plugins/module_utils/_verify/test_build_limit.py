# SPDX-License-Identifier: GPL-3.0-or-later
"""A router's build has an upper bound for the next hops of a route: so many of the nodes are enough."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.report import verification

from .situation import ALL, cluster, declared, route, router, service


def differences(limit: int | None, hops: list[str]) -> list[str]:
    """Return what differs on a router with this limit, whose route has these next hops in each layer."""
    values: dict[str, Any] = {} if limit is None else {"maximum_paths_limit": limit}
    seen = route(bgp=hops, known=list(ALL))
    found = verification(declared(), cluster(service()), [router(seen, **values)], [])
    return [one["what"] for one in found["differences"]]


@pytest.mark.parametrize(
    ("limit", "number", "expected"), [(2, 2, 0), (2, 1, 2), (3, 2, 1), (3, 3, 0), (16, 2, 1), (None, 2, 1)]
)
def test_as_many_next_hops_as_the_build_has_are_enough(limit: int | None, number: int, expected: int) -> None:
    assert len(differences(limit, list(ALL)[:number])) == expected


def test_a_node_that_a_range_waits_for_has_to_dial() -> None:
    values = {"sessions": [], "configuration": {"listen_ranges": ["10.31.8.0/28"]}}
    found = verification(declared(), cluster(), [router(**values)], [])
    reasons = {one["what"].split()[2]: one["reason"] for one in found["differences"]}

    assert reasons == dict.fromkeys(
        ALL, "the router waits for it in 10.31.8.0/28: the node's speaker has not dialled"
    )


def test_a_next_hop_of_nobody_counts_for_none() -> None:
    assert differences(2, [ALL[0], "10.31.8.99"]) != []
