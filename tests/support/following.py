# SPDX-License-Identifier: GPL-3.0-or-later
"""An informer under test, and waiting for what it should see."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from vipcast.k8s import Client, Informer, Json, Key, Resource

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")


class Follower:
    """An informer and everything that it said."""

    def __init__(self, client: Client, resource: Resource = CONFIG_MAPS, **options: object) -> None:
        self.heard: list[tuple[Key, Json | None]] = []
        self.informer = Informer(client, resource, on_change=lambda *what: self.heard.append(what), **options)  # type: ignore[arg-type]

    def names(self) -> set[str]:
        return {name for _namespace, name in self.informer.items}

    async def has(self, *names: str, seconds: float = 30) -> None:
        await until(lambda: self.names() == set(names), seconds)


@asynccontextmanager
async def follow(
    client: Client, resource: Resource = CONFIG_MAPS, **options: object
) -> AsyncIterator[Follower]:
    follower = Follower(client, resource, **options)
    task = asyncio.create_task(follower.informer.run())
    try:
        yield follower
        assert not task.done(), task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not become true in time"
        await asyncio.sleep(0.02)


def config_map(name: str, **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
