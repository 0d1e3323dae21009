# SPDX-License-Identifier: GPL-3.0-or-later
"""Events on objects: what ``kubectl describe`` shows.

`record` only notes; tasks of their own send. What cannot be sent is dropped and counted, never waited for.
The same (object, reason) is one Event with a count, and an object gets few of them: client-go's figures.

Events are the least urgent thing that a daemon writes. While it has something else to write they trickle, so
that ten thousand of them don't stand between ten thousand services and their addresses.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from vipcast.k8s.bucket import Bucket
from vipcast.k8s.client import Client
from vipcast.k8s.errors import API_ERRORS, ApiError
from vipcast.k8s.resource import Json, Resource

__all__ = ["Recorder"]

EVENTS = Resource("", "v1", "events", "Event")
BURST = 25.0  # client-go's spam filter: so many Events on one object at once,
REFILL_SECONDS = 300.0  # and then one more in so many seconds
QUEUE = 30_000  # an event for each service of a large cluster, and then some; about a KiB each
REMEMBERED = 4096  # objects and Events that we know of; the oldest are forgotten
MAX_MESSAGE = 1024  # the API's limit
AT_ONCE = 4  # requests under way
QUIET_SECONDS = 0.2  # nothing urgent was written for so long: there is room for events
GIVE_WAY_SECONDS = 1.0  # an event gives way for so long at most

_log = logging.getLogger("vipcast.k8s")


class _Subject(NamedTuple):
    """The object that an event is about: all that is needed of it."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str

    def path(self, event: str | None = None) -> str:
        """Return the path of its Events, or of one: those of a cluster-wide object are in ``default``."""
        return EVENTS.path(self.namespace or "default", event)


_Series = tuple[_Subject, str]  # and the reason


@dataclass(slots=True)
class _Note:
    """A note that is to be sent as an Event."""

    type: str
    message: str
    first: str
    last: str
    count: int = 1  # how often it was noted


class Recorder:
    """Writes Events as `component` on `host` (a node's name, or empty).

    `quiet` says for how many seconds nothing more urgent was written; 0 while something waits to be.
    """

    def __init__(
        self, client: Client, component: str, host: str = "", *, quiet: Callable[[], float] = lambda: math.inf
    ) -> None:
        self.sent = 0
        self.dropped = 0  # too many, or refused, or nobody there
        self._client = client
        self._component, self._host = component, host
        self._quiet, self._hurry = quiet, False
        # One object's events are sent by one task, so that a series stays one Event.
        self._queues: list[asyncio.Queue[_Series]] = [asyncio.Queue() for _number in range(AT_ONCE)]
        self._waiting: dict[_Series, _Note] = {}  # each is in its queue once
        self._buckets: OrderedDict[_Subject, Bucket] = OrderedDict()  # Events that an object may still get
        self._known: OrderedDict[_Series, tuple[str, int]] = OrderedDict()  # Event's name, count

    def __len__(self) -> int:
        """Return how many are noted and not sent."""
        return len(self._waiting)

    def record(self, item: Json, reason: str, message: str, *, warning: bool = False) -> bool:
        """Note an Event about `item` (any API object); returns at once, with or without a server.

        The answer is whether the object may have so many: one that gets too many is told of nowhere else.
        """
        subject = _subject(item)
        if not self._allowed(subject):
            self.dropped += 1
            return False
        now = _now()
        note = _Note("Warning" if warning else "Normal", message[:MAX_MESSAGE], now, now)
        series = (subject, reason)
        if before := self._waiting.get(series):
            note.first, note.count = before.first, before.count + 1
            self._waiting[series] = note
        elif len(self._waiting) < QUEUE:
            self._waiting[series] = note
            self._queues[hash(subject) % AT_ONCE].put_nowait(series)
        else:
            self.dropped += 1
        return True

    def _allowed(self, subject: _Subject) -> bool:
        now = time.monotonic()
        bucket = self._buckets.get(subject)
        if bucket is None:
            bucket = self._buckets[subject] = Bucket(1 / REFILL_SECONDS, BURST, now)
        _bound(self._buckets, subject)
        return bucket.take(now)

    async def run(self) -> None:
        """Send what was noted, until cancelled."""
        await asyncio.gather(*(self._work(queue) for queue in self._queues))

    async def _work(self, queue: asyncio.Queue[_Series]) -> None:
        while True:
            series = await queue.get()
            try:
                await self._give_way()
                await self._say(series, self._waiting.pop(series))
            finally:
                queue.task_done()

    async def _give_way(self) -> None:
        patience = time.monotonic() + GIVE_WAY_SECONDS
        while self._quiet() < QUIET_SECONDS and time.monotonic() < patience and not self._hurry:
            await asyncio.sleep(QUIET_SECONDS / 4)

    async def flush(self, seconds: float) -> None:
        """Wait until everything noted was sent, at most `seconds`; nothing is more urgent now."""
        self._hurry = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(queue.join() for queue in self._queues))
        self._hurry = False

    async def _say(self, series: _Series, note: _Note) -> None:
        try:
            await self._send(series, note)
            self.sent += 1
        except API_ERRORS as error:
            self.dropped += 1
            _log.warning("event_not_sent", extra={"fields": {"reason": series[1], "why": str(error)}})

    async def _send(self, series: _Series, note: _Note) -> None:
        if series in self._known and await self._count(series, note):
            return
        subject, reason = series
        name = f"{subject.name}.{secrets.token_hex(8)}"
        await self._client.create(subject.path(), self._event(name, subject, reason, note))
        self._known[series] = (name, note.count)
        _bound(self._known, series)

    async def _count(self, series: _Series, note: _Note) -> bool:
        """Count the Event that is there up; False when it has gone (they live an hour)."""
        name, count = self._known[series]
        count += note.count
        change = {"count": count, "lastTimestamp": note.last, "message": note.message, "type": note.type}
        try:
            await self._client.patch(series[0].path(name), change)
        except ApiError as error:
            if error.status != 404:
                raise
            del self._known[series]
            return False
        self._known[series] = (name, count)
        return True

    def _event(self, name: str, subject: _Subject, reason: str, note: _Note) -> Json:
        involved = {"apiVersion": subject.api_version, "kind": subject.kind, "name": subject.name}
        namespace = {"namespace": subject.namespace} if subject.namespace else {}
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": subject.namespace or "default"},
            "involvedObject": {**involved, "uid": subject.uid, **namespace},
            "type": note.type,
            "reason": reason,
            "message": note.message,
            "source": {"component": self._component, **({"host": self._host} if self._host else {})},
            "reportingComponent": self._component,
            "reportingInstance": self._host,
            "firstTimestamp": note.first,
            "lastTimestamp": note.last,
            "count": note.count,
        }


def _subject(item: Json) -> _Subject:
    metadata = item["metadata"]
    namespace, uid = metadata.get("namespace", ""), metadata.get("uid", "")
    return _Subject(item["apiVersion"], item["kind"], namespace, metadata["name"], uid)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _bound(memory: OrderedDict, newest: object) -> None:  # type: ignore[type-arg]
    memory.move_to_end(newest)
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)
