# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what it costs that a speaker writes into the API what it does.

    PYTHONPATH=src:tests .venv/bin/python tests/bench/status_reports.py [--services N]

A real API server, one speaker, a router on loopback, N services with an endpoint each. For each phase: how
many objects the speaker wrote, in how many seconds, and the most in any second, counted from the outside by a
watch of the API; the speaker's CPU seconds and its memory.

    start      it comes to a cluster where nothing is told of it
    rest       nothing happens
    flap       the router ends the session as soon as it is up
    restart    another speaker takes over: what is told already is true
    change     every service gets another prefix (aggregation length)
    removal    the advertisement goes, and so does every service's object
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from daemon.speaker.cluster import ROLE, Cluster, Speaker
from daemon.speaker.router import Router
from support.apiserver import ApiServer

from vipcast.k8s import Client, Informer, Json, Key, find_access
from vipcast.k8s.resource import BGP_SESSION_STATES, SERVICE_BGP_STATUSES

PATIENCE = 600.0
REST = 20.0
FLAP = 60.0
AT_ONCE = 8
_TICKS = os.sysconf("SC_CLK_TCK")


class Watcher:
    """Counts what is written, by the API server's own watch."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.seconds: Counter[int] = Counter()
        self.informers = [
            Informer(client, kind, on_change=self._count, namespace=namespace)
            for kind in (SERVICE_BGP_STATUSES, BGP_SESSION_STATES)
        ]
        self.last = time.monotonic()

    @property
    def services(self) -> list[Json]:
        return list(self.informers[0].items.values())

    def _count(self, _key: Key, _item: Json | None) -> None:
        self.last = time.monotonic()
        self.seconds[int(self.last)] += 1

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(informer.run()) for informer in self.informers]
        for informer in self.informers:
            await informer.synced.wait()
        yield
        for task in tasks:
            task.cancel()


class Phases:
    """Prints a row per phase."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        print(f"{'phase':<10}{'writes':>8}{'seconds':>10}{'most/s':>8}{'CPU s':>8}{'MiB':>7}", flush=True)

    async def phase(self, name: str, speaker: Speaker, act: Callable[[], Awaitable[None]]) -> None:
        self._watcher.seconds.clear()
        begin, before = time.monotonic(), _cpu(speaker)
        self._watcher.last = begin
        await act()
        writes, most = sum(self._watcher.seconds.values()), max(self._watcher.seconds.values(), default=0)
        took, cpu = self._watcher.last - begin, _cpu(speaker) - before
        print(f"{name:<10}{writes:>8}{took:>10.1f}{most:>8}{cpu:>8.2f}{_memory(speaker):>7.0f}", flush=True)


def _pid(speaker: Speaker) -> int:
    assert speaker._process
    return speaker._process.pid


def _cpu(speaker: Speaker) -> float:
    fields = Path(f"/proc/{_pid(speaker)}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory(speaker: Speaker) -> float:
    pages = int(Path(f"/proc/{_pid(speaker)}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def until(question: Callable[[], Awaitable[bool]]) -> None:
    end = time.monotonic() + PATIENCE
    while not await question():
        if time.monotonic() > end:
            raise TimeoutError("not in time")
        await asyncio.sleep(0.2)


async def settled(speaker: Speaker) -> bool:
    try:
        status = await speaker.status()
    except OSError:
        return False
    return bool(status["peers"]) and status["reports"]["waiting"] == 0 and status["reports"]["written"] > 0


async def populate(cluster: Cluster, services: int) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with slots:
            name = f"s{number}"
            await cluster.service(name, f"10.9.{number >> 8}.{number & 255}")
            await cluster.endpoints(name, "elsewhere")

    await asyncio.gather(*(one(number) for number in range(services)))


async def bench(api: ApiServer, services: int) -> None:
    client = Client(find_access(str(api.kubeconfig)))
    cluster = Cluster(api, client)
    kubeconfig = await cluster.prepare()
    watcher = Watcher(client, cluster.name)
    async with Router() as router, watcher.running():
        await cluster.configure(tor=router.port)
        await populate(cluster, services)
        print(f"{services} services", flush=True)
        phases = Phases(watcher)

        async def told() -> bool:
            return len(watcher.services) == services

        async def gone() -> bool:
            return not watcher.services

        async def changed() -> bool:
            prefixes = (each["status"]["addresses"][0]["prefixes"][0] for each in watcher.services)
            return all(prefix.endswith("/31") for prefix in prefixes)

        async def flap() -> None:
            end = time.monotonic() + FLAP
            while time.monotonic() < end:
                router.hang_up()
                await asyncio.sleep(0.2)

        async def change() -> None:
            await cluster.apply("BGPAdvertisement", "adv", spec={"aggregationLength": 31})
            await until(changed)

        async def remove() -> None:
            await cluster.delete("Service", "s0")
            await cluster.apply(
                "BGPAdvertisement", "adv", spec={"nodeSelectors": [{"matchLabels": {"no": "node"}}]}
            )
            await until(gone)

        async with Speaker(cluster, kubeconfig) as speaker:
            await phases.phase("start", speaker, lambda: until(told))
            await until(lambda: settled(speaker))
            await phases.phase("rest", speaker, lambda: asyncio.sleep(REST))
            await phases.phase("flap", speaker, flap)
            await until(lambda: settled(speaker))
        async with Speaker(cluster, kubeconfig) as speaker:
            await phases.phase("restart", speaker, lambda: until(lambda: settled(speaker)))
            await phases.phase("change", speaker, change)
            await phases.phase("removal", speaker, remove)
    await client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--services", type=int, default=1000)
    options = parser.parse_args()
    with ApiServer() as api:
        api.kubectl("apply", "-f", str(ROLE / "files" / "crds"))
        api.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        asyncio.run(bench(api, options.services))


if __name__ == "__main__":
    main()
