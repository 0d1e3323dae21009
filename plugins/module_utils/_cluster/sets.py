# SPDX-License-Identifier: GPL-3.0-or-later
"""Many objects as one desired state.

    declared ──> compare (read, apply as a dry run) ──> a step each: create, repair, keep, remove
                                                    └─> any refusal: nothing at all is applied

Rules
- Ownership is by field (server-side apply, field manager `vipcast`): a field that somebody else added and
  that is not declared stays; a declared field that somebody else changed is set back.
- An object that this set creates carries the label ``vipcast.io/set: NAME``. Only what carries it is ever
  removed. An object that was there before is managed, but stays when it is no longer declared.
- Namespaces and CustomResourceDefinitions take everything in them along, so they are removed only with the
  whole set.
- Objects whose namespace or kind does not exist yet cannot be tried; they are tried as soon as it exists,
  and before any of them is applied.
"""

from __future__ import annotations

import time
import typing as t

from .api import APPLY_PATCH, Api, ClusterError, Json, RefusedError
from .entries import DEFINITION, Entry, Step
from .resources import Kind, Kinds

MANAGER = "vipcast"
SET_LABEL = "vipcast.io/set"
TAKES_CONTENT_ALONG = ("Namespace", DEFINITION)
# A CustomResourceDefinition is established within a second; an overloaded control plane takes longer.
ESTABLISH_SECONDS = 30.0
POLL_SECONDS = 0.2


class RefusedSetError(ClusterError):
    """The API refuses some of the objects; nothing was applied."""

    def __init__(self, refusals: t.Sequence[str]) -> None:
        super().__init__("nothing was applied, the API server refuses:\n- " + "\n- ".join(refusals))
        self.details = {"refusals": list(refusals)}


