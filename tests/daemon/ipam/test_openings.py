# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.tracing import lines

from vipcast.ipam.openings import BLOCKED, LOOKS, Openings

PORTS = [("TCP", 80), ("TCP", 443), ("UDP", 53), BLOCKED]
World = dict[tuple[int, int], set[tuple[str, int]]]

STEPS = st.lists(
    st.tuples(st.tuples(st.integers(0, 1), st.integers(0, 6)), st.sets(st.sampled_from(PORTS))), max_size=30
)


@given(steps=STEPS, asked=st.sets(st.sampled_from(PORTS[:3])))
def test_the_first_open_address_is_that_of_a_search_through_all(
    steps: list[tuple[tuple[int, int], set[tuple[str, int]]]], asked: set[tuple[str, int]]
) -> None:
    """A step gives an address other ports, or takes it away where it has these already."""
    openings, world = Openings(), World()
    for position, ports in steps:
        before = world.pop(position, None)
        for port in before or ():
            openings.free(port, position)
        if before is not None:
            openings.take(position)
        if before != ports:
            world[position] = ports
            openings.put(position)
            for port in ports:
                openings.use(port, position)
        naive = [each for each in sorted(world) if not world[each] & {*asked, BLOCKED}]
        assert openings.first(asked) == (naive[0] if naive else None)
        assert bool(openings) is bool(world)


def in_turns(count: int) -> Openings:
    openings = Openings()
    for number in range(count):
        openings.put((0, number))
        openings.use(PORTS[number % 2], (0, number))
    return openings


def test_ports_that_are_used_in_turns_are_followed_so_far_and_no_further() -> None:
    assert in_turns(LOOKS - 2).first(PORTS[:2]) is None
    short = in_turns(LOOKS // 2)
    short.put((0, LOOKS))
    assert short.first(PORTS[:2]) == (0, LOOKS)
    few, many = in_turns(LOOKS), in_turns(8 * LOOKS)
    assert lines(lambda: many.first(PORTS[:2])) < 2 * lines(lambda: few.first(PORTS[:2]))
