# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a speaker announces."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Prefix = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Route:
    """One prefix and how it is to be announced; hashable, because it is the unit of difference.

    ``local_pref`` is sent on iBGP only (RFC 4271 section 5.1.5); None means 100 there.
    ``communities`` are 32-bit values (RFC 1997).
    """

    prefix: Prefix
    local_pref: int | None = None
    communities: frozenset[int] = frozenset()
