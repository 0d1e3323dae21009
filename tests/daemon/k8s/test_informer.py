# SPDX-License-Identifier: GPL-3.0-or-later
"""The informer against a real API server: it follows, and it finds its way back."""

from __future__ import annotations

import asyncio

import pytest
from support.apiserver import ApiServer
from support.following import CONFIG_MAPS, config_map, follow, until

from vipcast.k8s import Access, Client, Json, Resource, UnreachableError
from vipcast.k8s.access import find_access
from vipcast.k8s.backoff import Backoff

pytestmark = pytest.mark.apiserver

WIDGETS = Resource("test.vipcast", "v1", "widgets", "Widget")


async def test_it_sees_what_was_there_and_what_comes_changes_and_goes(client: Client, namespace: str) -> None:
    path = CONFIG_MAPS.path(namespace)
    await client.create(path, config_map("before", a="1"))
    async with follow(client, namespace=namespace) as follower:
        await follower.has("before")
        assert follower.informer.synced.is_set()
        await client.create(path, config_map("later"))
        await follower.has("before", "later")
        await client.patch(f"{path}/before", {"data": {"a": "2"}})
        await until(lambda: follower.informer.items[namespace, "before"]["data"] == {"a": "2"})
        await client.delete(f"{path}/later")
        await follower.has("before")
    assert [(key[1], item is not None) for key, item in follower.heard] == [
        ("before", True), ("later", True), ("before", True), ("later", False),
    ]  # fmt: skip
    assert follower.heard[0][1]["kind"] == "ConfigMap"
    assert "managedFields" not in follower.heard[1][1]["metadata"]


async def test_it_survives_a_restart_of_the_api_server(
    api_server: ApiServer, client: Client, namespace: str
) -> None:
    path = CONFIG_MAPS.path(namespace)
    await client.create(path, config_map("kept"))
    await client.create(path, config_map("removed"))
    async with follow(client, namespace=namespace) as follower:
        await follower.has("kept", "removed")
        await asyncio.to_thread(api_server.stop_api, kill=True)
        await until(lambda: follower.informer.problem is not None)
        assert follower.names() == {"kept", "removed"}  # an outage removes nothing
        await asyncio.to_thread(api_server.start_api)
        await client.create(path, config_map("new"))
        await client.delete(f"{path}/removed")
        await follower.has("kept", "new", seconds=20)
        assert follower.informer.problem is None
    kept = [item for key, item in follower.heard if key[1] == "kept"]
    assert len(kept) == 1  # a relist delivers differences, not everything


async def test_a_version_that_expired_is_listed_again_with_the_differences(
    api_server: ApiServer, client: Client, namespace: str
) -> None:
    path = CONFIG_MAPS.path(namespace)
    for name in ("stays", "goes", "changes"):
        await client.create(path, config_map(name, a="1"))
    async with follow(client, namespace=namespace) as follower:
        await follower.has("stays", "goes", "changes")
        version = follower.informer._version
    await client.delete(f"{path}/goes")
    await client.patch(f"{path}/changes", {"data": {"a": "2"}})
    await client.create(path, config_map("comes"))
    await asyncio.to_thread(api_server.compact)
    await asyncio.to_thread(api_server.restart)  # its watch cache remembers longer than etcd
    assert follower.informer._version == version
    follower.heard.clear()
    task = asyncio.create_task(follower.informer.run())
    await follower.has("stays", "changes", "comes")
    task.cancel()
    assert sorted((key[1], item is not None) for key, item in follower.heard) == [
        ("changes", True), ("comes", True), ("goes", False),
    ]  # fmt: skip


async def test_an_expired_version_is_a_named_refusal(
    api_server: ApiServer, client: Client, namespace: str
) -> None:
    from vipcast.k8s import ApiError

    await client.create(CONFIG_MAPS.path(namespace), config_map("one"))
    await asyncio.to_thread(api_server.compact)
    await asyncio.to_thread(api_server.restart)
    with pytest.raises(ApiError) as expired:
        async for _event in client.watch(CONFIG_MAPS.path(namespace), resource_version="1"):
            pass
    assert expired.value.status == 410


