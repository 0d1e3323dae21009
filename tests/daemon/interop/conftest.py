# SPDX-License-Identifier: GPL-3.0-or-later
"""A router for each test, and what every interop test needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from daemon.interop.frr import Router, missing


@pytest.fixture
def router() -> Iterator[Router]:
    """Not started: the test writes its configuration. Where the machine lacks something, the test fails."""
    if (lack := missing()) is not None:
        pytest.fail(lack)
    with Router() as made:
        yield made
