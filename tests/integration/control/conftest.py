# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of what runs on the control node alone, without a cluster and without a router."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.modules import ModuleServer


@pytest.fixture(scope="session")
def call() -> Iterator[Any]:
    """``call("tree_digest_info", {...}, check=True)``: the module's result."""
    server = ModuleServer()
    yield server
    server.close()
