# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the decider of one thing after another, and lets others run in between.

A burst of events, a start and a change of the pools are thousands of decisions. The Lease has to be renewed
meanwhile, so nobody waits longer than `SLICE_SECONDS` for one of them. No two decisions interleave.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator

from vipcast.ipam.decide import Decider
from vipcast.ipam.service import View
from vipcast.k8s import Key
from vipcast.model.pools import Pool

__all__ = ["Decisions"]

# Decisions go on so long before others get their turn; the Lease is renewed about every second.
SLICE_SECONDS = 0.02

Look = Callable[[Key], View | None]  # a service as it is known now


class Decisions:
    """`look` gives a service as it is known now, `decided` is called after each step."""

    def __init__(self, decider: Decider, look: Look, decided: Callable[[], None]) -> None:
        self._decider, self._look, self._decided = decider, look, decided
        self._heard: dict[Key, None] = {}  # services that were changed; a set that keeps order
        self._answered: dict[Key, None] = {}  # services whose patch was answered
        self._pools: tuple[Pool, ...] | None = None  # other pools, which are to be put in force
        self._told = asyncio.Event()
        self._settled = asyncio.Event()  # not while `starting` or `configuring` is on its way
        self._settled.set()
        self._round = asyncio.Lock()  # a start is over before other pools are put in force
        self._since = 0.0

    def __len__(self) -> int:
        """Return how many services wait for their turn."""
        return len(self._heard)

    # -- what happens ----------------------------------------------------------------------------------------

    def changed(self, key: Key) -> None:
        """A service was made, changed or deleted."""
        self._heard[key] = None
        self._told.set()

    def answered(self, key: Key) -> None:
        """The API server has answered a patch of the service."""
        if self._settled.is_set():
            self._observe(key)
            return
        self._answered[key] = None
        self._told.set()

    def configured(self, pools: tuple[Pool, ...]) -> None:
        """Other pools are in force: until all is decided for them, no outcome is right."""
        self._pools = pools
        self._settled.clear()
        self._told.set()

    async def current(self, key: Key) -> None:
        """Wait until the outcome of the service is right for what is known of it."""
        await self._settled.wait()
        if key in self._heard:
            del self._heard[key]
            self._hear(key)

    # -- what is decided -------------------------------------------------------------------------------------

    async def start(self, pools: Iterable[Pool], views: list[View]) -> None:
        """The first snapshot."""
        self._settled.clear()
        async with self._round:
            await self._whole(self._decider.starting(pools, views))

    async def run(self) -> None:
        """Decide, until cancelled."""
        while True:
            await self._told.wait()
            self._told.clear()
            while self._pools is not None:
                await self._configure()
            while self._answered:
                self._observe(self._answered.popitem()[0])
            while self._heard and self._pools is None:
                key = next(iter(self._heard))
                del self._heard[key]
                self._hear(key)
                await self._give_way()
            if self._pools is not None:
                self._told.set()

    async def _configure(self) -> None:
        async with self._round:
            pools, self._pools = self._pools, None
            if pools is not None:
                await self._whole(self._decider.configuring(pools))

    async def _whole(self, steps: Iterator[None]) -> None:
        for _step in steps:
            await self._give_way()
        if self._pools is None:
            self._settled.set()
        self._decided()

    def _hear(self, key: Key) -> None:
        self._decider.service(key, self._look(key))
        self._decided()

    def _observe(self, key: Key) -> None:
        view = self._look(key)
        if view is not None:
            self._decider.observed(key, view.shown)
        self._decided()

    async def _give_way(self) -> None:
        if time.monotonic() - self._since > SLICE_SECONDS:
            await asyncio.sleep(0)
            self._since = time.monotonic()
