# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared objects, what becomes of each, and how that is reported. Pure."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass

# A kubeconfig is YAML: without this package no module gets this far.
with contextlib.suppress(ImportError):
    import yaml

from .api import ClusterError, Json
from .fields import ABSENT, Difference, as_text, differences, essence, is_secret, masked
from .resources import Kind, Kinds, UnknownKindError

DEFINITION = "CustomResourceDefinition"
# What others refer to comes first. A kind that is not listed is a custom resource and comes last.
ORDER = (
    "Namespace",
    DEFINITION,
    "PriorityClass",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "ClusterRole",
    "Role",
    "ClusterRoleBinding",
    "RoleBinding",
    "NetworkPolicy",
    "Service",
    "PodDisruptionBudget",
    "Deployment",
    "DaemonSet",
    "StatefulSet",
    "Job",
)


@dataclass(frozen=True)
class Entry:
    """A declared object, and where it lives."""

    kind: Kind
    namespace: str | None
    name: str
    manifest: Json

    @property
    def title(self) -> str:
        """Kind/namespace/name, as reports name it."""
        return title_of(self.kind.name, self.namespace, self.name)

    @property
    def path(self) -> str:
        return self.kind.path(self.namespace, self.name)

    @property
    def rank(self) -> int:
        return ORDER.index(self.kind.name) if self.kind.name in ORDER else len(ORDER)


@dataclass(frozen=True)
class Step:
    """The change of one object. `before` and `after` are whole objects; None is an object that is not
    there."""

    entry: Entry
    before: Json | None
    after: Json | None
    tried: bool = True

    @property
    def verb(self) -> str:
        if self.before is None:
            return "create"
        if self.after is None:
            return "remove"
        return "repair" if self.differences() else "keep"

    def differences(self) -> list[Difference]:
        if self.before is None or self.after is None:
            return []
        return list(differences(essence(self.after), essence(self.before)))


def title_of(kind: str, namespace: str | None, name: str) -> str:
    return "/".join(part for part in (kind, namespace, name) if part)


# -- declared objects --------------------------------------------------------------------------------------


def entries(manifests: t.Iterable[Json], kinds: Kinds, namespace: str | None) -> list[Entry]:
    """The manifests in the order in which they are applied; raises ClusterError for those that are none.

    Where two have the same rank, the one that was declared first comes first.
    """
    given = [_checked(manifest, index) for index, manifest in enumerate(manifests)]
    for manifest in given:
        if manifest["kind"] == DEFINITION:
            kinds.expect(manifest)
    found = sorted((_entry(manifest, kinds, namespace) for manifest in given), key=lambda each: each.rank)
    _refuse_doubles(found)
    return found


def _checked(manifest: t.Any, index: int) -> Json:
    if not isinstance(manifest, dict):
        raise ClusterError(f"object {index + 1}: expected a mapping with apiVersion, kind and metadata")
    name = (manifest.get("metadata") or {}).get("name")
    missing = [key for key in ("apiVersion", "kind") if not manifest.get(key)]
    if missing or not name:
        what = title_of(str(manifest.get("kind") or "?"), None, str(name or "?"))
        raise ClusterError(f"object {index + 1} ({what}): has no {', '.join(missing) or 'metadata.name'}")
    return manifest


def _entry(manifest: Json, kinds: Kinds, namespace: str | None) -> Entry:
    metadata = manifest["metadata"]
    name = metadata["name"]
    try:
        kind = kinds.get(manifest["apiVersion"], manifest["kind"])
    except UnknownKindError as exc:
        raise UnknownKindError(f"{manifest['kind']}/{name}: {exc}") from exc
    where = (metadata.get("namespace") or namespace) if kind.namespaced else None
    if kind.namespaced and not where:
        raise ClusterError(
            f"{kind.name}/{name}: has no metadata.namespace, and the option namespace is not set"
        )
    placed = dict(metadata, namespace=where) if where else dict(metadata)
    return Entry(kind, where, name, dict(manifest, metadata=placed))


def _refuse_doubles(found: t.Sequence[Entry]) -> None:
    seen: set[str] = set()
    for entry in found:
        if entry.path in seen:
            raise ClusterError(f"{entry.title}: declared twice")
        seen.add(entry.path)


# -- reports ------------------------------------------------------------------------------------------------


def drift_of(step: Step) -> list[dict[str, str]]:
    """The step as entries of `drift`."""
    if step.verb == "create":
        return [_drift(step, "the object", "present", ABSENT)]
    if step.verb == "remove":
        return [_drift(step, "the object", ABSENT, "present")]
    return [_field_drift(step, each) for each in step.differences()]


def _field_drift(step: Step, each: Difference) -> dict[str, str]:
    keys = ("data", "stringData") if step.entry.kind.name == "Secret" else ()
    if is_secret(each.path, keys):
        return _drift(step, each.path, "(hidden)", ABSENT if each.found is None else "(hidden, another)")
    return _drift(step, each.path, as_text(each.expected), as_text(each.found))


def _drift(step: Step, where: str, expected: str, found: str) -> dict[str, str]:
    return {"what": step.entry.title, "where": where, "expected": expected, "found": found}


def diff_of(step: Step) -> dict[str, t.Any]:
    """The step for Ansible's --diff."""
    before = essence(step.before) if step.before else None
    after = essence(step.after) if step.after else None
    if step.entry.kind.name == DEFINITION and (before is None or after is None):
        before, after = _summary(before), _summary(after)
    title = step.entry.title
    shown = {"before": _yaml(masked(before, after)), "after": _yaml(masked(after, before))}
    return dict(shown, before_header=title, after_header=title)


def _summary(definition: Json | None) -> Json | None:
    """A new definition without its schemas, which are thousands of lines that nobody reads in a diff."""
    if definition is None:
        return None
    versions = [{"name": each["name"]} for each in definition["spec"]["versions"]]
    return dict(definition, spec=dict(definition["spec"], versions=versions))


def _yaml(given: Json) -> str:
    return str(yaml.safe_dump(given, sort_keys=True)) if given else ""


__all__ = ["DEFINITION", "Entry", "Step", "diff_of", "drift_of", "entries", "title_of"]
