# SPDX-License-Identifier: GPL-3.0-or-later
"""A router for each test, and what every interop test needs."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from daemon.interop.features import Cannot
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


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Expect the failure that was written down of a router that cannot do something."""
    mark = pyfuncitem.get_closest_marker("cannot")
    if mark is None or mark.args[0].only not in pyfuncitem.callspec.id:
        return (yield)
    return expect(mark.args[0], (yield from _failure()))


def _failure() -> Iterator[None]:
    """Return the failure of the test, or None."""
    try:
        yield
    except AssertionError as failure:
        return failure
    return None


def expect(cannot: Cannot, failure: AssertionError | None) -> bool:
    """Fail unless the test has failed, and as it was said to."""
    assert failure is not None, f"it can by now, so this is no longer true: {cannot.why}"
    if not re.search(cannot.seen, str(failure)):
        raise failure
    return True
