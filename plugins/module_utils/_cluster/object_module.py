# SPDX-License-Identifier: GPL-3.0-or-later
"""One object of the configuration, judged before it is applied: what the typed modules do.

    options ──> manifest ──> judged alone (its own mistakes end here)
                        └──> judged with what the cluster has ──> dry run ──> applied

The field manager is that of `ObjectSet`, and the label of a set stays on an object that has it: so an object
may be managed by a module and by the role `load_balancer`, one after the other.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..model.configuration import Configuration, parse
from ..model.defaults import NAMESPACE
from ..model.problems import Problem
from .api import Api, ClusterError, Json
from .entries import Entry, Step, diff_of, drift_of, entries, title_of
from .fields import essence
from .kinds import SCHEMAS, Schema
from .module import CLUSTER_SPEC, run
from .resources import Kinds
from .sets import SET_LABEL, ObjectSet
from .validation import mistakes

REMOVAL_SECONDS = 120.0
OBJECT_SPEC: dict[str, t.Any] = {
    **CLUSTER_SPEC,
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "default": NAMESPACE},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "labels": {"type": "dict"},
}


class WrongObjectError(ClusterError):
    """The object itself is wrong; nothing was applied."""

    def __init__(self, title: str, problems: t.Sequence[Problem]) -> None:
        lines = "\n- ".join(f"{each.field} {each.message}" for each in problems)
        super().__init__(f"{title}: nothing was applied:\n- {lines}")
        self.details = {"problems": [problem_as_dict(each) for each in problems]}


def run_for(schema: Schema) -> None:
    """The whole module for a kind."""
    module = AnsibleModule(
        argument_spec={**OBJECT_SPEC, **{option.name: option.argument() for option in schema.options}},
        mutually_exclusive=[list(names) for names in schema.exclusive],
        required_if=[
            *(("state", "present", [name]) for name in schema.required),
            *(("state", "present", list(names), True) for names in schema.one_of),
        ],
        supports_check_mode=True,
    )
    run(module, lambda module, api: ensure(module, api, schema))


def ensure(module: AnsibleModule, api: Api, schema: Schema) -> dict[str, t.Any]:
    """One call of a module."""
    params, absent = module.params, module.params["state"] == "absent"
    labels = params["labels"]
    manifest = schema.manifest(
        params["name"], params["namespace"], params, labels and stringify_labels(labels)
    )
    kinds = Kinds(api, lenient=module.check_mode or absent)
    served = kinds.find(schema.api_version, schema.kind) is not None
    if not absent:
        refuse_own_mistakes(manifest)
        demand_served(served, schema, module)
    before = objects_of_namespace(api, kinds, params["namespace"])
    problems = new_problems(before, manifest, absent)
    step = removal(api, kinds, manifest, module) if absent else change(api, kinds, manifest, module)
    for problem in problems:
        module.warn(str(problem))
    return report(step, problems)


def stringify_labels(labels: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Labels are texts: `tier: 1` of a YAML file is meant as one."""
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in labels.items()
    }


def demand_served(served: bool, schema: Schema, module: AnsibleModule) -> None:
    """Fail where the object's kind is not served; in check mode warn: it can be judged and not applied."""
    if served:
        return
    text = f"the API server does not serve {schema.kind} of {schema.api_version}"
    if not module.check_mode:
        raise ClusterError(f"{text}; the role vipcast.baremetal.load_balancer applies its definition")
    module.warn(f"{text} yet: the object was judged, and could not be tried")


# -- judging -----------------------------------------------------------------------------------------------


