# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The members and claims as they were told to the caller, and the events that tell it what has changed."""

from __future__ import annotations

from collections.abc import Iterable

from vipcast.membership import descriptions
from vipcast.membership.entries import Key, Kind
from vipcast.membership.replicated_state import ReplicatedState
from vipcast.membership.types import (
    AddressDoubted,
    Claim,
    ClaimChanged,
    Event,
    Member,
    MemberChanged,
    MemberState,
)
from vipcast.model.addresses import IPAddress


class EventLog:
    """``claims``: to every address that has an owner. ``members``: of each that was ever heard of."""

    def __init__(self, state: ReplicatedState) -> None:
        self.claims: dict[IPAddress, Claim] = {}
        self.members: dict[str, Member] = {}
        self._state = state
        self._moved: dict[IPAddress, None] = {}
        self._events: list[Event] = []

    def doubt(self, address: IPAddress) -> None:
        """Report an address of ours that a member that was not heard has had until now."""
        self._events.append(AddressDoubted(address))

    def condition_changed(self, name: str, now: float) -> bool:
        """Look at a member again; return whether it is in another state than was told."""
        condition = self._state.condition(name)
        state, known = descriptions.STATES[condition], self.members.get(name, Member())
        if state is known.state:
            return False
        met = known.state is not MemberState.UNKNOWN
        why = descriptions.member(condition, met, self._state.reach - {name})
        self.members[name] = Member(state, now, why=why)
        self._events.append(MemberChanged(name, known.state, state, why))
        return True

    def claim_changed(self, address: IPAddress) -> None:
        """Note that a claim is another one; `tell_moves` says what came of it in the end."""
        self._moved[address] = None

    def tell_moves(self) -> None:
        """Tell once for all that happened at one moment."""
        moved, self._moved = self._moved, {}
        for address in moved:
            entry, old = self._state.claim(address), self.claims.pop(address, None)
            new = descriptions.claim(entry)
            if new is not None:
                self.claims[address] = new
            if entry is not None and _seen(old) != _seen(new):
                self._events.append(ClaimChanged(address, old, new, descriptions.move(old, entry)))

    def forget(self, keys: Iterable[Key]) -> None:
        """Forget what the map has forgotten: names come and go for as long as we run."""
        for kind, subject in keys:
            if isinstance(subject, str):
                if kind == Kind.NODE:
                    self.members.pop(subject, None)
            elif kind == Kind.CLAIM:
                self.claims.pop(subject, None)

    def take(self) -> list[Event]:
        """Return the events since the last time."""
        taken, self._events = self._events, []
        return taken


def _seen(claim: Claim | None) -> tuple[str, bool] | None:
    return None if claim is None else (claim.owner, claim.yielding)
