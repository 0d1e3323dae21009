# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The least of what was measured lately."""

from __future__ import annotations


class WindowedMinimum:
    """0 while nothing is known."""

    def __init__(self, now: float) -> None:
        self._minimum, self._at = 0, now

    def measure(self, size: int, now: float, seconds: float, *, known: bool) -> int:
        """The least since it was measured; after ``seconds`` what is now. Not ``known``: not yet."""
        if (known and self._minimum == 0) or size <= self._minimum or now - self._at > seconds:
            self._minimum, self._at = size, now
        return self._minimum
