# SPDX-License-Identifier: GPL-3.0-or-later
"""What to write so that a service shows what was decided, and what to say about it.

One strategic merge patch of the status subresource does everything, the annotation too: the address, the pool
and the condition appear at once or not at all, and no right to change services as such is needed. The patch
names the resourceVersion that it was made for, so it never overwrites what it has not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vipcast.ipam import Allocation, Refusal
from vipcast.ipam.decide import Outcome
from vipcast.ipam.service import ALLOCATED_FROM, OLD_ALLOCATED_FROM, Relation, View, ingress_of
from vipcast.model.addresses import IPAddress

__all__ = ["CONDITION", "STRATEGIC_PATCH", "Change", "Note", "make_change"]

STRATEGIC_PATCH = "application/strategic-merge-patch+json"
CONDITION = "vipcast.io/AddressAllocated"

Json = Mapping[str, Any]
WhyNot = Callable[[tuple[IPAddress, ...]], Refusal | None]


@dataclass(frozen=True, slots=True)
class Note:
    """An event to be recorded when the patch went through."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """The patch, or None where the service shows already what it should."""

    patch: dict[str, Any] | None = None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class _Face:
    """The part of a service that is ours."""

    ingress: tuple[str, ...] = ()
    pool: str | None = None
    condition: tuple[str, str, str] | None = None  # status, reason, message
    odd: bool = field(default=False, compare=True)  # something else than addresses is there too


def make_change(item: Json, view: View, outcome: Outcome, why_not: WhyNot, now: str) -> Change:
    """From the object as it is to the outcome; `now` as the API writes times."""
    if outcome.relation is Relation.FOREIGN:
        return Change()
    shown, wanted = _shown(item), _wanted(outcome)
    if outcome.relation is Relation.NONE and shown.pool is None and shown.condition is None:
        return Change()  # never was ours
    if shown == wanted and OLD_ALLOCATED_FROM not in _annotations(item):
        return Change()
    return Change(_patch(item, shown, wanted, now), tuple(_notes(view, shown, wanted, outcome, why_not)))


def _annotations(item: Json) -> Mapping[str, str]:
    return item["metadata"].get("annotations") or {}


def _condition(item: Json) -> Json | None:
    conditions = (item.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each.get("type") == CONDITION), None)


def _shown(item: Json) -> _Face:
    ingress, condition = ingress_of(item), _condition(item)
    return _Face(
        ingress=tuple(entry.get("ip") or "" for entry in ingress),
        pool=_annotations(item).get(ALLOCATED_FROM),
        condition=(condition["status"], condition["reason"], condition["message"]) if condition else None,
        odd=any(entry.get("hostname") for entry in ingress),
    )


def _wanted(outcome: Outcome) -> _Face:
    result = outcome.result
    if isinstance(result, Allocation):
        message = f"{_join(result.addresses)} from pool {result.pool}"
        return _Face(
            tuple(str(address) for address in result.addresses), result.pool, ("True", "Allocated", message)
        )
    if isinstance(result, Refusal):
        return _Face(condition=("False", result.reason.value, result.message))
    return _Face()


def _join(addresses: tuple[IPAddress, ...]) -> str:
    return ", ".join(str(address) for address in addresses)


# -- the patch ---------------------------------------------------------------------------------------------


def _patch(item: Json, shown: _Face, wanted: _Face, now: str) -> dict[str, Any]:
    metadata = item["metadata"]
    status: dict[str, Any] = {}
    if (shown.ingress, shown.odd) != (wanted.ingress, wanted.odd):
        status["loadBalancer"] = {"ingress": [{"ip": text} for text in wanted.ingress] or None}
    if shown.condition != wanted.condition:
        status["conditions"] = [_condition_patch(item, wanted, now)]
    return {
        "metadata": {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "annotations": {ALLOCATED_FROM: wanted.pool, OLD_ALLOCATED_FROM: None},
        },
        "status": status,
    }


def _condition_patch(item: Json, wanted: _Face, now: str) -> dict[str, Any]:
    if wanted.condition is None:
        return {"$patch": "delete", "type": CONDITION}
    status, reason, message = wanted.condition
    before = _condition(item)
    since = before["lastTransitionTime"] if before and before["status"] == status else now
    return {
        "type": CONDITION,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since,
    }


# -- the events --------------------------------------------------------------------------------------------


def _notes(view: View, shown: _Face, wanted: _Face, outcome: Outcome, why_not: WhyNot) -> list[Note]:
    notes = []
    if shown.ingress and set(shown.ingress) - set(wanted.ingress):
        notes.append(Note("ClearAssignment", _why_cleared(view, shown, outcome, why_not)))
    if isinstance(outcome.result, Allocation) and shown.ingress != wanted.ingress:
        text = f"assigned {_join(outcome.result.addresses)} from pool {outcome.result.pool}"
        notes.append(Note("IPAllocated", text))
    if isinstance(outcome.result, Refusal) and shown.condition != wanted.condition:
        text = f"{outcome.result.reason.value}: {outcome.result.message}"
        notes.append(Note("AllocationFailed", text, warning=True))
    if notes and view.deprecated:
        names = ", ".join(view.deprecated)
        notes.append(Note("deprecatedAnnotation", f"{names}: use the prefix metallb.io/", warning=True))
    return notes


def _why_cleared(view: View, shown: _Face, outcome: Outcome, why_not: WhyNot) -> str:
    lost = ", ".join(text or "a hostname" for text in shown.ingress)
    if outcome.relation is Relation.NONE:
        return f"took {lost} back: the service is not of type LoadBalancer any more"
    refusal = why_not(view.shown) if view.shown else None
    return f"took {lost} back: {refusal.message if refusal else 'it was not given by this controller'}"
