# SPDX-License-Identifier: GPL-3.0-or-later
"""A segment of three nodes, each with the program and a speaker."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from daemon.interop.network import lacking
from daemon.layer2_agent.harness import VIP, VIP6, Cluster, Net


@pytest.fixture
def net() -> Iterator[Net]:
    if (lack := lacking()) is not None:
        pytest.fail(lack)
    for program, package in (("arping", "iputils-arping"), ("ndisc6", "ndisc6")):
        if shutil.which(program) is None:
            pytest.fail(f"no {program}: .ci/packages {package}")
    with Net() as made:
        yield made


@pytest.fixture
def cluster(net: Net) -> Iterator[Cluster]:
    """Settled: one of the nodes answers."""
    with ExitStack() as stack:
        made = stack.enter_context(Cluster(net, (VIP, VIP6)))
        made.settle()
        yield made
