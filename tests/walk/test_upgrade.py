# SPDX-License-Identifier: GPL-3.0-or-later
"""Another version of the load balancer comes and goes, and a client that asks notices nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.asking import unexplained
from support.lab import Lab, eventually
from support.quiet import alone
from support.upgrade import newer_source, roll_out

pytestmark = [pytest.mark.declaration("bfd"), pytest.mark.timeout(600)]


def test_a_client_notices_neither_an_upgrade_nor_the_way_back(lab: Lab, tmp_path: Path) -> None:
    assert eventually(lambda: lab.address("web-1"), timeout=30)
    address = str(lab.address("web-1"))
    with alone():
        there = roll_out(lab, address, _load_balancer_source=str(newer_source(tmp_path)))
        back = roll_out(lab, address)
    assert len(there.before) == len(there.after) == 1
    assert there.after != there.before == back.after
    for one in (there, back):
        assert one.seen["requests"] > 1000
        assert unexplained(one.seen["failures"], one.moved) == []
    lab.playbook("verify").expect()
