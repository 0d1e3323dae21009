# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of the daemons' tests: with which examples, and by which of several workers they run.

A change is judged with the same examples of a property each time, and others are searched for apart.

`make daemon` takes the examples from the test's own source, so that it says the same of the same code twice.
`make search` takes them at random, and as many as there is time for; what it finds becomes a test of its own.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from daemon import sequences, shares
from hypothesis import HealthCheck, settings

# How long an example takes says nothing on a machine that is busy with something else.
_ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)

settings.register_profile("steady", _ANY_MACHINE, derandomize=True, database=None)
settings.register_profile("search", _ANY_MACHINE, derandomize=False)
settings.load_profile("steady")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the sequences before the workers start, which then have the same."""
    if config.getoption("--thorough"):
        sequences.be_thorough()


def pytest_report_header() -> str:
    """Say how the sequences of this run are had again."""
    return sequences.report()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> shares.Shares:
    """Share the tests as daemon/shares.py says, whatever ``--dist`` names."""
    return shares.Shares(config, log)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what is judged by time."""
    if shares.is_timed(item.nodeid):
        item.add_marker("timed")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest shares first, for workers alone: one process keeps the order that it was asked for."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: shares.rank(item.nodeid))
