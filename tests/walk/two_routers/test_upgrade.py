# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade with BFD and graceful restart is not even a change of a route."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.lab import Lab
from support.upgrade import newer_source, roll_out

pytestmark = pytest.mark.timeout(600)


def test_an_upgrade_costs_no_route_and_no_request(
    lab: Lab, service: str, tmp_path: Path, whole: Callable[[], None]
) -> None:
    there = roll_out(lab, service, _load_balancer_source=str(newer_source(tmp_path)))
    back = roll_out(lab, service)
    assert len(there.before) == len(there.after) == 1
    assert there.after != there.before == back.after
    for one in (there, back):
        assert one.seen["requests"] > 1000
        assert one.moved == []
        assert one.seen["failures"] == []
    whole()
