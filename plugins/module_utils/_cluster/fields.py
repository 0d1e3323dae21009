# SPDX-License-Identifier: GPL-3.0-or-later
"""The differences between two versions of an object, field by field. Pure."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from .api import Json

# What the API server keeps for itself: never declared, so never a difference.
SERVERS_METADATA = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
# Annotations that programs write as a side effect of what they change.
NOISE_ANNOTATIONS = (
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
    "kubectl.kubernetes.io/last-applied-configuration",
)
LONG_VALUE = 200
ABSENT = "absent"


@dataclass(frozen=True)
class Difference:
    """One field: what it should be and what it is; None is absent."""

    path: str
    expected: t.Any
    found: t.Any


def essence(given: Json) -> Json:
    """The object without the server's own entries and without its status."""
    metadata = {key: value for key, value in given.get("metadata", {}).items() if key not in SERVERS_METADATA}
    annotations = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if key not in NOISE_ANNOTATIONS
    }
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    kept = {key: value for key, value in given.items() if key not in ("status", "metadata")}
    return dict(kept, metadata=metadata)


def differences(expected: t.Any, found: t.Any, path: str = "") -> t.Iterator[Difference]:
    """Every leaf that differs, in the order of the fields' names."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted({*expected, *found}):
            yield from differences(expected.get(key), found.get(key), _below(path, key))
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, (left, right) in enumerate(zip(expected, found)):
            yield from differences(left, right, f"{path}[{index}]")
    elif expected != found:
        yield Difference(path, expected, found)


def _below(path: str, key: str) -> str:
    if any(character in key for character in "./ "):
        return f"{path}[{key!r}]"
    return f"{path}.{key}" if path else key


def as_text(value: t.Any) -> str:
    """A field's value for one line of a report."""
    if value is None:
        return ABSENT
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= LONG_VALUE else text[: LONG_VALUE - 3] + "..."


def masked(given: Json | None, other: Json | None) -> Json:
    """`given` for a screen: secret values hidden, those that `other` has differently said to be others.

    Secret are the data of a Secret, and fields named password, as MetalLB's BGPPeer has one.
    """
    if given is None:
        return {}
    keys = ("data", "stringData") if given.get("kind") == "Secret" else ()
    return t.cast(Json, _masked(given, other, "", keys))


def _masked(given: t.Any, other: t.Any, path: str, keys: tuple[str, ...]) -> t.Any:
    if isinstance(given, dict):
        others = other if isinstance(other, dict) else {}
        return {key: _masked(each, others.get(key), _below(path, key), keys) for key, each in given.items()}
    if isinstance(given, list):
        others_list = other if isinstance(other, list) and len(other) == len(given) else [None] * len(given)
        return [_masked(each, there, path + "[]", keys) for each, there in zip(given, others_list)]
    if not is_secret(path, keys):
        return given
    return "(hidden)" if given == other or other is None else "(hidden, another)"


def is_secret(path: str, keys: t.Sequence[str] = ()) -> bool:
    """Return whether a field's value must not be shown.

    `keys` are top-level fields that are secret altogether.
    """
    return path.split(".", 1)[0].split("[", 1)[0] in keys or path.rsplit(".", 1)[-1] == "password"


__all__ = ["ABSENT", "Difference", "as_text", "differences", "essence", "is_secret", "masked"]