class ObjectSet:
    """One named set of objects in one cluster."""

    def __init__(self, api: Api, kinds: Kinds, name: str | None, *, lenient: bool = False) -> None:
        """`lenient` takes missing namespaces and groups for coming ones, as check mode has to.

        Without a name the objects are of no set: labels are as they are declared.
        """
        self._api = api
        self._kinds = kinds
        self.name = name
        self._lenient = lenient

    def compare(self, wanted: t.Sequence[Entry]) -> list[Step]:
        """A step for each declared object, in order; raises RefusedSetError for refusals."""
        steps, refusals = [], []
        untried = _Untried(self._kinds)
        for entry in wanted:
            try:
                step = self._try(entry, untried)
            except RefusedError as exc:
                refusals.append(f"{entry.title}: {exc.explain()}")
                continue
            untried.note(step)
            steps.append(step)
        if refusals:
            raise RefusedSetError(refusals)
        return steps

    def surplus(
        self, wanted: t.Sequence[Entry], kinds: t.Iterable[Kind], *, whole: bool = False
    ) -> list[Step]:
        """A step for each object of this set that is not declared any more, in the order of removal."""
        declared = {entry.path for entry in wanted}
        found = [
            each for kind in sorted({*kinds}) for each in self._members(kind) if each.path not in declared
        ]
        removable = [each for each in found if whole or each.kind.name not in TAKES_CONTENT_ALONG]
        return [Step(each, each.manifest, None) for each in sorted(removable, key=lambda each: -each.rank)]

    def apply(self, steps: t.Sequence[Step]) -> None:
        """Create and repair, in order; what could not be tried before is tried as soon as it can be."""
        first = [step for step in steps if step.tried]
        later = [step.entry for step in steps if not step.tried]
        for step in first:
            if step.verb != "keep":
                self._apply(step.entry, labelled=self.is_ours(step.before))
        self._wait_until_served([step.entry for step in first if step.entry.kind.name == DEFINITION])
        if later:
            self._kinds.forget()
            self.apply(self._compare_new(later))

    def remove(self, steps: t.Sequence[Step], seconds: float) -> None:
        """Remove, in order, and wait until all is gone."""
        for step in steps:
            self._delete(step)
        deadline = time.monotonic() + seconds
        for step in steps:
            self._wait_until_gone(step.entry, deadline)

    # Comparing --------------------------------------------------------------------------------------------

    def _try(self, entry: Entry, untried: _Untried) -> Step:
        before = self._api.find(entry.path)
        if untried.concerns(entry):
            return Step(entry, before, self._labelled(entry, before), tried=False)
        try:
            after = self._patch(entry, labelled=self.is_ours(before), dryRun="All")
        except RefusedError as exc:
            if not (self._lenient and exc.status == 404):
                raise
            return Step(entry, before, self._labelled(entry, before), tried=False)
        return Step(entry, before, after)

    def _labelled(self, entry: Entry, before: Json | None) -> Json:
        return _with_label(entry.manifest, self.name) if self.is_ours(before) else entry.manifest

    def _compare_new(self, later: t.Sequence[Entry]) -> list[Step]:
        """Compare as `compare` does, for kinds that the API server has served for a moment only."""
        deadline = time.monotonic() + ESTABLISH_SECONDS
        while True:
            try:
                steps = self.compare(later)
            except RefusedSetError:
                # A new kind's first requests may still be answered "not found"; a real refusal stays one.
                if time.monotonic() > deadline or not self._any_missing(later):
                    raise
            else:
                if all(step.tried for step in steps):
                    return steps
                if time.monotonic() > deadline:
                    untried = ", ".join(step.entry.title for step in steps if not step.tried)
                    raise ClusterError(f"still not served after {ESTABLISH_SECONDS:.0f} s: {untried}")
            time.sleep(POLL_SECONDS)
            self._kinds.forget()

    def _any_missing(self, later: t.Sequence[Entry]) -> bool:
        return any(
            self._api.find(entry.kind.collection(entry.namespace), limit="1") is None for entry in later
        )

    def is_ours(self, before: Json | None) -> bool:
        """Return whether the object carries, or as a new one will carry, this set's label."""
        if self.name is None:
            return False
        if before is None:
            return True
        return bool((before["metadata"].get("labels") or {}).get(SET_LABEL) == self.name)

    # Changing ---------------------------------------------------------------------------------------------

    def _apply(self, entry: Entry, *, labelled: bool) -> None:
        try:
            self._patch(entry, labelled=labelled)
        except RefusedError as exc:
            raise ClusterError(f"{entry.title}: {exc.explain()}") from exc

    def _patch(self, entry: Entry, *, labelled: bool, **query: str) -> Json:
        manifest = _with_label(entry.manifest, self.name) if labelled else entry.manifest
        query = dict(query, fieldManager=MANAGER, force="true", fieldValidation="Strict")
        return self._api.patch(entry.path, manifest, APPLY_PATCH, **query)

    def _delete(self, step: Step) -> None:
        # The identity is a precondition: an object that was made anew since is not the one that was judged.
        uid = (step.before or {})["metadata"]["uid"]
        try:
            self._api.delete(
                step.entry.path, {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
            )
        except RefusedError as exc:
            if exc.status not in (404, 409):
                raise ClusterError(f"{step.entry.title}: {exc.explain()}") from exc

    def _members(self, kind: Kind) -> t.Iterator[Entry]:
        listed = self._api.find(kind.collection(), labelSelector=f"{SET_LABEL}={self.name}") or {}
        for item in listed.get("items") or ():
            metadata = item["metadata"]
            if not metadata.get("deletionTimestamp"):
                full = dict(item, apiVersion=kind.api_version, kind=kind.name)
                yield Entry(kind, metadata.get("namespace"), metadata["name"], full)

    # Waiting ----------------------------------------------------------------------------------------------

    def _wait_until_served(self, definitions: t.Sequence[Entry]) -> None:
        deadline = time.monotonic() + ESTABLISH_SECONDS
        for entry in definitions:
            while True:
                problem = _not_established(self._api.get(entry.path))
                if problem is None:
                    break
                if time.monotonic() > deadline:
                    raise ClusterError(f"{entry.title}: not established: {problem}")
                time.sleep(POLL_SECONDS)

    def _wait_until_gone(self, entry: Entry, deadline: float) -> None:
        while True:
            left = self._api.find(entry.path)
            if left is None or not left["metadata"].get("deletionTimestamp"):
                return
            if time.monotonic() > deadline:
                finalizers = ", ".join(left["metadata"].get("finalizers") or ()) or "its content"
                raise ClusterError(f"{entry.title}: is still being deleted, waiting for {finalizers}")
            time.sleep(POLL_SECONDS)


class _Untried:
    """The part of a set that is applied first: its new namespaces, and its new or changed kinds."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._namespaces: set[str] = set()
        self._groups: set[tuple[str, str]] = set()

    def note(self, step: Step) -> None:
        if step.entry.kind.name == "Namespace" and step.verb == "create":
            self._namespaces.add(step.entry.name)
        if step.entry.kind.name == DEFINITION and step.verb != "keep":
            spec = step.entry.manifest["spec"]
            self._groups.add((spec["group"], spec["names"]["kind"]))

    def concerns(self, entry: Entry) -> bool:
        """Return whether the API server could not judge this object before the others are applied."""
        return entry.namespace in self._namespaces or (entry.kind.group, entry.kind.name) in self._groups


def _with_label(manifest: Json, name: str | None) -> Json:
    metadata = manifest["metadata"]
    labels = dict(metadata.get("labels") or {}, **{SET_LABEL: name})
    return dict(manifest, metadata=dict(metadata, labels=labels))


def _not_established(definition: Json) -> str | None:
    """Return why a kind is not served yet; None when it is."""
    conditions = {each["type"]: each for each in (definition.get("status") or {}).get("conditions") or ()}
    for name in ("NamesAccepted", "Established"):
        condition = conditions.get(name) or {"status": "Unknown", "message": "no condition " + name}
        if condition["status"] != "True":
            return str(condition.get("message") or name)
    return None


__all__ = ["MANAGER", "SET_LABEL", "ObjectSet", "RefusedSetError"]
