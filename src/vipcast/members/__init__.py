# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes are there, and which of them owns an address (docs/design/0017-layer2.md). No I/O.

Reading order: ``words``, ``entries`` and ``shared`` (what all agree on), ``packet`` and ``link`` (how they
tell each other), ``graph`` and ``watch`` (who watches whom, who is dead), ``owning`` (who takes an address),
``members`` (all of it).
"""

from vipcast.members.members import Members
from vipcast.members.words import (
    PROFILES,
    Claim,
    ClaimChanged,
    Drop,
    Endpoint,
    Event,
    Member,
    MemberChanged,
    MemberState,
    Profile,
)

__all__ = [
    "PROFILES",
    "Claim",
    "ClaimChanged",
    "Drop",
    "Endpoint",
    "Event",
    "Member",
    "MemberChanged",
    "MemberState",
    "Members",
    "Profile",
]
