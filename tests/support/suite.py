# SPDX-License-Identifier: GPL-3.0-or-later
"""Options and hooks of pytest for every suite but the plugins' units (see tests/conftest.py)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.quiet import shared


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--thorough``, which ``make test-all`` uses."""
    parser.addoption("--thorough", action="store_true", help="also run the tests that are marked thorough")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that are marked ``thorough`` unless ``--thorough`` was given."""
    if config.getoption("--thorough"):
        return
    left_out = [item for item in items if item.get_closest_marker("thorough")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Wait before a test for as long as another process asks for a quiet machine (see support/quiet.py)."""
    with shared():
        return (yield)


__all__ = ["pytest_addoption", "pytest_collection_modifyitems", "pytest_runtest_protocol"]
