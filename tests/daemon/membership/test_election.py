# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of the candidates is MetalLB's: sha256 of node#address, ascending."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipcast import election

names = st.text("abcdefghij-0123456789", min_size=1, max_size=12)
LETTERS, NUMBERS = ("node-a", "node-b", "node-c"), ("node1", "node2", "node3")
EDGE = ("edge-a", "edge-b", "worker-a", "worker-b")
KIND = ("kind-worker", "kind-worker2", "kind-control-plane")

# As MetalLB orders them.
VECTORS = [
    (LETTERS, "10.0.0.1", ("node-b", "node-a", "node-c")),
    (LETTERS, "10.0.0.2", ("node-b", "node-c", "node-a")),
    (("iris1", "iris2"), "10.20.30.1", ("iris2", "iris1")),
    (("iris1", "iris2"), "10.20.30.2", ("iris1", "iris2")),
    (("iris1", "iris2"), "1000::1", ("iris1", "iris2")),
    (EDGE, "10.20.30.1", ("edge-b", "worker-a", "edge-a", "worker-b")),
    (NUMBERS, "192.168.1.240", ("node3", "node1", "node2")),
    (NUMBERS, "192.168.1.241", ("node1", "node3", "node2")),
    (NUMBERS, "192.168.1.250", ("node1", "node2", "node3")),
    (LETTERS, "2001:db8::10", ("node-b", "node-a", "node-c")),
    (NUMBERS, "fc00:f853:ccd:e799::1", ("node2", "node3", "node1")),
    (KIND, "192.168.10.0", ("kind-worker2", "kind-worker", "kind-control-plane")),
]


@pytest.mark.parametrize(("nodes", "address", "expected"), VECTORS)
def test_the_order_is_metallbs(nodes: tuple[str, ...], address: str, expected: tuple[str, ...]) -> None:
    assert tuple(election.order(address, nodes)) == expected
    by_hand = sorted(nodes, key=lambda node: hashlib.sha256(f"{node}#{address}".encode()).hexdigest())
    assert by_hand == list(expected)


def test_preferred_nodes_come_first_and_among_them_the_hash_decides() -> None:
    preference = {"node-c": 5, "node-a": 5, "stranger": 100}
    assert election.order("10.0.0.1", LETTERS, preference) == ["node-a", "node-c", "node-b"]


def test_addresses_are_spread_over_the_nodes() -> None:
    firsts = Counter(election.order(f"10.0.0.{number}", LETTERS)[0] for number in range(256))
    assert min(firsts.values()) > 60


@given(st.sets(names, min_size=1, max_size=8), st.sets(names, max_size=4), st.sets(names, max_size=4))
def test_the_rank_is_the_place_in_the_order_of_those_present(
    nodes: set[str], preferred: set[str], gone: set[str]
) -> None:
    electorate = ((7, frozenset(nodes & preferred)), (0, frozenset(nodes - preferred)))
    order = election.order("192.0.2.1", nodes, dict.fromkeys(preferred, 7))
    for node in nodes:
        present = [other for other in order if other == node or other not in gone]
        rank = election.rank("192.0.2.1", electorate, node, lambda other: other not in gone)
        assert rank == present.index(node)
    assert election.rank("192.0.2.1", electorate, "nobody", lambda _other: True) is None


@given(st.sets(names, min_size=2, max_size=8), names)
def test_who_goes_moves_nobody_elses_addresses(nodes: set[str], key: str) -> None:
    order = election.order(key, nodes)
    for gone in nodes:
        assert election.order(key, nodes - {gone}) == [node for node in order if node != gone]
