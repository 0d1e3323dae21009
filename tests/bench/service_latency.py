# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how soon a new Service's route is in the router's kernel, and a client gets an answer.

    sudo .venv/bin/python tests/bench/service_latency.py [--services N] [--json FILE]
    .venv/bin/python tests/bench/service_latency.py --inventory inventories/lab --like NAMESPACE/SERVICE

Without an inventory everything is made here, in two namespaces: etcd, API server, controller and speaker as
processes on the node's side, FRR on the other. Its zebra writes into the kernel, and `ip monitor` says when.
With one, the lab is measured that it describes, running and rolled out: each new service has the endpoints of
an existing one, and the lab's client asks for it from the moment it has an address until it gets HTTP 200.
That is kube-proxy's time too. All hosts of the lab have one clock.

Services are created one after the other, their EndpointSlices before them, so that only what the load
balancer does is measured. Counted is from the moment before the request is sent, and, in brackets, from the
API server's answer. The address is there when a watch shows it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import shlex
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from bgp_tap import UPDATE, Tap  # noqa: E402
from daemon.interop.frr import NODE, ROUTER, Router, missing  # noqa: E402
from daemon.interop.speaker import enter  # noqa: E402
from support import controllers, processes  # noqa: E402
from support.apiserver import ApiServer  # noqa: E402
from support.lab import Lab  # noqa: E402

from vipcast.k8s import Client, Resource, find_access  # noqa: E402
from vipcast.k8s import resource as resources  # noqa: E402

SPACE = "vipcast-latency"
PATIENCE = 30.0
_ADDED = re.compile(r"^(?!Deleted)(?:\S+ )?(\d+\.\d+\.\d+\.\d+)(?:/32)? .*")

Json = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """Milliseconds from the request on; ``update`` where the cable can be listened to."""

    answered: float
    address: float
    update: float | None
    kernel: float
    page: float | None = None


