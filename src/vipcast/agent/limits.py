# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The times that an agent waits for others: clients that have gone, and a successor."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ORPHAN_SECONDS", "SUCCESSOR_SECONDS", "Limits"]

# What a client wanted counts for so long after it has gone: longer than routers keep routes for one.
ORPHAN_SECONDS = 600.0
# A successor may be starting when we are told to end.
SUCCESSOR_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the process, in seconds, and the ``priority`` that the kernel gave."""

    orphan: float
    priority: str = "ordinary"
    successor: float = SUCCESSOR_SECONDS
