# SPDX-License-Identifier: GPL-3.0-or-later
"""The key of the nodes' heartbeats: the role makes it once, and never touches it again."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from integration.cluster.role_run import Run, play
from support.apiserver import ApiServer

NAME = "vipcast-members"


@pytest.fixture
def members(api_server: ApiServer, namespace: str, tmp_path: Path) -> Callable[..., Run]:
    """``members(check=...)``: the role's step."""

    def run(*, check: bool = False) -> Run:
        given = {
            "ansible_python_interpreter": sys.executable,
            "load_balancer_kubeconfig": str(api_server.kubeconfig),
            "load_balancer_context": "",
            "load_balancer_namespace": namespace,
            "load_balancer_objects": [],
        }
        role = {"name": "vipcast.baremetal.load_balancer", "tasks_from": "members"}
        task = {"name": "Membership", "ansible.builtin.include_role": role}
        path = tmp_path / "play.yml"
        path.write_text(
            json.dumps([{"hosts": "localhost", "gather_facts": False, "vars": given, "tasks": [task]}])
        )
        return play(path, check)

    return run


def data(api: ApiServer, namespace: str) -> dict[str, Any] | None:
    """Return the key of the Secret; None where there is none."""
    text = api.kubectl("get", "secret", NAME, "--namespace", namespace, "-o", "json", "--ignore-not-found")
    if not text:
        return None
    item = json.loads(text)
    return {name: base64.b64decode(value) for name, value in (item.get("data") or {}).items()}


def test_a_key_is_made_once_and_is_not_shown(
    api_server: ApiServer, namespace: str, members: Callable[..., Run]
) -> None:
    assert members(check=True).changed == 1
    assert data(api_server, namespace) is None
    made = members()
    assert made.changed == 1
    first = data(api_server, namespace)
    assert first is not None
    assert len(first["key"]) == 64
    assert first["key"].decode() not in made.output
    for check in (True, False):
        assert members(check=check).changed == 0
    assert data(api_server, namespace) == first


def test_a_key_that_somebody_has_changed_or_added_stays(
    api_server: ApiServer, namespace: str, members: Callable[..., Run]
) -> None:
    members()
    changed = json.dumps({"stringData": {"key": "n" * 64, "before": "o" * 64}})
    api_server.kubectl("patch", "secret", NAME, "--namespace", namespace, "--patch", changed)
    assert members().changed == 0
    assert data(api_server, namespace) == {"key": b"n" * 64, "before": b"o" * 64}
