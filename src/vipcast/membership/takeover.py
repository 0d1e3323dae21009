# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time at which a candidate takes an address, by the reason and its place in the order."""

from __future__ import annotations

from typing import NamedTuple

from vipcast.membership.entries import Ownership, Reason
from vipcast.membership.types import Profile

# Seconds. Of a new address: nobody misses it yet, and the speaker of the first candidate may be busy.
NEW_PATIENCE = 0.5
# An owner that is no candidate for us may not have heard of it yet, or may know better.
CANDIDATE_PATIENCE = 2.0
# An orphan, whose speaker has been gone for long, takes what is nobody's after all others.
ORPHAN_PATIENCE = 2.0
# An orphan is relieved after so long: where all were without a speaker, the first that has one again is not
# to take everything.
RELIEF_PATIENCE = 30.0
# With pre-emption: who is back waits until it has stayed.
PREEMPT_PATIENCE = 5.0
# Of a node that hears others, which do not hear it: they decide first.
MUTE_PATIENCE = 2.0
# Who is back, and was missed: others that are back too are heard first.
BACK_PATIENCE = 0.05


class Standing(NamedTuple):
    """The standing of this node. ``stable_since``: since when it may claim without a break.

    ``unheard``: others are heard, and do not hear us. ``orphaned``: nobody has said anything for long.
    """

    stable_since: float
    unheard: bool
    orphaned: bool


class Case(NamedTuple):
    """An address to be taken. ``since``: when the reason was first seen. ``claim``: of whoever had it.

    ``owner_unknown``: nothing was heard of that one itself yet.
    """

    reason: Reason
    since: float
    claim: Ownership | None
    owner_unknown: bool


def takeover_time(case: Case, place: int, standing: Standing, profile: Profile) -> float | None:
    """Return when this node takes the address, if no other one has; None for never."""
    if case.reason is Reason.PREEMPTED and place > 0:
        return None
    at = case.since + place * profile.grace
    at += MUTE_PATIENCE if standing.unheard else 0.0
    at += ORPHAN_PATIENCE if standing.orphaned else 0.0
    orphan = case.claim is not None and case.claim.reason == Reason.ORPHANED
    if case.reason is Reason.OWNER_YIELDED and orphan:
        at += RELIEF_PATIENCE
    if case.reason is Reason.VACANT and place > 0:
        at += NEW_PATIENCE
    if case.claim is not None:
        # A claim may come before its owner's own entry.
        at += 2 * profile.dead_after if case.owner_unknown else 0.0
        at = max(at, standing.stable_since + BACK_PATIENCE)
    if case.reason is Reason.OWNER_NO_CANDIDATE:
        return at + CANDIDATE_PATIENCE
    return max(at, standing.stable_since + PREEMPT_PATIENCE) if case.reason is Reason.PREEMPTED else at
