# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter near_misses: a variable that is misspelt, and one that is somebody else's."""

from __future__ import annotations

import pytest
from ansible_collections.vipcast.baremetal.plugins.filter.near_misses import FilterModule, near_misses

KNOWN = ["router_install", "router_packages", "vipcast_pools", "vipcast_peers"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("vipcast_pool", "vipcast_pools"),
        ("vipcast_peer", "vipcast_peers"),
        ("router_instal", "router_install"),
        ("router_package", "router_packages"),
    ],
)
def test_a_name_that_looks_like_a_known_one_is_told_with_it(name: str, nearest: str) -> None:
    assert near_misses([name], KNOWN) == [{"name": name, "nearest": nearest}]


def test_a_known_name_and_one_of_somebody_else_are_not() -> None:
    assert near_misses([*KNOWN, "router_hostname", "ansible_host", "vlans"], KNOWN) == []
    assert near_misses([], KNOWN) == near_misses(["vipcast_pool"], []) == []


def test_a_known_name_is_none_though_another_is_close() -> None:
    assert near_misses(["vipcast_peer", "vipcast_peers"], ["vipcast_peer", "vipcast_peers"]) == []


def test_the_collection_offers_it_by_this_name() -> None:
    assert FilterModule().filters() == {"near_misses": near_misses}
