# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""While an heir takes over: what it was given must not change any more, and it may fail."""

from __future__ import annotations

from dataclasses import dataclass

from vipcast.punctual.channel import Channel

__all__ = ["Freeze"]

# An heir that has been given everything says that it goes on within this time, or we do.
FROZEN_SECONDS = 2.0


@dataclass(slots=True)
class Freeze:
    """``heir``: who has been given everything, ``until``: when we give it up."""

    heir: Channel | None = None
    until: float | None = None

    def begin(self, heir: Channel, now: float) -> None:
        self.heir, self.until = heir, now + FROZEN_SECONDS

    def over(self, now: float) -> bool:
        return self.until is not None and now >= self.until
