# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that is taken out of service, or put back: what is said to its speaker and to the scheduler.

**PRIVATE** to the collection.
"""

from __future__ import annotations

import typing as t

from ..model.fields import parse_duration
from .api import MERGE_PATCH, Api, ClusterError, Json

NODES = "/api/v1/nodes"
# What the speaker looks for on its own node; the value is how long it announces routes as ones that will go.
DRAIN = "vipcast.io/drain"
# So that putting a node back uncordons it only where draining cordoned it.
CORDONED = "vipcast.io/drain-cordoned"
# Of the speaker: what it does with a value that is none, and the most that it waits. Seconds.
DEFAULT_WAIT, LONGEST_WAIT = 10.0, 3600.0


class Change(t.NamedTuple):
    """A patch of a node that leads to what is wanted; empty where nothing has to change."""

    annotations: dict[str, str | None]
    unschedulable: bool | None

    def __bool__(self) -> bool:
        return bool(self.annotations) or self.unschedulable is not None

    def patch(self) -> Json:
        """The body of a merge patch (RFC 7396): None removes."""
        body: Json = {"metadata": {"annotations": dict(self.annotations)}} if self.annotations else {}
        if self.unschedulable is not None:
            body["spec"] = {"unschedulable": self.unschedulable or None}
        return body


def out(node: Json, wait: str, cordon: bool) -> Change:
    """Return what takes a node out. One that is out stays as it is: its wait counts as it was first said."""
    found = _annotations(node)
    annotations: dict[str, str | None] = {} if DRAIN in found else {DRAIN: wait}
    if not cordon or _is_cordoned(node):
        return Change(annotations, None)
    return Change({**annotations, CORDONED: "true"}, True)


def back(node: Json) -> Change:
    """Return what puts a node back, schedulable again if it was this that cordoned it."""
    found = _annotations(node)
    removed: dict[str, str | None] = {name: None for name in (DRAIN, CORDONED) if name in found}
    return Change(removed, False if CORDONED in found and _is_cordoned(node) else None)


def seconds(text: str) -> float:
    """Return how long a speaker waits that is told this; ClusterError where it would wait something else."""
    found = _duration(text)
    if found is None:
        raise ClusterError(f"wait: {text!r} is no duration such as 30s or 1m30s")
    if found > LONGEST_WAIT:
        raise ClusterError(f"wait: {text!r} is more than an hour, which is the most")
    return found


def left(node: Json, change: Change) -> float:
    """Return how long the speaker announces the routes as ones that will go: as it was first said."""
    said = {**_annotations(node), **change.annotations}.get(DRAIN)
    if said is None:
        return 0.0
    found = _duration(said)
    return DEFAULT_WAIT if found is None else min(found, LONGEST_WAIT)


def _duration(text: str) -> float | None:
    """Return the seconds as the speaker reads them, None for what is no duration."""
    text = text.strip()
    try:
        return parse_duration(f"{text}s" if text.isdecimal() else text) if text else DEFAULT_WAIT
    except ValueError:
        return None


def is_drained(node: t.Mapping[str, t.Any]) -> bool:
    """Return whether its speaker was told to leave."""
    return DRAIN in _annotations(node)


def find(api: Api, name: str) -> Json:
    """The node; ClusterError with those that there are."""
    node = api.find(f"{NODES}/{name}")
    if node is None:
        names = ", ".join(item["metadata"]["name"] for item in api.get(NODES)["items"])
        raise ClusterError(f"there is no node {name!r} in the cluster; it has {names}")
    return node


def apply(api: Api, name: str, change: Change) -> None:
    """Say it."""
    api.patch(f"{NODES}/{name}", change.patch(), MERGE_PATCH)


def _annotations(node: t.Mapping[str, t.Any]) -> dict[str, str]:
    return node["metadata"].get("annotations") or {}


def _is_cordoned(node: Json) -> bool:
    return bool((node.get("spec") or {}).get("unschedulable"))


__all__ = [
    "CORDONED",
    "DRAIN",
    "Change",
    "apply",
    "back",
    "find",
    "is_drained",
    "left",
    "out",
    "seconds",
]
