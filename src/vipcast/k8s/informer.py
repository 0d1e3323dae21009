# SPDX-License-Identifier: GPL-3.0-or-later
"""An always-current copy of one collection.

    list ──> differences ──> watch ──ended──> watch again from the last resource version
      ^                        │
      └──── 410, or an error ──┘   (after a pause, except when the server says that a version expired)

While the API server is away the copy stays as it was: what was true last is the best there is to know.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType

from vipcast.k8s.backoff import Backoff
from vipcast.k8s.client import SKIPPED, Client, WatchEvent
from vipcast.k8s.errors import API_ERRORS, ApiError
from vipcast.k8s.resource import Json, Key, Resource, key_of

__all__ = ["Informer"]

_log = logging.getLogger("vipcast.k8s")

STEADY_SECONDS = 10.0  # a watch that lasted so long worked: what ends it is a new story
WATCH_SECONDS = 300  # client-go's least; up to twice that, so that watches don't end together


def without_managed_fields(item: Json) -> Json:
    """Return who set which field is often half of an object and nobody here reads it."""
    item["metadata"].pop("managedFields", None)
    return item


class Informer:
    """Keeps `items` like the collection and calls `on_change(key, object or None)` for every difference.

    `on_change` is called in the event loop, after `items` changed. `trim` may cut an object down before it is
    kept; `on_problem` hears of every new `problem`, and None when it is over. `on_listed` is called after
    every list: what came and went while nobody watched made no difference. With `optional`, a collection that
    the cluster doesn't know (no CRD) is an empty one.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        on_change: Callable[[Key, Json | None], None],
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        optional: bool = False,
        trim: Callable[[Json], Json] = without_managed_fields,
        idle: float = 100.0,
        on_problem: Callable[[str | None], None] = lambda _: None,
        on_listed: Callable[[], None] = lambda: None,
    ) -> None:
        self.resource = resource
        self.synced = asyncio.Event()
        self.problem: str | None = None  # why the copy may be old, for people; None while it is current
        self.heard = 0.0  # time.monotonic() of the last sign of life
        self._client = client
        self._path = resource.path(namespace)
        self._labels, self._fields = label_selector, field_selector
        self._on_change, self._on_problem, self._on_listed = on_change, on_problem, on_listed
        self._trim = trim
        self._optional, self._idle = optional, idle
        self._items: dict[Key, Json] = {}
        self._version: str | None = None  # where the next watch begins; None: list first
        self._expired = -STEADY_SECONDS  # when a version expired last
        self._backoff = Backoff()
        self._askers: list[asyncio.Future[None]] = []  # who waits for a list that begins after they asked
        self._wait: asyncio.Timeout | None = None  # what may be cut short for them

    @property
    def items(self) -> Mapping[Key, Json]:
        """The collection, read-only."""
        return MappingProxyType(self._items)

    async def refresh(self) -> None:
        """Return when the copy is at least as new as this call: the collection is listed once more.

        It waits for as long as the API server is away.
        """
        listed = asyncio.get_running_loop().create_future()
        self._askers.append(listed)
        self._backoff.reset()
        if self._wait is not None and not self._wait.expired():
            self._wait.reschedule(asyncio.get_running_loop().time())
        await listed

    async def run(self) -> None:
        """Follow the collection until cancelled."""
        while True:
            try:
                await self._follow()
            except API_ERRORS as error:
                await self._recover(error)

    async def _follow(self) -> None:
        if self._version is None or self._askers:
            await self._list()
        started = time.monotonic()
        try:
            await self._watch()
        finally:
            lasted = time.monotonic() - started
            if lasted > STEADY_SECONDS:
                self._backoff.reset()
        if lasted < 1.0 and not self._askers:  # a server that ends every watch at once must not be hammered
            await self._pause()

    async def _list(self) -> None:
        askers = list(self._askers)
        listing = await self._client.list(
            self._path, each=self._trim, label_selector=self._labels, field_selector=self._fields
        )
        self._replace({key_of(item): item for item in listing.items})
        self._version = listing.resource_version
        self._alive()
        self._listed(askers)

    def _listed(self, askers: list[asyncio.Future[None]]) -> None:
        self.synced.set()
        self._on_listed()
        self._askers = [each for each in self._askers if each not in askers]
        for each in askers:
            if not each.done():  # it may have been cancelled
                each.set_result(None)

    async def _watch(self) -> None:
        assert self._version is not None  # _follow listed
        if self._askers:
            return
        seconds = int(WATCH_SECONDS * random.uniform(1, 2))
        events = self._client.watch(
            self._path,
            resource_version=self._version,
            label_selector=self._labels,
            field_selector=self._fields,
            timeout_seconds=seconds,
            idle=self._idle,
            opened=self._alive,
        )
        # The server's own end is believed for a while longer; then the connection is a zombie.
        async with self._at_most(seconds + self._idle), contextlib.aclosing(events):
            async for event in events:
                self._take(event)

    @contextlib.asynccontextmanager
    async def _at_most(self, seconds: float) -> AsyncIterator[None]:
        """Wait for so many seconds, or until somebody asks for a list."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds) as self._wait:
                    yield
        finally:
            self._wait = None

    async def _pause(self) -> None:
        async with self._at_most(self._backoff.pause()):
            await asyncio.Event().wait()

    def _take(self, event: WatchEvent) -> None:
        self._alive()
        self._backoff.reset()
        if event.type == SKIPPED:
            self._skip(event.object["metadata"])
            return
        self._version = event.object["metadata"]["resourceVersion"]
        if event.type == "BOOKMARK":
            return
        key = key_of(event.object)
        if event.type == "DELETED":
            self._remove(key)
        else:
            self._put(key, self._trim(event.object))

    def _skip(self, metadata: Json) -> None:
        """Go on without an object that is too large to be read; the copy has it as it was."""
        self._version = metadata.get("resourceVersion", self._version)
        name = "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))
        fields = {"resource": self.resource.plural, "object": name or "not known"}
        _log.warning("object_too_large", extra={"fields": fields})

    def _replace(self, items: dict[Key, Json]) -> None:
        for key in self._items.keys() - items.keys():
            self._remove(key)
        for key, item in items.items():
            self._put(key, item)

    def _put(self, key: Key, item: Json) -> None:
        old = self._items.get(key)
        if old and old["metadata"]["resourceVersion"] == item["metadata"]["resourceVersion"]:
            return  # a relist that found nothing new
        self._items[key] = item
        self._on_change(key, item)

    def _remove(self, key: Key) -> None:
        if self._items.pop(key, None) is not None:
            self._on_change(key, None)

    def _alive(self) -> None:
        self.heard = time.monotonic()
        if self.problem:
            self.problem = None
            _log.info("informer_recovered", extra={"fields": {"resource": self.resource.plural}})
            self._on_problem(None)

    async def _recover(self, error: Exception) -> None:
        if isinstance(error, ApiError):
            self._version = None  # whatever it is, a fresh list is the way back
            if error.status == 410 and self._first_expiry():
                self._report("expired: listing again", logging.INFO)
                return
        self._report(self._explain(error), logging.WARNING)
        await self._pause()

    def _first_expiry(self) -> bool:
        """An expired version is normal after an outage; one that expires at once again is not."""
        now = time.monotonic()
        before, self._expired = self._expired, now
        return now - before > STEADY_SECONDS

    def _explain(self, error: Exception) -> str:
        if not (isinstance(error, ApiError) and error.status == 404):
            return str(error)
        if self._optional:
            self._replace({})
            self._listed(list(self._askers))
        return (
            f"the cluster does not know {self.resource.plural}.{self.resource.group}: is its CRD installed?"
        )

    def _report(self, problem: str, level: int) -> None:
        if problem == self.problem:
            return  # once per problem, not once per try
        self.problem = problem
        _log.log(
            level, "informer_problem", extra={"fields": {"resource": self.resource.plural, "why": problem}}
        )
        self._on_problem(problem)
