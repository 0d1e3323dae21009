# SPDX-License-Identifier: GPL-3.0-or-later
"""Thousands of decisions are made in turns, one after another, and nobody sees half of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from support.world import pools_of

from vipcast.controller.cache import Cache
from vipcast.controller.decisions import SLICE_SECONDS, Decisions
from vipcast.controller.metrics import Metrics
from vipcast.daemon.metrics import Registry
from vipcast.daemon.options import Options
from vipcast.ipam import Allocation, Request
from vipcast.ipam.decide import Decider
from vipcast.ipam.service import View, read_service
from vipcast.k8s import Client, Key
from vipcast.k8s.credentials import Access
from vipcast.k8s.elector import Timing

MANY = 4000
FIRST, SECOND = pools_of(first=["10.0.0.0/16"]), pools_of(second=["10.1.0.0/16"])


def view(number: int, *, created: str = "1") -> View:
    metadata = {"namespace": "d", "name": f"s{number:05}", "uid": str(number), "creationTimestamp": created}
    spec = {"type": "LoadBalancer", "clusterIPs": ["10.96.0.1"], "ports": [{"port": 80}]}
    return read_service({"metadata": metadata, "spec": spec}, None, {})


class World:
    """Services, and whoever else wants to run."""

    def __init__(self) -> None:
        self.views: dict[Key, View] = {}
        self.decider = Decider()
        self.decided = 0
        self.decisions = Decisions(self.decider, self.views.get, self._count)
        self.turns = 0
        self.longest = 0.0

    def _count(self) -> None:
        self.decided += 1

    def make(self, *numbers: int) -> None:
        for number in numbers:
            made = view(number)
            self.views[made.key] = made

    def pool_of(self, number: int) -> str | None:
        outcome = self.decider.outcome(("d", f"s{number:05}"))
        result = outcome.result if outcome is not None else None
        return result.pool if isinstance(result, Allocation) else None

    async def others(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0)
            self.turns += 1
            self.longest = max(self.longest, loop.time() - before)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    found = World()
    tasks = [asyncio.create_task(found.others()), asyncio.create_task(found.decisions.run())]
    await asyncio.sleep(0)
    yield found
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_at_rest(world: World) -> None:
    async with asyncio.timeout(60):
        while len(world.decisions):
            await asyncio.sleep(0)
        await world.decisions.current(("d", "nobody"))


async def test_others_run_while_a_start_decides(world: World) -> None:
    world.make(*range(MANY))
    before = world.turns
    await world.decisions.start(FIRST, list(world.views.values()))
    assert world.turns > before + 1
    assert {world.pool_of(number) for number in range(MANY)} == {"first"}


async def test_others_run_while_a_burst_of_events_is_decided(world: World) -> None:
    await world.decisions.start(FIRST, [])
    world.make(*range(MANY))
    for key in world.views:
        world.decisions.changed(key)
    assert len(world.decisions) == MANY
    before = world.turns
    await until_at_rest(world)
    assert world.turns > before + 1
    assert {world.pool_of(number) for number in range(MANY)} == {"first"}


async def test_nobody_sees_a_change_of_pools_half_done(world: World) -> None:
    """A writer of a service waits, and what is heard and answered meanwhile comes after the change."""
    world.make(*range(MANY))
    await world.decisions.start(FIRST, list(world.views.values()))
    for key, known in list(world.views.items()):
        shown = world.decider.allocator.book.held_by(key)
        world.views[key] = replace(known, shown=shown)
        world.decisions.changed(key)
    await until_at_rest(world)
    world.decisions.configured(SECOND)
    world.decisions.configured(FIRST)  # only the last one counts
    world.decisions.configured(SECOND)
    world.make(MANY)
    world.decisions.changed(("d", f"s{MANY:05}"))
    for number in (0, MANY - 1):
        world.decisions.answered(("d", f"s{number:05}"))
    await world.decisions.current(("d", "s00007"))
    assert {world.pool_of(number) for number in range(MANY)} == {"second"}
    await until_at_rest(world)
    assert world.pool_of(MANY) == "second"


async def test_pools_that_change_during_the_start_are_in_force_after_it(world: World) -> None:
    world.make(*range(MANY))
    starting = asyncio.create_task(world.decisions.start(FIRST, list(world.views.values())))
    await asyncio.sleep(0)
    world.decisions.configured(SECOND)
    await starting
    await world.decisions.current(("d", "s00007"))
    assert {world.pool_of(number) for number in range(MANY)} == {"second"}


async def test_a_service_that_is_written_is_decided_first(world: World) -> None:
    await world.decisions.start(FIRST, [])
    world.make(1, 2)
    world.decisions.changed(("d", "s00001"))
    world.decisions.changed(("d", "s00002"))
    await world.decisions.current(("d", "s00002"))
    assert world.pool_of(2) == "first"
    await until_at_rest(world)
    assert world.pool_of(1) == "first"
    del world.views["d", "s00001"]
    world.decisions.changed(("d", "s00001"))
    await until_at_rest(world)
    assert world.decider.outcome(("d", "s00001")) is None


def test_a_turn_is_far_shorter_than_what_the_lease_allows() -> None:
    assert Timing().renew > 20 * SLICE_SECONDS


def test_a_copy_waits_for_the_namespace_that_it_has_not_seen() -> None:
    """Services and namespaces are watched apart: which of the two comes first is chance."""
    client = Client(Access("http://127.0.0.1:9"))
    cache = Cache(client, Options(), Metrics(Registry()))
    metadata = {"namespace": "web", "name": "x", "uid": "1"}
    spec = {"type": "LoadBalancer", "clusterIPs": ["10.96.0.1"], "ports": [{"port": 80}]}
    item = {"metadata": metadata, "spec": spec}
    assert cache.view(item).is_unknown
    namespace = {"metadata": {"name": "web", "resourceVersion": "1", "labels": {"team": "a"}}}
    cache.namespaces._put(("", "web"), namespace)
    want = cache.view(item).want
    assert isinstance(want, Request) and want.namespace_labels == {"team": "a"}
