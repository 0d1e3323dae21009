# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab of each walk, with the declaration that the walk needs rolled out on it.

A walk's module names its declaration: ``pytestmark = pytest.mark.declaration("bgp")``. Where another one is
in force on the lab (inventories/lab-whole), the first step that needs it rolls it out. ``--lab FOLDER`` is
for a topology of its own, which has one declaration: it is up and rolled out, and the walk takes it as it is.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import declarations
from support.lab import CHECKOUT, PLAYED, Lab
from support.quiet import WALKER

LabWith = Callable[[str], Lab]
# Seconds for one step. The longest runs five playbooks.
STEP = 300
MARKERS = (
    "declaration(name): what has to be rolled out on the lab",
    "in_order: the module's steps build on each other, each on all before it",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--lab``."""
    parser.addoption("--lab", type=Path, help="the inventory of a lab that is up and rolled out")


def pytest_configure(config: pytest.Config) -> None:
    """Describe the marker, and say that this process takes the quiet lock alone where it takes it."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    os.environ.setdefault(WALKER, "1")


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Give each step its time; refuse a choice or an order in which one is before what it needs."""
    written = [item for item in items if item.get_closest_marker("in_order")]
    _limit(config, items)
    yield
    thorough = config.getoption("--thorough")
    known = [item for item in written if thorough or not item.get_closest_marker("thorough")]
    _demand_order(known, [item for item in items if item in set(known)])


def _demand_order(written: list[pytest.Item], chosen: list[pytest.Item]) -> None:
    """Refuse the chosen steps where one of a module is not behind all that are written before it."""
    for path in dict.fromkeys(item.path for item in chosen):
        steps = [item for item in written if item.path == path]
        mine = [item for item in chosen if item.path == path]
        if mine != steps[: len(mine)]:
            wrong = next(one for one, step in zip(mine, steps, strict=False) if one is not step)
            missing = steps[mine.index(wrong)]
            raise pytest.UsageError(
                f"{wrong.nodeid} builds on the steps before it, and {missing.name} is not: choose the "
                "module's first steps, in their order"
            )


def _limit(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each step of a walk its time, which ``--timeout`` sets on a machine that is slow."""
    seconds = config.getoption("timeout", None) or STEP
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(seconds))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the playbooks took."""
    taken: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for name, *seconds in PLAYED:
        taken[name].append((seconds[0], seconds[1]))
    if taken:
        terminalreporter.section("playbooks: runs, seconds, processor seconds")
    for name, runs in sorted(taken.items(), key=lambda one: -sum(wall for wall, _worked in one[1])):
        wall, worked = (sum(column) for column in zip(*runs, strict=True))
        terminalreporter.line(f"{len(runs):4} {wall:6.0f} {worked:6.0f}  {name}")


@pytest.fixture(scope="session")
def lab_with(request: pytest.FixtureRequest) -> LabWith:
    """``lab_with("bgp")``: the lab, with this declaration in force. An inventory is read once."""
    given = request.config.getoption("--lab")
    known = {} if given else {name: declarations.declared(name) for name in declarations.KINDS}

    def get(name: str) -> Lab:
        if not given:
            declarations.roll_out(known[name], name)
        return known.setdefault(name, Lab(CHECKOUT / (given or "")))

    return get


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest, lab_with: LabWith) -> Lab:
    """The lab, with the module's declaration in force."""
    marker = request.node.get_closest_marker("declaration")
    assert marker, f"{request.node.name} does not name its declaration"
    return lab_with(*marker.args)
