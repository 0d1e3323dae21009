# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's verbs against a real API server."""

from __future__ import annotations

import asyncio

import pytest
from support.apiserver import ApiServer
from support.following import CONFIG_MAPS, config_map

from vipcast.k8s import JSON_PATCH, ApiError, Client, UnreachableError, find_access
from vipcast.k8s.access import Access, Material, Tls

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

    def slim(item: dict[str, object]) -> dict[str, object]:
        seen.append(item["kind"])  # type: ignore[arg-type]
        return {"metadata": item["metadata"]}

    listing = await client.list(path, page=4, each=slim)
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
    file.write_text("not a token")
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
    """As the kubelet does it: a new file under the old name."""
    from pathlib import Path

    new = Path(f"{file}.new")
    new.write_text(text)
    new.rename(Path(str(file)))


def test_a_missing_token_file_keeps_the_last_token(tmp_path: object) -> None:
    from pathlib import Path

    from vipcast.k8s.access import Token

    path = Path(str(tmp_path)) / "token"
    path.write_text("first\n")
    token = Token(Material(path))
    assert token() == "first"
    path.unlink()
    assert token() == "first"
