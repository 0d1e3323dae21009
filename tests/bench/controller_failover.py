# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how long a new service waits for its address when the controller that leads is killed.

    .venv/bin/python tests/bench/controller_failover.py [--kills N] [--services N]

Two controllers on an API server of their own, with the rights that the role gives them. Each time the
leader gets SIGKILL at a random moment of its renewals, a service is made at once, and a watch tells when its
status shows an address. Then the killed one starts again as the standby. The same with SIGTERM, which is what
a rollout does. Services that had an address are compared before and after: none may have changed.

Needs no root and no lab; the binaries of the lab's Kubernetes have to be there (`make lab`).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.apiserver import ApiServer
from support.controllers import NAMESPACE, Controller, prepare, the_leader

from vipcast.k8s import Client, find_access
from vipcast.k8s.resource import IP_ADDRESS_POOLS, SERVICES

HOME = "failover"  # the namespace of the services
PATIENCE = 60.0
SPREAD = 1.0  # seconds; more than the time from one renewal to the next

Json = dict[str, Any]


class Bench:
    """Two controllers, and services that they serve."""

    def __init__(self, api: ApiServer, folder: Path) -> None:
        self._client = Client(find_access(str(api.kubeconfig)))
        self._both = [Controller(api, folder, name) for name in ("one", "two")]
        self._number = 0
        self.changed = 0

    async def begin(self, services: int) -> None:
        """A pool, the controllers, and services that have an address."""
        pool: Json = {"metadata": {"name": "default"}, "spec": {"addresses": ["10.40.0.0/16"]}}
        body = {"apiVersion": IP_ADDRESS_POOLS.api_version, "kind": IP_ADDRESS_POOLS.kind, **pool}
        await self._client.create(IP_ADDRESS_POOLS.path(NAMESPACE), body)
        await self._client.create("/api/v1/namespaces", {"metadata": {"name": HOME}})
        for each in self._both:
            each.start()
        await self._until(lambda: the_leader(self._both) is not None)
        for _number in range(services):
            await self._serve()

    async def fail(self, number: int) -> float:
        """The leader gets a signal; seconds from then until a service that is new has an address."""
        leader = the_leader(self._both)
        assert leader is not None
        before = await self._addresses()
        await asyncio.sleep(random.uniform(0, SPREAD))
        leader.send(number)
        seconds = await self._serve()
        after = await self._addresses()
        self.changed += sum(after.get(name) != address for name, address in before.items())
        await asyncio.to_thread(leader.stop)
        leader.start()
        await self._until(lambda: all(each.ready() for each in self._both))
        await self._until(lambda: the_leader(self._both) is not None)
        return seconds

    async def end(self) -> None:
        """Stop everything."""
        for each in self._both:
            await asyncio.to_thread(each.stop)
        await self._client.close()

    async def _serve(self) -> float:
        """Make a service; seconds until it has an address."""
        self._number += 1
        name, started = f"s{self._number}", time.monotonic()
        spec = {"type": "LoadBalancer", "ports": [{"port": 80}], "allocateLoadBalancerNodePorts": False}
        body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
        item = await self._client.create(SERVICES.path(HOME), body)
        events = self._client.watch(
            SERVICES.path(HOME),
            resource_version=item["metadata"]["resourceVersion"],
            field_selector=f"metadata.name={name}",
        )
        async with asyncio.timeout(PATIENCE):
            async for event in events:
                if address_of(event.object):
                    return time.monotonic() - started
        raise AssertionError("the watch ended")

    async def _addresses(self) -> dict[str, str]:
        listing = await self._client.list(SERVICES.path(HOME))
        return {item["metadata"]["name"]: address_of(item) for item in listing.items}

    async def _until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await asyncio.to_thread(what):
                await asyncio.sleep(0.1)


def address_of(item: Json) -> str:
    """The address that a service shows, or nothing."""
    return "".join(entry["ip"] for entry in item["status"].get("loadBalancer", {}).get("ingress", []))


def row(name: str, values: list[float]) -> str:
    late = sorted(values)[min(len(values) - 1, round(0.95 * len(values)))]
    figures = (statistics.median(values), late, min(values), max(values))
    return f"{name:<28} {len(values):>4}" + "".join(f" {figure:>8.2f}" for figure in figures) + " s"


async def measure(kills: int, services: int) -> None:
    with tempfile.TemporaryDirectory(prefix="vipcast-bench-") as folder, ApiServer() as api:
        bench = Bench(prepare(api), Path(folder))
        try:
            await bench.begin(services)
            killed = [await bench.fail(signal.SIGKILL) for _again in range(kills)]
            ended = [await bench.fail(signal.SIGTERM) for _again in range(max(1, kills // 2))]
        finally:
            await bench.end()
    print(
        f"{'a new service has an address':<28} {'runs':>4}"
        + "".join(f" {head:>8}" for head in ("median", "p95", "least", "most"))
    )
    print(row("leader killed", killed))
    print(row("leader told to end", ended))
    print(f"addresses that changed: {bench.changed}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20, help="times that the leader is killed")
    parser.add_argument("--services", type=int, default=100, help="services that have an address before")
    options = parser.parse_args()
    asyncio.run(measure(options.kills, options.services))


if __name__ == "__main__":
    main()
