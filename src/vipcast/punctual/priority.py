# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""By CAP_SYS_NICE, so that a busy node delays no packet."""

from __future__ import annotations

import gc
import os

__all__ = ["freeze", "hurry"]

# Above ordinary programs, below the kernel's own threads.
_PRIORITY = 10
_NICENESS = -20


def hurry() -> str:
    """Ask for the most that there is; what we got: realtime, high or ordinary."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(_PRIORITY))
    except OSError:  # not allowed, or a kernel that has none for control groups
        return _hurry_less()
    return "realtime"


def _hurry_less() -> str:
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    except OSError:
        return "ordinary"
    return "high"


def freeze() -> None:
    """What is there now stays: the collector never has to look at it again, and its pauses are short."""
    gc.collect()
    gc.freeze()
