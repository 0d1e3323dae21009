# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said on the configuration's objects: whether they are in force, and how full a pool is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vipcast.ipam import Allocator
from vipcast.model.addresses import MAX_COUNT
from vipcast.model.configuration import Configuration
from vipcast.model.problems import Problem, reference
from vipcast.model.reasons import Effect

__all__ = ["ACCEPTED", "EFFECTIVE", "counters", "status_patch"]

ACCEPTED, EFFECTIVE = "Accepted", "FullyEffective"

Json = Mapping[str, Any]


def counters(allocator: Allocator, pool: str) -> dict[str, int]:
    """The counters of an IPAddressPool's status, under MetalLB's names."""
    found: dict[str, int] = {}
    for family in (4, 6):
        held, free = allocator.usage(pool, family)
        found[f"assignedIPv{family}"] = held
        found[f"availableIPv{family}"] = min(free, MAX_COUNT)
    return found


def status_patch(
    item: Json, configuration: Configuration, counts: Mapping[str, int], now: str
) -> dict[str, Any] | None:
    """A merge patch for an object's status, or None where it says so already."""
    status = item.get("status") or {}
    conditions = _conditions(item, configuration, now)
    wanted = {**counts, "conditions": conditions}
    if all(status.get(name) == value for name, value in wanted.items()):
        return None
    return {"metadata": {"uid": item["metadata"]["uid"]}, "status": wanted}


def _conditions(item: Json, configuration: Configuration, now: str) -> list[dict[str, Any]]:
    ref = reference(item)
    problems = [problem for problem in configuration.problems if problem.object == ref]
    refused = [problem for problem in problems if problem.effect is Effect.REFUSED]
    stale = "the object stays in force as it was before; " if ref in configuration.stale else ""
    found = (
        (ACCEPTED, refused, stale, "the object is in force as it is written"),
        (EFFECTIVE, problems, "", "every field has its effect"),
    )
    return [_dated(item, _one(*each), now) for each in found]


def _one(kind: str, problems: list[Problem], prefix: str, good: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": "False" if problems else "True",
        "reason": problems[0].reason.value if problems else kind,
        "message": prefix + "; ".join(_text(problem) for problem in problems) if problems else good,
    }


def _dated(item: Json, condition: dict[str, Any], now: str) -> dict[str, Any]:
    """With the time of the last change of its status, and the generation that it is about."""
    present = (item.get("status") or {}).get("conditions") or []
    before = next((each for each in present if each.get("type") == condition["type"]), None)
    same = before is not None and before.get("status") == condition["status"]
    condition["lastTransitionTime"] = before["lastTransitionTime"] if before is not None and same else now
    if "generation" in item["metadata"]:
        condition["observedGeneration"] = item["metadata"]["generation"]
    return condition


def _text(problem: Problem) -> str:
    return f"{problem.field}: {problem.message}" if problem.field else problem.message
