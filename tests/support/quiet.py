# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock with which a test that is judged by time keeps the tests beside it from running.

``VIPCAST_QUIET_LOCK`` names the file; without it nobody waits for anybody. Each test of the suites that run
beside the lab holds the lock shared (tests/conftest.py). A step of a walk that is judged by time holds it
exclusively: it begins when the tests that run have ended, and no other begins before it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

VARIABLE = "VIPCAST_QUIET_LOCK"
# The process that walks through the lab takes the lock exclusively, so it must not hold it shared.
WALKER = "VIPCAST_QUIET_WALKER"


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """Hold the lock together with other tests."""
    path = os.environ.get(VARIABLE)
    if not path or WALKER in os.environ:
        yield
        return
    # Who waits to be alone holds the gate: without it the next test would always be before him.
    with _locked(_gate(path), fcntl.LOCK_SH):
        pass
    with _locked(path, fcntl.LOCK_SH):
        yield


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the lock alone: no other test runs until it is given back."""
    path = os.environ.get(VARIABLE)
    if not path:
        yield
        return
    with _locked(_gate(path), fcntl.LOCK_EX), _locked(path, fcntl.LOCK_EX):
        yield


def _gate(path: str) -> str:
    return f"{path}.gate"


@contextlib.contextmanager
def _locked(path: str, how: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