async def test_a_missing_crd_is_named_and_found_once_it_is_installed(
    api_server: ApiServer, client: Client, namespace: str
) -> None:
    async with follow(client, WIDGETS) as required, follow(client, WIDGETS, optional=True) as optional:
        await until(lambda: bool(required.informer.problem) and optional.informer.synced.is_set())
        assert "does not know widgets.test.vipcast" in (required.informer.problem or "")
        assert not required.informer.synced.is_set()
        await asyncio.to_thread(api_server.apply, _widgets())
        await until(required.informer.synced.is_set, 25)
        assert required.informer.problem is None


async def test_silence_is_noticed_and_the_watch_begins_again(
    api_server: ApiServer, client: Client, namespace: str
) -> None:
    async with _relay(api_server) as relay:
        access = find_access(str(api_server.kubeconfig))
        through = Client(Access(f"https://127.0.0.1:{relay.port}", access.tls, access.token))
        async with follow(through, namespace=namespace, idle=1.0) as follower:
            await follower.has()
            await until(follower.informer.synced.is_set)
            relay.silent = True  # connected, and not a word any more: no FIN, no RST
            await client.create(CONFIG_MAPS.path(namespace), config_map("meanwhile"))
            await asyncio.sleep(1.5)
            assert follower.names() == set()
            relay.silent = False
            await follower.has("meanwhile")


def _widgets() -> Json:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.test.vipcast"},
        "spec": {
            "group": "test.vipcast",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }


class _relay:  # noqa: N801 - used like a function
    """TCP between a client and the API server that can fall silent without closing anything."""

    def __init__(self, api_server: ApiServer) -> None:
        self._target = api_server.port
        self.silent = False
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> _relay:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for each in (*self._tasks,):
            each.cancel()
        for writer in self._writers:
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, there_writer]
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        broken = False
        while data := await source.read(65536):
            broken = broken or self.silent  # a connection that lost bytes can't be mended
            if not broken:
                sink.write(data)
        if not broken:
            sink.close()


async def test_a_refresh_returns_with_what_is_there_by_then(
    api_server: ApiServer, client: Client, namespace: str
) -> None:
    path = CONFIG_MAPS.path(namespace)
    async with follow(client, namespace=namespace) as follower:
        early = asyncio.create_task(follower.informer.refresh())  # before anything was listed
        await early
        assert follower.informer.synced.is_set()
        for number in range(5):
            await client.create(f"{path}", config_map(f"c{number}"))
            await asyncio.gather(follower.informer.refresh(), follower.informer.refresh())
            assert follower.names() == {f"c{each}" for each in range(number + 1)}
        await client.create(path, config_map("watched"))
        await follower.has("watched", *(f"c{number}" for number in range(5)))
    assert len(follower.heard) == 6  # differences, once each


async def test_a_refresh_does_not_wait_for_the_end_of_a_pause(
    api_server: ApiServer, client: Client, namespace: str
) -> None:
    path = CONFIG_MAPS.path(namespace)
    async with follow(client, namespace=namespace) as follower:
        await follower.informer.refresh()
        await asyncio.to_thread(api_server.stop_api, kill=True)
        await until(lambda: follower.informer.problem is not None)
        follower.informer._backoff = Backoff(first=3600.0, most=3600.0)  # as after a long outage, and longer
        await asyncio.sleep(1.0)  # the pause that is under way is over, the next one is an hour
        asking = asyncio.create_task(follower.informer.refresh())
        follower.informer._backoff = Backoff()
        await asyncio.to_thread(api_server.start_api)
        await asyncio.wait_for(asking, 60)
        await client.create(path, config_map("new"))
        await follower.has("new")


async def test_a_guarded_client_sends_nothing_once_it_may_not(client: Client, namespace: str) -> None:
    path = CONFIG_MAPS.path(namespace)
    allowed = [True]
    guarded = client.guarded(lambda: allowed[0])
    await guarded.create(path, config_map("one"))
    allowed.clear()
    allowed.append(False)
    with pytest.raises(UnreachableError, match="not sent"):
        await guarded.create(path, config_map("two"))
    assert [item["metadata"]["name"] for item in (await client.list(path)).items] == ["one"]
