# SPDX-License-Identifier: GPL-3.0-or-later
"""How several workers share the tests of the daemons: the same way each time, and the longest first.

A worker takes one share after the other. Tests with namespaces of their own, and parts of one search, are
shares by themselves; other tests stay with their file. Files that need an API server are in as few shares as
there are workers, because each worker starts a server of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xdist.scheduler import LoadScopeScheduling

ROOT = "tests/daemon/"
ONE_BY_ONE = ("bfd/", "interop/", "layer2d/", "ipam/test_decide_properties.py")

# The names sort the shares that come first: those that take longest.
API_SERVER: Mapping[str, tuple[str, ...]] = {
    "api 1": (
        "speaker/test_run.py",
        "speaker/test_reports.py",
    ),
}
_SHARE_OF = {f"{ROOT}{file}": share for share, files in API_SERVER.items() for file in files}


def share_of(nodeid: str) -> str:
    """Return the name of the share that a test is in."""
    file = nodeid.partition("::")[0]
    if file.removeprefix(ROOT).startswith(ONE_BY_ONE):
        return nodeid
    return _SHARE_OF.get(file, file)


def rank(nodeid: str) -> int:
    """Return the place of a test's share: API servers are first, then the other shares as they come."""
    share = share_of(nodeid)
    return list(API_SERVER).index(share) if share in API_SERVER else len(API_SERVER)


class Shares(LoadScopeScheduling):  # type: ignore[misc]
    """What a worker takes at a time is a share."""

    def __init__(self, config: Any, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # it puts first what has most tests, not what takes longest

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid)
