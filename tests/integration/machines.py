# SPDX-License-Identifier: GPL-3.0-or-later
"""The common part of fixtures for every kind of router: its packages, and a machine that is on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from integration.router.machine import Machine
from integration.router.play import Player

_Kind = TypeVar("_Kind", bound=Machine)


def packages(name: str = "") -> Path:
    """Return the folder in the user's cache in which the packages of one kind of router are kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return cache / "vipcast/router-packages" / name


def demand_root() -> None:
    """Fail the test where namespaces cannot be made."""
    if os.geteuid() != 0:
        pytest.fail("network namespaces need root: run these tests as root")


@contextmanager
def switched_on(machine: _Kind) -> Iterator[_Kind]:
    """Run the machine and its speakers, which call it in vain as long as nothing is configured."""
    try:
        machine.start()
        machine.start_speakers()
        yield machine
    finally:
        machine.stop()


@contextmanager
def playing(work: Path, machine: Machine) -> Iterator[Player]:
    """Keep Ansible ready for that router; C(work) is a folder of its own."""
    player = Player(work, machine.shell_path)
    try:
        yield player
    finally:
        player.close()
