# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of the configuration: on its objects, whether they are in force and how full a pool is; and in
one ConfigurationState, whether anything at all is wrong.

While an object is refused and an earlier form of it stays in force, its status has that form's `spec` as
`inForce`. Whoever starts anew knows from it what was in force (`vipcast.model.objects`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vipcast.ipam import Allocator
from vipcast.model.addresses import MAX_COUNT
from vipcast.model.configuration import Configuration
from vipcast.model.objects import ACCEPTED
from vipcast.model.problems import ObjectRef, Problem, reference
from vipcast.model.reasons import Effect, Reason

__all__ = ["ACCEPTED", "EFFECTIVE", "about_pools", "configuration_state", "counters", "status_patch"]

EFFECTIVE = "FullyEffective"
# An object of the API has at most about 1.5 MB, and a person reads less than that.
MAX_SUMMARY = 16000

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
    """A merge patch for an object's status, or None where it says so already.

    None too for an object that has changed since it was judged: a word on what nobody has read yet would be
    taken for the truth after a restart.
    """
    ref = reference(item)
    if ref not in configuration.judged or configuration.judged[ref] != item["metadata"].get("generation"):
        return None
    status = item.get("status") or {}
    conditions = _conditions(item, configuration, now)
    wanted = {**counts, "conditions": conditions}
    in_force = _in_force(ref, configuration)
    if in_force != status.get("inForce"):
        wanted["inForce"] = _replacing(status.get("inForce"), in_force)
    elif all(status.get(name) == value for name, value in wanted.items()):
        return None
    return {"metadata": {"uid": item["metadata"]["uid"]}, "status": wanted}


def _in_force(ref: ObjectRef, configuration: Configuration) -> Any:
    """The `spec` that stays in force in place of the one that is written, or None."""
    return _plain(configuration.forms[ref].spec) if ref in configuration.stale else None


def _plain(value: Any) -> Any:
    """Without the nulls that an object of the API can not have."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _replacing(present: Any, wanted: Any) -> Any:
    """What a merge patch must have so that nothing of `present` is left."""
    if not isinstance(present, Mapping) or not isinstance(wanted, Mapping):
        return wanted
    gone: dict[str, Any] = {name: None for name in present if name not in wanted}
    return gone | {name: _replacing(present.get(name), value) for name, value in wanted.items()}


def configuration_state(configuration: Configuration | None, item: Json, now: str) -> dict[str, Any] | None:
    """The status of a ConfigurationState, or None where `item` (which may be empty) says so already.

    Without a configuration (nothing was read yet) all is unknown.
    """
    every = configuration.problems if configuration is not None else ()
    pools = [problem for problem in every if about_pools(problem)]
    found = [
        _dated(item, _reconciled(kind, problems, known=configuration is not None), now)
        for kind, problems in (("configReconcilerValid", every), ("poolReconcilerValid", pools))
    ]
    result = "Unknown" if configuration is None else "Invalid" if every else "Valid"
    wanted = {"result": result, "errorSummary": _summary(every), "conditions": found}
    status = item.get("status") or {}
    return None if all((status.get(name) or "") == value for name, value in wanted.items()) else wanted


def about_pools(problem: Problem) -> bool:
    """Whether it is an IPAddressPool's, or of the old ConfigMap and about its pools or the whole."""
    if problem.object.kind == "ConfigMap":
        return problem.field.startswith("address-pools") or problem.reason is Reason.UNREADABLE
    return problem.object.kind == "IPAddressPool"


def _reconciled(kind: str, problems: Sequence[Problem], *, known: bool) -> dict[str, Any]:
    if not known:
        told = ("Unknown", "UnknownError", "the configuration was not read yet")
    elif problems:
        told = ("False", "ConfigurationError", _summary(problems))
    else:
        told = ("True", "Reconciled", "everything is in force as it is written")
    return {"type": kind, "status": told[0], "reason": told[1], "message": told[2]}


def _summary(problems: Sequence[Problem]) -> str:
    """One problem per line, as far as there is room."""
    lines: list[str] = []
    room = MAX_SUMMARY
    for number, problem in enumerate(problems):
        room -= len(str(problem)) + 1
        if room < 0:
            return "\n".join([*lines, f"and {len(problems) - number} more"])
        lines.append(str(problem))
    return "\n".join(lines)


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
    if "generation" in item.get("metadata", {}):
        condition["observedGeneration"] = item["metadata"]["generation"]
    return condition


def _text(problem: Problem) -> str:
    return f"{problem.field}: {problem.message}" if problem.field else problem.message
