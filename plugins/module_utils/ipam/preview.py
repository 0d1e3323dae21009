# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The preview of what the controller would do with a cluster, and by which rule.

The controller's own parts decide (`parse`, `Decider`): here is only what stands for the API server, which
takes every write. A controller that runs meets a change in the cluster as it is: so the world before the
change comes to rest first, then other pools are put in force, services are changed and new ones are made, one
after the other. Where nothing was in force before, a controller starts with the pools that there will be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Callable, NamedTuple

from ..model.configuration import Configuration
from ..model.legacy_objects import Conversion, parse_both
from ..model.pools import Pool
from ..model.problems import Problem
from ..model.texts import listed
from .decide import Decider
from .request import Allocation, Holder, Refusal, Request
from .rule import Rule, rule_of
from .service import ALLOCATED_FROM, OLD_ALLOCATED_FROM, Relation, View, ingress_of, read_service
from .snapshot import NAME_LABEL, Snapshot

__all__ = ["Change", "Preview", "Row", "Usage", "preview"]

Json = Mapping[str, Any]
# A ConfigMap, and what it said before; what it says.
ReadConfigMap = Callable[[Any, "Conversion | None"], Conversion]


class Change(Enum):
    """The change of a service."""

    KEPT = "kept"
    ASSIGNED = "assigned"
    EXTENDED = "extended"  # keeps what it has and gets the other family too
    MOVED = "moved"  # loses an address and has another, or one less
    LOST = "lost"  # loses its address and waits
    WAITS = "waits"
    FOREIGN = "not ours"  # of another class


# What a person wants to be asked about.
TROUBLE = (Change.MOVED, Change.LOST, Change.WAITS)


@dataclass(frozen=True)
class Row:
    """One LoadBalancer service."""

    key: Holder
    before: tuple[str, ...]  # addresses, or hostnames, that its status shows
    after: tuple[str, ...]
    pool_before: str | None  # that its annotation names
    pool: str | None
    change: Change
    reason: str  # one word: a `Rule`, a `RefusalReason` or OtherClass
    why: str
    certain: bool = True  # False: which address it is depends on which one is free first

    @property
    def unmet(self) -> bool:
        """Tell whether the service keeps what it has because it can not have what it asks for."""
        return self.change is Change.KEPT and self.reason != Rule.KEPT.value

    @property
    def name(self) -> str:
        """``namespace/name``."""
        return "/".join(self.key)

    def document(self) -> dict[str, Any]:
        """The same in plain types."""
        return {
            "namespace": self.key[0],
            "name": self.key[1],
            "before": {"addresses": list(self.before), "pool": self.pool_before},
            "after": {"addresses": list(self.after), "pool": self.pool},
            "happens": self.change.value,
            "reason": self.reason,
            "why": self.why,
            "certain": self.certain,
        }


@dataclass(frozen=True)
class Usage:
    """The addresses of one family in one pool, afterwards."""

    pool: str
    family: int
    used: int
    free: int


