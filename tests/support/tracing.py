# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts work instead of time: how many lines of Python something runs, on whatever machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["lines"]


def lines(action: Callable[[], object]) -> int:
    """Return how many lines of Python `action` runs."""
    count = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return count
