# SPDX-License-Identifier: GPL-3.0-or-later
"""One term of leading: decides, and writes what was decided.

    cache ──changes──> Decider ──changed──> 8 writers ──PATCH services/status──> API server
                           └──counters──> statuses

Everything runs in one event loop. Decisions are made one after another (`decisions`); the writers wait for
those that concern them. A service is written by one writer at a time, and those of one namespace that hang
don't keep the others from being written. A term ends by cancellation: what is under way is cut off, and the
term's client sends nothing more. What it knows (`Known`) is of use to the next one, if nobody led in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from vipcast.controller import nodeports
from vipcast.controller.cache import Cache
from vipcast.controller.change import Change, Note, make_change
from vipcast.controller.conflict_backoff import ConflictBackoff
from vipcast.controller.decisions import Decisions
from vipcast.controller.fence import change_one, fence
from vipcast.controller.latest_version import LatestVersions
from vipcast.controller.metrics import Metrics
from vipcast.controller.quarantine import Quarantine
from vipcast.controller.queue import WorkQueue
from vipcast.controller.statuses import Statuses, now
from vipcast.controller.trim import WRITER, trim_service
from vipcast.controller.write_errors import WriteErrors
from vipcast.daemon.log import log_for
from vipcast.ipam import Allocation
from vipcast.ipam.decide import Decider, Outcome
from vipcast.ipam.service import ALLOCATED_FROM, Relation, View, ingress_of
from vipcast.k8s import API_ERRORS, STRATEGIC_PATCH, ApiError, Json, Key, Recorder, Resource, key_of
from vipcast.k8s.lease import Term
from vipcast.k8s.resource import SERVICES
from vipcast.model.configuration import Configuration
from vipcast.model.pools import Pool
from vipcast.model.texts import listed

__all__ = ["Known", "Leader"]

# Patches that are under way at once: enough to keep an API server busy over a network with some latency,
# and few enough to leave it room for others. More may be, while some of them hang.
AT_ONCE, WRITERS = 8, 32
STATUS_WRITERS = 3  # of objects of the configuration
TOLD = 20  # services that the status names of those that can not be written
OVERWRITTEN, NOT_WRITTEN, SET_ASIDE = "StatusOverwritten", "NotWritten", "SetAside"  # reasons of events

_log = log_for("controller")


@dataclass(slots=True)
class Known:
    """The facts that a term knows of services and that the cache may not show yet."""

    latest: LatestVersions = field(default_factory=LatestVersions)
    quarantine: Quarantine = field(default_factory=lambda: Quarantine({}))
    unanswered: set[Key] = field(default_factory=set)  # services with a patch that may still arrive
    settled: bool = False  # what came before the term can not arrive any more


class Leader:
    """`run` is the whole term."""

    def __init__(
        self,
        term: Term,
        cache: Cache,
        metrics: Metrics,
        *,
        release_node_ports: bool = False,
        known: Known | None = None,
    ) -> None:
        """Prepare a term; `known` is what our own term before has left, if nobody else led since."""
        self.decider = Decider()
        self._decisions = Decisions(self.decider, self._look, self._push)
        self.known = known or Known()
        self.started = False  # it decides
        self.doing = "reads everything once more"  # until it has started, for people
        self.backoff: ConflictBackoff[tuple[Key, str]] = ConflictBackoff()  # by key and uid
        self.write_errors = WriteErrors(metrics)
        self._term, self._client = term, term.client
        self._again = known is not None
        self._cache, self._metrics = cache, metrics
        self._recorder = Recorder(self._client, "vipcast-controller", quiet=lambda: self._queue.quiet)
        self._queue: WorkQueue[Key] = WorkQueue(self._write, group=lambda key: key[0], at_once=AT_ONCE)
        self.statuses = Statuses(
            self._client, cache, self.decider.allocator, self._recorder, self.write_errors
        )
        self._latest = self.known.latest
        self._release_node_ports = release_node_ports
        self._pools: tuple[Pool, ...] = ()
        self._written: dict[Key, Outcome] = {}  # what the last patch of each has shown
        self._closing = False
        self._under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def unwritten(self) -> int:
        """Return the number of services that may not show yet what was decided.

        Those that are set aside do not count.
        """
        return max(0, len(self._queue) - len(self.known.quarantine)) + len(self._decisions)

    # -- life ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until cancelled."""
        await self._settle()
        try:
            async with asyncio.TaskGroup() as parts:
                parts.create_task(self._recorder.run())
                waits = not self._cache.known.is_set()
                if waits:  # then at least it is said what is wrong
                    self._write_statuses(parts)
                    self.statuses.check()
                self.doing = self._cache.lost or "waits for the configuration"
                await self._cache.known.wait()
                await self._start()
                if not waits:  # the counters of pools are right only now
                    self._write_statuses(parts)
                parts.create_task(self._decisions.run())
                for _number in range(WRITERS):
                    parts.create_task(self._queue.work())
                parts.create_task(self.statuses.follow_counters())
        finally:
            self._cache.listener = None

    def _write_statuses(self, parts: asyncio.TaskGroup) -> None:
        for _number in range(STATUS_WRITERS):
            parts.create_task(self.statuses.work())

    async def _settle(self) -> None:
        """Make sure of what is there, and that nothing of another term can still arrive."""
        if self._again:
            await self._fence(self.known.unanswered)
            return
        await self._cache.refresh()
        if not self._term.clean:
            await self._fence(None)

    async def _fence(self, keys: set[Key] | None) -> None:
        self.doing = "changes the services that wait, so that nothing of the last leader can arrive"
        count, found = await fence(self._client, self._cache, keys)
        self.known.unanswered.clear()
        for key, waiter in found.items():
            _log.warning("set_aside", service="/".join(key), why=waiter.why)
        self.known.quarantine.add(found)
        if count:
            _log.info("fenced", services=count, set_aside=len(found))

    async def _start(self) -> None:
        """Nothing is decided before everything is known: services that have an address are settled first."""
        self._cache.listener = self  # what changes from now on is told after the start
        items = self._cache.services.items
        latest = {key: found for key in items if (found := self._latest.get(key, items[key])) is not None}
        views = [
            self._cache.view(item)
            for key, item in latest.items()
            if not self.known.quarantine.holds(key, item)
        ]
        self._pools = self._configuration().pools
        await self._decisions.start(self._pools, views)
        self.started = self.known.settled = True
        _log.info("ready", services=len(views), pools=len(self._pools))
        self.statuses.check()
        for key in self.known.quarantine.keys:
            item = self._current(key)
            if self.known.quarantine.holds(key, item) and item is not None:
                self._queue.add(key)
                self._say(item, SET_ASIDE, self._why_quarantined(key))

    def _why_quarantined(self, key: Key) -> str:
        waiter = self.known.quarantine.waiter(key)
        return (
            "the service gets no address before the API server takes a change of it, because an earlier one"
            f" may still arrive: {waiter.why if waiter else ''}"
        )

    async def drain(self, seconds: float) -> None:
        """Begin nothing more, wait for the answers to what is under way and for the events about it."""
        self._closing = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
                await self._recorder.flush(seconds)

    def _configuration(self) -> Configuration:
        return self._cache.configuration or Configuration()

    # -- what the cache tells -------------------------------------------------------------------------------

    def service_changed(self, key: Key, item: Json | None) -> None:
        """A service was made, changed or deleted."""
        latest = self._latest.get(key, item)
        if self.known.quarantine.holds(key, latest):
            return
        if latest is None:
            self._forget(key)
        self._decisions.changed(key)

    def _forget(self, key: Key) -> None:
        self._written.pop(key, None)
        self.known.unanswered.discard(key)
        self.write_errors.written(SERVICES.kind, key)

    def namespace_changed(self, name: str) -> None:
        """Pools may select namespaces by their labels, if not now then later."""
        for key, service in self._cache.services.items.items():
            if key[0] == name:
                self.service_changed(key, service)

    def configured(self) -> None:
        """Other pools may be in force, and other things may have to be said."""
        pools = self._configuration().pools
        if pools != self._pools:
            self._pools = pools
            self._decisions.configured(pools)
            _log.info("configured", pools=listed([pool.name for pool in pools]))
        self.statuses.check()

    def status_changed(self, resource: Resource, key: Key) -> None:
        """The status of an object of the configuration has changed, and nothing else of it."""
        self.statuses.check_one(resource, key)

    def state_changed(self) -> None:
        """Our ConfigurationState was changed or deleted."""
        self.statuses.check_state()

    def _push(self) -> None:
        for key in self.decider.take_changed():
            self._queue.add(key)
        self.statuses.count()

    # -- services --------------------------------------------------------------------------------------------

    async def _write(self, key: Key) -> bool:
        await self._decisions.current(key)
        item = self._current(key)
        if item is None or self._closing:
            return True
        try:
            with self._writing():
                if self.known.quarantine.holds(key, item):
                    await self._take_back(key, item)
                    return True
                change = self._change(key, item)
                if change.patch is not None and self._backed_off(key, item):
                    return True
                if change.patch is not None:
                    await self._patch(key, change, item)
                self._decisions.answered(key)
                await self._release(key)
        except API_ERRORS as error:
            return self._failed(error, key, item)
        self.write_errors.written(SERVICES.kind, key)
        return True

    def _failed(self, error: Exception, key: Key, item: Json) -> bool:
        if self.write_errors.refused(error, SERVICES.kind, key):
            self._say(item, NOT_WRITTEN, f"the API server does not take what was decided: {error}")
        return self.write_errors.should_give_up(error, SERVICES.kind, key)

    async def _take_back(self, key: Key, item: Json) -> None:
        """Change a service that was set aside.

        It is decided like any other once it has another version.
        """
        answer = await change_one(self._client, key, item)
        self._latest.record(key, answer)
        self.service_changed(key, item)

    def _backed_off(self, key: Key, item: Json) -> bool:
        """Tell whether the service was written too often of late; then it comes again later."""
        wait = self.backoff.wait((key, item["metadata"]["uid"]), time.monotonic())
        if wait > 0:
            self._queue.later(key, wait)
        return wait > 0

    def _current(self, key: Key) -> Json | None:
        return self._latest.get(key, self._cache.services.items.get(key))

    def _look(self, key: Key) -> View | None:
        """Return what the API server shows by now: the copy may be newer than the answer to our patch."""
        item = self._current(key)
        return self._cache.view(item) if item is not None else None

    async def _patch(self, key: Key, change: Change, item: Json) -> None:
        outcome, path = self.decider.outcome(key), SERVICES.path(*key, "status")
        undone = outcome is not None and self._written.get(key) == outcome and _shows_other(item, change)
        self.known.unanswered.add(key)
        try:
            answer = await self._client.patch(path, change.patch, content_type=STRATEGIC_PATCH)
        except ApiError as error:
            if error.status < 500:  # otherwise it may have been written all the same
                self.known.unanswered.discard(key)
            raise
        self.known.unanswered.discard(key)
        self._latest.record(key, trim_service(answer))
        if outcome is not None:
            self._written[key] = outcome
        self.backoff.wrote((key, item["metadata"]["uid"]), time.monotonic(), undone=undone)
        self._tell(item, change)
        if undone:
            self._tell_undone(key, item, outcome)

    def _tell_undone(self, key: Key, item: Json, outcome: Outcome | None) -> None:
        """Count that somebody else writes what we write; record an event with each pause that it costs."""
        by, name = item.get(WRITER) or "somebody", (key, item["metadata"]["uid"])
        self._metrics.overwritten(by)
        wait = self.backoff.wait(name, time.monotonic())
        if not wait:
            return
        theirs = (
            ", ".join(each.get("ip") or each.get("hostname") or "" for each in ingress_of(item)) or "nothing"
        )
        result = outcome.result if outcome is not None else None
        ours = ", ".join(map(str, result.addresses)) if isinstance(result, Allocation) else "nothing"
        self._say(
            item,
            OVERWRITTEN,
            f"{by} has put {theirs} in place of {ours}, {self.backoff.undone(name)} times in a row; next"
            f" time it is put back after {wait:.0f} s. Give the service to one of the two"
            " (spec.loadBalancerClass), or end the other program",
        )

    def _say(self, item: Json, reason: str, message: str) -> None:
        self._recorder.record(item, reason, message, warning=True)
        _log.warning(reason, service="/".join(key_of(item)), message=message[:1024])

    async def _release(self, key: Key) -> None:
        """Release node ports where the setting says so.

        The condition comes first, and goes when the ports have gone.
        """
        item, view = self._current(key), self.decider.views.get(key)
        if not self._release_node_ports or item is None or view is None or view.relation is not Relation.OURS:
            return
        patch = nodeports.release(item)
        if patch is None:
            return
        ports = listed(map(str, nodeports.left(item)))
        answer = await self._client.patch(SERVICES.path(*key), patch)
        self._latest.record(key, trim_service(answer))
        self._tell(item, Change(notes=(Note(nodeports.RELEASED, f"removed the node ports {ports}"),)))
        self._queue.add(key)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        self._under_way += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()

    def _change(self, key: Key, item: Json) -> Change:
        outcome, view = self.decider.outcome(key), self.decider.views.get(key)
        if outcome is None or view is None or view.uid != item["metadata"]["uid"]:
            return Change()
        return make_change(item, view, outcome, lambda shown: self.decider.why_not(key, shown), now())

    def _tell(self, item: Json, change: Change) -> None:
        for note in change.notes:
            if not self._recorder.record(item, note.reason, note.message, warning=note.warning):
                continue  # a service that changes its mind again and again fills neither events nor the log
            log = _log.warning if note.warning else _log.info
            log(note.reason, service="/".join(key_of(item)), message=note.message)


def _shows_other(item: Json, change: Change) -> bool:
    """Tell whether the patch brings back what was written and is not there any more."""
    patch = change.patch or {}
    pool = patch["metadata"]["annotations"].get(ALLOCATED_FROM)
    present = (item["metadata"].get("annotations") or {}).get(ALLOCATED_FROM)
    return "loadBalancer" in patch["status"] or present != pool