class Lines:
    """The lines that a command prints, from its `ready` on."""

    def __init__(self, command: Sequence[str], hear: Callable[[str], None]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise SystemExit(f"this does not run: {shlex.join(command)}")
        self._hear = hear
        threading.Thread(target=self._read, daemon=True).start()

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(5)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._hear(line)


class Kernel(Lines):
    """Record when the router's kernel got each host route.

    ``prefix``: a command that takes a line for a shell.
    """

    def __init__(self, prefix: Sequence[str]) -> None:
        self.routes: dict[str, float] = {}
        super().__init__([*prefix, "echo ready; exec ip -4 monitor route"], self._note)

    def _note(self, line: str) -> None:
        if found := _ADDED.match(line):
            self.routes.setdefault(found[1], time.time())


_ASK = """
import socket, sys, time
print("ready", flush=True)
for line in sys.stdin:
    while True:
        try:
            with socket.create_connection((line.strip(), 80), 0.02) as sock:
                sock.settimeout(1)
                sock.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
                if b" 200 " in sock.recv(64):
                    break
        except OSError:
            time.sleep(0.001)
    print(line.strip(), time.time(), flush=True)
"""


class Pages(Lines):
    """Record when a client got its first HTTP 200 from each address; what is not answered it asks again."""

    def __init__(self, prefix: Sequence[str]) -> None:
        self.got: dict[str, float] = {}
        super().__init__([*prefix, f"exec python3 -u -c {shlex.quote(_ASK)}"], self._note)

    def _note(self, line: str) -> None:
        address, at = line.split()
        self.got[address] = float(at)


class Services:
    """Their addresses as a watch shows them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.addresses: dict[str, tuple[str, float]] = {}

    async def watch(self) -> None:
        listing = await self._client.list(resources.SERVICES.path(SPACE))
        version = listing.resource_version
        while True:
            path = resources.SERVICES.path(SPACE)
            async for event in self._client.watch(path, resource_version=version):
                version = event.object["metadata"]["resourceVersion"]
                ingress = event.object.get("status", {}).get("loadBalancer", {}).get("ingress", [])
                if ingress:
                    name = event.object["metadata"]["name"]
                    self.addresses.setdefault(name, (ingress[0]["ip"], time.time()))


@dataclass(frozen=True)
class Moments:
    """Seconds since 1970."""

    began: float
    answered: float
    address: float
    kernel: float
    page: float | None = None

    def sample(self, updates: Sequence[float]) -> Sample:
        """``updates``: when UPDATEs came to the router. The first one after the request is the service's."""
        update = next((at for at in updates if at > self.began), None)
        moments = (self.answered, self.address, update, self.kernel, self.page)
        return Sample(*(None if at is None else 1000 * (at - self.began) for at in moments))  # type: ignore[arg-type]


@dataclass(frozen=True)
class World:
    """The recorders of a run; ``pages`` where there is a client."""

    client: Client
    kernel: Kernel
    slices: Sequence[Json]
    pages: Pages | None = None


async def measure(world: World, count: int) -> list[Moments]:
    services = Services(world.client)
    watching = asyncio.create_task(services.watch())
    await asyncio.sleep(0.5)
    found = []
    for number in range(count):
        name = f"s{number}"
        for each, written in enumerate(world.slices):
            await world.client.create(_SLICES.path(SPACE), named(written, name, each))
        await asyncio.sleep(random.uniform(0.05, 0.15))
        found.append(await _one(world, services, name))
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    return found


async def _one(world: World, services: Services, name: str) -> Moments:
    began = time.time()
    await world.client.create(resources.SERVICES.path(SPACE), service(name))
    answered = time.time()

    async def until(there: Callable[[], bool], what: str) -> None:
        while not there():
            if time.time() - began > PATIENCE:
                raise SystemExit(
                    f"{name}: {services.addresses.get(name)}, and no {what} after {PATIENCE:g} s"
                )
            await asyncio.sleep(0.002)

    await until(lambda: name in services.addresses, "address")
    address, shown = services.addresses[name]
    if world.pages:
        world.pages.say(address)
    await until(lambda: address in world.kernel.routes, "route")
    if world.pages:
        await until(lambda: address in world.pages.got, "page")
    page = world.pages.got[address] if world.pages else None
    return Moments(began, answered, shown, world.kernel.routes[address], page)


_SLICES = resources.ENDPOINT_SLICES


def service(name: str) -> Json:
    """Return a service without a selector: its slice is made by hand."""
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}], "allocateLoadBalancerNodePorts": False}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def endpoint_slice(node: str) -> Json:
    """Return a slice of an endpoint that nobody asks."""
    return {
        "apiVersion": _SLICES.api_version,
        "kind": _SLICES.kind,
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.8.64.1"], "nodeName": node, "conditions": {"ready": True}}],
        "ports": [{"port": 80}],
    }


def named(written: Json, service: str, number: int) -> Json:
    """A copy that belongs to a service of ours."""
    labels = {"kubernetes.io/service-name": service, "endpointslice.kubernetes.io/managed-by": "bench"}
    return written | {"metadata": {"name": f"{service}-{number}", "labels": labels}}


async def slices_of(client: Client, like: str) -> list[Json]:
    """Return those of an existing service, ``NAMESPACE/NAME``."""
    space, _slash, name = like.partition("/")
    listing = await client.list(_SLICES.path(space), label_selector=f"kubernetes.io/service-name={name}")
    if not listing.items:
        raise SystemExit(f"there is no EndpointSlice of a service {like}")
    # The port of a service is found by its name, and ours has none.
    kinds = {"apiVersion": _SLICES.api_version, "kind": _SLICES.kind}
    return [
        {
            **kinds,
            "addressType": item["addressType"],
            "endpoints": item["endpoints"],
            "ports": [{"port": item["ports"][0]["port"]}],
        }
        for item in listing.items
    ]


# -- a cluster of our own ----------------------------------------------------------------------------------

FRR = f"""router bgp 64512
 no bgp ebgp-requires-policy
 neighbor {NODE} remote-as 64513
 neighbor {NODE} timers connect 1
exit"""
_NODE_NAME = "node1"


@asynccontextmanager
async def cluster_of_our_own() -> AsyncIterator[tuple[str, list[str], Tap]]:
    """A kubeconfig, how to run a command on the router, and what comes to it."""
    if (lack := missing()) is not None:
        raise SystemExit(lack)
    with Router() as router, Tap(router.router) as tap:
        router.start(FRR)
        enter(router.node)  # what is started from now on is on the node
        with ApiServer() as api:
            _configure(api)
            controller = controllers.Controller(api, api.folder)
            controller.start()
            speaker = _speaker(api)
            try:
                controllers.until(controller.leads)
                controllers.until(lambda: router.neighbor().get("bgpState") == "Established")
                yield str(api.kubeconfig), ["ip", "netns", "exec", router.router, "sh", "-c"], tap
            finally:
                processes.stop(speaker)
                controller.stop()


