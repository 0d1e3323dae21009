# SPDX-License-Identifier: GPL-3.0-or-later
"""Cores that are busy with something else, for a while that ends by itself."""

from __future__ import annotations

import multiprocessing
import os
import time

__all__ = ["ONE_TOO_MANY", "loaded"]

# Busy programs: one for each core, and one that they have to share them with.
ONE_TOO_MANY = (os.cpu_count() or 1) + 1


def loaded(seconds: float, programs: int) -> None:
    """Return when the seconds are over."""
    end = time.monotonic() + seconds
    burners = [multiprocessing.Process(target=_burn, args=(end,), daemon=True) for _core in range(programs)]
    for burner in burners:
        burner.start()
    for burner in burners:
        burner.join()
    time.sleep(max(0.0, end - time.monotonic()))


def _burn(until: float) -> None:
    """Busy as an ordinary program is: arithmetic, and memory that it walks through."""
    block = bytearray(1 << 20)
    while time.monotonic() < until:
        for place in range(0, len(block), 64):
            block[place] = (block[place] + 1) & 0xFF
