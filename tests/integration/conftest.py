# SPDX-License-Identifier: GPL-3.0-or-later
"""With ``-n 2 --dist loadgroup`` the tests of a folder stay together: they share a router, an API server."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One group for each folder, before pytest-xdist reads the groups."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group(item.path.relative_to(HERE).parts[0]))
