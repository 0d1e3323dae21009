# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Membership of nodes, failure detection and ownership of addresses (docs/design/0017-layer2.md). No I/O.

Reading order: ``types``, ``local_node``, ``entries`` and ``replicated_state`` (what all agree on),
``packet``, ``entries_v1``, ``entries_v2``, ``versions`` (octets), ``peer_link`` and ``gossip`` (how they tell
each other), ``topology``, ``reach``, ``flap_damping`` and ``failure_detector`` (who hears whom, who is dead),
``claim_manager`` and ``takeover`` (who takes an address, and when), ``unable`` and ``balance`` (who cannot,
and who has more than others), ``readiness`` and ``departure`` (the start and the end), ``event_log`` (what
callers are told), ``membership`` (all of it).

Each part gets what it needs by its constructor, and calls back by what it was given there; no part changes
another one's attributes.
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
