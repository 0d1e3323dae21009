# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the shares of workers name every file, and no file that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from daemon import shares

DAEMON = Path(__file__).parents[1]


def files(names: tuple[str, ...]) -> list[Path]:
    return [DAEMON / name for name in names]


def test_what_is_written_down_is_there() -> None:
    named = [*shares.ONE_BY_ONE, *shares.TIMED]
    for several in shares.API_SERVER.values():
        named += several
    assert [path for path in files(tuple(named)) if not path.exists()] == []
    assert len(set(named)) == len(named) - len(set(shares.ONE_BY_ONE) & set(shares.TIMED))


def test_every_file_that_needs_an_api_server_has_a_share_with_one(request: pytest.FixtureRequest) -> None:
    """Seen of the tests that this run has collected."""
    needing = {item.nodeid.partition("::")[0] for item in request.session.items if _needs(item)}
    assert {file for file in needing if not shares.has_api_server(file)} == set()


def _needs(item: pytest.Item) -> bool:
    return "api_server" in getattr(item, "fixturenames", ())


def test_tests_of_one_share_are_named_alike_and_api_servers_come_first() -> None:
    first, second, pure = (
        f"{shares.ROOT}{file}::test_x"
        for file in ("controller/test_run.py", "controller/test_role.py", "bgp/test_rib.py")
    )
    assert shares.share_of(first) == shares.share_of(second) != shares.share_of(pure)
    assert shares.rank(first) < shares.rank(pure)
    alone = [f"{shares.ROOT}interop/test_frr.py::test_{name}" for name in "ab"]
    assert shares.share_of(alone[0]) != shares.share_of(alone[1])