def refuse_own_mistakes(manifest: Json) -> None:
    """Fail for what is wrong whatever else is in the cluster."""
    wrong = mistakes([manifest], manifest["metadata"]["namespace"])
    if wrong:
        title = title_of(manifest["kind"], manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        raise WrongObjectError(title, wrong)


def objects_of_namespace(api: Api, kinds: Kinds, namespace: str) -> list[Json]:
    """All objects of the configuration, as they are now."""
    found: list[Json] = []
    for schema in SCHEMAS:
        kind = kinds.find(schema.api_version, schema.kind)
        listed = (api.find(kind.collection(namespace)) or {}) if kind else {}
        found += [
            dict(item, apiVersion=schema.api_version, kind=schema.kind) for item in listed.get("items") or ()
        ]
    return found


def new_problems(before: t.Sequence[Json], manifest: Json, absent: bool) -> list[Problem]:
    """The object's problems among all others, and those that others have because of it."""
    namespace = manifest["metadata"]["namespace"]
    now = parse(before, namespace=namespace)
    after = [item for item in before if not same(item, manifest)]
    if not absent:
        after += [dict(manifest, metadata=merged(current(before, manifest), manifest["metadata"]))]
    then = parse(after, previous=now, namespace=namespace)
    return [problem for problem in then.problems if concerns(problem, manifest) or is_new(problem, now)]


def same(item: Json, manifest: Json) -> bool:
    return bool(item["kind"] == manifest["kind"] and item["metadata"]["name"] == manifest["metadata"]["name"])


def current(before: t.Sequence[Json], manifest: Json) -> Json:
    """Return what the cluster says of the object, above all its age."""
    return next((item["metadata"] for item in before if same(item, manifest)), {})


def merged(metadata: Json, declared: Json) -> Json:
    """Return what is known of the object, with what is declared; labels of others stay."""
    labels = {**(metadata.get("labels") or {}), **(declared.get("labels") or {})}
    return {**metadata, **declared, "labels": labels}


def concerns(problem: Problem, manifest: Json) -> bool:
    metadata = manifest["metadata"]
    return (problem.object.kind, problem.object.name) == (manifest["kind"], metadata["name"])


def is_new(problem: Problem, now: Configuration) -> bool:
    return str(problem) not in {str(each) for each in now.problems}


# -- changing ----------------------------------------------------------------------------------------------


def change(api: Api, kinds: Kinds, manifest: Json, module: AnsibleModule) -> Step:
    """Have the object as it is declared."""
    entry = entries([manifest], kinds, None)[0]
    entry = with_set(entry, api.find(entry.path))
    objects = ObjectSet(api, kinds, None, lenient=module.check_mode)
    step = objects.compare([entry])[0]
    if step.verb != "keep" and not module.check_mode:
        objects.apply([step])
    return step


def with_set(entry: Entry, before: Json | None) -> Entry:
    """Keeps the label of the set that created the object: applied without it, it would be lost."""
    name = ((before or {}).get("metadata", {}).get("labels") or {}).get(SET_LABEL)
    if name is None:
        return entry
    metadata = entry.manifest["metadata"]
    labels = dict(metadata.get("labels") or {}, **{SET_LABEL: name})
    return Entry(
        entry.kind, entry.namespace, entry.name, dict(entry.manifest, metadata=dict(metadata, labels=labels))
    )


def removal(api: Api, kinds: Kinds, manifest: Json, module: AnsibleModule) -> Step:
    """Have no such object."""
    entry = entries([manifest], kinds, None)[0]
    before = api.find(entry.path)
    step = Step(entry, before, None)
    if before is not None and not module.check_mode:
        ObjectSet(api, kinds, None).remove([step], REMOVAL_SECONDS)
    return step


# -- the result --------------------------------------------------------------------------------------------


def report(step: Step, problems: t.Sequence[Problem]) -> dict[str, t.Any]:
    """A module's result."""
    changed = step.before is not step.after and step.verb != "keep"
    return {
        "changed": changed,
        "object": essence(step.after) if step.after else {},
        "problems": [problem_as_dict(each) for each in problems],
        "drift": drift_of(step) if changed else [],
        "diff": diff_of(step) if changed else {"before": "", "after": ""},
    }


def problem_as_dict(problem: Problem) -> dict[str, str]:
    """A problem as data."""
    return {
        "object": str(problem.object),
        "field": problem.field,
        "reason": problem.reason.value,
        "effect": problem.effect.value,
        "text": str(problem),
    }


__all__ = ["OBJECT_SPEC", "run_for"]
