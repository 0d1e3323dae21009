# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab with two routers, in which Ansible is nowhere root but by sudo. Each step leaves it as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.lab import CHECKOUT, Lab, eventually
from support.outage import reachable
from support.routers import serves

INVENTORY = CHECKOUT / "inventories/lab-two-routers"


@pytest.fixture(scope="session")
def lab() -> Lab:
    """Return the lab, which molecule has started, or a person."""
    return Lab(INVENTORY)


@pytest.fixture(scope="session")
def first(lab: Lab) -> str:
    """Return the router that is changed first."""
    return lab.group("routers")[0]


@pytest.fixture(scope="session")
def second(lab: Lab) -> str:
    """Return the router that is changed last."""
    return lab.group("routers")[1]


@pytest.fixture(scope="session")
def service(lab: Lab) -> str:
    """Return the address of the demonstration's service."""
    assert eventually(lambda: lab.address("web-1"), timeout=30)
    return str(lab.address("web-1"))


@pytest.fixture(scope="session", autouse=True)
def whole(lab: Lab, service: str) -> Callable[[], None]:
    """Wait until both routers have everything; return what does it again."""

    def wait() -> None:
        for router in lab.group("routers"):
            assert eventually(lambda at=router: serves(lab, at, service), timeout=90), router

    wait()
    return wait


Off = Callable[[str], Any]


@pytest.fixture(scope="session")
def off(lab: Lab) -> Off:
    """Return a context in which a host has no power."""

    @contextmanager
    def without(host: str) -> Iterator[None]:
        lab.power(host, "off")
        try:
            yield
        finally:
            lab.power(host, "on")
            assert eventually(lambda: reachable(lab, host), timeout=60), host

    return without


@pytest.fixture
def declare(tmp_path: Path) -> Callable[[str], str]:
    """Return what makes an inventory that says something else: an argument for a playbook."""

    def declared(text: str) -> str:
        path = tmp_path / "more.yml"
        path.write_text(text)
        return f"-i{path}"

    return declared
