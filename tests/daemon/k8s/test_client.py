# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's verbs against a real API server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.apiserver import ApiServer
from support.following import CONFIG_MAPS, config_map

from vipcast.k8s import JSON_PATCH, ApiError, Client, UnreachableError, find_access
from vipcast.k8s import client as module
from vipcast.k8s.client import SKIPPED
from vipcast.k8s.credentials import Access, CredentialFile, Tls

pytestmark = pytest.mark.apiserver


async def test_an_object_is_created_read_and_deleted(client: Client, namespace: str) -> None:
    await client.create(CONFIG_MAPS.path(namespace), config_map("one", colour="red"))
    assert (await client.get(CONFIG_MAPS.path(namespace, "one")))["data"] == {"colour": "red"}
    await client.delete(CONFIG_MAPS.path(namespace, "one"))
    with pytest.raises(ApiError) as refusal:
        await client.get(CONFIG_MAPS.path(namespace, "one"))
    assert (refusal.value.status, refusal.value.reason) == (404, "NotFound")
    assert '"one" not found' in refusal.value.message


async def test_an_object_is_deleted_only_in_the_version_that_was_seen(client: Client, namespace: str) -> None:
    path = CONFIG_MAPS.path(namespace, "one")
    seen = await client.create(CONFIG_MAPS.path(namespace), config_map("one", colour="red"))
    now = await client.patch(path, {"data": {"colour": "blue"}})
    with pytest.raises(ApiError) as refusal:
        await client.delete(path, version=seen["metadata"]["resourceVersion"])
    assert refusal.value.status == 409
    assert (await client.get(path))["data"] == {"colour": "blue"}
    await client.delete(path, version=now["metadata"]["resourceVersion"])
    with pytest.raises(ApiError, match="not found"):
        await client.get(path)


async def test_patches_of_both_kinds_change_one_field(client: Client, namespace: str) -> None:
    path = CONFIG_MAPS.path(namespace, "one")
    await client.create(CONFIG_MAPS.path(namespace), config_map("one", a="1", b="1"))
    await client.patch(path, {"data": {"a": "2"}})
    change = [{"op": "replace", "path": "/data/b", "value": "3"}]
    await client.patch(path, change, content_type=JSON_PATCH)
    assert (await client.get(path))["data"] == {"a": "2", "b": "3"}


async def test_a_json_patch_whose_test_fails_is_refused(client: Client, namespace: str) -> None:
    await client.create(CONFIG_MAPS.path(namespace), config_map("one", a="1"))
    change = [{"op": "test", "path": "/data/a", "value": "other"}, {"op": "remove", "path": "/data/a"}]
    with pytest.raises(ApiError) as refusal:
        await client.patch(CONFIG_MAPS.path(namespace, "one"), change, content_type=JSON_PATCH)
    assert refusal.value.status == 422


async def test_a_status_is_patched_without_touching_the_spec(client: Client, namespace: str) -> None:
    # Of a class that no controller under test looks after: they share this API server.
    spec = {"type": "LoadBalancer", "loadBalancerClass": "test.io/nobody", "ports": [{"port": 80}]}
    service = {"metadata": {"name": "web"}, "spec": spec}
    await client.create(f"/api/v1/namespaces/{namespace}/services", service)
    path = f"/api/v1/namespaces/{namespace}/services/web/status"
    status = {"loadBalancer": {"ingress": [{"ip": "10.9.0.1"}]}}
    after = await client.patch(path, {"status": status, "spec": {"externalTrafficPolicy": "Local"}})
    assert after["spec"]["externalTrafficPolicy"] == "Cluster"
    assert after["status"]["loadBalancer"]["ingress"][0]["ip"] == "10.9.0.1"


async def test_server_side_apply_names_the_owner_of_a_field_and_can_be_forced(
    client: Client, namespace: str
) -> None:
    path = CONFIG_MAPS.path(namespace, "one")
    await client.apply(path, config_map("one", colour="red"), field_manager="alice")
    with pytest.raises(ApiError) as conflict:
        await client.apply(path, config_map("one", colour="blue"), field_manager="bob")
    assert conflict.value.status == 409
    assert "alice" in conflict.value.message
    after = await client.apply(path, config_map("one", colour="blue"), field_manager="bob", force=True)
    assert after["data"] == {"colour": "blue"}