@dataclass(frozen=True)
class Preview:
    """All of it, services by namespace and name and pools in the order in which they are tried."""

    rows: tuple[Row, ...]
    usage: tuple[Usage, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Tell whether all have what they ask for, none loses an address, and the pools have no problem."""
        return not self.problems and not any(row.change in TROUBLE or row.unmet for row in self.rows)

    def with_(self, *changes: Change) -> list[Row]:
        """The services to which one of these happens."""
        return [row for row in self.rows if row.change in changes]

    def document(self) -> dict[str, Any]:
        """The same in plain types, as JSON and playbooks have them."""
        return {
            "services": [row.document() for row in self.rows],
            "pools": [vars(each) for each in self.usage],
            "problems": [str(problem) for problem in self.problems],
            "notes": list(self.notes),
        }

    def counts(self) -> dict[str, int]:
        """Return how many services are kept, moved, ..."""
        found = Counter(row.change for row in self.rows)
        return {each.value: found[each] for each in Change if found[each]}


def preview(
    snapshot: Snapshot,
    *,
    lb_class: str | None = None,
    namespace: str | None = None,
    within_namespace: bool = False,
    running: bool = True,
    read: ReadConfigMap | None = None,
) -> Preview:
    """Return what becomes of every LoadBalancer service.

    ``lb_class`` is the loadBalancerClass that the controller serves (None: services without one),
    ``namespace`` the only one whose pools count (None: any), ``within_namespace`` whether services of two
    namespaces never share. ``running``: the controller meets the change while it runs; otherwise it starts
    when everything has changed. ``read`` knows YAML, which this does not: what a ConfigMap says (None: it is
    not looked at).
    """
    before, configuration = _configurations(snapshot, namespace, read)
    items = {_key(item): item for item in (*snapshot.services, *snapshot.new_services)}

    def seen(services: Iterable[Json]) -> list[View]:
        return [_view(item, lb_class, snapshot, within_namespace) for item in services]

    views, new = seen(snapshot.services), seen(snapshot.new_services)
    # The API's times are whole seconds; these have none yet, come last, and keep the order of the files.
    new = [replace(view, created=f"~{number:09d}") for number, view in enumerate(new)]
    then, now = (configuration.pools, views), (before.pools, seen(snapshot.services_before))
    first = now if running and before.pools else then
    change = _Edit(configuration.pools, views, new)
    world, other = (_World(*first, change, backwards=backwards) for backwards in (False, True))
    ours = sorted(view.key for view in (*views, *new) if view.relation is not Relation.NONE)
    rows = tuple(_row(items[key], key, world, other) for key in ours)
    problems = (*configuration.problems, *snapshot.problems)
    notes = (*snapshot.notes, *_unknown_namespaces(configuration, rows, snapshot))
    return Preview(rows, tuple(_usage(world.decider, configuration.pools)), problems, notes)


def _configurations(
    snapshot: Snapshot, namespace: str | None, read: ReadConfigMap | None
) -> tuple[Configuration, Configuration]:
    """Return the configurations before and after the change.

    What was in force stays in force where its new form is bad.
    """
    earlier = _conversion(snapshot.config_map_before, None, read)
    before = parse_both(snapshot.pools_before, earlier, namespace=namespace)
    now = _conversion(snapshot.config_map, earlier, read)
    return before, parse_both(snapshot.pools, now, previous=before, namespace=namespace)


def _conversion(
    item: Json | None, previous: Conversion | None, read: ReadConfigMap | None
) -> Conversion | None:
    """The pools of a ConfigMap, and what is wrong with them."""
    if item is None or read is None:
        return None
    found = read(item, previous)
    pools = found.without(lambda _entry, manifest: manifest["kind"] != "IPAddressPool")
    others = ("peers", "bgp-communities", "bfd-profiles")
    return replace(
        pools, problems=tuple(each for each in found.problems if not each.field.startswith(others))
    )


def _key(item: Json) -> Holder:
    return (item["metadata"]["namespace"], item["metadata"]["name"])


def _view(item: Json, lb_class: str | None, snapshot: Snapshot, within_namespace: bool) -> View:
    name = item["metadata"]["namespace"]
    labels = snapshot.namespaces.get(name, {NAME_LABEL: name})
    view = read_service(item, lb_class, labels, within_namespace=within_namespace)
    # The API server itself clears the status of a service that is not a load balancer any more.
    return replace(view, shown=()) if view.relation is Relation.NONE else view


def _unknown_namespaces(configuration: Configuration, rows: Iterable[Row], snapshot: Snapshot) -> list[str]:
    """Selectors look at labels, which nobody has told of these namespaces."""
    allocations = [pool.service_allocation for pool in configuration.pools]
    if not any(each is not None and each.namespace_selectors for each in allocations):
        return []
    unknown = sorted({row.key[0] for row in rows} - set(snapshot.namespaces))
    if not unknown:
        return []
    return [f"labels of these namespaces are not known, assumed to be none: {listed(unknown)}"]


def _usage(decider: Decider, pools: Iterable[Pool]) -> Iterable[Usage]:
    for pool in pools:
        for family in sorted(pool.families):
            yield Usage(pool.name, family, *decider.allocator.usage(pool.name, family))


# -- the controller, and an API server that takes every write ------------------------------------------------


class _Edit(NamedTuple):
    """The change to the cluster: its new pools, its services as they will be, and new services."""

    pools: Sequence[Pool]
    views: Sequence[View]  # services that are there
    new: Sequence[View]


class _World:
    """Everything as it is when nothing is left to decide and to write.

    Several services are written at once, so which freed address is free first is not known, nor whether the
    controller hears of the pools or of the services first: `backwards` is the other extreme.
    """

    def __init__(
        self, pools: Sequence[Pool], views: Iterable[View], change: _Edit, *, backwards: bool
    ) -> None:
        self.decider = Decider()
        self.decider.start(pools, views)
        self._backwards = backwards
        self._settle()
        if backwards:
            self._change(change.views)
        self._configure(change.pools)
        if not backwards:
            self._change(change.views)
        for view in change.new:
            self.decider.service(view.key, view)
            self._settle()

    def _configure(self, pools: Sequence[Pool]) -> None:
        if tuple(pools) != self.decider.allocator.pools:
            self.decider.configure(pools)
            self._settle()

    def _change(self, views: Sequence[View]) -> None:
        """Let the services ask for what they will ask for; each shows what it shows by now."""
        for view in reversed(views) if self._backwards else views:
            known = self.decider.views.get(view.key)
            shown = known.shown if known is not None and known.relation is view.relation else view.shown
            self.decider.service(view.key, replace(view, shown=shown))
            self._settle()

    def after(self, key: Holder) -> tuple[str, ...]:
        """Return what the service's status shows in the end."""
        outcome = self.decider.outcome(key)
        result = outcome.result if outcome is not None else None
        return tuple(map(str, result.addresses)) if isinstance(result, Allocation) else ()

    def _settle(self) -> None:
        changed = self.decider.take_changed()
        while changed:
            for key in reversed(changed) if self._backwards else changed:
                self._write(key)
            changed = self.decider.take_changed()

    def _write(self, key: Holder) -> None:
        view, outcome = self.decider.views[key], self.decider.outcome(key)
        if outcome is None or outcome.relation is not Relation.OURS:
            return
        shown = outcome.result.addresses if isinstance(outcome.result, Allocation) else ()
        self.decider.observed(key, shown)
        if shown != view.shown:
            self.decider.service(key, replace(view, shown=shown))


# -- one service -------------------------------------------------------------------------------------------


def _row(item: Json, key: Holder, world: _World, other: _World) -> Row:
    annotations = item["metadata"].get("annotations") or {}
    before = tuple(_shown(entry) for entry in ingress_of(item))
    outcome = world.decider.outcome(key)
    result = outcome.result if outcome is not None else None
    foreign = outcome is None or outcome.relation is Relation.FOREIGN
    after = before if foreign else world.after(key)
    change = Change.FOREIGN if foreign else _change(before, after)
    reason, why = _why(item, key, world, result, change)
    certain = foreign or other.after(key) == after
    return Row(
        key=key,
        before=before,
        after=after,
        pool_before=annotations.get(ALLOCATED_FROM) or annotations.get(OLD_ALLOCATED_FROM),
        pool=result.pool if isinstance(result, Allocation) else None,
        change=change,
        reason=reason,
        why=why if certain else f"{why}; which address it is depends on which one is free first",
        certain=certain,
    )


def _shown(entry: Json) -> str:
    return str(entry.get("ip") or entry.get("hostname") or "nothing")


def _change(before: tuple[str, ...], after: tuple[str, ...]) -> Change:
    if not before:
        return Change.ASSIGNED if after else Change.WAITS
    if not after:
        return Change.LOST
    if set(before) == set(after):
        return Change.KEPT
    return Change.EXTENDED if set(before) < set(after) else Change.MOVED


def _why(
    item: Json, key: Holder, world: _World, result: Allocation | Refusal | None, change: Change
) -> tuple[str, str]:
    if change is Change.FOREIGN:
        return "OtherClass", f"its loadBalancerClass is {item['spec'].get('loadBalancerClass') or 'not set'}"
    taken = _why_taken(item, key, world) if change in (Change.MOVED, Change.LOST) else ""
    if isinstance(result, Refusal):
        same = taken == result.message
        return (
            result.reason.value,
            result.message if same or not taken else f"{taken}; instead: {result.message}",
        )
    refusal = _unmet(key, world)
    if change is Change.KEPT and refusal is not None:
        return refusal.reason.value, f"{refusal.message}; it keeps what it has"
    if change is Change.KEPT:
        return Rule.KEPT.value, "has it and may keep it"
    want = world.decider.views[key].want
    if not isinstance(want, Request) or not isinstance(result, Allocation):
        return "", taken
    rule, text = rule_of(item, want, result, world.decider.allocator)
    return rule.value, f"{taken}; instead: {text}" if taken else text


def _unmet(key: Holder, world: _World) -> Refusal | None:
    """Return why the service has something else than what it asks for; None if it has that."""
    outcome = world.decider.outcome(key)
    return outcome.refusal if outcome is not None else None


def _why_taken(item: Json, key: Holder, world: _World) -> str:
    shown = read_service(item, None, {}).shown
    refusal = world.decider.why_not(key, shown) if shown else None
    return refusal.message if refusal else "what it shows was not given by the controller"
