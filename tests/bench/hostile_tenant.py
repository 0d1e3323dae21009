# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what a tenant who means harm costs the one next to it.

    .venv/bin/python tests/bench/hostile_tenant.py [--modes full,large,...] [--share 1.0] [--services N]

For each mode an API server of its own, two controllers with the rights that the role gives them, and a
hostile tenant that may do what every tenant may: make services (and, in two modes, what an administrator did
badly). While it does, a normal tenant makes services one after another; then the leader gets SIGKILL, and
one more service is made. Printed is, for each mode, how long the services waited for their addresses, how
often another replica took the lead or the same one took it again, and the most memory that a controller had.

| mode | the hostile tenant |
|---|---|
| quiet | does nothing: what the others are compared with |
| full | has services that wait, with annotations that leave no room for another byte |
| large | has 300 services of type ExternalName with 262,000 bytes of annotations |
| sharing | has 1,300 services with one sharing key and one port |
| fight | writes another address into the status of its service whenever ours is there |
| ranges | (an administrator) has 60 pools with 60 prefixes each |

`--share 0.02` takes a part of each number, to see that it still runs. Needs no root and no lab; the binaries
of the lab's Kubernetes have to be there (`make lab`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.apiserver import ApiServer
from support.controllers import NAMESPACE, Controller, lease, prepare, the_leader

from vipcast.k8s import API_ERRORS, Client, find_access
from vipcast.k8s.resource import IP_ADDRESS_POOLS, SERVICES

GOOD, BAD = "good", "bad"  # namespaces
PATIENCE = 120.0  # seconds that a normal service may wait before it counts as never served
ROOM = 262_144  # bytes of annotations that an object may have

Json = dict[str, Any]


class World:
    """An API server, two controllers, and two tenants."""

    def __init__(self, api: ApiServer, folder: Path, share: float) -> None:
        self.api, self.share = api, share
        self.client = Client(find_access(str(api.kubeconfig)))
        self.both = [Controller(api, folder, name) for name in ("one", "two")]
        self.memory = 0.0  # MiB, the most that a controller had
        self._number = 0

    def some(self, number: int) -> int:
        """The part of a number that `--share` asks for."""
        return max(2, round(number * self.share))

    async def begin(self) -> None:
        for name in (GOOD, BAD):
            await self.client.create("/api/v1/namespaces", {"metadata": {"name": name}})
        await self.pool("default", "10.40.0.0/16")
        for each in self.both:
            each.start()
        await until(lambda: the_leader(self.both) is not None)
        await until(lambda: all(each.ready() for each in self.both))

    async def end(self) -> None:
        for each in self.both:
            self.note_memory(each)
            await asyncio.to_thread(each.stop)
        await self.client.close()

    def note_memory(self, controller: Controller) -> None:
        if controller.running and controller.process is not None:
            text = Path(f"/proc/{controller.process.pid}/status").read_text(encoding="utf-8")
            line = next(each for each in text.splitlines() if each.startswith("VmHWM"))
            self.memory = max(self.memory, int(line.split()[1]) / 1024)

    async def pool(self, name: str, *addresses: str) -> None:
        body = {"apiVersion": IP_ADDRESS_POOLS.api_version, "kind": IP_ADDRESS_POOLS.kind}
        spec = {"addresses": list(addresses), "autoAssign": name == "default"}
        body |= {"metadata": {"name": name}, "spec": spec}  # type: ignore[dict-item]
        await self.client.create(IP_ADDRESS_POOLS.path(NAMESPACE), body)

    async def service(self, namespace: str, name: str, annotations: Json | None = None, **more: Any) -> Json:
        spec = {"type": "LoadBalancer", "ports": [{"port": 80}], "allocateLoadBalancerNodePorts": False}
        metadata = {"name": name, "annotations": annotations or {}}
        body = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {**spec, **more}}
        return await self.client.create(SERVICES.path(namespace), body)

    async def many(self, count: int, make: Callable[[int], Awaitable[object]]) -> None:
        """Make so many of something, eight at a time."""
        slots = asyncio.Semaphore(8)

        async def one(number: int) -> None:
            async with slots:
                await make(number)

        await asyncio.gather(*(one(number) for number in range(count)))

    async def serve(self) -> float:
        """Make a normal service; seconds until it has an address, or PATIENCE."""
        self._number += 1
        name, started = f"s{self._number}", time.monotonic()
        await self.service(GOOD, name)
        path = SERVICES.path(GOOD, name)
        while time.monotonic() - started < PATIENCE:
            listed = await self.client.list(SERVICES.path(GOOD), field_selector=f"metadata.name={name}")
            if any(item["status"].get("loadBalancer", {}).get("ingress") for item in listed.items):
                return time.monotonic() - started
            await asyncio.sleep(0.05)
        print(f"{path}: no address after {PATIENCE:g} s", file=sys.stderr)
        return PATIENCE

    def changes(self) -> tuple[int, int]:
        """Return how often the Lease went to another holder, and how often a leader was deposed."""
        return lease(self.api)["leaseTransitions"], sum(len(each.logged("deposed")) for each in self.both)