async def test_a_collection_is_read_in_pages(client: Client, namespace: str) -> None:
    path, names = CONFIG_MAPS.path(namespace), [f"map-{number:02}" for number in range(25)]
    await asyncio.gather(*(client.create(path, config_map(name)) for name in names))
    seen: list[str] = []

    def trim(item: dict[str, object]) -> dict[str, object]:
        seen.append(item["kind"])  # type: ignore[arg-type]
        return {"metadata": item["metadata"]}

    listing = await client.list(path, page=4, each=trim)
    assert [item["metadata"]["name"] for item in listing.items] == names
    assert set(seen) == {"ConfigMap"}  # lists leave it out; the client puts it back
    assert int(listing.resource_version) > 0


async def test_selectors_reach_the_server(client: Client, namespace: str) -> None:
    labelled = config_map("labelled")
    labelled["metadata"]["labels"] = {"app": "web"}
    await client.create(CONFIG_MAPS.path(namespace), labelled)
    await client.create(CONFIG_MAPS.path(namespace), config_map("plain"))
    by_label = await client.list(CONFIG_MAPS.path(namespace), label_selector="app in (web)")
    by_field = await client.list(CONFIG_MAPS.path(namespace), field_selector="metadata.name=plain")
    assert [item["metadata"]["name"] for item in (*by_label.items, *by_field.items)] == ["labelled", "plain"]


async def test_a_kept_connection_that_died_is_replaced(api_server: ApiServer, client: Client) -> None:
    await client.get("/version")
    await asyncio.to_thread(api_server.restart)
    assert (await client.get("/version"))["gitVersion"].startswith("v1.")


async def test_nobody_there_is_unreachable_and_says_where() -> None:
    client = Client(Access("http://127.0.0.1:9"))
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9"):
        await client.get("/version")


async def test_a_server_of_another_authority_is_not_trusted(api_server: ApiServer) -> None:
    client = Client(Access(api_server.url, Tls()))
    with pytest.raises(UnreachableError, match="certificate verify failed"):
        await client.get("/version")


