# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes that a speaker announces."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from vipcast.bgp.errors import LocalError
from vipcast.bgp.wire import Prefix, encode_prefix

__all__ = ["GRACEFUL_SHUTDOWN", "MAX_PREPEND", "LargeCommunity", "Prefix", "Route"]

GRACEFUL_SHUTDOWN = 0xFFFF0000  # RFC 8326 section 5: 65535:0

LargeCommunity = tuple[int, int, int]

MAX_PREPEND = 10
_MAX = 0xFFFFFFFF
# The link bandwidth community carries an IEEE single.
_MAX_BANDWIDTH = struct.unpack(">f", b"\x7f\x7f\xff\xff")[0]


@dataclass(frozen=True, slots=True)
class Route:
    """One prefix and how it is to be announced; hashable, because it is the unit of difference.

    ``local_pref`` is sent on iBGP only (RFC 4271 section 5.1.5); None means 100 there.
    ``communities`` are 32-bit values (RFC 1997), ``large_communities`` three of them each (RFC 8092).
    ``med``: MULTI_EXIT_DISC (section 5.1.4), None: not sent. ``prepend``: how many times more than once our
    AS stands in the path, on eBGP only.
    ``bandwidth`` is in octets per second (draft-ietf-idr-link-bandwidth); None: no such community.
    Raises LocalError for numbers that do not fit.
    ``key`` is the prefix in octets, the IP version before it: to hash and compare it is much cheaper.
    """

    prefix: Prefix = field(compare=False)
    local_pref: int | None = None
    communities: frozenset[int] = frozenset()
    large_communities: frozenset[LargeCommunity] = frozenset()
    bandwidth: float | None = None
    med: int | None = None
    prepend: int = 0
    key: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Here, and not when it is sent: whoever made the route can say where the number came from."""
        object.__setattr__(self, "key", bytes((self.prefix.version,)) + encode_prefix(self.prefix))
        if self.local_pref is not None and not 0 <= self.local_pref <= _MAX:
            raise LocalError(f"{self.prefix}: local preference {self.local_pref}: 0 to {_MAX} would be right")
        if self.med is not None and not 0 <= self.med <= _MAX:
            raise LocalError(f"{self.prefix}: MED {self.med}: 0 to {_MAX} would be right")
        if not 0 <= self.prepend <= MAX_PREPEND:
            raise LocalError(f"{self.prefix}: AS path prepended {self.prepend} times: 0 to {MAX_PREPEND}")
        for community in self.communities:
            if not 0 <= community <= _MAX:
                raise LocalError(f"{self.prefix}: community {community}: 0 to {_MAX} would be right")
        for large in self.large_communities:
            if len(large) != 3 or not all(0 <= part <= _MAX for part in large):
                words = ":".join(map(str, large))
                raise LocalError(f"{self.prefix}: large community {words}: three numbers of 0 to {_MAX}")
        if self.bandwidth is not None and not 0 <= self.bandwidth <= _MAX_BANDWIDTH:
            raise LocalError(
                f"{self.prefix}: bandwidth {self.bandwidth}: 0 to {_MAX_BANDWIDTH:.5g} octets per second"
            )
