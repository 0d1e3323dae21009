# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what is said of the configuration: conditions, counters, events, and the ConfigurationState."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from vipcast.controller.cache import STATE_NAME, Cache
from vipcast.controller.conditions import configuration_state, counters, status_patch
from vipcast.controller.queue import WorkQueue
from vipcast.controller.write_errors import WriteErrors
from vipcast.ipam import Allocator
from vipcast.k8s import API_ERRORS, Client, Json, Key, Recorder, Resource
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
        self,
        client: Client,
        cache: Cache,
        allocator: Allocator,
        recorder: Recorder,
        write_errors: WriteErrors,
    ) -> None:
        self._client, self._cache, self._allocator = client, cache, allocator
        self._recorder, self._write_errors = recorder, write_errors
        self._queue: WorkQueue[_ObjectKey] = WorkQueue(self._write)
        self._counters_changed = asyncio.Event()

    def __len__(self) -> int:
        """Return how many objects wait to be written; counters that wait for their turn are one."""
        return len(self._queue) + (1 if self._counters_changed.is_set() else 0)

    def check(self) -> None:
        """The configuration was read again."""
        for resource, informer in self._cache.config.items():
            for key in informer.items:
                self._queue.add((resource, key))
        self.check_state()
        if self._cache.configuration is not None:
            self._cache.legacy.tell(self._cache.configuration.problems, self._recorder)

    def check_one(self, resource: Resource, key: Key) -> None:
        """One object's status has changed, which may not have been us."""
        self._queue.add((resource, key))

    def check_state(self) -> None:
        """The ConfigurationState may not say what it should."""
        self._queue.add((CONFIGURATION_STATES, ("", STATE_NAME)))

    def count(self) -> None:
        """A pool may have other numbers."""
        self._counters_changed.set()

    async def work(self) -> None:
        """Write one object after the other, until cancelled; several may do so."""
        await self._queue.work()

    async def follow_counters(self) -> None:
        """Look at the pools when their numbers changed, but not at every change."""
        while True:
            await self._counters_changed.wait()
            self._counters_changed.clear()
            for key in self._cache.config[IP_ADDRESS_POOLS].items:
                self._queue.add((IP_ADDRESS_POOLS, key))
            await asyncio.sleep(COUNTERS_SECONDS)

    async def _write(self, what: _ObjectKey) -> bool:
        resource, key = what
        try:
            if resource is CONFIGURATION_STATES:
                await self._write_state()
            else:
                await self._write_object(resource, key)
        except API_ERRORS as error:
            return self._write_errors.should_give_up(error, resource.kind, key)
        self._write_errors.written(resource.kind, key)
        return True

    async def _write_object(self, resource: Resource, key: Key) -> None:
        item, configuration = self._cache.config[resource].items.get(key), self._cache.configuration
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
        if not self._cache.state_known:
            return
        item, whole = self._cache.state, self._cache.complete
        configuration = self._cache.configuration if whole else None
        wanted = configuration_state(configuration, item or {}, now(), self._cache.absent)
        if wanted is None:
            return
        if item is None:
            item = await self._create_state()
        path = CONFIGURATION_STATES.path(self._cache.namespace, STATE_NAME, "status")
        uid = item["metadata"]["uid"]
        await self._client.patch(path, {"metadata": {"uid": uid}, "status": wanted})

    async def _create_state(self) -> Json:
        """Its status can not be given with it: that is another part of the API."""
        metadata = {
            "name": STATE_NAME,
            "namespace": self._cache.namespace,
            "labels": {COMPONENT: STATE_NAME},
        }
        kind = CONFIGURATION_STATES
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
        return await self._client.create(kind.path(self._cache.namespace), body)
