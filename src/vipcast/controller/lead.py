# SPDX-License-Identifier: GPL-3.0-or-later
"""One term of leading: decides, and writes what was decided.

    copies ──changes──> Decider ──changed──> 8 writers ──PATCH services/status──> API server
                           └──counters──> statuses

Everything runs in one event loop. Decisions are made without waiting for anything, so no two of them
interleave; only the writers wait. A service is written by one writer at a time. A term ends by cancellation:
what is under way is cut off, and the term's client sends nothing more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from vipcast.controller import nodeports
from vipcast.controller.change import Change, Note, make_change
from vipcast.controller.copies import Copies
from vipcast.controller.fence import fence
from vipcast.controller.metrics import Metrics
from vipcast.controller.newest import Newest
from vipcast.controller.queue import WorkQueue
from vipcast.controller.statuses import Statuses, now
from vipcast.controller.trouble import is_over
from vipcast.daemon.log import log_for
from vipcast.ipam.decide import Decider
from vipcast.ipam.service import Relation, slim
from vipcast.k8s import STRATEGIC_PATCH, TROUBLE, Json, Key, Recorder, key_of
from vipcast.k8s.lease import Term
from vipcast.k8s.resource import SERVICES
from vipcast.model.configuration import Configuration
from vipcast.model.pools import Pool

__all__ = ["Leader"]

# Patches that are under way at once: enough to keep an API server busy over a network with some latency,
# and few enough to leave it room for others.
WRITERS = 8

_log = log_for("controller")


class Leader:
    """`run` is the whole term."""

    def __init__(
        self, term: Term, copies: Copies, metrics: Metrics, *, release_node_ports: bool = False
    ) -> None:
        self.decider = Decider()
        self.started = False
        self._term, self._client = term, term.client
        self._copies, self._metrics = copies, metrics
        self._recorder = Recorder(self._client, "vipcast-controller", quiet=lambda: self._queue.quiet)
        self._queue: WorkQueue[Key] = WorkQueue(self._write)
        self.statuses = Statuses(self._client, copies, self.decider.allocator, self._recorder, metrics)
        self._newest = Newest()
        self._release_node_ports = release_node_ports
        self._pools: tuple[Pool, ...] = ()
        self._closing = False
        self._under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def unwritten(self) -> int:
        """How many services may not show yet what was decided."""
        return len(self._queue)

    # -- life ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        await self._copies.refresh()
        if not self._term.clean:
            await self._fence()
        try:
            async with asyncio.TaskGroup() as parts:
                parts.create_task(self.statuses.work())
                parts.create_task(self._recorder.run())
                self.statuses.check()
                await self._copies.known.wait()
                self._start()
                for _number in range(WRITERS):
                    parts.create_task(self._queue.work())
                parts.create_task(self.statuses.follow_counters())
        finally:
            self._copies.listener = None

    async def _fence(self) -> None:
        count = await fence(self._client, self._copies, f"{now()} {self._term.holder}")
        if count:
            _log.info("fenced", services=count)

    def _start(self) -> None:
        """Nothing is decided before everything is known: services that have an address are settled first."""
        views = self._copies.views()
        self._pools = self._configuration().pools
        self.decider.start(self._pools, views)
        self._copies.listener = self
        self.started = True
        _log.info("ready", services=len(views), pools=len(self._pools))
        self.statuses.check()
        self._push()

    async def drain(self, seconds: float) -> None:
        """Begin nothing more, wait for the answers to what is under way and for the events about it."""
        self._closing = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
                await self._recorder.flush(seconds)

    def _configuration(self) -> Configuration:
        return self._copies.configuration or Configuration()

    # -- what the copies tell --------------------------------------------------------------------------------

    def service_changed(self, key: Key, item: Json | None) -> None:
        """A service was made, changed or deleted."""
        newest = self._newest.of(key, item)
        self.decider.service(key, self._copies.view(newest) if newest is not None else None)
        self._push()

    def namespace_changed(self, name: str) -> None:
        """Pools may select namespaces by their labels, if not now then later."""
        for key, service in self._copies.services.items.items():
            if key[0] == name:
                self.service_changed(key, service)

    def configured(self) -> None:
        """Other pools may be in force, and other things may have to be said."""
        pools = self._configuration().pools
        if pools != self._pools:
            self._pools = pools
            self.decider.configure(pools)
            _log.info("configured", pools=[pool.name for pool in pools])
        self.statuses.check()
        self._push()

    def state_changed(self) -> None:
        """Our ConfigurationState was changed or deleted."""
        self.statuses.check_state()

    def _push(self) -> None:
        for key in self.decider.take_changed():
            self._queue.add(key)
        self.statuses.count()

    # -- services --------------------------------------------------------------------------------------------

    async def _write(self, key: Key) -> bool:
        item = self._current(key)
        if item is None or self._closing:
            return True
        change = self._change(key, item)
        try:
            with self._writing():
                if change.patch is not None:
                    await self._patch(key, change, item)
                self._observe(key)
                await self._release(key)
        except TROUBLE as error:
            return is_over(error, "Service", key, self._metrics)
        return True

    def _current(self, key: Key) -> Json | None:
        return self._newest.of(key, self._copies.services.items.get(key))

    def _observe(self, key: Key) -> None:
        """What the API server shows by now: the copy may be newer than the answer to our patch."""
        item = self._current(key)
        if item is not None:
            self.decider.observed(key, self._copies.view(item).shown)
        self._push()

    async def _patch(self, key: Key, change: Change, item: Json) -> None:
        path = SERVICES.path(*key, "status")
        answer = slim(await self._client.patch(path, change.patch, content_type=STRATEGIC_PATCH))
        self._newest.answered(key, answer)
        self._tell(item, change)

    async def _release(self, key: Key) -> None:
        """Where the setting says so. The condition comes first, and goes when the ports have gone."""
        item, view = self._current(key), self.decider.views.get(key)
        if not self._release_node_ports or item is None or view is None or view.relation is not Relation.OURS:
            return
        patch = nodeports.release(item)
        if patch is None:
            return
        ports = ", ".join(map(str, nodeports.left(item)))
        answer = await self._client.patch(SERVICES.path(*key), patch)
        self._newest.answered(key, slim(answer))
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
            self._recorder.record(item, note.reason, note.message, warning=note.warning)
            log = _log.warning if note.warning else _log.info
            log(note.reason, service="/".join(key_of(item)), message=note.message)
