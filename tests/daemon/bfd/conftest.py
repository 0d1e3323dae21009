# SPDX-License-Identifier: GPL-3.0-or-later
"""A cable, a router at its end, and what they need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from daemon.bfd.harness import NODE, Asker, BfdProcess, BfdRouter, Ends, settings
from daemon.interop.frr import DAEMONS, missing
from daemon.interop.network import Cable, lacking


@pytest.fixture
def cable() -> Iterator[Cable]:
    if (lack := lacking()) is not None:
        pytest.fail(lack)
    with Cable() as made:
        yield made


@pytest.fixture
def router() -> Iterator[BfdRouter]:
    """Not started: the test writes its configuration. Where the machine lacks something, the test fails."""
    if (lack := missing()) is not None:
        pytest.fail(lack)
    if not (DAEMONS / "bfdd").exists():
        pytest.fail("no bfdd: apt-get install frr")
    with BfdRouter() as made:
        yield made


@pytest.fixture
def process(router: BfdRouter) -> Iterator[BfdProcess]:
    """Our program in the node's namespace."""
    with BfdProcess(router.node, router.folder) as running:
        yield running


@pytest.fixture
def far(cable: Cable) -> Iterator[Ends]:
    """The router's end."""
    with (
        BfdProcess(cable.router, cable.folder) as process,
        Asker(cable.router, {"r": settings(NODE)}) as asker,
    ):
        yield process, asker


@pytest.fixture
def near(cable: Cable) -> Iterator[BfdProcess]:
    with BfdProcess(cable.node, cable.folder) as process:
        yield process
