# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what ten thousand services cost the controller, on a real API server.

    .venv/bin/python tests/bench/controller_scale.py [--own-server] [--services N ...] [--rounds N]

The time until all of N services have an address is compared with a baseline: a process that sends the same
patches by the same client and decides nothing, watches nothing, and says nothing in events. Both are fed by
the same creator, eight services at once, and take turns in one run: the ratio is what counts, the seconds are
the machine's. Then the controller's memory, the events, a restart, and the cost of one more service.

Without a lab, or with --own-server, it starts an API server of its own. Namespaces, class and pool are the
bench's own, and what it made is deleted at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import workload
from support import processes
from support.apiserver import ApiServer
from support.ports import free_port
from workload import NAMESPACE, SINGLE, Json, address_of

from vipcast.k8s import Client, find_access
from vipcast.k8s.resource import IP_ADDRESS_POOLS, SERVICES

LAB = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vipcast/lab/kubeconfig"
FEW = 100  # services that are there when one more is cheap
SINGLES = 50
RESTARTS = 5
PATIENCE = 300.0  # seconds for anything
# name -> unit; in the order of the table
UNITS = {
    "baseline": "s",
    "controller": "s",
    "ratio": "",
    "events after": "s",
    "events there": "",
    "CPU per service": "ms",
    "memory": "MiB",
    "memory at most": "MiB",
    "restart to ready": "s",
    "memory, restarted": "MiB",
    "API makes one": "ms",
    "address of one": "ms",
    "CPU of one": "ms",
}
Figures = defaultdict[str, list[float]]


