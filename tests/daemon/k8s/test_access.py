# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to the API server: each that should work does, against a real one; the others are refused by name."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.apiserver import ApiServer

from vipcast.k8s import AccessError, Client, find_access, in_cluster
from vipcast.k8s.credentials import Access

pytestmark = pytest.mark.apiserver


def kubeconfig(api_server: ApiServer) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(api_server.kubeconfig.read_text())
    return document


def written(tmp_path: Path, document: object) -> str:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document))
    return str(path)


async def works(access: Access) -> bool:
    client = Client(access)
    answer = await client.get("/api/v1/namespaces/default")
    await client.close()
    return bool(answer["metadata"]["name"] == "default")


async def test_yaml_with_inline_data_and_a_named_context(api_server: ApiServer, tmp_path: Path) -> None:
    document = kubeconfig(api_server)
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    for section, name in (
        (cluster, "certificate-authority"),
        (user, "client-certificate"),
        (user, "client-key"),
    ):
        content = Path(section.pop(name)).read_bytes()
        section[f"{name}-data"] = base64.b64encode(content).decode()
    document["contexts"].append({"name": "other", "context": {"cluster": "nowhere"}})
    document["current-context"] = "other"
    path = written(tmp_path, document)
    assert await works(find_access(path, "test"))
    with pytest.raises(AccessError, match="no cluster named 'nowhere'"):
        find_access(path)


async def test_file_names_are_relative_to_the_kubeconfig(api_server: ApiServer, tmp_path: Path) -> None:
    document = kubeconfig(api_server)
    for section in (document["clusters"][0]["cluster"], document["users"][0]["user"]):
        for name in [name for name in section if name != "server"]:
            source = Path(section[name])
            (tmp_path / source.name).write_bytes(source.read_bytes())
            section[name] = source.name
    assert await works(find_access(written(tmp_path, document)))


async def test_another_name_in_the_certificate(api_server: ApiServer, tmp_path: Path) -> None:
    document = kubeconfig(api_server)
    document["clusters"][0]["cluster"] |= {
        "server": f"https://localhost:{api_server.port}",
        "tls-server-name": "127.0.0.1",
    }
    assert await works(find_access(written(tmp_path, document)))


async def test_a_pod_uses_its_service_account(api_server: ApiServer, tmp_path: Path) -> None:
    api_server.kubectl("create", "serviceaccount", "pod", "-n", "kube-public")
    api_server.kubectl(
        "create",
        "clusterrolebinding",
        "pod",
        "--clusterrole=cluster-admin",
        "--serviceaccount=kube-public:pod",
    )
    (tmp_path / "token").write_text(api_server.token("kube-public", "pod"))
    (tmp_path / "ca.crt").write_bytes(api_server.certificate_authority.read_bytes())
    (tmp_path / "namespace").write_text("kube-public")
    environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(api_server.port)}
    access = in_cluster(environment, tmp_path)
    assert access.namespace == "kube-public"
    assert await works(access)


def test_a_pod_with_ipv6_has_brackets_in_its_url(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert in_cluster(environment, tmp_path).server == "https://[fd00::1]:443"


def test_outside_of_a_pod_it_says_what_to_do() -> None:
    with pytest.raises(AccessError, match="--kubeconfig"):
        in_cluster({})


@pytest.mark.parametrize(
    ("where", "field", "words"),
    [
        ("user", {"auth-provider": {"name": "gcp"}}, "user 'admin' uses auth-provider"),
        ("user", {"username": "u"}, "user 'admin' uses username"),
        ("user", {"as": "somebody"}, "user 'admin' uses as"),
        ("cluster", {"proxy-url": "http://p"}, "cluster 'test' uses proxy-url"),
        ("cluster", {"server": "10.0.0.1"}, "not an http"),
        ("cluster", {"certificate-authority-data": "???"}, "not base64"),
        ("cluster", {"certificate-authority": "/nowhere"}, "/nowhere: No such file"),
    ],
)
def test_what_we_do_not_do_is_refused_by_name(
    where: str, field: dict[str, Any], words: str, api_server: ApiServer, tmp_path: Path
) -> None:
    document = kubeconfig(api_server)
    document[f"{where}s"][0][where] |= field
    with pytest.raises(AccessError, match=words):
        access = find_access(written(tmp_path, document))
        assert access.tls
        access.tls.context()


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "No such file"), ("a: [", "not YAML"), ("[]", "not a kubeconfig"), ("{}", "no current")],
)
def test_a_file_that_is_no_kubeconfig(text: str | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    with pytest.raises(AccessError, match=words):
        find_access(str(path))
