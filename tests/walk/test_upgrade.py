# SPDX-License-Identifier: GPL-3.0-or-later
"""Another version of the load balancer comes and goes, and a client that asks notices nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.asking import unexplained
from support.lab import Lab, eventually
from support.quiet import alone
from support.upgrade import there_and_back

pytestmark = [pytest.mark.declaration("bfd"), pytest.mark.timeout(600)]


def test_a_client_notices_neither_an_upgrade_nor_the_way_back(lab: Lab, tmp_path: Path) -> None:
    assert eventually(lambda: lab.address("web-1"), timeout=30)
    address = str(lab.address("web-1"))
    with alone():
        rollouts = there_and_back(lab, address, tmp_path)
    for one in rollouts:
        assert unexplained(one.seen["failures"], one.moved) == []
    lab.playbook("verify").expect()