class Program:
    """The controller as a process of its own."""

    def __init__(self, kubeconfig: str, log: Path) -> None:
        self._kubeconfig, self.log = kubeconfig, log
        self._process: subprocess.Popen[bytes] | None = None
        self._health = ("127.0.0.1", free_port())

    def start(self) -> None:
        address = ":".join(map(str, self._health))
        flags = {"--kubeconfig": self._kubeconfig, "--namespace": NAMESPACE, "--lb-class": workload.CLASS}
        servers = {"--health-address": address, "--metrics-address": "none"}
        arguments = [part for flag in (flags | servers).items() for part in flag]
        call = "import sys; from vipcast.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", call, "controller", *arguments]
        self._process = processes.start(command, self.log, workload.child_environment())

    def stop(self) -> None:
        processes.stop(self._process)

    async def decided(self, services: int) -> None:
        """Ready, and it knows the address of as many services."""
        await until(lambda: self._decided(services), 0.01)

    async def _decided(self, services: int) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise SystemExit(f"the controller ended:\n{self.log.read_text()[-2000:]}")
        if not (await self._get("/readyz")).startswith(b"HTTP/1.1 200"):
            return False
        answer = await self._get("/status")
        status = json.loads(answer.partition(b"\r\n\r\n")[2])["status"]
        return bool(status["lead"]["started"] and status["services"]["allocated"] >= services)

    async def _get(self, page: str) -> bytes:
        try:
            reader, writer = await asyncio.open_connection(*self._health)
            writer.write(f"GET {page} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
        except OSError:
            return b""  # not there yet, or not any more: who asked looks at the process too
        writer.close()
        return answer

    def cpu(self) -> float:
        """Seconds of CPU since it started (sched-stats of every thread)."""
        tasks = self._proc("task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def memory(self, field: str = "VmRSS") -> float:
        """MiB, now; with ``VmHWM`` the most that it was (proc(5), status)."""
        lines = self._proc("status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024

    def _proc(self, name: str) -> Path:
        assert self._process is not None
        return Path("/proc", str(self._process.pid), name)


async def until(what: Callable[[], Awaitable[bool]], pause: float) -> None:
    """Wait for something that becomes true."""
    async with asyncio.timeout(PATIENCE):
        while not await what():
            await asyncio.sleep(pause)


class Bench:
    """Runs one after the other against one API server; `figures` collects what they show."""

    def __init__(self, client: Client, kubeconfig: str, folder: Path) -> None:
        self._client, self._kubeconfig, self._folder = client, kubeconfig, folder

    async def prepare(self) -> None:
        for namespace in (NAMESPACE, SINGLE):
            await workload.ensure_namespace(self._client, namespace)
        spec = {"addresses": [str(workload.RANGE)]}
        pool = {"apiVersion": IP_ADDRESS_POOLS.api_version, "kind": IP_ADDRESS_POOLS.kind, "spec": spec}
        pool["metadata"] = {"name": workload.POOL, "namespace": NAMESPACE}
        path = IP_ADDRESS_POOLS.path(NAMESPACE, workload.POOL)
        await self._client.apply(path, pool, field_manager="bench", force=True)

    async def clean(self) -> None:
        """Delete everything but what was there before."""
        await workload.delete_all(self._client)
        for namespace in (NAMESPACE, SINGLE):
            await self._client.delete(f"/api/v1/namespaces/{namespace}")

    @asynccontextmanager
    async def controller(self) -> AsyncIterator[Program]:
        """The controller, running and ready; without its services afterwards."""
        program = Program(self._kubeconfig, self._folder / "controller.log")
        program.start()
        try:
            await program.decided(0)
            yield program
        finally:
            program.stop()
            await workload.delete_all(self._client)

    # -- the two that are compared ---------------------------------------------------------------------------

    async def baseline(self, count: int) -> float:
        """Seconds from the first service to the last patch of the script without logic."""
        addresses = map(str, workload.RANGE.hosts())
        command = [sys.executable, workload.__file__, self._kubeconfig]
        writer = await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=workload.child_environment(),
        )
        assert writer.stdin is not None and writer.stdout is not None
        pipe = writer.stdin

        def created(item: Json) -> None:
            metadata = item["metadata"]
            parts = (metadata["name"], metadata["uid"], metadata["resourceVersion"], next(addresses))
            pipe.write((" ".join(parts) + "\n").encode())

        await writer.stdout.readline()
        start = time.monotonic()
        await workload.create(self._client, names(count), created)
        pipe.close()
        ended = float(await asyncio.wait_for(writer.stdout.readline(), PATIENCE))
        await writer.wait()
        await self._check(count)
        await workload.delete_all(self._client)
        return ended - start

    async def controlled(self, count: int) -> float:
        """Seconds from the first service until the API shows an address on each."""
        start, last = time.monotonic(), ""

        def created(item: Json) -> None:
            nonlocal last
            last = item["metadata"]["name"]

        await workload.create(self._client, names(count), created)
        await until(lambda: self._shown(last), 0.02)
        # What is first come is first served, nearly: the list finds those few who come after the last.
        ended = time.monotonic()
        for name in await self._check(count, complete=False):
            await until(lambda name=name: self._shown(name), 0.02)  # type: ignore[misc]
            ended = time.monotonic()
        await self._check(count)
        return ended - start

    async def _shown(self, name: str) -> bool:
        return address_of(await self._client.get(SERVICES.path(NAMESPACE, name))) is not None

    async def _check(self, count: int, *, complete: bool = True) -> list[str]:
        """Return who has no address; nobody has another's, and with `complete` nobody has none."""
        listing = await self._client.list(SERVICES.path(NAMESPACE))
        found = {item["metadata"]["name"]: address_of(item) for item in listing.items}
        given = [address for address in found.values() if address]
        if len(found) != count or len(set(given)) != len(given) or (complete and len(given) != count):
            raise SystemExit(
                f"{len(found)} services, {len(given)} addresses, {len(set(given))} of them different"
            )
        return [name for name, address in found.items() if not address]

    # -- what else it costs ----------------------------------------------------------------------------------

    async def events(self, count: int) -> tuple[float, int]:
        """Seconds until no more events come, and for how many services one of them tells the address."""
        start = moved = time.monotonic()
        there = -1
        while time.monotonic() - moved < 5:  # what did not come in five seconds does not come
            before, there = there, await workload.count_of(self._client, NAMESPACE, "events")
            moved = time.monotonic() if there != before else moved
            await asyncio.sleep(0.25)
        events = await self._client.list(f"/api/v1/namespaces/{NAMESPACE}/events", each=_event)
        told = {event["name"] for event in events.items if event["reason"] == "IPAllocated"}
        return moved - start, len(told)

    async def singles(self, program: Program, figures: Figures) -> None:
        """One after the other: until its creation is answered, and from then until its address is seen."""
        path = SERVICES.path(SINGLE)
        listing = await self._client.list(path)
        seen: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        watcher = asyncio.create_task(self._watch(path, listing.resource_version, seen))
        before = program.cpu()
        for name in names(SINGLES):
            start = time.monotonic()
            await self._client.create(path, workload.service(name))
            created = time.monotonic()
            await asyncio.wait_for(seen[name].wait(), PATIENCE)
            figures["API makes one"].append((created - start) * 1000)
            figures["address of one"].append((time.monotonic() - created) * 1000)
            await asyncio.sleep(0.05)
        watcher.cancel()
        figures["CPU of one"].append((program.cpu() - before) * 1000 / SINGLES)
        for name in names(SINGLES):
            await self._client.delete(SERVICES.path(SINGLE, name))

    async def _watch(self, path: str, version: str, seen: dict[str, asyncio.Event]) -> None:
        async for event in self._client.watch(path, resource_version=version):
            if event.type == "MODIFIED" and address_of(event.object):
                seen[event.object["metadata"]["name"]].set()

    async def restarted(self, program: Program, count: int) -> float:
        """Seconds from the start of a new process until it is ready."""
        program.stop()
        start = time.monotonic()
        program.start()
        await program.decided(count)
        return time.monotonic() - start


def _event(item: Json) -> Json:
    return {"reason": item["reason"], "name": item["involvedObject"]["name"]}


def names(count: int) -> Iterable[str]:
    return (f"service-{number:05}" for number in range(count))


async def compare(bench: Bench, count: int, rounds: int) -> Figures:
    """All rounds of one size; after the last one everything else is measured."""
    figures: Figures = defaultdict(list)
    for number in range(rounds):
        if number % 2 == 0:
            figures["baseline"].append(await bench.baseline(count))
        async with bench.controller() as program:
            await _loaded(bench, program, count, figures)
            if number == rounds - 1:
                await _more(bench, program, count, figures)
        if number % 2 == 1:  # who begins takes turns too
            figures["baseline"].append(await bench.baseline(count))
        figures["ratio"].append(figures["controller"][-1] / figures["baseline"][-1])
        note(f"{count} services, round {number + 1}: ratio {figures['ratio'][-1]:.2f}")
    return figures


async def _loaded(bench: Bench, program: Program, count: int, figures: Figures) -> None:
    before = program.cpu()
    figures["controller"].append(await bench.controlled(count))
    seconds, there = await bench.events(count)
    figures["events after"].append(seconds)
    figures["events there"].append(there)
    figures["CPU per service"].append((program.cpu() - before) * 1000 / count)
    figures["memory"].append(program.memory())
    figures["memory at most"].append(program.memory("VmHWM"))


async def _more(bench: Bench, program: Program, count: int, figures: Figures) -> None:
    await bench.singles(program, figures)
    for _number in range(RESTARTS):
        figures["restart to ready"].append(await bench.restarted(program, count))
        figures["memory, restarted"].append(program.memory())


async def few(bench: Bench) -> Figures:
    """The cost of one more where there are few."""
    figures: Figures = defaultdict(list)
    async with bench.controller() as program:
        await bench.controlled(FEW)
        await bench.events(FEW)
        await bench.singles(program, figures)
    return figures


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def row(name: str, values: list[float]) -> str:
    digits = 2 if UNITS[name] in ("s", "") and max(values) < 100 else 1
    low, middle, high = (
        f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values))
    )
    return f"{name:<18} {len(values):>4} {middle:>9} {UNITS[name]:<4} {low} to {high}"


