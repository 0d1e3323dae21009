# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules called as Ansible calls them, against a real API server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.apiserver import ApiServer
from support.fixtures import api_server

__all__ = ["api_server"]

Call = Callable[..., dict[str, Any]]
MODULES = "ansible_collections.vipcast.baremetal.plugins.modules"


def run_module(name: str, arguments: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
    """The result of one module call in a process of its own, with the diff."""
    given = {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}
    done = subprocess.run(
        [sys.executable, "-m", f"{MODULES}.{name}", json.dumps({"ANSIBLE_MODULE_ARGS": given})],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip(), done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert "Traceback" not in done.stderr, done.stderr
    return result


@pytest.fixture
def call(api_server: ApiServer) -> Call:
    """``call("object_set", check=True, name=...)``: the module's result, against the shared API server."""

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
