# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vipcast.ipam.pending import PendingServices
from vipcast.model.addresses import parse_address

ONE, TWO = parse_address("10.0.0.1"), parse_address("10.0.0.2")


def test_the_first_of_a_line_that_can_not_be_served_spares_the_others_the_try() -> None:
    waiting, tried = PendingServices(), []
    for number in range(100):
        waiting.add((f"{number:03}", ("d", f"s{number}")), "anything", ())
    waiting.serve([ONE], lambda holder: bool(tried.append(holder)))
    assert tried == [("d", "s0")]
    assert len(waiting) == 100


def test_who_asks_for_an_address_tries_when_that_one_is_freed_and_not_before() -> None:
    waiting, tried = PendingServices(), []
    waiting.add(("1", ("d", "one")), "one", (ONE,))
    waiting.add(("2", ("d", "two")), "two", (TWO,))
    waiting.serve([TWO], lambda holder: not tried.append(holder))
    assert tried == [("d", "two")]
    assert len(waiting) == 1


def test_a_service_that_changes_its_wish_leaves_its_old_line() -> None:
    waiting, tried = PendingServices(), []
    waiting.add(("1", ("d", "a")), "old", ())
    waiting.add(("1", ("d", "a")), "new", ())
    waiting.serve([ONE], lambda holder: not tried.append(holder))
    assert tried == [("d", "a")]
    assert len(waiting) == 0


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "add", "remove", "serve"]),
        st.integers(0, 9),
        st.sampled_from("xyz"),
        st.dictionaries(st.sampled_from("xyz"), st.integers(0, 2)),
    ),
    max_size=40,
)


@given(STEPS)
def test_lines_serve_as_if_everybody_had_tried_in_order_of_age(
    steps: list[tuple[str, int, str, dict[str, int]]],
) -> None:
    waiting, naive = PendingServices(), {}
    for what, number, line, room in steps:
        holder, age = ("d", str(number)), (str(number), ("d", str(number)))
        if what == "add":
            waiting.add(age, line, ())
            naive[holder] = line
        elif what == "remove":
            waiting.remove(holder)
            naive.pop(holder, None)
        else:
            _serve_both(waiting, naive, room)
        assert len(waiting) == len(naive)


def _serve_both(waiting: PendingServices, naive: dict[tuple[str, str], str], room: dict[str, int]) -> None:
    """`room` says how many of each line can be served."""
    left, served = dict(room), []

    def try_it(holder: tuple[str, str]) -> bool:
        line = naive[holder]
        if not left.get(line):
            return False
        left[line] -= 1
        served.append(holder)
        return True

    waiting.serve([ONE], try_it)
    expected, left = [], dict(room)
    for holder in sorted(naive):
        if left.get(naive[holder]):
            left[naive[holder]] -= 1
            expected.append(holder)
    assert served == expected
    for holder in served:
        del naive[holder]
