# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions of the format between members, and what writes and reads each: see docs/design/0022."""

from __future__ import annotations

from collections.abc import Callable

from vipcast.membership import entries_v1, entries_v2
from vipcast.membership.entries import Found, Key, Value
from vipcast.versions import Versions

__all__ = ["FIRST", "NEWEST", "SUPPORTED", "Versions", "codec"]

FIRST, NEWEST = 1, 2


SUPPORTED = Versions(FIRST, NEWEST)

_Codec = tuple[Callable[[Key, Value], bytes], Callable[[bytes], Found]]
_CODECS: dict[int, _Codec] = {1: (entries_v1.write, entries_v1.read), 2: (entries_v2.write, entries_v2.read)}


def codec(version: int) -> _Codec:
    """Return what writes an entry, and what reads all of a packet."""
    return _CODECS[version]
