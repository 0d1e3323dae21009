# SPDX-License-Identifier: GPL-3.0-or-later
"""A small world for the controller's decisions: an API server in a dict, and a copy of it that may be old."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

from vipcast.controller.change import CONDITION, make_change
from vipcast.ipam import Holder
from vipcast.ipam.decide import Decider
from vipcast.ipam.service import View, read_service
from vipcast.model.configuration import VERSIONS, Configuration, parse
from vipcast.model.pools import Pool

NOW = "2026-01-02T03:04:05Z"
Json = dict[str, Any]


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
    """Services, as the API server keeps them."""

    def __init__(self) -> None:
        self.objects: dict[Holder, Json] = {}
        self._versions = itertools.count(1)
        self.on_change: Callable[[Holder, Json | None], None] = lambda key, item: None

    def put(
        self, key: Holder, spec: Json, *, annotations: Json | None = None, labels: Json | None = None
    ) -> None:
        """Create the service, or change its specification and annotations."""
        old = self.objects.get(key)
        number = next(self._versions)
        metadata = {
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
        status = copy.deepcopy(old["status"]) if old is not None else {}
        if {**base, **spec}["type"] != "LoadBalancer":
            status["loadBalancer"] = {}  # so does the real one
        self._store(key, {"metadata": metadata, "spec": {**base, **spec}, "status": status})

    def scribble(self, key: Holder, ingress: list[Json]) -> None:
        """Somebody else writes into the status."""
        item = copy.deepcopy(self.objects[key])
        item["status"]["loadBalancer"] = {"ingress": ingress}
        self._store(key, item)

    def delete(self, key: Holder) -> None:
        del self.objects[key]
        self.on_change(key, None)

    def patch(self, key: Holder, body: Json) -> Json:
        """A strategic merge patch of the status, as far as the controller uses it."""
        item = copy.deepcopy(self.objects[key])
        for name in ("uid", "resourceVersion"):
            if body["metadata"][name] != item["metadata"][name]:
                raise ConflictError(key)
        for name, value in body["metadata"]["annotations"].items():
            item["metadata"]["annotations"].pop(name, None)
            if value is not None:
                item["metadata"]["annotations"][name] = value
        if "loadBalancer" in body["status"]:
            ingress = body["status"]["loadBalancer"]["ingress"]
            item["status"]["loadBalancer"] = {"ingress": ingress} if ingress else {}
        for condition in body["status"].get("conditions", ()):
            present = [each for each in item["status"].get("conditions", []) if each["type"] != CONDITION]
            item["status"]["conditions"] = present + ([] if "$patch" in condition else [condition])
        self._store(key, item)
        return self.objects[key]

    def shown(self, key: Holder) -> list[str]:
        ingress = self.objects[key]["status"].get("loadBalancer", {}).get("ingress") or []
        return [entry.get("ip") or entry.get("hostname") for entry in ingress]

    def _store(self, key: Holder, item: Json) -> None:
        item["metadata"]["resourceVersion"] = str(next(self._versions))
        self.objects[key] = item
        self.on_change(key, item)


def _ours(annotations: Json) -> Json:
    return {name: value for name, value in annotations.items() if name.endswith("ip-allocated-from-pool")}


class Runner:
    """What `run` does, with everything that can be late made explicit."""

    def __init__(self, api: Api, pools: tuple[Pool, ...], lb_class: str | None = None) -> None:
        self.api, self.decider, self._class = api, Decider(), lb_class
        self.copy = dict(api.objects)
        self.pending: list[tuple[Holder, Json | None]] = []
        self.todo: dict[Holder, None] = {}
        self.notes: list[tuple[Holder, str, str]] = []
        api.on_change = lambda key, item: self.pending.append((key, item))
        self.decider.start(pools, [self._view(item) for item in self.copy.values()])
        self._collect()

    def _view(self, item: Json) -> View:
        return read_service(item, self._class, {})

    def _collect(self) -> None:
        self.todo |= dict.fromkeys(self.decider.take_changed())

    def configure(self, pools: tuple[Pool, ...]) -> None:
        self.decider.configure(pools)
        self._collect()

    def deliver(self) -> None:
        """The informer hears of one change."""
        key, item = self.pending.pop(0)
        if item is None:
            self.copy.pop(key, None)
        else:
            self.copy[key] = item
        self.decider.service(key, self._view(item) if item is not None else None)
        self._collect()

    def write(self, key: Holder) -> None:
        """One writer does one key; a conflict leaves it to be done again."""
        item = self.copy.get(key)
        if item is None:
            self.todo.pop(key, None)
            return
        outcome, view = self.decider.outcome(key), self.decider.views[key]
        change = make_change(item, view, outcome, lambda shown: self.decider.why_not(key, shown), NOW)
        if change.patch is not None:
            try:
                item = self.api.patch(key, change.patch)
            except (ConflictError, KeyError):
                return
            self.copy[key] = item  # as `Controller._current` does
            self.notes += [(key, note.reason, note.message) for note in change.notes]
        self.todo.pop(key, None)
        self.decider.observed(key, self._view(item).shown)
        self._collect()

    def settle(self) -> None:
        """Until nothing is left to hear or to write."""
        for _again in range(10_000):
            if self.pending:
                self.deliver()
            elif self.todo:
                self.write(next(iter(self.todo)))
            else:
                return
        raise AssertionError("does not come to rest")
