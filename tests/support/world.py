# SPDX-License-Identifier: GPL-3.0-or-later
"""A small world for decisions: an API server in a dict, and controllers that hear of its changes late."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vipcast.controller.change import Change, make_change
from vipcast.controller.latest_version import LatestVersions
from vipcast.ipam import Holder
from vipcast.ipam.decide import Decider
from vipcast.ipam.service import View, read_service
from vipcast.model.configuration import VERSIONS, Configuration, parse
from vipcast.model.pools import Pool

NOW = "2026-01-02T03:04:05Z"
Json = dict[str, Any]
Event = Callable[["Runner"], None]


def pools_of(**addresses: list[str] | Json) -> tuple[Pool, ...]:
    """``pools_of(small=["10.0.0.0/30"])``; a dict instead of the list is a whole spec."""
    return configuration_of(**addresses).pools


def configuration_of(**addresses: list[str] | Json) -> Configuration:
    objects = []
    for name, value in addresses.items():
        spec = value if isinstance(value, dict) else {"addresses": value}
        metadata = {"name": name, "namespace": "metallb-system"}
        version = VERSIONS["IPAddressPool"]
        objects.append({"apiVersion": version, "kind": "IPAddressPool", "metadata": metadata, "spec": spec})
    found = parse(objects)
    assert not found.problems, [str(problem) for problem in found.problems]
    return found


class ConflictError(Exception):
    """The patch was made for an older object."""


class Api:
    """Services, namespaces and pools, as the API server keeps them; `listeners` hear of every change."""

    def __init__(self) -> None:
        self.objects: dict[Holder, Json] = {}
        self.namespaces: dict[str, Json] = {}
        self.listeners: list[Runner] = []
        self._versions = itertools.count(1)

    def put(
        self, key: Holder, spec: Json, *, annotations: Json | None = None, labels: Json | None = None
    ) -> None:
        """Create the service, or change its specification and annotations."""
        old = self.objects.get(key)
        number = next(self._versions)
        metadata: Json = {
            "namespace": key[0],
            "name": key[1],
            "uid": f"uid-{number}",
            "creationTimestamp": f"2026-01-01T00:{number // 60:02}:{number % 60:02}Z",
        }
        if old is not None:
            metadata = {name: old["metadata"][name] for name in metadata}
        kept = {} if old is None else _ours(old["metadata"]["annotations"])
        metadata |= {"annotations": {**kept, **(annotations or {})}, "labels": labels or {}}
        base = {"type": "LoadBalancer", "clusterIPs": ["10.96.0.1"], "ports": [{"port": 80}]}
        status = old["status"] if old is not None else {}
        if {**base, **spec}["type"] != "LoadBalancer":
            status = {**status, "loadBalancer": {}}  # so does the real one
        self._store(key, {"metadata": metadata, "spec": {**base, **spec}, "status": status})

    def scribble(self, key: Holder, ingress: list[Json]) -> None:
        """Write into the status, as another program may."""
        item = self.objects[key]
        self._store(key, {**item, "status": {**item["status"], "loadBalancer": {"ingress": ingress}}})

    def touch(self, key: Holder) -> None:
        """A change of no consequence: whatever was decided for the version before is refused."""
        self._store(key, self.objects[key])

    def delete(self, key: Holder) -> None:
        del self.objects[key]
        self._tell(lambda runner: runner.hear(key, None))

    def label(self, namespace: str, labels: Json) -> None:
        """The namespace has other labels."""
        self.namespaces[namespace] = labels
        self._tell(lambda runner: runner.hear_of_namespace(namespace, labels))

    def patch(self, key: Holder, body: Json) -> Json:
        """A strategic merge patch of the status, as far as the controller uses it."""
        item = self.objects[key]
        for name in ("uid", "resourceVersion"):
            if body["metadata"][name] != item["metadata"][name]:
                raise ConflictError(key)
        annotations = {**item["metadata"]["annotations"], **body["metadata"]["annotations"]}
        metadata = {
            **item["metadata"],
            "annotations": {name: value for name, value in annotations.items() if value is not None},
        }
        status = dict(item["status"])
        if "loadBalancer" in body["status"]:
            ingress = body["status"]["loadBalancer"]["ingress"]
            status["loadBalancer"] = {"ingress": ingress} if ingress else {}
        for condition in body["status"].get("conditions", ()):
            others = [each for each in status.get("conditions", []) if each["type"] != condition["type"]]
            status["conditions"] = others + ([] if "$patch" in condition else [condition])
        self._store(key, {**item, "metadata": metadata, "status": status})
        return self.objects[key]

    def shown(self, key: Holder) -> list[str]:
        return shown_by(self.objects[key])

    def _store(self, key: Holder, item: Json) -> None:
        metadata = {**item["metadata"], "resourceVersion": str(next(self._versions))}
        self.objects[key] = stored = {**item, "metadata": metadata}
        self._tell(lambda runner: runner.hear(key, stored))

    def _tell(self, event: Event) -> None:
        for listener in self.listeners:
            listener.pending.append(event)


def shown_by(item: Json) -> list[str]:
    ingress = item["status"].get("loadBalancer", {}).get("ingress") or []
    return [entry.get("ip") or entry.get("hostname") for entry in ingress]


def _ours(annotations: Json) -> Json:
    return {name: value for name, value in annotations.items() if name.endswith("ip-allocated-from-pool")}


@dataclass
class Flight:
    """A patch under way; it arrives or not, and the answer arrives or not."""

    key: Holder
    change: Change
    known: Mapping[Holder, Json]  # what its sender knew of all services
    answer: Json | None = None
    arrived: bool = False

    def arrive(self, api: Api) -> None:
        """The API server gets it, and takes it or refuses it."""
        assert not self.arrived and self.change.patch is not None
        self.arrived = True
        try:
            self.answer = api.patch(self.key, self.change.patch)
        except (ConflictError, KeyError):
            self.answer = None


class Runner:
    """The steps of `run` for one controller, with everything that can be late made explicit.

    It begins with a fresh list. What happens later waits in `pending` until it is delivered, in order.
    """

    def __init__(self, api: Api, pools: tuple[Pool, ...], lb_class: str | None = None) -> None:
        self.api, self.decider, self._class = api, Decider(), lb_class
        self.copy, self.latest, self.labels = dict(api.objects), LatestVersions(), dict(api.namespaces)
        self.pending: list[Event] = []
        self.todo: dict[Holder, None] = {}
        self.flights: dict[Holder, Flight] = {}
        self.notes: list[tuple[Holder, str, str]] = []
        self.warned: list[bool] = []  # which of the notes are warnings
        api.listeners = [self]
        self.decider.start(pools, [self._view(item) for item in self.copy.values()])
        self._collect()

    def _view(self, item: Json) -> View:
        return read_service(item, self._class, self.labels.get(item["metadata"]["namespace"], {}))

    def _collect(self) -> None:
        self.todo |= dict.fromkeys(self.decider.take_changed())

    # -- what the informers tell -----------------------------------------------------------------------------

    def configure(self, pools: tuple[Pool, ...]) -> None:
        self.decider.configure(pools)
        self._collect()

    def deliver(self) -> None:
        """The informer hears of one change."""
        self.pending.pop(0)(self)

    def hear(self, key: Holder, item: Json | None) -> None:
        if item is None:
            self.copy.pop(key, None)
        else:
            self.copy[key] = item
        latest = self.latest.get(key, item)
        self.decider.service(key, self._view(latest) if latest is not None else None)
        self._collect()

    def hear_of_namespace(self, namespace: str, labels: Json) -> None:
        self.labels[namespace] = labels
        for key in [key for key in self.copy if key[0] == namespace]:
            self.hear(key, self.copy[key])

    def relist(self) -> None:
        """The watch has expired: only differences are delivered, in the order of the list."""
        self.pending.clear()
        for key in sorted(set(self.copy) - set(self.api.objects)):
            self.hear(key, None)
        for key in sorted(self.api.objects):
            if self.copy.get(key) is not self.api.objects[key]:
                self.hear(key, self.api.objects[key])
        for namespace, labels in self.api.namespaces.items():
            self.hear_of_namespace(namespace, labels)

    # -- the writers -----------------------------------------------------------------------------------------

    def send(self, key: Holder) -> None:
        """A writer takes the service up: its patch is under way, or there is nothing to write."""
        self.todo.pop(key)
        item = self.latest.get(key, self.copy.get(key))
        if item is None:
            return
        outcome, view = self.decider.outcome(key), self.decider.views[key]
        assert outcome is not None, key
        change = make_change(item, view, outcome, lambda shown: self.decider.why_not(key, shown), NOW)
        if change.patch is None:
            self._observe(key)
        else:
            self.flights[key] = Flight(key, change, dict(self.copy))

    def hear_answer(self, key: Holder, *, lost: bool = False) -> None:
        """The answer arrives; one that is lost looks like a refusal, and both are tried again."""
        flight = self.flights.pop(key)
        if flight.answer is None or lost:
            self.todo[key] = None
            return
        self.latest.record(key, flight.answer)
        self.notes += [(key, note.reason, note.message) for note in flight.change.notes]
        self.warned += [note.warning for note in flight.change.notes]
        self._observe(key)

    def _observe(self, key: Holder) -> None:
        item = self.latest.get(key, self.copy.get(key))
        if item is not None:
            self.decider.observed(key, self._view(item).shown)
        self._collect()

    def write(self, key: Holder) -> None:
        """Go from the decision to the answer, without anything in between."""
        self.send(key)
        if key in self.flights:
            self.finish(key)

    def finish(self, key: Holder) -> None:
        """Let what is under way arrive, and the answer too."""
        if not self.flights[key].arrived:
            self.flights[key].arrive(self.api)
        self.hear_answer(key)

    def settle(self) -> None:
        """Run until nothing is left to hear or to write."""
        for _again in range(10_000):
            if self.pending:
                self.deliver()
            elif self.flights:
                self.finish(next(iter(self.flights)))
            elif self.todo:
                self.write(next(iter(self.todo)))
            else:
                return
        raise AssertionError("does not come to rest")
