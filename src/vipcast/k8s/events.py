# SPDX-License-Identifier: GPL-3.0-or-later
"""Events on objects: what ``kubectl describe`` shows.

`record` only notes; a task of its own sends. What cannot be sent is dropped and counted, never waited for.
The same (object, reason) is one Event with a count, and an object gets few of them: client-go's figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

from vipcast.k8s.client import Client
from vipcast.k8s.errors import AccessError, ApiError, UnreachableError
from vipcast.k8s.resource import Json, Resource

__all__ = ["Recorder"]

EVENTS = Resource("", "v1", "events", "Event")
BURST = 25.0  # client-go's spam filter: so many Events on one object at once,
REFILL_SECONDS = 300.0  # and then one more in so many seconds
QUEUE = 1000
REMEMBERED = 4096  # objects and Events that we know of; the oldest are forgotten
MAX_MESSAGE = 1024  # the API's limit

_log = logging.getLogger("vipcast.k8s")
_Subject = tuple[str, str, str, str]  # kind, namespace, name, uid
_Series = tuple[_Subject, str]  # and the reason


@dataclass(slots=True)
class _Note:
    """Something to be said."""

    item: Json
    type: str
    reason: str
    message: str
    at: str


@dataclass(slots=True)
class _Bucket:
    """How many Events an object may still get."""

    tokens: float
    at: float

    def take(self, now: float) -> bool:
        self.tokens = min(BURST, self.tokens + (now - self.at) / REFILL_SECONDS)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Recorder:
    """Writes Events as `component` on `host` (a node's name, or empty)."""

    def __init__(self, client: Client, component: str, host: str = "") -> None:
        self.sent = 0
        self.dropped = 0  # too many, or refused, or nobody there
        self._client = client
        self._component, self._host = component, host
        self._queue: asyncio.Queue[_Note] = asyncio.Queue(QUEUE)
        self._buckets: OrderedDict[_Subject, _Bucket] = OrderedDict()
        self._known: OrderedDict[_Series, tuple[str, int]] = OrderedDict()  # Event's name, count

    def record(self, item: Json, reason: str, message: str, *, warning: bool = False) -> None:
        """Note an Event about `item` (any API object); returns at once, with or without a server."""
        bucket = self._buckets.setdefault(_subject(item), _Bucket(BURST, time.monotonic()))
        _bound(self._buckets, _subject(item))
        if not bucket.take(time.monotonic()):
            self.dropped += 1
            return
        note = _Note(item, "Warning" if warning else "Normal", reason, message[:MAX_MESSAGE], _now())
        try:
            self._queue.put_nowait(note)
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Send what was noted, until cancelled."""
        while True:
            note = await self._queue.get()
            try:
                await self._send(note)
                self.sent += 1
            except (ApiError, UnreachableError, AccessError) as error:
                self.dropped += 1
                _log.warning("event_not_sent", extra={"fields": {"reason": note.reason, "why": str(error)}})
            finally:
                self._queue.task_done()

    async def flush(self, seconds: float) -> None:
        """Wait until everything noted was sent, at most `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._queue.join()

    async def _send(self, note: _Note) -> None:
        series = (_subject(note.item), note.reason)
        if series in self._known and await self._count(series, note):
            return
        name = f"{note.item['metadata']['name']}.{secrets.token_hex(8)}"
        await self._client.create(EVENTS.path(_namespace(note.item)), self._event(name, note))
        self._known[series] = (name, 1)
        _bound(self._known, series)

    async def _count(self, series: _Series, note: _Note) -> bool:
        """Count the Event that is there up; False when it has gone (they live an hour)."""
        name, count = self._known[series]
        change = {"count": count + 1, "lastTimestamp": note.at, "message": note.message, "type": note.type}
        try:
            await self._client.patch(EVENTS.path(_namespace(note.item), name), change)
        except ApiError as error:
            if error.status != 404:
                raise
            del self._known[series]
            return False
        self._known[series] = (name, count + 1)
        return True

    def _event(self, name: str, note: _Note) -> Json:
        kind, namespace, subject, uid = _subject(note.item)
        involved = {"apiVersion": note.item["apiVersion"], "kind": kind, "name": subject, "uid": uid}
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": _namespace(note.item)},
            "involvedObject": {**involved, **({"namespace": namespace} if namespace else {})},
            "type": note.type,
            "reason": note.reason,
            "message": note.message,
            "source": {"component": self._component, **({"host": self._host} if self._host else {})},
            "reportingComponent": self._component,
            "reportingInstance": self._host,
            "firstTimestamp": note.at,
            "lastTimestamp": note.at,
            "count": 1,
        }


def _subject(item: Json) -> _Subject:
    metadata = item["metadata"]
    return item["kind"], metadata.get("namespace", ""), metadata["name"], metadata.get("uid", "")


def _namespace(item: Json) -> str:
    return item["metadata"].get("namespace") or "default"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _bound(memory: OrderedDict, newest: object) -> None:  # type: ignore[type-arg]
    memory.move_to_end(newest)
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)
