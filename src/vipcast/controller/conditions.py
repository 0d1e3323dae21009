# SPDX-License-Identifier: GPL-3.0-or-later
"""The status of the configuration: on its objects, whether they are in force and how full a pool is; and in
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
from vipcast.model.legacy_memory import remember
from vipcast.model.objects import ACCEPTED
from vipcast.model.problems import ObjectRef, Problem, reference
from vipcast.model.reasons import Effect, Reason

__all__ = ["ACCEPTED", "EFFECTIVE", "about_pools", "configuration_state", "counters", "status_patch"]

EFFECTIVE = "FullyEffective"
# An object of the API has at most about 1.5 MB, and a person reads less than that.
MAX_SUMMARY = 16000
MAX_MESSAGE = 32768  # characters of a condition's message: what the definitions allow (metav1.Condition)

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
    """Return the value without the nulls that an object of the API cannot have."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _replacing(present: Any, wanted: Any) -> Any:
    """Return what a merge patch must have so that nothing of `present` is left."""
    if not isinstance(present, Mapping) or not isinstance(wanted, Mapping):
        return wanted
    gone: dict[str, Any] = {name: None for name in present if name not in wanted}
    return gone | {name: _replacing(present.get(name), value) for name, value in wanted.items()}


def configuration_state(
    configuration: Configuration | None, item: Json, now: str, absent: str | None = None
) -> dict[str, Any] | None:
    """The status of a ConfigurationState, or None where `item` (which may be empty) says so already.

    Without a configuration (not everything was read yet) all is unknown; `absent` says what was not.
    """
    every = configuration.problems if configuration is not None else ()
    pools = [problem for problem in every if about_pools(problem)]
    found = [
        _dated(item, _reconciled(kind, problems, configuration is not None, absent), now)
        for kind, problems in (("configReconcilerValid", every), ("poolReconcilerValid", pools))
    ]
    result = "Unknown" if configuration is None else "Invalid" if every else "Valid"
    wanted: dict[str, Any] = {"result": result, "errorSummary": _summary(every), "conditions": found}
    if configuration is not None:
        wanted["configMap"] = remember(configuration.config_map) if configuration.config_map else None
    status = item.get("status") or {}
    same = all((status.get(name) or "") == (value or "") for name, value in wanted.items())
    return None if same else _replaced(status, wanted)


def _replaced(status: Json, wanted: dict[str, Any]) -> dict[str, Any]:
    """A merge patch adds to mappings: what is not to stay in `configMap` is named."""
    present = status.get("configMap")
    if "configMap" not in wanted:
        return wanted
    if present is None and wanted["configMap"] is None:
        return {name: value for name, value in wanted.items() if name != "configMap"}
    return {**wanted, "configMap": _replacing(present, wanted["configMap"])}


def about_pools(problem: Problem) -> bool:
    """Return whether it is an IPAddressPool's, or of the old ConfigMap and about its pools or the whole."""
    if problem.object.kind == "ConfigMap":
        return problem.field.startswith("address-pools") or problem.reason is Reason.UNREADABLE
    return problem.object.kind == "IPAddressPool"


def _reconciled(kind: str, problems: Sequence[Problem], known: bool, absent: str | None) -> dict[str, Any]:
    if not known:
        told = ("Unknown", "UnknownError", _cut(absent or "the configuration was not read yet"))
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
        line = str(problem)
        room -= len(line) + 1
        if room < 0:
            return "\n".join([*lines, f"and {len(problems) - number} more"])
        lines.append(line)
    return "\n".join(lines)


def _conditions(item: Json, configuration: Configuration, now: str) -> list[dict[str, Any]]:
    ref = reference(item)
    problems = [each for each in configuration.problems_of(ref.kind, ref.name) if each.object == ref]
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
        "message": _cut(prefix + _together(problems, MAX_MESSAGE - len(prefix))) if problems else good,
    }


def _together(problems: Sequence[Problem], room: int) -> str:
    """All problems in one line, as far as there is room for them, and how many are left out."""
    texts: list[str] = []
    room -= len(_left_out(len(problems)))
    for number, problem in enumerate(problems):
        text = _text(problem)
        room -= len(text) + 2
        if room < 0:
            texts = texts or [f"{text[: room + len(text) - 3]}..."]  # the first one is told in any case
            left = len(problems) - max(1, number)
            return "; ".join([*texts, _left_out(left)] if left else texts)
        texts.append(text)
    return "; ".join(texts)


def _left_out(count: int) -> str:
    return f"and {count} more"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 3]}..."


def _dated(item: Json, condition: dict[str, Any], now: str) -> dict[str, Any]:
    """Return the condition with the time of its last transition and its observed generation."""
    present = (item.get("status") or {}).get("conditions") or []
    before = next((each for each in present if each.get("type") == condition["type"]), None)
    same = before is not None and before.get("status") == condition["status"]
    condition["lastTransitionTime"] = before["lastTransitionTime"] if before is not None and same else now
    if "generation" in item.get("metadata", {}):
        condition["observedGeneration"] = item["metadata"]["generation"]
    return condition


def _text(problem: Problem) -> str:
    return f"{problem.field}: {problem.message}" if problem.field else problem.message
