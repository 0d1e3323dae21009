# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from vipcast.model.peers import keepalive_problem


@pytest.mark.parametrize(
    ("hold", "keepalive", "fine"),
    [(9, 3, True), (9, 4, False), (3, 1, True), (3, 2, False), (90, 30, True), (10, 3, True)],
)
def test_three_keepalives_fit_into_a_hold_time(hold: int, keepalive: int, fine: bool) -> None:
    why = keepalive_problem(hold, keepalive)
    assert (why is None) is fine
    assert fine or f"use {hold // 3} s or less" in str(why)
