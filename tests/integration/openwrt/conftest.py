# SPDX-License-Identifier: GPL-3.0-or-later
"""One router like OpenWrt for each release, so for each package manager; tests begin with a fresh one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.machines import demand_root, packages, playing, switched_on
from integration.router.play import Player
from integration.router.tree import configure, download

from . import tree
from .machine import OpenWrt

RELEASES = ("24.10", "25.12")


@pytest.fixture(scope="session")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian's packages, unpacked: what the router is made of, and what the speakers run on."""
    root = tmp_path_factory.mktemp("debian") / "root"
    tree.unpacked(root, download(packages("openwrt"), tree.PACKAGES))
    return root


@pytest.fixture(scope="session", params=RELEASES)
def machine(
    request: pytest.FixtureRequest, debian: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenWrt]:
    """The router of one release."""
    demand_root()
    work = tmp_path_factory.mktemp("openwrt")
    tree.build(work / "root", debian, request.param)
    configure(debian)
    with switched_on(OpenWrt(work / "root", work, debian)) as router:
        yield router


@pytest.fixture(scope="session")
def player(machine: OpenWrt, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    """Ansible for that router: root, by ssh."""
    with playing(tmp_path_factory.mktemp("ansible"), machine) as player:
        _by_ssh(player, machine)
        yield player


def _by_ssh(player: Player, machine: OpenWrt) -> None:
    options = (
        f"-o 'ProxyCommand={machine.shell_path} -c \"nc 127.0.0.1 22\"'",
        "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
    )
    for name in ("ansible_connection", "ansible_shell_executable", "router_service"):
        del player.variables[name]
    player.variables |= {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(machine.key),
        "ansible_ssh_common_args": " ".join(options),
        "ansible_control_path_dir": str(player.work / "cp"),
    }


@pytest.fixture
def router(machine: OpenWrt) -> OpenWrt:
    """The router as it came: no FRR, a firewall that lets nothing in from the nodes."""
    machine.as_fresh()
    return machine
