# SPDX-License-Identifier: GPL-3.0-or-later
"""With ``-n 2`` the tests of a folder stay together: they share a router, servers or an API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

HERE = Path(__file__).parent


class ByFolder(LoadScopeScheduling):  # type: ignore[misc]
    """What a worker takes at a time is a folder below this one."""

    def _split_scope(self, nodeid: str) -> str:
        file = self.config.rootpath / nodeid.partition("::")[0]
        return file.relative_to(HERE).parts[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFolder:
    """Instead of what ``--dist`` names."""
    return ByFolder(config, log)
