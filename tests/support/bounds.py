# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds for loops that have to end by themselves, and go on for ever where what is tested is wrong."""

from __future__ import annotations

from collections.abc import Callable


def at_most(turns: int = 100_000) -> Callable[[], bool]:
    """Return the first condition of a loop: ``more = at_most(100)``, ``while more() and ...``.

    It is true so many times; then it raises AssertionError, which says where the loop is.
    """
    left = iter(range(turns))

    def more() -> bool:
        assert next(left, None) is not None, f"the loop has not ended after {turns} turns"
        return True

    return more
