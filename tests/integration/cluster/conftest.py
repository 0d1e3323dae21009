# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules called as Ansible calls them, and two real API servers: one with our kinds, one without."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.apiserver import ApiServer
from support.modules import ModuleServer, run_module

CRDS = Path(__file__).parents[3] / "roles/load_balancer/files/crds"
GROUP = "metallb.io"

Call = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    """The API server that serves our kinds. A test leaves nothing outside of its own namespace."""
    with ApiServer() as api:
        api.kubectl("apply", "--filename", str(CRDS))
        api.kubectl("wait", "--for=condition=Established", "--timeout=60s", "--filename", str(CRDS))
        wanted = {name.partition(".")[0] for name in definitions(api)}
        wait_for(lambda: wanted <= served(api), f"{wanted} to be served")
        yield api


@pytest.fixture(scope="session")
def second_api_server() -> Iterator[ApiServer]:
    """An API server on which tests define our kinds, or others of our group; see `bare`."""
    with ApiServer() as api:
        api.mark()
        yield api


@pytest.fixture
def bare(second_api_server: ApiServer) -> Iterator[ApiServer]:
    """An API server without any kind of our group; whatever a test defines goes with its objects."""
    yield second_api_server
    second_api_server.reset()
    gone = "definitions and group to be gone"
    wait_for(lambda: not definitions(second_api_server) and not served(second_api_server), gone)


def definitions(api: ApiServer) -> list[str]:
    """Return the names of the definitions of our group."""
    names = api.kubectl("get", "crd", "-o", "name").split()
    return [name.partition("/")[2] for name in names if name.endswith("." + GROUP)]


def served(api: ApiServer) -> set[str]:
    """Return what discovery says of our group: it follows the definitions after a moment."""
    groups = json.loads(api.kubectl("get", "--raw", "/apis"))["groups"]
    versions = [
        version["groupVersion"] for each in groups if each["name"] == GROUP for version in each["versions"]
    ]
    found = [json.loads(api.kubectl("get", "--raw", f"/apis/{version}")) for version in versions]
    return {each["name"] for version in found for each in version["resources"]}


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait until the condition is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def modules() -> Iterator[ModuleServer]:
    """Modules with the Kubernetes client loaded."""
    server = ModuleServer("kubernetes.client", "kubernetes.config", "urllib3", "yaml")
    yield server
    server.close()


@pytest.fixture
def call(api_server: ApiServer, modules: ModuleServer) -> Call:
    """``call("object_set", check=True, name=...)``: the module's result, against the API server."""

    def called(module: str, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
        return modules(module, {"kubeconfig": str(api_server.kubeconfig), **arguments}, check=check)

    return called


@pytest.fixture
def call_alone(api_server: ApiServer) -> Call:
    """Call as `call` does, in an interpreter that has nothing loaded before."""

    def called(module: str, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
        return run_module(module, {"kubeconfig": str(api_server.kubeconfig), **arguments}, check=check)

    return called


@pytest.fixture
def get(api_server: ApiServer) -> Callable[..., dict[str, Any]]:
    """``get("configmap", "a", "-n", "x")``: an object as the API server has it."""

    def gotten(*arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(api_server.kubectl("get", *arguments, "-o", "json"))
        return found

    return gotten


@pytest.fixture
def namespace(api_server: ApiServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own."""
    name = "t-" + str(abs(hash(request.node.nodeid)))[:10]
    api_server.kubectl("create", "namespace", name)
    yield name
    api_server.kubectl("delete", "namespace", name, "--wait=false")
