# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of all kinds, to draw from; few names and numbers, so that they meet."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import strategies as st

from vipcast.members.entries import Condition, Hold, Key, Kind, Node, Ownership, Reason, Value, Votes

NAMES = st.sampled_from(["a", "b", "node-3", "büro"])
NUMBERS = st.integers(0, 3)
ADDRESSES = st.one_of(
    st.integers(0, 3).map(lambda number: IPv4Address(0xC0000200 + number)),
    st.integers(0, 3).map(lambda number: IPv6Address((0x20010DB8 << 96) + number)),
)

nodes = st.builds(Node, NUMBERS, st.sampled_from(Condition))
votes = st.builds(
    Votes,
    NUMBERS,
    NUMBERS,
    st.dictionaries(NAMES, NUMBERS, max_size=3).map(lambda found: tuple(sorted(found.items()))),
)
ownerships = st.builds(
    Ownership,
    st.integers(1, 3),
    NAMES,
    st.sampled_from(Hold),
    st.sampled_from(Reason),
    st.integers(0, 2),
    st.integers(0, 1),
)

entries: st.SearchStrategy[tuple[Key, Value]] = st.one_of(
    st.tuples(st.tuples(st.just(Kind.NODE), NAMES), nodes),
    st.tuples(st.tuples(st.just(Kind.VOTES), NAMES), votes),
    st.tuples(st.tuples(st.just(Kind.CLAIM), ADDRESSES), ownerships),
)
