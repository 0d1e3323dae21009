# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Membership of nodes, failure detection and ownership of addresses (docs/design/0017-layer2.md). No I/O.

Reading order: ``types``, ``entries`` and ``replicated_state`` (what all agree on), ``packet``, ``peer_link``
and
``gossip`` (how they tell each other), ``topology``, ``reach``, ``flap_damping`` and ``failure_detector`` (who
hears whom, who is dead), ``claim_manager`` (who takes an address), ``unable`` and ``balance`` (who cannot,
and who has more than others), ``membership`` (all of it).
"""

from vipcast.membership.membership import Membership
from vipcast.membership.types import (
    PROFILES,
    AddressDoubted,
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
    "AddressDoubted",
    "Claim",
    "ClaimChanged",
    "Drop",
    "Endpoint",
    "Event",
    "Member",
    "MemberChanged",
    "MemberState",
    "Membership",
    "Profile",
]
