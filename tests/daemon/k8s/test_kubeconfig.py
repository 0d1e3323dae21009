# SPDX-License-Identifier: GPL-3.0-or-later
"""kubeconfig files as kubectl reads them, and as nobody should write them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.apiserver import ApiServer

from vipcast.k8s import AccessError, Client, find_access
from vipcast.k8s.credentials import Access
from vipcast.k8s.proxies import proxy_of

Json = dict[str, Any]
VERSION = "client.authentication.k8s.io/v1"
VARIABLES = ("KUBECONFIG", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "KUBERNETES_SERVICE_HOST")


def entries(name: str, server: str = "https://10.8.0.1:6443", **user: Any) -> Json:
    return {
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": name}}],
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": user or {"token": f"token-of-{name}"}}],
    }


def written(path: Path, document: Any) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(document))
    return str(path)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


# -- several files -------------------------------------------------------------------------------------------


def test_kubeconfig_names_files_that_are_one_together(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/token").write_text("beside-the-first")
    user = {"name": "one", "user": {"tokenFile": "token"}}
    first = {"contexts": entries("one")["contexts"], "users": [user]}
    second = {**entries("one", "https://second"), "current-context": "two"}
    third = entries("two", "https://third")
    places = (("a/x", first), ("b/y", second), ("z", third))
    names = [written(tmp_path / name, each) for name, each in places]
    monkeypatch.setenv("KUBECONFIG", ":".join([names[0], str(tmp_path / "missing"), *names[1:]]))
    found = find_access(context="one")
    assert (found.server, found.headers()[0][1]) == ("https://second", "Bearer beside-the-first")
    current = find_access()
    assert (current.server, current.namespace) == ("https://third", "two")


def test_a_named_file_beats_the_variable_and_the_variable_beats_the_pod_and_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written(tmp_path / ".kube/config", entries("home", "https://home"))
    assert find_access().server == "https://home"
    monkeypatch.setenv("KUBECONFIG", written(tmp_path / "variable", entries("variable", "https://variable")))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.8.0.1")
    assert find_access().server == "https://variable"
    named = written(tmp_path / "named", entries("named", "https://named"))
    assert find_access(named).server == "https://named"


def test_files_that_are_all_missing_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/a:{tmp_path}/b")
    with pytest.raises(AccessError, match=r"a, .*b: no such file"):
        find_access()


# -- what is wrong -------------------------------------------------------------------------------------------


def broken(**changes: Any) -> Json:
    return {**entries("x"), **changes}


GARBAGE: dict[str, Any] = {
    "contexts is a number": broken(contexts=5),
    "clusters is a number": broken(clusters=5),
    "users is a text": broken(users="x"),
    "contexts of numbers": broken(contexts=[5, None]),
    "a context that is a list": broken(contexts=[{"name": "x", "context": ["x"]}]),
    "a context without a cluster": broken(contexts=[{"name": "x", "context": {}}]),
    "a cluster that is a text": broken(clusters=[{"name": "x", "cluster": "here"}]),
    "a user that is a number": broken(users=[{"name": "x", "user": 7}]),
    "a user that is missing": broken(users=[]),
    "a current context that is a list": broken(**{"current-context": ["x"]}),
    "a server that is a number": broken(clusters=[{"name": "x", "cluster": {"server": 7}}]),
    "a server with a blank": entries("x", "https://10.0.0.1 x"),
    "a server with a line end": entries("x", "https://10.0.0.1\n"),
    "a server without a host": entries("x", "https://"),
    "a server with half a bracket": entries("x", "https://[::1"),
    "a port that is none": entries("x", "https://10.0.0.1:99999"),
    "a port of letters": entries("x", "https://10.0.0.1:abc"),
    "another scheme": entries("x", "ftp://10.0.0.1"),
    "letters beyond ASCII in a server": entries("x", "https://b\u00fccher.example"),
    "a token that is a list": entries("x", token=["x"]),
    "a token with an umlaut": entries("x", token="t\u00f6ken"),
    "a token with a line end": entries("x", token="a\nb"),
    "a token with a blank": entries("x", token="a b"),
    "a certificate that is a number": entries("x", **{"client-certificate-data": 7}),
    "a certificate beyond ASCII": entries("x", **{"client-certificate-data": "\u00fc"}),
    "a name of a file that is a list": entries("x", tokenFile=["x"]),
    "a name of a file with a NUL": entries("x", tokenFile="a\0b"),
    "exec without a command": entries("x", exec={"apiVersion": VERSION}),
    "exec that is a text": entries("x", exec="aws"),
    "exec of an unknown version": entries("x", exec={"command": "true", "apiVersion": "v7"}),
    "arguments that are a text": entries("x", exec={"command": "true", "apiVersion": VERSION, "args": "x"}),
    "a text": "hello",
    "nothing": None,
}


async def asked(access: Access) -> None:
    client = Client(access)
    try:
        await client.get("/version")
    finally:
        await client.close()


@pytest.mark.parametrize("what", GARBAGE)
async def test_garbage_is_no_way_to_an_api_server(what: str, tmp_path: Path) -> None:
    """Whatever is in there, the command line ends with a line and not with a traceback."""
    with pytest.raises(AccessError) as caught:
        await asked(find_access(written(tmp_path / "config", GARBAGE[what])))
    assert len(str(caught.value)) < 2000 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "{a: " * 5000, '{"a": 1, "a": 2}', "&a [*a]", "\x00"],
    ids=["brackets", "mappings", "twice", "itself", "NUL"],
)
def test_text_that_is_no_kubeconfig_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(AccessError):
        find_access(str(tmp_path / "config"))


async def test_a_header_that_http_does_not_allow_is_no_traceback() -> None:
    with pytest.raises(AccessError, match="characters that no token has"):
        await asked(Access("http://127.0.0.1:1", token=lambda: "a\nb"))


# -- proxies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "excluded", "variable"),
    [
        ("https://10.8.0.1:6443", "", "HTTPS_PROXY"),
        ("https://10.8.0.1:6443", "10.8.0.1", None),
        ("https://10.8.0.1:6443", "example.com, 10.0.0.0/8", None),
        ("https://10.8.0.1:6443", "11.0.0.0/8", "HTTPS_PROXY"),
        ("https://10.8.0.1:6443", "10.8.0.1:6443", None),
        ("https://10.8.0.1:6443", "10.8.0.1:443", "HTTPS_PROXY"),
        ("https://10.8.0.1:6443", "*", None),
        ("https://[fd00::1]:6443", "fd00::1", None),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", None),
        ("https://api.example.com", "example.com", None),
        ("https://api.example.com", ".example.com", None),
        ("https://example.com", ".example.com", "HTTPS_PROXY"),
        ("https://api.example.com", "ample.com", "HTTPS_PROXY"),
        ("https://api.example.com", "API.example.com:443", None),
        ("https://127.0.0.1:6443", "", None),
        ("https://localhost:6443", "", None),
        ("http://10.8.0.1:8080", "", None),
    ],
)
def test_a_proxy_that_kubectl_would_use_is_known(server: str, excluded: str, variable: str | None) -> None:
    environment = {"HTTPS_PROXY": "http://proxy:3128", "no_proxy": excluded}
    assert proxy_of(server, environment) == variable


def test_a_proxy_is_refused_by_name_and_not_gone_around(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = written(tmp_path / "config", entries("x"))
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    with pytest.raises(AccessError, match=r"https_proxy is set.*add 10\.8\.0\.1 to NO_PROXY"):
        find_access(config)
    monkeypatch.setenv("NO_PROXY", "10.8.0.1")
    assert find_access(config).server == "https://10.8.0.1:6443"


# -- plugins -------------------------------------------------------------------------------------------------

PRINTS = "import json, sys; print(json.dumps({'kind': 'ExecCredential', 'status': json.loads(sys.argv[1])}))"


def plugin(status: Any, program: str = PRINTS, **more: Any) -> Json:
    arguments = ["-c", program, json.dumps(status)]
    return {"exec": {"apiVersion": VERSION, "command": sys.executable, "args": arguments, **more}}


@pytest.mark.parametrize(("expires", "times"), [("2999-01-01T00:00:00Z", 1), ("2000-01-01T00:00:00Z", 4)])
def test_a_plugin_gives_a_token_and_is_asked_again_when_it_has_expired(
    expires: str, times: int, tmp_path: Path
) -> None:
    program = f"open({str(tmp_path / 'count')!r}, 'a').write('x'); {PRINTS}"
    status = {"token": "from-the-plugin", "expirationTimestamp": expires}
    access = find_access(written(tmp_path / "config", entries("x", **plugin(status, program))))
    assert access.headers() == access.headers() == [("authorization", "Bearer from-the-plugin")]
    assert len((tmp_path / "count").read_text()) == times


def test_a_plugin_has_its_environment_and_is_told_of_the_cluster(tmp_path: Path) -> None:
    program = (
        "import json, os; info = json.loads(os.environ['KUBERNETES_EXEC_INFO']);"
        "token = '-'.join([os.environ['WHO'], info['kind'], info['spec']['cluster']['server'][8:14]]);"
        "print(json.dumps({'kind': 'ExecCredential', 'status': {'token': token}}))"
    )
    more = {"env": [{"name": "WHO", "value": "me"}], "provideClusterInfo": True}
    config = written(tmp_path / "config", entries("x", **plugin({}, program, **more)))
    assert find_access(config).headers() == [("authorization", "Bearer me-ExecCredential-10.8.0")]


@pytest.mark.parametrize(
    ("user", "words"),
    [
        (plugin({"token": ""}), "gave neither a token nor a certificate"),
        (plugin([]), "did not print an ExecCredential"),
        (plugin({"token": 7}), "gave 7 as token"),
        (plugin({}, "print('hello')"), "did not print an ExecCredential"),
        (plugin({}, "raise SystemExit(3)"), "ended with status 3"),
        ({"exec": {"apiVersion": VERSION, "command": "no-such-program", "installHint": "get it"}}, "get it"),
        ({"exec": {"apiVersion": VERSION, "command": "./no/such"}}, "can not be run"),
    ],
)
def test_a_plugin_that_fails_is_named(user: Json, words: str, tmp_path: Path) -> None:
    with pytest.raises(AccessError, match=words):
        find_access(written(tmp_path / "config", entries("x", **user))).headers()


@pytest.mark.apiserver
async def test_a_real_server_takes_what_a_plugin_gives(api_server: ApiServer, tmp_path: Path) -> None:
    api_server.kubectl("create", "serviceaccount", "plugin", "--namespace", "kube-public")
    document = yaml.safe_load(Path(api_server.kubeconfig).read_text())
    document["users"][0]["user"] = plugin({"token": api_server.token("kube-public", "plugin")})
    await asked(find_access(written(tmp_path / "config", document)))
