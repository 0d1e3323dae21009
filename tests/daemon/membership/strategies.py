# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of all kinds, to draw from; few names and numbers, so that they meet."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import strategies as st

from vipcast.membership.entries import (
    Condition,
    Hold,
    Key,
    Kind,
    Node,
    Offers,
    Opaque,
    Ownership,
    Reason,
    Unable,
    Value,
    Votes,
)

NAMES = st.sampled_from(["a", "b", "node-3", "büro"])
NUMBERS = st.integers(0, 3)
ADDRESSES = st.one_of(
    st.integers(0, 3).map(lambda number: IPv4Address(0xC0000200 + number)),
    st.integers(0, 3).map(lambda number: IPv6Address((0x20010DB8 << 96) + number)),
)

# What a later program may add.
EXTRA = st.sampled_from([b"", b"", b"", b"\0", b"more"])
KINDS = st.sampled_from([6, 7, 127])

nodes = st.builds(Node, NUMBERS, st.sampled_from(Condition), EXTRA)
votes = st.builds(
    Votes,
    NUMBERS,
    NUMBERS,
    st.dictionaries(NAMES, NUMBERS, max_size=3).map(lambda found: tuple(sorted(found.items()))),
    st.dictionaries(NAMES, st.integers(0, 1), max_size=3).map(lambda found: tuple(sorted(found.items()))),
    EXTRA,
)
ownerships = st.builds(
    Ownership,
    st.integers(1, 3),
    NAMES,
    st.sampled_from(Hold),
    st.sampled_from([*Reason, 12, 200]),
    st.integers(0, 2),
    st.integers(0, 1),
    EXTRA,
)

PACKED = ADDRESSES.map(lambda address: address.packed)
unables = st.builds(
    Unable, NUMBERS, st.lists(NUMBERS, max_size=2).map(tuple), st.lists(PACKED, max_size=2).map(tuple), EXTRA
)
offers = st.builds(Offers, NUMBERS, st.lists(st.tuples(PACKED, NAMES), max_size=2).map(tuple), EXTRA)

entries: st.SearchStrategy[tuple[Key, Value]] = st.one_of(
    st.tuples(st.tuples(st.just(Kind.NODE), NAMES), nodes),
    st.tuples(st.tuples(st.just(Kind.VOTES), NAMES), votes),
    st.tuples(st.tuples(st.just(Kind.CLAIM), ADDRESSES), ownerships),
    st.tuples(st.tuples(st.just(Kind.UNABLE), NAMES), unables),
    st.tuples(st.tuples(st.just(Kind.OFFERS), NAMES), offers),
    st.tuples(st.tuples(KINDS, st.one_of(NAMES, ADDRESSES)), st.binary(max_size=3).map(Opaque)),
)
