# SPDX-License-Identifier: GPL-3.0-or-later
"""One router for each process of tests; every test begins with the state that the role leaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from integration.machines import demand_root, packages, playing, switched_on

from . import tree
from .machine import NODES, Machine
from .play import Player


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The router without any configuration."""
    demand_root()
    work = tmp_path_factory.mktemp("router")
    tree.build(work / "root", tree.download(packages()))
    with switched_on(Machine(work / "root", work)) as router:
        yield router


@pytest.fixture(scope="session")
def player(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    """Ansible for that router."""
    with playing(tmp_path_factory.mktemp("ansible"), machine) as player:
        yield player


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


class Router:
    """Brings the router to the state that the role leaves, which costs a play only where it is in another."""

    def __init__(self, machine: Machine, player: Player) -> None:
        self._machine, self._player = machine, player
        self._left: set[str] = set()

    def restore(self, intent: dict[str, Any]) -> None:
        """Play what is needed. One module does where the rest is in place."""
        if self._left and not self._as_left():
            self._player.task("bgp_router", replace_as=True, **intent)
        if not self._as_left():
            answer = self._player.role()
            assert answer.rc == 0, answer.output
            self._left.add(self._machine.state())

    def _as_left(self) -> bool:
        return self._machine.state() in self._left


@pytest.fixture(scope="session")
def restored(machine: Machine, player: Player) -> Router:
    """The router, to be restored before each test."""
    return Router(machine, player)


@pytest.fixture
def router(machine: Machine, restored: Router, intent: dict[str, Any]) -> Machine:
    """The router after the role, every session up."""
    restored.restore(intent)
    machine.wait_established(*NODES.values())
    return machine


@pytest.fixture
def router_without_bfd(machine: Machine, restored: Router, intent: dict[str, Any]) -> Machine:
    """The router after the role, from its packages on: no other test has switched bfdd on."""
    machine.make_bare()
    restored.restore(intent)
    machine.wait_established(*NODES.values())
    return machine


@pytest.fixture
def bare(machine: Machine) -> Machine:
    """The router as its packages leave it."""
    machine.make_bare()
    return machine
