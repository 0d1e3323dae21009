# SPDX-License-Identifier: GPL-3.0-or-later
"""Every pair of state and event, against a matrix read from RFC 5880 sections 6.8.4, 6.8.6 and 6.8.16."""

from __future__ import annotations

import itertools

import pytest

from vipcast.bfd.fsm import TABLE, BfdState, Diagnostic, Event, transition

# Columns: AdminDown, Down, Init, Up. "-": nothing changes. A figure is the diagnostic that is set.
MATRIX = """
HEARD_ADMIN_DOWN        -           -           DOWN 3      DOWN 3
HEARD_DOWN              -           INIT        -           DOWN 3
HEARD_INIT              -           UP 0        UP 0        -
HEARD_UP                -           -           UP 0        -
DETECTION_TIME_EXPIRED  -           -           DOWN 1      DOWN 1
ECHO_FAILED             -           -           -           DOWN 2
DISABLED                -           ADMIN_DOWN 7 ADMIN_DOWN 7 ADMIN_DOWN 7
ENABLED                 DOWN 0      -           -           -
"""


def expected(state: BfdState, event: Event) -> tuple[BfdState, Diagnostic | None]:
    row = next(line for line in MATRIX.splitlines() if line.startswith(event.name + " "))
    cells: list[list[str]] = []
    for word in row.split()[1:]:
        if word.isdigit():
            cells[-1].append(word)
        else:
            cells.append([word])
    cell = cells[state]
    if cell == ["-"]:
        return state, None
    return BfdState[cell[0]], Diagnostic(int(cell[1])) if len(cell) > 1 else None


@pytest.mark.parametrize(("state", "event"), list(itertools.product(BfdState, Event)))
def test_a_transition_is_the_one_of_the_rfc(state: BfdState, event: Event) -> None:
    assert transition(state, event) == expected(state, event)


def test_every_pair_is_in_the_table() -> None:
    assert TABLE.keys() == set(itertools.product(BfdState, Event))
