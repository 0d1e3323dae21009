# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of kubeconfig logs in; the simple ones without the official client."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster import kubeconfig as kubeconfigs
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.api import (
    Api,
    ClusterError,
    RefusedError,
    connect,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.direct import DirectTransport
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.official import PoolTransport
from support.apiserver import ApiServer

Json = dict[str, Any]
Write = Callable[..., Path]
REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
MODULE = "ansible_collections.vipcast.baremetal.plugins.modules.cluster_services_info"


@pytest.fixture
def admin(api_server: ApiServer) -> Json:
    """The administrator's kubeconfig, as data."""
    document: Json = json.loads(api_server.kubeconfig.read_text())
    return document


@pytest.fixture
def write(admin: Json, tmp_path: Path) -> Write:
    """``write(cluster={...}, user={...})``: the same with other entries; None takes one away."""

    def written(cluster: Json | None = None, user: Json | None = None) -> Path:
        for entry, changes in (
            (admin["clusters"][0]["cluster"], cluster),
            (admin["users"][0]["user"], user),
        ):
            entry.update(changes or {})
            for name in [name for name, value in entry.items() if value is None]:
                del entry[name]
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(admin))
        return path

    return written


@pytest.fixture
def token(api_server: ApiServer, namespace: str) -> str:
    """A service account's."""
    api_server.kubectl("create", "serviceaccount", "reader", "-n", namespace)
    return api_server.token(namespace, "reader")


