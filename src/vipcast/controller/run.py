# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the controller: what the informers tell goes to `decide`, what that says is written.

    services ──────────┐                        ┌─> 8 writers ──PATCH services/status──> API server
    namespaces ────────┼──> Decider ──changed──>┤
    pools ─┐           │       ^                └─> events
    peers ─┼─> parse ──┴───────┘
    adverts┘      └──> conditions and counters ──PATCH .../status──> API server

Everything runs in one event loop. Decisions are made without waiting for anything, so no two of them
interleave; only the writers wait. A service is written by one writer at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

from vipcast.controller.change import STRATEGIC_PATCH, Change, make_change
from vipcast.controller.conditions import counters, status_patch
from vipcast.controller.metrics import Metrics
from vipcast.controller.queue import WorkQueue
from vipcast.daemon.log import log_for
from vipcast.daemon.options import Options
from vipcast.daemon.run import Daemon
from vipcast.daemon.run import run as run_daemon
from vipcast.ipam.decide import Decider
from vipcast.ipam.service import View, read_service, slim
from vipcast.k8s import AccessError, ApiError, Informer, Json, Key, Recorder, Resource, UnreachableError
from vipcast.k8s.resource import BGP_ADVERTISEMENTS, BGP_PEERS, IP_ADDRESS_POOLS, NAMESPACES, SERVICES
from vipcast.model.configuration import Configuration, parse
from vipcast.model.reasons import Effect

__all__ = ["Controller", "main"]

# Patches that are under way at once: enough to keep an API server busy over a network with some latency,
# and few enough to leave it room for others.
WRITERS = 8
# Objects of a configuration often come in a burst (kubectl apply -f of a folder); they are judged together.
SETTLE_SECONDS = 0.1
# How often the counters of a pool are written at most.
COUNTERS_SECONDS = 0.5

_log = log_for("controller")
_TROUBLE = (ApiError, UnreachableError, AccessError)
_ObjectKey = tuple[Resource, Key]


def main(options: Options) -> int:
    """Run until a signal; the process's exit status."""
    return run_daemon("controller", options, program)


async def program(daemon: Daemon) -> None:
    """The controller as a daemon's program."""
    controller = Controller(daemon)
    await controller.run()


