# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the objects in which this node says what it does as they should be, and nobody else's.

    decision ──> wanted ──┐
                          ├── differs ──> WriteScheduler ──> apply, or delete
    API ──> informers ────┘

The collections are followed by our labels and the node's, so what a former speaker of the node has left, and
what somebody has edited or deleted, is found too. Each object is applied whole (server-side), so there is
nothing to conflict with. Nothing here is needed for announcing: where it cannot be written, the status says
why.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from vipcast.daemon.log import log_for
from vipcast.k8s import API_ERRORS, ApiError, Client, Informer, Json, Key, Resource
from vipcast.k8s.backoff import Backoff
from vipcast.k8s.resource import BGP_SESSION_STATES, SERVICE_BGP_STATUSES, SERVICE_L2_STATUSES
from vipcast.speaker.bgp.session_status import PeerView, when
from vipcast.speaker.decide import Verdict
from vipcast.speaker.layer2.status_objects import layer2_name, layer2_object
from vipcast.speaker.layer2.verdicts import Layer2Verdict
from vipcast.speaker.reporting.status_objects import (
    Owner,
    equal_ignoring_time,
    object_name,
    selector,
    service_object,
    session_object,
    trim,
    with_timestamp,
)
from vipcast.speaker.reporting.write_scheduler import WriteScheduler

__all__ = ["Publisher"]

FIELD_MANAGER = "vipcast-speaker"
RESOURCES: dict[str, Resource] = {
    each.kind: each for each in (BGP_SESSION_STATES, SERVICE_BGP_STATUSES, SERVICE_L2_STATUSES)
}
# What is refused for its own sake; everything else that goes wrong would go wrong with the next one too.
_OF_THE_OBJECT = (400, 409, 413, 422)

_log = log_for("speaker")
_What = tuple[str, str]  # kind and name


class _OfService(NamedTuple):
    """A kind with an object for a service: its name on a node, and what is in it."""

    name: Callable[[str, Key], str]
    make: Callable[[Owner, Key, tuple[Any, ...]], Json | None]


_OF_SERVICE = {
    SERVICE_BGP_STATUSES.kind: _OfService(lambda node, key: object_name(node, *key), service_object),
    SERVICE_L2_STATUSES.kind: _OfService(lambda _node, key: layer2_name(key), layer2_object),
}
_Verdicts = Mapping[Key, tuple[Any, ...]]
_NOTHING: Mapping[Key, tuple[Layer2Verdict, ...]] = MappingProxyType({})