def table(figures: dict[str, Figures]) -> str:
    lines = []
    for title, found in figures.items():
        lines.append(f"{title:<18} {'runs':>4} {'median':>9} {'':<4} spread")
        lines += [row(name, found[name]) for name in UNITS if name in found]
        lines.append("")
    return "\n".join(lines)


@contextmanager
def server(options: argparse.Namespace):  # type: ignore[no-untyped-def]
    """A kubeconfig of the API server that is measured."""
    if not options.own_server and Path(options.kubeconfig).is_file():
        yield options.kubeconfig
        return
    with ApiServer() as own:
        for crd in sorted((workload.ROOT / "roles/load_balancer/files/crds").glob("*.yml")):
            own.kubectl("apply", "--server-side", "-f", str(crd))
        own.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        yield str(own.kubeconfig)


async def measure(options: argparse.Namespace, kubeconfig: str, folder: Path) -> dict[str, Figures]:
    client = Client(find_access(kubeconfig), user_agent="vipcast-bench")
    bench, found = Bench(client, kubeconfig, folder), {}
    await bench.prepare()
    try:
        await workload.delete_all(client)  # of a run that was interrupted
        found[f"{FEW} services"] = await few(bench)
        for count in options.services:
            found[f"{count} services"] = await compare(bench, count, options.rounds)
    finally:
        await bench.clean()
        await client.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kubeconfig", default=str(LAB), help=f"default: the lab's, {LAB}")
    parser.add_argument("--own-server", action="store_true", help="an API server for this run alone")
    parser.add_argument("--services", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="every value instead of the table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vipcast-bench-") as folder, server(options) as kubeconfig:
        found = asyncio.run(measure(options, kubeconfig, Path(folder)))
    print(json.dumps(found, indent=2) if options.json else table(found))


if __name__ == "__main__":
    main()
