# SPDX-License-Identifier: GPL-3.0-or-later
"""Services in bulk on a real API server, for the controller's benches.

Run as a program it is the baseline, a writer without any logic: it reads lines ``NAME UID VERSION ADDRESS``
and sends each service the status patch that the controller would send, eight at once, by the same client.

    python tests/bench/workload.py KUBECONFIG < lines
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
# Whoever measures another tree names it in PYTHONPATH.
sys.path += [str(ROOT / "src")]

from vipcast.k8s import STRATEGIC_PATCH, ApiError, Client, find_access  # noqa: E402
from vipcast.k8s.resource import SERVICES  # noqa: E402

Json = dict[str, Any]
T = TypeVar("T")

SPACES = NAMESPACE, SINGLE = "vipcast-bench", "vipcast-bench-single"
CLASS = "vipcast.io/bench"  # so that no other controller in the cluster touches them
POOL = "bench"
RANGE = ipaddress.ip_network("198.18.0.0/15")  # RFC 2544: for benchmarks
AT_ONCE = 8  # the controller's writers


def service(name: str) -> Json:
    """A load balancer as small as they come: nothing in the cluster but the controller has work with it."""
    spec = {
        "type": "LoadBalancer",
        "loadBalancerClass": CLASS,
        "allocateLoadBalancerNodePorts": False,  # a node has 2,768 of them
        "ports": [{"port": 80}],
    }
    # kube-proxy leaves alone what is labelled for another proxy.
    labels = {"service.kubernetes.io/service-proxy-name": "none"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels}, "spec": spec}


def status_patch(uid: str, version: str, address: str, now: str) -> Json:
    """Return what the controller sends for an address."""
    condition = {
        "type": "vipcast.io/AddressAllocated",
        "status": "True",
        "reason": "Allocated",
        "message": f"{address} from pool {POOL}",
        "lastTransitionTime": now,
    }
    annotations = {
        "metallb.io/ip-allocated-from-pool": POOL,
        "metallb.universe.tf/ip-allocated-from-pool": None,
    }
    return {
        "metadata": {"uid": uid, "resourceVersion": version, "annotations": annotations},
        "status": {"loadBalancer": {"ingress": [{"ip": address}]}, "conditions": [condition]},
    }


def address_of(item: Json) -> str | None:
    """The address that a service shows."""
    ingress = item["status"]["loadBalancer"].get("ingress") or [{}]
    return ingress[0].get("ip")


async def at_once(count: int, work: Callable[[T], Awaitable[object]], things: Iterable[T]) -> None:
    """`work` for all things, in their order, `count` at the same time."""
    rest = iter(things)

    async def worker() -> None:
        for thing in rest:
            await work(thing)

    async with asyncio.TaskGroup() as group:
        for _number in range(count):
            group.create_task(worker())


async def create(client: Client, names: Iterable[str], created: Callable[[Json], None]) -> None:
    """Create services as fast as the API takes them from eight connections."""

    async def one(name: str) -> None:
        created(await client.create(SERVICES.path(NAMESPACE), service(name)))

    await at_once(AT_ONCE, one, names)


async def delete_all(client: Client) -> None:
    """Delete the bench's services and events, one by one: all at once takes longer than a request may."""

    async def one(path: str) -> None:
        await client.delete(path)

    for path in (f"/api/v1/namespaces/{name}/{what}" for name in SPACES for what in ("services", "events")):
        found = await client.list(path, each=lambda item: {"name": item["metadata"]["name"]})
        await at_once(2 * AT_ONCE, one, [f"{path}/{item['name']}" for item in found.items])


async def count_of(client: Client, namespace: str, plural: str) -> int:
    """Return how many there are, from one short answer."""
    answer = await client.get(f"/api/v1/namespaces/{namespace}/{plural}", limit=1)
    return len(answer["items"]) + (answer["metadata"].get("remainingItemCount") or 0)


async def ensure_namespace(client: Client, name: str) -> None:
    """Make a namespace; one of a run before may still be on its way out."""
    async with asyncio.timeout(60):
        while True:
            try:
                await client.create("/api/v1/namespaces", {"metadata": {"name": name}})
            except ApiError as error:
                if error.status != 409:
                    raise
            found = await client.get(f"/api/v1/namespaces/{name}")
            if found["status"]["phase"] == "Active":
                return
            await asyncio.sleep(0.5)


# -- the baseline as a program -----------------------------------------------------------------------------


async def _lines() -> AsyncIterator[str]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        yield line.decode()


async def write_statuses(kubeconfig: str) -> None:
    """Send the patches; prints the monotonic time of the last answer."""
    client, todo = Client(find_access(kubeconfig)), asyncio.Queue[str]()

    async def writer() -> None:
        while line := await todo.get():
            name, uid, version, address = line.split()
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            patch = status_patch(uid, version, address, now)
            path = SERVICES.path(NAMESPACE, name, "status")
            await client.patch(path, patch, content_type=STRATEGIC_PATCH)

    async with asyncio.TaskGroup() as group:
        for _number in range(AT_ONCE):
            group.create_task(writer())
        print("ready", flush=True)
        async for line in _lines():
            todo.put_nowait(line)
        for _number in range(AT_ONCE):
            todo.put_nowait("")
    print(time.monotonic(), flush=True)
    await client.close()


def child_environment() -> dict[str, str]:
    """The same vipcast for the processes that we start as for us."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(ROOT / "src")]),
    }


if __name__ == "__main__":
    asyncio.run(write_statuses(sys.argv[1]))
