# SPDX-License-Identifier: GPL-3.0-or-later
"""Events as kubectl would show them."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from support.apiserver import ApiServer
from support.following import CONFIG_MAPS, config_map

from vipcast.k8s import Access, Client, Json, Recorder
from vipcast.k8s.events import AT_ONCE, BURST, GIVE_WAY_SECONDS, QUEUE

pytestmark = pytest.mark.apiserver


@asynccontextmanager
async def recording(
    client: Client, quiet: Callable[[], float] = lambda: math.inf, patience: float = 5
) -> AsyncIterator[Recorder]:
    recorder = Recorder(client, "vipcast-speaker", "n1", quiet=quiet)
    task = asyncio.create_task(recorder.run())
    yield recorder
    await recorder.flush(patience)
    assert not task.done()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def something(namespace: str, name: str) -> Json:
    """An object that an event can be about; the API server does not ask whether it exists."""
    metadata = {"name": name, "namespace": namespace, "uid": name}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata}


async def events(client: Client, namespace: str) -> list[Json]:
    return (await client.list(f"/api/v1/namespaces/{namespace}/events")).items


async def test_the_same_reason_on_an_object_is_counted_not_repeated(client: Client, namespace: str) -> None:
    item = await client.create(CONFIG_MAPS.path(namespace), config_map("one"))
    async with recording(client) as recorder:
        recorder.record(item, "nodeAssigned", "first")
        await recorder.flush(5)  # what comes together is counted before it is sent: see below
        recorder.record(item, "noEndpoints", "nobody", warning=True)
        recorder.record(item, "nodeAssigned", "second")
    found = {event["reason"]: event for event in await events(client, namespace)}
    assigned = found["nodeAssigned"]
    assert (assigned["count"], assigned["message"], assigned["type"]) == (2, "second", "Normal")
    assert (found["noEndpoints"]["count"], found["noEndpoints"]["type"]) == (1, "Warning")
    assert assigned["involvedObject"]["uid"] == item["metadata"]["uid"]
    assert assigned["source"] == {"component": "vipcast-speaker", "host": "n1"}


async def test_an_event_that_expired_is_written_anew(client: Client, namespace: str) -> None:
    item = await client.create(CONFIG_MAPS.path(namespace), config_map("one"))
    async with recording(client) as recorder:
        recorder.record(item, "nodeAssigned", "first")
        await recorder.flush(5)
        await client.delete(f"/api/v1/namespaces/{namespace}/events")
        recorder.record(item, "nodeAssigned", "second")
    (event,) = await events(client, namespace)
    assert (event["count"], event["message"]) == (1, "second")


async def test_what_is_noted_twice_before_it_is_sent_is_sent_once(client: Client, namespace: str) -> None:
    item = await client.create(CONFIG_MAPS.path(namespace), config_map("one"))
    async with recording(client) as recorder:
        recorder.record(item, "nodeAssigned", "first")
        recorder.record(item, "nodeAssigned", "second")
        recorder.record(item, "nodeAssigned", "third", warning=True)
        assert len(recorder) == 1
    (event,) = await events(client, namespace)
    assert (event["count"], event["message"], event["type"]) == (3, "third", "Warning")
    assert recorder.sent == 1


async def test_none_of_many_is_lost(client: Client, namespace: str) -> None:
    names = [f"service-{number}" for number in range(2000)]
    async with recording(client, patience=60) as recorder:
        for name in names:
            recorder.record(something(namespace, name), "IPAllocated", name)
    assert (recorder.sent, recorder.dropped) == (2000, 0)
    found = await events(client, namespace)
    assert sorted(event["message"] for event in found) == sorted(names)


async def test_more_than_can_be_kept_is_dropped_and_counted() -> None:
    recorder = Recorder(Client(Access("http://127.0.0.1:9")), "vipcast-speaker")
    for number in range(QUEUE + 5):
        recorder.record(something("shop", f"service-{number}"), "IPAllocated", "words")
    assert (len(recorder), recorder.dropped) == (QUEUE, 5)


async def test_events_trickle_while_something_more_urgent_is_written(client: Client, namespace: str) -> None:
    quiet = 0.0
    async with recording(client, lambda: quiet, patience=60) as recorder:
        for number in range(200):
            recorder.record(something(namespace, f"service-{number}"), "IPAllocated", "words")
        async with asyncio.timeout(60):
            while recorder.sent < 2 * AT_ONCE:  # they do come, but not so many
                await asyncio.sleep(0.05)
        assert recorder.sent < 100
        quiet = math.inf
        async with asyncio.timeout(60):
            while recorder.sent < 200:
                await asyncio.sleep(0.05)
    assert recorder.dropped == 0


async def test_a_daemon_that_stops_has_nothing_more_urgent(client: Client, namespace: str) -> None:
    async with recording(client, lambda: 0.0, patience=60) as recorder:
        for number in range(200):
            recorder.record(something(namespace, f"service-{number}"), "IPAllocated", "words")
        started = asyncio.get_running_loop().time()
        await recorder.flush(60)
        # At the pace of a trickle they would take so long that it can not be mistaken.
        assert asyncio.get_running_loop().time() - started < 200 / AT_ONCE * GIVE_WAY_SECONDS / 2
    assert recorder.sent == 200


async def test_one_object_gets_only_so_many(client: Client, namespace: str) -> None:
    item = await client.create(CONFIG_MAPS.path(namespace), config_map("one"))
    async with recording(client) as recorder:
        for number in range(100):
            recorder.record(item, f"reason{number}", "again")
    assert len(await events(client, namespace)) == BURST
    assert recorder.dropped == 100 - BURST


async def test_a_server_that_is_away_neither_blocks_nor_kills(api_server: ApiServer) -> None:
    item = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "uid": "x"}}
    async with recording(Client(Access("http://127.0.0.1:9"))) as recorder:
        recorder.record(item, "sessionDown", "words")
        assert (recorder.sent, recorder.dropped) == (0, 0)  # it came back before anything was tried
    assert (recorder.sent, recorder.dropped) == (0, 1)