class Publisher:
    """`publish` says what is so; `run` writes it, for ever."""

    def __init__(self, client: Client, node: str, namespace: str) -> None:
        self.written = self.failures = 0
        self._client, self._node, self._namespace = client, node, namespace
        self._owner: Owner | None = None  # None: nothing was decided yet, or the cluster has no such node
        self._sessions: dict[_What, Json] = {}
        self._services: dict[_What, Key] = {}  # of which there is an object; made when it is written
        self._verdicts: dict[str, _Verdicts] = {}  # by kind
        self._listed: set[str] = set()  # kinds that were read once
        self._unknown: set[str] = set()  # kinds: what should be there is not known at the moment
        self._scheduler: WriteScheduler[_What] = WriteScheduler()
        self._troubles: dict[_What, str] = {}  # what could not be written, and why
        self._wake = asyncio.Event()
        self._backoff = Backoff()
        self.informers = tuple(self._follow(resource) for resource in RESOURCES.values())
        self._present = {informer.resource.kind: informer.items for informer in self.informers}

    def _follow(self, resource: Resource) -> Informer:
        return Informer(
            self._client,
            resource,
            on_change=lambda key, _item: self._look((resource.kind, key[1])),
            on_listed=lambda: self._on_listed(resource.kind),
            namespace=self._namespace,
            label_selector=selector(self._node),
            trim=trim,
            optional=True,
        )

    def _on_listed(self, kind: str) -> None:
        """Nothing of a kind is written before it is known what is there of it."""
        self._listed.add(kind)
        self._look_at_kind(kind)

    @property
    def problem(self) -> str | None:
        """Return why objects may be old, for people."""
        return next(iter(self._troubles.values()), None)

    def __len__(self) -> int:
        """Return how many objects may not say yet what they should."""
        return len(self._scheduler)

    def status(self) -> Json:
        """Return how it goes."""
        return {
            "waiting": len(self),
            "written": self.written,
            "failures": self.failures,
            "problem": self.problem or next((e.problem for e in self.informers if e.problem), None),
        }

    def publish(
        self,
        node_uid: str | None,
        views: Iterable[PeerView] | None,
        verdicts: Mapping[Key, tuple[Verdict, ...]] | None,
        drain: str | None = None,
        layer2: Mapping[Key, tuple[Layer2Verdict, ...]] | None = _NOTHING,
    ) -> None:
        """Everything that is so now. Without a Node (`node_uid` None) there is nobody to say it of.

        What is None is not known. Those objects stay as they are, whoever wrote them.
        """
        before = self._owner
        self._owner = Owner(self._node, node_uid, self._namespace) if node_uid else None
        if self._owner is None:
            return
        if self._knows(BGP_SESSION_STATES.kind, views is not None):
            self._publish_sessions([session_object(self._owner, view, drain) for view in views or ()])
        self._publish_services(SERVICE_BGP_STATUSES.kind, verdicts)
        self._publish_services(SERVICE_L2_STATUSES.kind, layer2)
        if self._owner != before:
            for kind in RESOURCES:
                self._look_at_kind(kind)

    def _knows(self, kind: str, known: bool) -> bool:
        """Tell whether it is known what should be there of a kind.

        When it gets known, what is there of the kind is looked at.
        """
        if not known:
            self._unknown.add(kind)
        elif kind in self._unknown:
            self._unknown.discard(kind)
            self._look_at_kind(kind)
        return known

    def _publish_sessions(self, items: list[Json]) -> None:
        before, self._sessions = self._sessions, {_what(item): item for item in items}
        for what in before.keys() | self._sessions.keys():
            if before.get(what) != self._sessions.get(what):
                self._look(what)

    def _publish_services(self, kind: str, new: _Verdicts | None) -> None:
        """Only those that changed are looked at: there are thousands, and one changes at a time."""
        if not self._knows(kind, new is not None) or new is None:
            return
        old = self._verdicts.get(kind, {})
        for key in old.keys() - new.keys():
            what = self._service(kind, key)
            self._services.pop(what, None)
            self._look(what)
        for key, verdicts in new.items():
            if old.get(key) != verdicts:
                what = self._service(kind, key)
                self._services[what] = key
                self._look(what)
        self._verdicts[kind] = new

    def _service(self, kind: str, key: Key) -> _What:
        return kind, _OF_SERVICE[kind].name(self._node, key)

    def _look_at_kind(self, kind: str) -> None:
        """Look at what is there of a kind, and at what should be: that may never have been in our copy."""
        wanted = [what for what in (*self._sessions, *self._services) if what[0] == kind]
        for what in {*wanted, *((kind, name) for _namespace, name in self._present[kind])}:
            self._look(what)

    def _look(self, what: _What) -> None:
        if self._owner is not None:  # otherwise all are looked at when there is one
            self._scheduler.add(what, time.monotonic(), lane=_lane(what))
            self._wake.set()

    def _wanted(self, owner: Owner, what: _What) -> Json | None:
        key = self._services.get(what)
        if key is None:
            return self._sessions.get(what)
        return _OF_SERVICE[what[0]].make(owner, key, self._verdicts[what[0]][key])

    # ---- writing ----

    async def run(self) -> None:
        """Write what was published, until cancelled."""
        async with asyncio.TaskGroup() as parts:
            for informer in self.informers:
                parts.create_task(informer.run())
            parts.create_task(self._write_for_ever())

    async def flush(self, seconds: float) -> None:
        """Say now what is to be said of the sessions, if the API server is quick about it."""
        with contextlib.suppress(TimeoutError, *API_ERRORS):
            async with asyncio.timeout(seconds):
                self._scheduler.hurry(time.monotonic())
                while (what := self._scheduler.take(time.monotonic())) is not None and _lane(what) == 0:
                    await self._make(what)

    async def _write_for_ever(self) -> None:
        while True:
            what = await self._next()
            try:
                wrote = await self._make(what)
            except API_ERRORS as error:
                await self._recover(what, error)
            else:
                self._made(what, wrote)

    async def _next(self) -> _What:
        while (what := self._scheduler.take(time.monotonic())) is None:
            self._wake.clear()
            at = self._scheduler.timer(time.monotonic())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if at is None else max(0.0, at - time.monotonic())):
                    await self._wake.wait()
        return what

    async def _make(self, what: _What) -> bool:
        """Make it so; return whether anything had to be written."""
        kind, name = what
        if self._owner is None or kind in self._unknown or kind not in self._listed:
            return False
        path = RESOURCES[kind].path(self._namespace, name)
        wanted, present = self._wanted(self._owner, what), self._present[kind].get((self._namespace, name))
        if wanted is None:
            if present is not None:
                await self._delete(path, present["metadata"]["resourceVersion"])
            return present is not None
        item = with_timestamp(wanted, present, when(time.time()) or "")
        if equal_ignoring_time(item, present):
            return False
        await self._client.apply(path, item, field_manager=FIELD_MANAGER, force=True)
        return True

    async def _delete(self, path: str, version: str) -> None:
        """Delete this version of an object, and not what another node has made of it since."""
        try:
            await self._client.delete(path, version=version)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    def _made(self, what: _What, wrote: bool) -> None:
        now = time.monotonic()
        self._backoff.reset()
        if self._troubles.pop(what, None) and not self._troubles:
            _log.info("status_written_again")
        if not wrote:
            self._scheduler.unused(now)
            return
        self.written += 1
        self._scheduler.written(what, now)

    async def _recover(self, what: _What, error: Exception) -> None:
        """Said once when it begins and once when it is over, not once per try."""
        self.failures += 1
        self._scheduler.failed(what, time.monotonic(), lane=_lane(what))
        if not self._troubles:
            _log.warning("status_not_written", kind=what[0], name=what[1], why=str(error))
        self._troubles[what] = f"{what[0]} {what[1]}: {error}"
        if not (isinstance(error, ApiError) and error.status in _OF_THE_OBJECT):
            await asyncio.sleep(self._backoff.pause())


def _what(item: Json) -> _What:
    return item["kind"], item["metadata"]["name"]


def _lane(what: _What) -> int:
    """Sessions go first: they are few, and what a person looks at when something is wrong."""
    return 0 if what[0] == BGP_SESSION_STATES.kind else 1