def who(api: Api) -> str:
    """Return the name that the API server knows this login by."""
    answer = api.post(REVIEW, {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    return str(answer["status"]["userInfo"]["username"])


def is_direct(api: Api) -> bool:
    assert isinstance(api._transport, (DirectTransport, PoolTransport))
    return isinstance(api._transport, DirectTransport)


def in_text(path: str) -> str:
    return base64.b64encode(Path(path).read_bytes()).decode()


# -- without the official client ---------------------------------------------------------------------------


def test_by_a_certificate(api_server: ApiServer) -> None:
    api = connect(str(api_server.kubeconfig), None)
    assert is_direct(api)
    assert who(api) == "admin"


def test_by_certificates_in_the_kubeconfig_itself(admin: Json, write: Write, tmp_path: Path) -> None:
    user, cluster = dict(admin["users"][0]["user"]), dict(admin["clusters"][0]["cluster"])
    inline: list[Json] = [
        {
            change: new
            for name, path in given.items()
            for change, new in ((name, None), (f"{name}-data", path))
        }
        for given in (
            {"certificate-authority": in_text(cluster["certificate-authority"])},
            {name: in_text(user[name]) for name in ("client-certificate", "client-key")},
        )
    ]
    api = connect(str(write(*inline)), None)
    assert is_direct(api)
    assert who(api) == "admin"


def test_by_files_beside_the_kubeconfig(admin: Json, write: Write, tmp_path: Path) -> None:
    for name, path in list(admin["users"][0]["user"].items()):
        (tmp_path / name).write_bytes(Path(path).read_bytes())
    api = connect(str(write(user={name: name for name in ("client-certificate", "client-key")})), None)
    assert is_direct(api)
    assert who(api) == "admin"


def without_certificate(**user: Any) -> Json:
    return {"client-certificate": None, "client-key": None, **user}


def test_by_a_token(write: Write, token: str, namespace: str) -> None:
    api = connect(str(write(user=without_certificate(token=token))), None)
    assert is_direct(api)
    assert who(api) == f"system:serviceaccount:{namespace}:reader"


def test_by_a_file_with_a_token(write: Write, token: str, namespace: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(token + "\n")
    api = connect(str(write(user=without_certificate(tokenFile="token"))), None)
    assert is_direct(api)
    assert who(api) == f"system:serviceaccount:{namespace}:reader"


def test_a_name_in_the_certificate_that_is_not_the_hosts(write: Write) -> None:
    right = connect(str(write(cluster={"tls-server-name": "localhost"})), None)
    assert is_direct(right)
    assert who(right) == "admin"
    wrong = connect(str(write(cluster={"tls-server-name": "elsewhere.example"})), None)
    with pytest.raises(ClusterError, match=r"elsewhere\.example"):
        wrong.get("/version")


def test_a_server_of_another_authority_is_refused_unless_told_otherwise(
    write: Write, admin: Json, tmp_path: Path
) -> None:
    command = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=other -days 1 -keyout key.pem -out ca.pem"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True, timeout=30)
    strange = connect(str(write(cluster={"certificate-authority": str(tmp_path / "ca.pem")})), None)
    assert is_direct(strange)
    with pytest.raises(ClusterError, match="certificate verify failed"):
        strange.get("/version")
    insecure = {"certificate-authority": None, "insecure-skip-tls-verify": True}
    assert who(connect(str(write(cluster=insecure)), None)) == "admin"


def test_a_wrong_token_is_told(write: Write) -> None:
    api = connect(str(write(user=without_certificate(token="nobody's"))), None)
    with pytest.raises(RefusedError, match="does not accept the kubeconfig's credentials"):
        api.get("/api/v1/nodes")


def test_the_default_is_what_the_environment_says(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(api_server.kubeconfig))
    api = connect(None, None)
    assert is_direct(api)
    assert who(api) == "admin"


def test_a_connection_that_the_server_ended_is_made_anew(api_server: ApiServer) -> None:
    api = connect(str(api_server.kubeconfig), None)
    api.get("/version")
    transport = api._transport
    assert isinstance(transport, DirectTransport)
    first = transport._connection
    assert first is not None
    first.sock.shutdown(2)
    assert who(api) == "admin"
    assert transport._connection is not first


def test_a_module_does_without_the_package(api_server: ApiServer) -> None:
    """The import that tests/bench/rollout.py measures is not made."""
    given = json.dumps({"ANSIBLE_MODULE_ARGS": {"kubeconfig": str(api_server.kubeconfig)}})
    code = (
        f"import sys, {MODULE} as module\nsys.argv = ['module', {given!r}]\n"
        "try:\n    module.main()\nfinally:\n    print('kubernetes' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert "nodes" in json.loads(done.stdout), done.stderr
    assert done.stderr.strip() == "False"


# -- by the official client --------------------------------------------------------------------------------


def exec_plugin(folder: Path, token: str) -> Json:
    """A program that hands out a token, as those of clouds do."""
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": token},
    }
    (folder / "credential.json").write_text(json.dumps(credential))
    arguments = {"command": "cat", "args": [str(folder / "credential.json")], "interactiveMode": "Never"}
    return {"apiVersion": credential["apiVersion"], **arguments}


def test_a_program_that_hands_out_tokens(write: Write, token: str, namespace: str, tmp_path: Path) -> None:
    user = without_certificate(exec=exec_plugin(tmp_path, token))
    api = connect(str(write(user=user)), None)
    assert not is_direct(api)
    assert who(api) == f"system:serviceaccount:{namespace}:reader"


def test_a_default_of_several_files(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The official client reads the environment when it is imported: so in a process of its own."""
    empty = tmp_path / "empty"
    empty.write_text(json.dumps({"clusters": [], "users": [], "contexts": []}))
    monkeypatch.setenv("KUBECONFIG", f"{empty}:{api_server.kubeconfig}")
    assert kubeconfigs.read(None, None) is None
    done = subprocess.run(
        [sys.executable, "-m", MODULE, json.dumps({"ANSIBLE_MODULE_ARGS": {}})],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "nodes" in json.loads(done.stdout), done.stderr


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A proxy that is not there, and is not asked for what is on this machine."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield


@pytest.mark.usefixtures("proxy")
def test_where_there_is_a_proxy(api_server: ApiServer) -> None:
    api = connect(str(api_server.kubeconfig), None)
    assert not is_direct(api)
    assert who(api) == "admin"


@pytest.mark.parametrize(
    "user",
    [
        {"auth-provider": {"name": "oidc", "config": {}}},
        {"client-key": None},
        {"client-key": "/nowhere/key"},
        {"token": ""},
        {"something-new": "x"},
        {"client-certificate-data": "no base64", "client-certificate": None},
    ],
)
def test_what_is_not_understood_is_the_official_clients(write: Write, user: Json) -> None:
    assert kubeconfigs.read(str(write(user=user)), None) is None


@pytest.mark.parametrize("cluster", [{"proxy-url": "http://127.0.0.1:9"}, {"server": "127.0.0.1:1"}])
def test_a_cluster_that_is_not_understood(write: Write, cluster: Json) -> None:
    assert kubeconfigs.read(str(write(cluster=cluster)), None) is None
