# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for an answer of something that goes on by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any


async def eventually(question: Callable[[], Awaitable[Any]], seconds: float = 60) -> Any:
    """Return the first answer that is true. Whoever is not there yet is asked again."""
    end = time.monotonic() + seconds
    while not (answer := await _quietly(question)):
        assert time.monotonic() < end, f"not in time; the last answer was {answer!r}"
        await asyncio.sleep(0.1)
    return answer


async def _quietly(question: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await question()
    except (OSError, ValueError):  # not listening yet, or no service yet
        return None
