# SPDX-License-Identifier: GPL-3.0-or-later
"""Events as kubectl would show them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from support.apiserver import ApiServer
from support.following import CONFIG_MAPS, config_map

from vipcast.k8s import Access, Client, Json, Recorder
from vipcast.k8s.events import BURST

pytestmark = pytest.mark.apiserver


@asynccontextmanager
async def recording(client: Client) -> AsyncIterator[Recorder]:
    recorder = Recorder(client, "vipcast-speaker", "n1")
    task = asyncio.create_task(recorder.run())
    yield recorder
    await recorder.flush(5)
    assert not task.done()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def events(client: Client, namespace: str) -> list[Json]:
    return (await client.list(f"/api/v1/namespaces/{namespace}/events")).items


async def test_the_same_reason_on_an_object_is_counted_not_repeated(client: Client, namespace: str) -> None:
    item = await client.create(CONFIG_MAPS.path(namespace), config_map("one"))
    async with recording(client) as recorder:
        recorder.record(item, "nodeAssigned", "first")
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
