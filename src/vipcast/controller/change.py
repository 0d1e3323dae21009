# SPDX-License-Identifier: GPL-3.0-or-later
"""The write that makes a service show what was decided, and the Events about it.

One strategic merge patch of the status subresource does everything, the annotation too: the address, the pool
and the condition appear at once or not at all, and no right to change services as such is needed. The patch
names the resourceVersion that it was made for, so it never overwrites what it has not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vipcast.controller import nodeports
from vipcast.ipam import Allocation, Refusal
from vipcast.ipam.decide import Outcome
from vipcast.ipam.service import ALLOCATED_FROM, OLD_ALLOCATED_FROM, Relation, View, ingress_of
from vipcast.model.addresses import IPAddress
from vipcast.model.texts import MAX_MESSAGE, cut, listed

__all__ = ["CONDITION", "TAKEN_OVER", "Change", "Note", "make_change"]

CONDITION = "vipcast.io/AddressAllocated"
KEPT = "Kept"  # the condition's reason where the service asks for something else, and keeps what it has
REPAIRED = "StatusRepaired"  # the event's reason where somebody else has written into the status
# An earlier version set this on services that waited when it took over; it goes with the next patch.
TAKEN_OVER = "vipcast.io/taken-over"

Json = Mapping[str, Any]
_Words = tuple[str, str, str]  # status, reason and message of a condition
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
    condition: _Words | None = None
    node_ports: _Words | None = None
    odd: bool = False  # something else than addresses is there too


def make_change(item: Json, view: View, outcome: Outcome, why_not: WhyNot, now: str) -> Change:
    """Return the change from the object as it is to the outcome; `now` as the API writes times."""
    if outcome.relation is Relation.FOREIGN:
        return Change()
    if outcome.relation is Relation.OURS and outcome.result is None:
        return Change()  # nothing is known yet
    shown, wanted = _shown(item), _wanted(item, outcome)
    if outcome.relation is Relation.NONE and not (shown.pool or shown.condition or shown.node_ports):
        return Change()  # never was ours
    if shown == wanted and OLD_ALLOCATED_FROM not in _annotations(item):
        return Change()
    return Change(_patch(item, shown, wanted, now), tuple(_notes(view, shown, wanted, outcome, why_not)))


def _annotations(item: Json) -> Mapping[str, str]:
    return item["metadata"].get("annotations") or {}


def _condition(item: Json, kind: str) -> Json | None:
    conditions = (item.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each.get("type") == kind), None)


def _words(item: Json, kind: str) -> _Words | None:
    found = _condition(item, kind)
    return (found["status"], found["reason"], found["message"]) if found else None


def _shown(item: Json) -> _Face:
    ingress = ingress_of(item)
    return _Face(
        ingress=tuple(entry.get("ip") or "" for entry in ingress),
        pool=_annotations(item).get(ALLOCATED_FROM),
        condition=_words(item, CONDITION),
        node_ports=_words(item, nodeports.CONDITION),
        odd=any(entry.get("hostname") for entry in ingress),
    )


def _wanted(item: Json, outcome: Outcome) -> _Face:
    result = outcome.result
    node_ports = nodeports.condition(item)
    if isinstance(result, Allocation):
        words = _said_of(result, outcome.refusal)
        return _Face(tuple(str(address) for address in result.addresses), result.pool, words, node_ports)
    if isinstance(result, Refusal):
        return _Face(condition=("False", result.reason.value, result.message), node_ports=node_ports)
    return _Face()


def _said_of(result: Allocation, refusal: Refusal | None) -> _Words:
    """Return the condition of a service that has addresses.

    It says what the service has and, where the service asks for something else, why it has not got that.
    """
    text = f"{_join(result.addresses)} from pool {result.pool}"
    if refusal is None:
        return ("True", "Allocated", text)
    return ("True", KEPT, cut(f"keeps {text}: {refusal.reason.value}: {refusal.message}"))


def _join(addresses: tuple[IPAddress, ...]) -> str:
    return ", ".join(str(address) for address in addresses)


# -- the patch ---------------------------------------------------------------------------------------------


def _patch(item: Json, shown: _Face, wanted: _Face, now: str) -> dict[str, Any]:
    metadata = item["metadata"]
    status: dict[str, Any] = {}
    if (shown.ingress, shown.odd) != (wanted.ingress, wanted.odd):
        status["loadBalancer"] = {"ingress": _entries(item, wanted.ingress) or None}
    conditions = [
        _condition_patch(item, kind, words, now)
        for kind, before, words in (
            (CONDITION, shown.condition, wanted.condition),
            (nodeports.CONDITION, shown.node_ports, wanted.node_ports),
        )
        if before != words
    ]
    if conditions:
        status["conditions"] = conditions
    return {
        "metadata": {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "annotations": {ALLOCATED_FROM: wanted.pool, OLD_ALLOCATED_FROM: None, TAKEN_OVER: None},
        },
        "status": status,
    }


def _entries(item: Json, texts: Iterable[str]) -> list[Json]:
    """An address that stays keeps what others wrote beside it (`ipMode`, `ports`); the list goes in whole."""
    present = {entry.get("ip"): entry for entry in ingress_of(item) if not entry.get("hostname")}
    return [present.get(text, {"ip": text}) for text in texts]


def _condition_patch(item: Json, kind: str, words: _Words | None, now: str) -> dict[str, Any]:
    if words is None:
        return {"$patch": "delete", "type": kind}
    status, reason, message = words
    before = _condition(item, kind)
    since = before["lastTransitionTime"] if before and before["status"] == status else now
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since,
    }


# -- the events --------------------------------------------------------------------------------------------


def _notes(view: View, shown: _Face, wanted: _Face, outcome: Outcome, why_not: WhyNot) -> list[Note]:
    notes = []
    repaired = _is_repaired(shown, wanted)
    if repaired:
        text = f"the status showed {_seen(shown)}, and the controller gave {_seen(wanted)}: it is put right"
        notes.append(Note(REPAIRED, text, warning=True))
    elif shown.ingress and set(shown.ingress) - set(wanted.ingress):
        notes.append(Note("ClearAssignment", _why_cleared(view, shown, outcome, why_not)))
    if isinstance(outcome.result, Allocation) and shown.ingress != wanted.ingress and not repaired:
        text = f"assigned {_join(outcome.result.addresses)} from pool {outcome.result.pool}"
        notes.append(Note("IPAllocated", text))
    refusal = outcome.refusal or outcome.result
    if isinstance(refusal, Refusal) and shown.condition != wanted.condition:
        stays = f"; it keeps {', '.join(wanted.ingress)}" if wanted.ingress else ""
        text = cut(f"{refusal.reason.value}: {refusal.message}", MAX_MESSAGE - len(stays)) + stays
        notes.append(Note("AllocationFailed", text, warning=True))
    if wanted.node_ports is not None and shown.node_ports != wanted.node_ports:
        notes.append(Note(nodeports.LEFT, wanted.node_ports[2], warning=True))
    if notes and view.deprecated:
        names = ", ".join(view.deprecated)
        notes.append(Note("deprecatedAnnotation", f"{names}: use the prefix metallb.io/", warning=True))
    return notes


def _is_repaired(shown: _Face, wanted: _Face) -> bool:
    """Tell whether somebody else has written into the status.

    Our own patches change address and condition together.
    """
    if (shown.ingress, shown.odd) == (wanted.ingress, wanted.odd):
        return False
    crowded = len({":" in text for text in shown.ingress}) < len(shown.ingress)
    return bool(wanted.ingress) and (shown.condition == wanted.condition or shown.odd or crowded)


def _seen(face: _Face) -> str:
    return listed([text or "a hostname" for text in face.ingress])


def _why_cleared(view: View, shown: _Face, outcome: Outcome, why_not: WhyNot) -> str:
    lost = _seen(shown)
    if outcome.relation is Relation.NONE:
        return f"took {lost} back: the service is not of type LoadBalancer any more"
    refusal = why_not(view.shown) if view.shown else None
    return cut(f"took {lost} back: {refusal.message if refusal else 'it was not given by this controller'}")
