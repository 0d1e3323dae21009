# SPDX-License-Identifier: GPL-3.0-or-later
"""Standing for the lead of a program with several replicas: `elector` decides, this reads and writes.

    standby ──the Lease is free, or its time is over──> leader ──not renewed until the deadline, or another
       ^                                                   │        name in the Lease: `lead` is cancelled
       └───────────────────────────────────────────────────┘

The Lease is watched, never polled: a standby writes only when the holder's time is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vipcast.k8s.client import Client
from vipcast.k8s.elector import Elector, Record, Timing, Write
from vipcast.k8s.errors import API_ERRORS, ApiError
from vipcast.k8s.informer import Informer
from vipcast.k8s.resource import LEASES, Json, Key

__all__ = ["Candidate", "Term", "read_record"]

_log = logging.getLogger("vipcast.k8s")
_TROUBLE = (*API_ERRORS, TimeoutError)
_REQUESTS = 16  # under way at once: reads of two seconds overlap


@dataclass(frozen=True, slots=True)
class Term:
    """One time of leading. `client` sends nothing any more once it is over."""

    holder: str  # our name in the Lease
    client: Client
    clean: bool  # whoever led before gave the lead back: nothing that they sent can still arrive
    own: bool = False  # our own term was the last one, and nobody led in between


_Lead = Callable[[Term], Coroutine[Any, Any, None]]


class Candidate:
    """One replica. `run` calls `lead` whenever it leads and cancels it as soon as it doesn't."""

    def __init__(self, client: Client, namespace: str, name: str, *, timing: Timing | None = None) -> None:
        # The pod's name for people; the rest because a container that starts again has the same name.
        identity = f"{socket.gethostname()}_{secrets.token_hex(4)}"
        self.settled = asyncio.Event()  # we lead, or have to wait
        self._problem: str | None = None  # why the Lease can not be written
        self._client, self._namespace, self._name = client, namespace, name
        self._state = Elector(identity, timing or Timing())
        self._lead: _Lead | None = None
        self._term: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._requests: set[asyncio.Task[None]] = set()
        self._over = False  # resigned, or ended
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._informer = Informer(
            client,
            LEASES,
            on_change=self._on_change,
            namespace=namespace,
            field_selector=f"metadata.name={name}",
        )

    # -- what is true now ------------------------------------------------------------------------------------

    @property
    def identity(self) -> str:
        """Our name in the Lease."""
        return self._state.identity

    @property
    def leader(self) -> str | None:
        """Return who leads, as far as is known."""
        return self._state.leader

    @property
    def since(self) -> str | None:
        """The time since when it leads, as the API writes times."""
        return self._state.seen.acquired or None if self._state.seen and self.leader else None

    @property
    def problem(self) -> str | None:
        """Return why the Lease can not be written or read, for people."""
        return self._problem or self._informer.problem

    def leads(self) -> bool:
        """Return whether we lead at this very moment. It asks the clock, so it is right after any pause."""
        return not self._over and self._state.leads(_now())

    # -- life ------------------------------------------------------------------------------------------------

    async def run(self, lead: _Lead) -> None:
        """Run until cancelled. Raises what `lead` raises; `lead` must not return by itself."""
        self._lead = lead
        following = asyncio.create_task(self._informer.run())
        reading = asyncio.create_task(self._read_while_slow())
        try:
            await self._informer.synced.wait()
            self._see()
            await self._failure
        finally:
            self._over = True
            await _end([following, reading, *self._requests, *self._end_term()])
            self._disarm()

    async def resign(self) -> None:
        """Give the Lease back, so that another one need not wait. It leads no more after that."""
        self._over = True
        self._disarm()
        await _end(self._end_term())
        if self._requests:  # to know the version that is given back
            await asyncio.wait(self._requests, timeout=self._state.timing.attempt)
        self._state, write = self._state.resigned(_wall(), _now())
        if write is not None:
            await self._give_back(write)

    async def _give_back(self, write: Write) -> None:
        try:
            async with asyncio.timeout(self._state.timing.attempt):
                await self._put(write)
        except _TROUBLE as error:  # the others wait for its end then
            _log.warning("lease_not_given_back", extra={"fields": {"why": str(error)}})

    # -- the Lease -------------------------------------------------------------------------------------------

    def _on_change(self, _key: Key, _item: Json | None) -> None:
        if self._informer.synced.is_set():
            self._see()

    def _see(self) -> None:
        item = self._informer.items.get((self._namespace, self._name))
        self._state = self._state.observed(read_record(item) if item else None, _now())
        self._advance()

    def _advance(self) -> None:
        """Bring everything in line with the elector. Called after all news, and when its timer is due."""
        if self._over:
            return
        self._state, write = self._state.step(_now(), _wall())
        if write is not None:
            request = asyncio.create_task(self._write(write))
            self._requests.add(request)
            request.add_done_callback(self._requests.discard)
        self._turn()
        self._disarm()
        due = self._state.timer()
        if due is not None:
            delay = max(0.0, due - _now())
            self._timer = asyncio.get_running_loop().call_later(delay, self._advance)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _write(self, write: Write) -> None:
        try:
            async with asyncio.timeout(self._state.patience):
                answer = await self._put(write)
        except _TROUBLE as error:
            await self._failed(error)
        else:
            self._say(None)
            self._state = self._state.answered(write, read_record(answer), _now())
            self._advance()

    async def _put(self, write: Write) -> Json:
        if write.over is None:
            body = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "spec": _spec(write.record)}
            body["metadata"] = {"name": self._name, "namespace": self._namespace}
            return await self._client.create(LEASES.path(self._namespace), body)
        patch = {"metadata": {"resourceVersion": write.over}, "spec": _spec(write.record)}
        return await self._client.patch(LEASES.path(self._namespace, self._name), patch)

    async def _failed(self, error: Exception) -> None:
        conflict = isinstance(error, ApiError) and error.status in (404, 409)
        if not conflict:
            self._say(str(error) or "no answer in time")
        refused = isinstance(error, ApiError) and 400 <= error.status < 500 and error.status != 429
        self._state = self._state.failed(_now(), conflict=conflict, refused=refused and not conflict)
        self._advance()
        if conflict:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._state.timing.attempt):
                    await self._informer.refresh()
            self._see()

    async def _read_while_slow(self) -> None:
        """Reads don't wait for each other: they may be as slow as the writes."""
        while True:
            await asyncio.sleep(self._state.timing.read)
            if self._state.reads and not self._over and len(self._requests) < _REQUESTS:
                request = asyncio.create_task(self._verify())
                self._requests.add(request)
                request.add_done_callback(self._requests.discard)

    async def _verify(self) -> None:
        began = _now()
        with contextlib.suppress(*_TROUBLE):
            async with asyncio.timeout(self._state.timing.deadline):
                found = await self._client.list(
                    LEASES.path(self._namespace), field_selector=f"metadata.name={self._name}"
                )
            record = read_record(found.items[0]) if found.items else None
            self._state = self._state.verified(record, began, _now())
            self._advance()

    def _say(self, problem: str | None) -> None:
        if problem and not self._problem:
            _log.warning("lease_not_written", extra={"fields": {"why": problem}})
        self._problem = problem

    # -- the lead --------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        leads = self.leads()
        if leads and self._term is None:
            _log.info("leading", extra={"fields": {"identity": self.identity}})
            self._term = asyncio.create_task(self._serve())
            self._term.add_done_callback(self._term_ended)
        elif not leads and self._term is not None and not self._term.cancelling():
            _log.warning("deposed", extra={"fields": {"leader": self.leader}})
            self._term.cancel()
        free = self._state.seen is not None and self._state.seen.released
        if leads or not free:  # one that is free may be ours in a moment
            self.settled.set()

    async def _serve(self) -> None:
        assert self._lead is not None  # `run` sets it before anything else
        client = self._client.guarded(self.leads)
        await self._lead(Term(self.identity, client, self._state.clean, self._state.own))

    def _term_ended(self, task: asyncio.Task[None]) -> None:
        """The next term begins when nothing of this one is left."""
        self._term = None
        if task.cancelled():
            self._advance()
        elif not self._failure.done():
            self._failure.set_exception(task.exception() or RuntimeError("the lead ended by itself"))

    def _end_term(self) -> list[asyncio.Task[None]]:
        return [self._term] if self._term is not None else []


def read_record(item: Json) -> Record:
    """Return what a Lease says; people may have written into it."""
    spec = item.get("spec") or {}
    return Record(
        holder=spec.get("holderIdentity") or "",
        duration=spec.get("leaseDurationSeconds") or 0,
        acquired=spec.get("acquireTime") or "",
        renewed=spec.get("renewTime") or "",
        transitions=spec.get("leaseTransitions") or 0,
        version=item["metadata"]["resourceVersion"],
    )


def _spec(record: Record) -> Json:
    return {
        "holderIdentity": record.holder or None,
        "leaseDurationSeconds": record.duration,
        "acquireTime": record.acquired,
        "renewTime": record.renewed,
        "leaseTransitions": record.transitions,
    }


def _now() -> float:
    # Unlike CLOCK_MONOTONIC it goes on while the machine sleeps, and then others have taken over.
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _wall() -> datetime:
    return datetime.now(UTC)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
