# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what is said of the configuration: conditions, counters, events, and the ConfigurationState."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from vipcast.controller.conditions import configuration_state, counters, status_patch
from vipcast.controller.copies import STATE_NAME, Copies
from vipcast.controller.metrics import Metrics
from vipcast.controller.queue import WorkQueue
from vipcast.controller.trouble import is_over
from vipcast.ipam import Allocator
from vipcast.k8s import TROUBLE, Client, Json, Key, Recorder, Resource
from vipcast.k8s.resource import CONFIGURATION_STATES, IP_ADDRESS_POOLS
from vipcast.model.configuration import Configuration

__all__ = ["Statuses", "now"]

# How often the counters of a pool are written at most.
COUNTERS_SECONDS = 0.5
# The label by which MetalLB's tools find a state.
COMPONENT = "metallb.io/component-type"

_ObjectKey = tuple[Resource, Key]


def now() -> str:
    """The time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Statuses:
    """`check` looks at everything again, `count` at the pools."""

    def __init__(
        self, client: Client, copies: Copies, allocator: Allocator, recorder: Recorder, metrics: Metrics
    ) -> None:
        self._client, self._copies, self._allocator = client, copies, allocator
        self._recorder, self._metrics = recorder, metrics
        self._queue: WorkQueue[_ObjectKey] = WorkQueue(self._write)
        self._counters_changed = asyncio.Event()

    def __len__(self) -> int:
        """How many objects wait to be written; counters that wait for their turn are one."""
        return len(self._queue) + (1 if self._counters_changed.is_set() else 0)

    def check(self) -> None:
        """The configuration was read again."""
        for resource, informer in self._copies.config.items():
            for key in informer.items:
                self._queue.add((resource, key))
        self.check_state()
        if self._copies.configuration is not None:
            self._copies.legacy.tell(self._copies.configuration.problems, self._recorder)

    def check_state(self) -> None:
        """The ConfigurationState may not say what it should."""
        self._queue.add((CONFIGURATION_STATES, ("", STATE_NAME)))

    def count(self) -> None:
        """A pool may have other numbers."""
        self._counters_changed.set()

    async def work(self) -> None:
        """Write, one object after the other, until cancelled."""
        await self._queue.work()

    async def follow_counters(self) -> None:
        """Look at the pools when their numbers changed, but not at every change."""
        while True:
            await self._counters_changed.wait()
            self._counters_changed.clear()
            for key in self._copies.config[IP_ADDRESS_POOLS].items:
                self._queue.add((IP_ADDRESS_POOLS, key))
            await asyncio.sleep(COUNTERS_SECONDS)

    async def _write(self, what: _ObjectKey) -> bool:
        resource, key = what
        try:
            if resource is CONFIGURATION_STATES:
                await self._write_state()
            else:
                await self._write_object(resource, key)
        except TROUBLE as error:
            return is_over(error, resource.kind, key, self._metrics)
        return True

    async def _write_object(self, resource: Resource, key: Key) -> None:
        item, configuration = self._copies.config[resource].items.get(key), self._copies.configuration
        if item is None or configuration is None:
            return
        counts = counters(self._allocator, key[1]) if resource is IP_ADDRESS_POOLS else {}
        patch = status_patch(item, configuration, counts, now())
        if patch is not None:
            await self._client.patch(resource.path(*key, "status"), patch)
            self._say_problems(item, configuration)

    def _say_problems(self, item: Json, configuration: Configuration) -> None:
        """An event for each problem that the object's conditions did not tell yet."""
        conditions = (item.get("status") or {}).get("conditions") or []
        said = "\n".join(condition.get("message", "") for condition in conditions)
        for problem in configuration.problems_of(item["kind"], item["metadata"]["name"]):
            if problem.message not in said:
                self._recorder.record(item, problem.reason.value, problem.note, warning=True)

    async def _write_state(self) -> None:
        item = self._copies.state
        wanted = configuration_state(self._copies.configuration, item or {}, now())
        if wanted is None:
            return
        if item is None:
            item = await self._create_state()
        path = CONFIGURATION_STATES.path(self._copies.namespace, STATE_NAME, "status")
        uid = item["metadata"]["uid"]
        await self._client.patch(path, {"metadata": {"uid": uid}, "status": wanted})

    async def _create_state(self) -> Json:
        """Its status can not be given with it: that is another part of the API."""
        metadata = {
            "name": STATE_NAME,
            "namespace": self._copies.namespace,
            "labels": {COMPONENT: STATE_NAME},
        }
        kind = CONFIGURATION_STATES
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
        return await self._client.create(kind.path(self._copies.namespace), body)