async def quiet(_world: World) -> None:
    """Do nothing."""


async def full(world: World) -> None:
    """Services that wait, and of which no annotation can be added."""
    names = {"metallb.io/address-pool": "nope", "pad": ""}
    used = sum(len(name) + len(value) for name, value in names.items())
    await world.many(
        world.some(20), lambda n: world.service(BAD, f"f{n}", {**names, "pad": "x" * (ROOM - used - 1)})
    )


async def large(world: World) -> None:
    """Services that are large and no load balancers."""
    spec: Json = {"type": "ExternalName", "externalName": "a.example", "ports": None}
    spec["allocateLoadBalancerNodePorts"] = None
    await world.many(world.some(300), lambda n: world.service(BAD, f"l{n}", {"pad": "x" * 262_000}, **spec))


async def sharing(world: World) -> None:
    """One key and one port: each of them needs an address of its own, and there are too few."""
    await world.pool("small", "10.41.0.0/24")
    words = {"metallb.io/allow-shared-ip": "everything", "metallb.io/address-pool": "small"}
    await world.many(world.some(1300), lambda n: world.service(BAD, f"k{n}", words))


async def fight(world: World) -> None:
    """Another writer of one service's status, as quick as it can be."""
    await world.service(BAD, "wanted")
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.77"}]}}}
    path, version = SERVICES.path(BAD), "0"
    while True:
        with contextlib.suppress(*API_ERRORS):
            async for event in world.client.watch(path, resource_version=version):
                version = event.object["metadata"]["resourceVersion"]
                ingress = event.object.get("status", {}).get("loadBalancer", {}).get("ingress") or []
                if ingress and ingress[0].get("ip") != "192.0.2.77":
                    await world.client.patch(SERVICES.path(BAD, "wanted", "status"), status)


async def ranges(world: World) -> None:
    """A configuration of thousands of prefixes, none of which is given by itself."""
    size = world.some(60)
    for number in range(size):
        block = f"172.{16 + number // 16}"
        prefixes = [f"{block}.{16 * (number % 16) + each // 4}.{64 * (each % 4)}/27" for each in range(size)]
        await world.pool(f"r{number}", *prefixes)


MODES: dict[str, Callable[[World], Awaitable[None]]] = {
    each.__name__: each for each in (quiet, full, large, sharing, fight, ranges)
}


@contextlib.asynccontextmanager
async def hostile(world: World, mode: str) -> AsyncIterator[None]:
    """Let the hostile tenant of this mode act while the block runs, which begins a second later."""
    task = asyncio.ensure_future(MODES[mode](world))
    await asyncio.sleep(1.0)
    try:
        yield
        if mode != "fight":
            await task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(what: Callable[[], bool], seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(what):
            await asyncio.sleep(0.1)


async def measure(mode: str, share: float, services: int) -> str:
    """One line of figures."""
    with tempfile.TemporaryDirectory(prefix="vipcast-bench-") as folder, ApiServer() as api:
        world = World(prepare(api), Path(folder), share)
        try:
            await world.begin()
            before = world.changes()
            async with hostile(world, mode):
                waited = []
                for _number in range(services):
                    waited.append(await world.serve())
                    await asyncio.sleep(0.5)
            waited.append(await world.serve())
            moved = [now - then for now, then in zip(world.changes(), before, strict=True)]
            failover = await take_over(world, mode)
        finally:
            await world.end()
    figures = "".join(f" {each:>9.2f}" for each in (statistics.median(waited), max(waited), failover))
    return f"{mode:<10}{figures} {sum(moved):>8} {world.memory:>8.0f}"


async def take_over(world: World, mode: str) -> float:
    """The leader is killed; seconds until a service that is made at once has its address."""
    leader = await asyncio.to_thread(the_leader, world.both)
    if leader is None:  # the lead changes all the time
        await until(lambda: the_leader(world.both) is not None)
        leader = await asyncio.to_thread(the_leader, world.both) or world.both[0]
    again = asyncio.ensure_future(fight(world)) if mode == "fight" else None
    world.note_memory(leader)
    leader.send(signal.SIGKILL)
    seconds = await world.serve()
    if again is not None:
        again.cancel()
    return seconds


async def measure_all(options: argparse.Namespace) -> None:
    heads = ("median s", "worst s", "killed s", "changes", "RSS MiB")
    print(f"{'':<10}" + "".join(f" {head:>{8 if head in heads[3:] else 9}}" for head in heads))
    for mode in options.modes.split(","):
        print(await measure(mode, options.share, options.services), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--modes", default=",".join(MODES), help="which, with commas between")
    parser.add_argument("--share", type=float, default=1.0, help="part of each number of hostile objects")
    parser.add_argument("--services", type=int, default=20, help="services of the normal tenant meanwhile")
    asyncio.run(measure_all(parser.parse_args()))


if __name__ == "__main__":
    main()