async def test_a_rotated_token_is_used_without_a_restart(api_server: ApiServer, namespace: str) -> None:
    await asyncio.to_thread(api_server.kubectl, "-n", namespace, "create", "serviceaccount", "robot")
    file = api_server.folder / "rotating-token"
    file.write_text("not-a-token")
    kubeconfig = {
        "clusters": [
            {
                "name": "c",
                "cluster": {
                    "server": api_server.url,
                    "certificate-authority": str(api_server.certificate_authority),
                },
            }
        ],
        "users": [{"name": "u", "user": {"tokenFile": str(file)}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = _write(api_server, kubeconfig)
    client = Client(find_access(path))
    with pytest.raises(ApiError) as refusal:
        await client.get("/api/v1/namespaces")
    assert refusal.value.status == 401
    token = await asyncio.to_thread(api_server.token, namespace, "robot")
    _replace(file, token)
    with pytest.raises(ApiError) as refusal:  # known now, and allowed nothing
        await client.get("/api/v1/namespaces")
    assert refusal.value.status == 403
    assert f"system:serviceaccount:{namespace}:robot" in refusal.value.message


def _write(api_server: ApiServer, document: object) -> str:
    import json

    path = api_server.folder / "rotating.kubeconfig"
    path.write_text(json.dumps(document))
    return str(path)


def _replace(file: object, text: str) -> None:
    """Replace a file as the kubelet does it: a new file under the old name."""
    from pathlib import Path

    new = Path(f"{file}.new")
    new.write_text(text)
    new.rename(Path(str(file)))


def test_a_missing_token_file_keeps_the_last_token(tmp_path: object) -> None:
    from pathlib import Path

    from vipcast.k8s.credentials import Token

    path = Path(str(tmp_path)) / "token"
    path.write_text("first\n")
    token = Token(CredentialFile(path))
    assert token() == "first"
    path.unlink()
    assert token() == "first"


async def test_a_page_that_is_too_large_is_asked_for_in_parts(client: Client, namespace: str) -> None:
    """Sixty objects of a quarter of a MiB: a page has room for about thirty."""
    path, text = CONFIG_MAPS.path(namespace), "x" * 260_000
    for start in range(0, 60, 10):
        numbers = range(start, start + 10)
        await asyncio.gather(*(client.create(path, config_map(f"m{n:02}", a=text)) for n in numbers))
    await client.create(path, config_map("small", a="1"))
    sizes: list[int] = []

    def trim(item: dict[str, Any]) -> dict[str, Any]:
        sizes.append(len(item["data"]["a"]))
        return {"metadata": {"name": item["metadata"]["name"]}}

    listing = await client.list(path, each=trim)
    names = [item["metadata"]["name"] for item in listing.items]
    assert names == [*(f"m{n:02}" for n in range(60)), "small"]
    assert 61 < len(sizes) < 61 + 40  # the page that was given up, and no more


@pytest.mark.parametrize("limit", [1, 500])
async def test_the_largest_object_is_listed_and_watched(client: Client, namespace: str, limit: int) -> None:
    """Near to what a ConfigMap may have, and of what JSON makes most of: six characters of each."""
    path, text = CONFIG_MAPS.path(namespace), "\x01" * 450_000
    before = await client.list(path)
    await client.create(path, config_map("large", a=text))
    await client.patch(f"{path}/large", {"data": {"b": text}})  # a request may have 3 MiB, an answer more
    listing = await client.list(path, page=limit)
    assert [item["data"] for item in listing.items] == [{"a": text, "b": text}]
    async for event in client.watch(path, resource_version=before.resource_version, timeout_seconds=10):
        if event.type == "MODIFIED":
            assert event.object["data"] == {"a": text, "b": text}
            return
    pytest.fail("the watch ended without it")


async def test_a_watched_object_that_is_too_large_is_skipped_by_name(
    client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LINE", 20_000)
    path = CONFIG_MAPS.path(namespace)
    before = await client.list(path)
    for name, size in (("a", 10), ("b", 500_000), ("c", 10), ("d", 30_000), ("e", 10)):
        await client.create(path, config_map(name, a="x" * size))
    seen: list[tuple[str, str]] = []
    async for event in client.watch(path, resource_version=before.resource_version, timeout_seconds=10):
        seen.append((event.type, event.object["metadata"]["name"]))
        if event.type == SKIPPED:
            assert event.object["metadata"]["namespace"] == namespace
            assert int(event.object["metadata"]["resourceVersion"]) > int(before.resource_version)
        if event.object["metadata"]["name"] == "e":
            break
    assert seen == [("ADDED", "a"), (SKIPPED, "b"), ("ADDED", "c"), (SKIPPED, "d"), ("ADDED", "e")]


class Relay:
    """TCP to the API server that can go silent on the connections that are there, and delay first bytes."""

    def __init__(self, port: int) -> None:
        self._target, self.delay = port, 0.0
        self.connections = 0
        self._silent: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for each in self._tasks:
            each.cancel()

    def silence(self) -> None:
        """Lose everything that comes on what is open now, and close nothing."""
        self._silent |= self._tasks

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self.delay)
        while data := await source.read(65536):
            if asyncio.current_task() not in self._silent:
                sink.write(data)
        sink.close()


def through(api_server: ApiServer, relay: Relay) -> Client:
    access = find_access(str(api_server.kubeconfig))
    return Client(Access(f"https://127.0.0.1:{relay.port}", access.tls, access.token))


async def test_after_a_silence_no_connection_that_was_idle_is_tried(api_server: ApiServer) -> None:
    async with Relay(api_server.port) as relay:
        client = through(api_server, relay)
        await asyncio.gather(*(client.get("/version") for _number in range(8)))
        assert len(client._http._idle) == 8
        relay.silence()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):  # whoever is in a hurry: the Lease's second
                await client.get("/version")
        async with asyncio.timeout(5):
            assert (await client.get("/version"))["gitVersion"].startswith("v1.")
        await client.close()


async def test_a_guarded_client_looks_at_the_clock_again_when_it_is_connected(
    api_server: ApiServer, client: Client, namespace: str
) -> None:
    async with Relay(api_server.port) as relay:
        relay.delay, allowed = 0.5, [True]
        guarded = through(api_server, relay).guarded(lambda: allowed[0])
        writing = asyncio.create_task(guarded.create(CONFIG_MAPS.path(namespace), config_map("late")))
        await asyncio.sleep(0.2)  # it is still saying hello
        allowed[0] = False
        with pytest.raises(UnreachableError, match="not sent"):
            await writing
        assert relay.connections == 1
        await guarded.close()
    assert (await client.list(CONFIG_MAPS.path(namespace))).items == []