class Controller:
    """One controller; `run` returns when the daemon is stopping."""

    def __init__(self, daemon: Daemon) -> None:
        self.decider = Decider()
        self.configuration: Configuration | None = None
        self._daemon, self._client = daemon, daemon.client
        self._options: Options = daemon.options
        self._started = False
        self._config_changed, self._counters_changed = asyncio.Event(), asyncio.Event()
        self._metrics = Metrics(daemon.registry)
        self._recorder = Recorder(self._client, "vipcast-controller")
        self._services_queue: WorkQueue[Key] = WorkQueue(self._write_service)
        self._objects_queue: WorkQueue[_ObjectKey] = WorkQueue(self._write_object)
        # What the API server answered to our last patch, for as long as the informer has not caught up:
        # the resourceVersion that was patched, and the object after it.
        self._written: dict[Key, tuple[str, Json]] = {}
        self._make_informers()
        daemon.readiness = self._readiness
        daemon.status = self._status
        daemon.registry.before_scrape(lambda: self._metrics.collect(self.decider, self.configuration))

    def _make_informers(self) -> None:
        client, namespace = self._client, self._options.namespace
        self._services = Informer(client, SERVICES, on_change=self._on_service, slim=slim)
        self._namespaces = Informer(client, NAMESPACES, on_change=self._on_namespace, slim=_slim_namespace)
        self._config = {
            resource: Informer(
                client,
                resource,
                on_change=self._on_config,
                namespace=namespace,
                # Without pools there is nothing to do; without the others addresses can still be given.
                optional=resource is not IP_ADDRESS_POOLS,
            )
            for resource in (IP_ADDRESS_POOLS, BGP_PEERS, BGP_ADVERTISEMENTS)
        }

    @property
    def _informers(self) -> list[Informer]:
        return [*self._config.values(), self._namespaces, self._services]

    async def run(self) -> None:
        """Until the daemon is stopping."""
        for informer in self._informers:
            self._daemon.spawn(f"informer {informer.resource.plural}", informer.run())
        self._daemon.spawn("events", self._recorder.run())
        starting = asyncio.create_task(self._start())
        stopping = asyncio.create_task(self._daemon.stopping.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            await stopping
        starting.cancel()
        await self._recorder.flush(2.0)

    async def _start(self) -> None:
        """Nothing is decided before everything is known: services that have an address are settled first."""
        for informer in self._informers:
            await informer.synced.wait()
        self.configuration = self._parse()
        views = [self._view(item) for item in self._services.items.values()]
        self.decider.start(self.configuration.pools, views)
        self._started = True
        _log.info("ready", services=len(views), pools=len(self.configuration.pools))
        self._enqueue_objects()
        self._push()
        for number in range(WRITERS):
            self._daemon.spawn(f"writer {number}", self._services_queue.work())
        self._daemon.spawn("object writer", self._objects_queue.work())
        self._daemon.spawn("configuration", self._follow_configuration())
        self._daemon.spawn("counters", self._follow_counters())

    # -- what the informers tell -----------------------------------------------------------------------------

    def _on_service(self, key: Key, item: Json | None) -> None:
        self._metrics.updates.inc()
        if not self._started:
            return
        self.decider.service(key, self._view(item) if item is not None else None)
        self._push()

    def _on_namespace(self, key: Key, item: Json | None) -> None:
        if not self._started or item is None or not self._namespace_labels_matter():
            return
        for (namespace, name), service in self._services.items.items():
            if namespace == key[1]:
                self.decider.service((namespace, name), self._view(service))
        self._push()

    def _namespace_labels_matter(self) -> bool:
        allocations = (pool.service_allocation for pool in self.decider.allocator.pools)
        return any(each is not None and each.namespace_selectors for each in allocations)

    def _on_config(self, _key: Key, _item: Json | None) -> None:
        self._metrics.updates.inc()
        self._config_changed.set()

    def _view(self, item: Json) -> View:
        namespace = self._namespaces.items.get(("", item["metadata"]["namespace"]))
        labels = (namespace["metadata"].get("labels") or {}) if namespace else {}
        return read_service(item, self._options.lb_class, labels)

    def _push(self) -> None:
        for key in self.decider.take_changed():
            self._services_queue.add(key)
        self._counters_changed.set()

    # -- configuration ---------------------------------------------------------------------------------------

    async def _follow_configuration(self) -> None:
        while True:
            await self._config_changed.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            self._config_changed.clear()
            self._reconfigure()

    def _reconfigure(self) -> None:
        before, self.configuration = self.configuration, self._parse()
        if before is None or before.pools != self.configuration.pools:
            self.decider.configure(self.configuration.pools)
            _log.info("configured", pools=[pool.name for pool in self.configuration.pools])
        self._enqueue_objects()
        self._push()

    def _parse(self) -> Configuration:
        objects = (item for informer in self._config.values() for item in informer.items.values())
        found = parse(objects, previous=self.configuration, namespace=self._options.namespace)
        known = set(self.configuration.problems) if self.configuration else set()
        for problem in found.problems:
            if problem not in known:
                _log.warning("configuration_problem", what=str(problem), effect=problem.effect.value)
        return found

    def _enqueue_objects(self) -> None:
        for resource, informer in self._config.items():
            for key in informer.items:
                self._objects_queue.add((resource, key))

    async def _follow_counters(self) -> None:
        while True:
            await self._counters_changed.wait()
            self._counters_changed.clear()
            for key in self._config[IP_ADDRESS_POOLS].items:
                self._objects_queue.add((IP_ADDRESS_POOLS, key))
            await asyncio.sleep(COUNTERS_SECONDS)

    async def _write_object(self, what: _ObjectKey) -> bool:
        resource, key = what
        item = self._config[resource].items.get(key)
        if item is None or self.configuration is None:
            return True
        counts = counters(self.decider.allocator, key[1]) if resource is IP_ADDRESS_POOLS else {}
        patch = status_patch(item, self.configuration, counts, _now())
        if patch is None:
            return True
        try:
            await self._client.patch(resource.path(*key, "status"), patch)
        except _TROUBLE as error:
            return self._failed(error, resource.kind, key)
        self._say_problems(item)
        return True

    def _say_problems(self, item: Json) -> None:
        """An event for each problem that the object's conditions did not tell yet."""
        conditions = (item.get("status") or {}).get("conditions") or []
        said = "\n".join(condition.get("message", "") for condition in conditions)
        configuration = self.configuration or Configuration()
        for problem in configuration.problems_of(item["kind"], item["metadata"]["name"]):
            if problem.message not in said:
                fate = "not in force" if problem.effect is Effect.REFUSED else "without effect"
                message = f"{problem.field}: {problem.message} ({fate})"
                self._recorder.record(item, problem.reason.value, message, warning=True)

    # -- services --------------------------------------------------------------------------------------------

    async def _write_service(self, key: Key) -> bool:
        item = self._current(key)
        if item is None:
            self._written.pop(key, None)
            return True
        change = self._change(key, item)
        if change.patch is not None:
            try:
                answer = slim(
                    await self._client.patch(
                        SERVICES.path(*key, "status"), change.patch, content_type=STRATEGIC_PATCH
                    )
                )
            except _TROUBLE as error:
                return self._failed(error, "Service", key)
            self._written[key] = (item["metadata"]["resourceVersion"], answer)
            self._tell(item, change)
            item = answer
        self.decider.observed(key, self._view(item).shown)
        self._push()
        return True

    def _current(self, key: Key) -> Json | None:
        """The newest that is known of the service: the informer's copy, or the answer to our patch of it."""
        item = self._services.items.get(key)
        patched, answer = self._written.get(key, ("", {}))
        if item is not None and item["metadata"]["resourceVersion"] == patched:
            return answer
        self._written.pop(key, None)
        return item

    def _change(self, key: Key, item: Json) -> Change:
        outcome, view = self.decider.outcome(key), self.decider.views.get(key)
        if outcome is None or view is None or view.uid != item["metadata"]["uid"]:
            return Change()
        return make_change(item, view, outcome, lambda shown: self.decider.why_not(key, shown), _now())

    def _tell(self, item: Json, change: Change) -> None:
        for note in change.notes:
            self._recorder.record(item, note.reason, note.message, warning=note.warning)
            log = _log.warning if note.warning else _log.info
            log(note.reason, service="/".join(_key(item)), message=note.message)

    def _failed(self, error: Exception, kind: str, key: Key) -> bool:
        """Whether nothing is left to do. A conflict is no fault: the next try is made with what is new."""
        if isinstance(error, ApiError) and error.status == 404:
            return True
        if not (isinstance(error, ApiError) and error.status == 409):
            self._metrics.errors.inc()
            _log.warning("write_failed", kind=kind, object="/".join(key), why=str(error))
        return False

    # -- what others may know --------------------------------------------------------------------------------

    def _readiness(self) -> str | None:
        waiting = [each.resource.plural for each in self._informers if not each.synced.is_set()]
        if waiting:
            problems = "; ".join(each.problem for each in self._informers if each.problem)
            return f"waiting for {', '.join(waiting)}{': ' if problems else ''}{problems}"
        return None if self._started else "deciding"

    def _status(self) -> object:
        configuration = self.configuration or Configuration()
        return {
            "pools": {pool.name: counters(self.decider.allocator, pool.name) for pool in configuration.pools},
            "services": {
                "allocated": len(self.decider.allocator.book.allocations),
                "waiting": len(self.decider.waiting),
                "unwritten": len(self._services_queue),
            },
            "problems": [str(problem) for problem in configuration.problems],
            "informers": _informer_problems(self._informers),
        }


def _informer_problems(informers: Iterable[Informer]) -> dict[str, str]:
    return {each.resource.plural: each.problem for each in informers if each.problem}


def _slim_namespace(item: Json) -> Json:
    metadata = item["metadata"]
    kept = {name: metadata[name] for name in ("name", "resourceVersion", "labels") if name in metadata}
    return {"metadata": kept}


def _key(item: Json) -> Key:
    return (item["metadata"]["namespace"], item["metadata"]["name"])


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
