# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries in words: what the status, events and people are told."""

from __future__ import annotations

from collections.abc import Collection

from vipcast.layer2.api import OFFERED
from vipcast.membership.entries import Condition, Hold, Ownership, Reason
from vipcast.membership.types import Claim, MemberState

STATES = {
    None: MemberState.UNKNOWN,
    Condition.ALIVE: MemberState.ALIVE,
    Condition.LEAVING: MemberState.LEAVING,
    Condition.DEAD: MemberState.DEAD,
    Condition.LEFT: MemberState.DEAD,
}

REASONS: dict[int, str] = {
    Reason.VACANT: "nobody owned it",
    Reason.OWNER_DEAD: "its owner was found dead",
    Reason.OWNER_YIELDED: "its owner asked to be relieved",
    Reason.OWNER_RELEASED: "its owner gave it up",
    Reason.OWNER_NO_CANDIDATE: "its owner was no candidate any more",
    Reason.PREEMPTED: "it comes first in the order, and pre-emption is on",
    Reason.KEPT: "it is a candidate again before anybody relieved it",
    Reason.NOT_CANDIDATE: "it is no candidate any more",
    Reason.UNABLE: "it has no way to answer: no interface, or somebody else answers",
    Reason.LEAVING: "it is leaving",
    Reason.NOT_WANTED: "it is not wanted any more",
    Reason.ORPHANED: "nobody tells it any more what there is",
    Reason.OFFERED: OFFERED,
    Reason.CONTESTED: "it had it before a split, and was on the larger side",
}


def reason(number: int) -> str:
    """A later program may have reasons that this one does not know."""
    return REASONS.get(number, f"for reason {number}, which this version does not know")


def claim(entry: Ownership | None) -> Claim | None:
    if entry is None or entry.hold is Hold.RELEASED:
        return None
    yielding = entry.hold is Hold.YIELDING
    return Claim(entry.term, entry.owner, yielding, entry.since / 1000, reason(entry.reason))


def move(old: Claim | None, entry: Ownership) -> str:
    """Return why an owner came, changed or went."""
    words = reason(entry.reason)
    if old is None or old.owner == entry.owner:
        return f"{entry.owner}: {words}"
    if entry.reason is Reason.OWNER_DEAD:
        return f"{entry.owner} took it from {old.owner}, which it did not hear"
    return f"{entry.owner} after {old.owner}: {words}"


def member(condition: Condition | None, known: bool, voters: Collection[str]) -> str:
    """Return why a member is what it is. ``known``: it was heard of before."""
    if condition is Condition.DEAD:
        return f"not heard by {', '.join(sorted(voters))}" if voters else "not heard"
    if condition is Condition.LEFT:
        return "it has left"
    if condition is Condition.LEAVING:
        return "it is leaving"
    return "back" if known else "new"
