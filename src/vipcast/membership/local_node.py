# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of this node that all parts of a membership share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vipcast.membership.types import Profile


@dataclass(slots=True)
class LocalNode:
    """Written by `vipcast.membership.membership` alone.

    ``keys``: the first one signs, each is believed; without one nothing is sent. ``deaf``: nothing at all is
    heard, so that nothing is known of the others.
    """

    name: str
    profile: Profile
    keys: tuple[bytes, ...] = ()
    deaf: bool = False

    def set_keys(self, keys: Sequence[bytes]) -> None:
        """Take these; an empty one is none."""
        self.keys = tuple(key for key in keys if key)
