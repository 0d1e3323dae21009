# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade with BFD and graceful restart is not even a change of a route."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.lab import Lab
from support.upgrade import there_and_back

pytestmark = pytest.mark.timeout(600)


def test_an_upgrade_costs_no_route_and_no_request(
    lab: Lab, service: str, tmp_path: Path, whole: Callable[[], None]
) -> None:
    for one in there_and_back(lab, service, tmp_path):
        assert one.moved == []
        assert one.seen["failures"] == []
    whole()
