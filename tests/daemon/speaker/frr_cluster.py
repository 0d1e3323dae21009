# SPDX-License-Identifier: GPL-3.0-or-later
"""FRR as the router of a node whose speaker has one service to announce; what is asked of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from daemon.bfd.harness import BfdRouter
from daemon.interop.frr import NODE, ROUTER, missing, run
from daemon.speaker.cluster import Cluster, Speaker

DRAIN = "vipcast.io/drain"


def config(*lines: str, address: str = NODE) -> str:
    essential = (
        "router bgp 64512",
        "no bgp ebgp-requires-policy",
        f"neighbor {address} remote-as 64513",
        f"neighbor {address} timers 3 9",
        f"neighbor {address} timers connect 1",
    )
    return "\n ".join((*essential, *lines))


@pytest.fixture
def frr() -> Iterator[BfdRouter]:
    if (lack := missing()) is not None:
        pytest.fail(lack)
    with BfdRouter() as router:
        yield router


def inside(frr: BfdRouter) -> tuple[str, ...]:
    return ("ip", "netns", "exec", frr.node)


async def announced(cluster: Cluster, **of_peer: Any) -> Any:
    """One service with an endpoint elsewhere, announced to the router; the speaker's kubeconfig."""
    kubeconfig = await cluster.prepare()
    await cluster.configure()
    await cluster.peer("tor", 179, peerAddress=ROUTER, **of_peer)
    await cluster.service("web", "10.9.0.1")
    await cluster.endpoints("web", "elsewhere")
    return kubeconfig


def valid(frr: BfdRouter, prefix: str = "10.9.0.1/32") -> bool:
    return [path["valid"] for path in frr.paths(prefix)] == [True]


def communities(frr: BfdRouter) -> list[str]:
    return [path.get("community", {}).get("string", "") for path in frr.paths("10.9.0.1/32")]


@asynccontextmanager
async def watched(frr: BfdRouter, prefix: str = "10.9.0.1/32") -> AsyncIterator[set[bool]]:
    """Yield whether the router's kernel had the route, each time it was asked meanwhile."""
    seen: set[bool] = set()

    async def look() -> None:
        while True:
            routes = await asyncio.to_thread(run, "ip", "-n", frr.router, "-j", "route", "show", prefix)
            seen.add(bool(json.loads(routes or "[]")))
            await asyncio.sleep(0.02)

    task = asyncio.create_task(look())
    try:
        yield seen
    finally:
        task.cancel()


def in_kernel(frr: BfdRouter, prefix: str = "10.9.0.1/32") -> bool:
    version = "-6" if ":" in prefix else "-4"
    return bool(json.loads(run("ip", "-n", frr.router, "-j", version, "route", "show", prefix) or "[]"))


async def only_peer(speaker: Speaker) -> dict[str, Any]:
    (peer,) = (await speaker.status())["peers"]
    return dict(peer)
