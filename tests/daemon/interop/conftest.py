# SPDX-License-Identifier: GPL-3.0-or-later
"""A router for each test, and what every interop test needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from daemon.interop.frr import Router, missing
from daemon.interop.peers import PEERS, Peer


@pytest.fixture
def router() -> Iterator[Router]:
    """Not started: the test writes its configuration. Where the machine lacks something, the test fails."""
    if (lack := missing()) is not None:
        pytest.fail(lack)
    with Router() as made:
        yield made


@pytest.fixture
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    """A router by its name, not started. Where the machine lacks it, the test fails."""
    kind = PEERS[request.param]
    if (lack := kind.missing()) is not None:
        pytest.fail(lack)
    with kind() as made:
        yield made