def _configure(api: ApiServer) -> None:
    controllers.prepare(api)
    api.apply(
        *controllers.rbac("speaker", load_balancer_secret_names=[]),
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": _NODE_NAME}},
        _object(resources.IP_ADDRESS_POOLS, addresses=["10.40.0.0/16"]),
        _object(resources.BGP_ADVERTISEMENTS),
        _object(resources.BGP_PEERS, myASN=64513, peerASN=64512, peerAddress=ROUTER, connectTime="1s"),
    )


def _object(resource: Resource, **spec: Any) -> Json:
    metadata = {"name": "bench", "namespace": controllers.NAMESPACE}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}


def _speaker(api: ApiServer) -> subprocess.Popen[bytes]:
    token = api.token(controllers.NAMESPACE, "speaker")
    command = [
        sys.executable,
        "-c",
        "import sys; from vipcast.cli import main; sys.exit(main())",
        "speaker",
        f"--kubeconfig={api.write_kubeconfig('speaker', token=token)}",
        f"--node-name={_NODE_NAME}",
        "--health-address=none",
        "--metrics-address=none",
    ]
    return processes.start(
        command, api.folder / "speaker.log", {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    )


# -- the program -------------------------------------------------------------------------------------------


async def run(options: argparse.Namespace) -> list[Sample]:
    async with AsyncExitStack() as stack:
        lab = Lab(options.inventory) if options.inventory else None
        if lab is None:
            kubeconfig, router, tap = await stack.enter_async_context(cluster_of_our_own())
        else:
            kubeconfig, router, tap = str(lab.kubeconfig), [*lab.ssh, lab.router], None
        client = Client(find_access(kubeconfig))
        stack.push_async_callback(client.close)
        await client.create("/api/v1/namespaces", {"metadata": {"name": SPACE}})
        stack.push_async_callback(client.delete, f"/api/v1/namespaces/{SPACE}")
        slices = await slices_of(client, options.like) if lab else [endpoint_slice(_NODE_NAME)]
        kernel = Kernel(router)
        stack.callback(kernel.close)
        pages = Pages([*lab.ssh, lab.client]) if lab else None
        if pages:
            stack.callback(pages.close)
        found = await measure(World(client, kernel, slices, pages), options.services)
        updates = (
            [seen.at for seen in tap.messages() if (seen.sender, seen.kind) == (NODE, UPDATE)] if tap else []
        )
        return [each.sample(updates) for each in found]


def row(name: str, values: list[float], since: list[float]) -> str:
    late = sorted(values)[min(len(values) - 1, round(0.99 * len(values)))]
    after = statistics.median(value - start for value, start in zip(values, since, strict=True))
    median = statistics.median(values)
    return f"{name:28} median {median:6.1f} ms ({after:6.1f})   p99 {late:6.1f}   max {max(values):6.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--services", type=int, default=200)
    parser.add_argument("--inventory", type=Path, help="of a lab that is rolled out")
    parser.add_argument("--like", help="the lab's service whose endpoints the new ones get: NAMESPACE/NAME")
    parser.add_argument("--json", type=Path, help="write every sample here")
    options = parser.parse_args()
    if (options.inventory is None) != (options.like is None):
        parser.error("--inventory and --like go together: a lab and a service in it")
    samples = asyncio.run(run(options))
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in samples], indent=1))
    answered = [each.answered for each in samples]
    print(f"{len(samples)} services, from the request (and from the API server's answer):")
    print(row("the API server answers", answered, answered))
    print(row("the service shows an address", [each.address for each in samples], answered))
    if updates := [each.update for each in samples if each.update is not None]:
        print(row("the router gets the UPDATE", updates, answered))
    print(row("the route is in the kernel", [each.kernel for each in samples], answered))

    if pages := [each.page for each in samples if each.page is not None]:
        print(row("a client gets HTTP 200", pages, answered))


if __name__ == "__main__":
    main()
