# SPDX-License-Identifier: GPL-3.0-or-later
"""One router for the whole run; every test begins with the state that the role leaves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import tree
from .machine import NODES, Machine
from .play import Player

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The role goes first: its first test wants a router on which nothing runs yet."""
    items.sort(key=lambda item: item.path.name != "test_role.py" if item.path.parent == HERE else False)


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The router without any configuration, and speakers that call it in vain."""
    if os.geteuid() != 0:
        pytest.fail("network namespaces need root: run these tests as root")
    work = tmp_path_factory.mktemp("router")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vipcast/router-packages"
    tree.build(work / "root", tree.download(cache))
    machine = Machine(work / "root", work)
    try:
        machine.start()
        machine.start_speakers()
        yield machine
    finally:
        machine.stop()


@pytest.fixture(scope="session")
def player(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Player:
    """Ansible for that router."""
    return Player(tmp_path_factory.mktemp("ansible"), machine.shell_path)


@pytest.fixture
def intent() -> dict[str, Any]:
    """Options of bgp_router that are the same as what the inventory's declaration says."""
    return {
        "asn": 64512,
        "router_id": "10.31.254.251",
        "neighbors": [
            {"address": address, "remote_as": 64513, "description": name} for name, address in NODES.items()
        ],
        "prefixes": [{"prefix": "10.9.0.0/16"}],
        "maximum_paths": 3,
        "maximum_prefix": 10000,
        "timers": {"hold": 9, "keepalive": 3, "connect": 5},
        "local_terminals": True,
    }


@pytest.fixture
def router(machine: Machine, player: Player, intent: dict[str, Any]) -> Machine:
    """The router after the role, every session up. One module does where the rest is in place."""
    answer = player.task("bgp_router", replace_as=True, **intent)
    if answer.result["failed"]:
        answer = player.role()
        assert answer.rc == 0, answer.output
    machine.wait_established(*NODES.values())
    return machine
