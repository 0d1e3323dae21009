# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scheduling of the process, by CAP_SYS_NICE, so that a busy node delays no packet."""

from __future__ import annotations

import gc
import os

__all__ = ["freeze_gc", "set_realtime_priority"]

# Above ordinary programs, below the kernel's own threads.
_PRIORITY = 10
_NICENESS = -20


def set_realtime_priority() -> str:
    """Ask for the most that there is; what we got: realtime, high or ordinary."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(_PRIORITY))
    except OSError:  # not allowed, or a kernel that has none for control groups
        return _set_nice()
    return "realtime"


def _set_nice() -> str:
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    except OSError:
        return "ordinary"
    return "high"


def freeze_gc() -> None:
    """Move all live objects out of the garbage collector's sight, so that its pauses are short."""
    gc.collect()
    gc.freeze()
