# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a speaker announces."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from vipcast.bgp.errors import LocalError

Prefix = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_MAX = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Route:
    """One prefix and how it is to be announced; hashable, because it is the unit of difference.

    ``local_pref`` is sent on iBGP only (RFC 4271 section 5.1.5); None means 100 there.
    ``communities`` are 32-bit values (RFC 1997). Raises LocalError for numbers that are not 32 bits.
    """

    prefix: Prefix
    local_pref: int | None = None
    communities: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        """Here, and not when it is sent: whoever made the route can say where the number came from."""
        if self.local_pref is not None and not 0 <= self.local_pref <= _MAX:
            raise LocalError(f"{self.prefix}: local preference {self.local_pref}: 0 to {_MAX} would be right")
        for community in (min(self.communities, default=0), max(self.communities, default=0)):
            if not 0 <= community <= _MAX:
                raise LocalError(f"{self.prefix}: community {community}: 0 to {_MAX} would be right")
