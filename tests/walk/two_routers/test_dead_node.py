# SPDX-License-Identifier: GPL-3.0-or-later
"""One node without power: a rollout leaves it out and serves the others; drift says what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.lab import Lab, eventually
from support.routers import established, next_hops, node_addresses

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module", autouse=True)
def dead(lab: Lab, off: Callable, whole: Callable[[], None]) -> Iterator[str]:
    """Take the last node's power away for all of these, until the cluster knows."""
    node = lab.group("nodes")[-1]
    with off(node):
        assert eventually(lambda: ready(lab, node) != "True", timeout=90)
        yield node
    assert eventually(lambda: ready(lab, node) == "True", timeout=90)
    whole()


def ready(lab: Lab, node: str) -> str:
    """Return the node's condition Ready."""
    conditions = lab.get("node", node)["status"]["conditions"]
    return next(one["status"] for one in conditions if one["type"] == "Ready")


def test_a_rollout_leaves_it_out_and_serves_with_the_others(
    lab: Lab, service: str, dead: str, tmp_path: Path
) -> None:
    report = tmp_path / "verify.json"
    run = lab.playbook("site", verify_report_path=str(report)).expect()
    assert run.changed == {}
    others = node_addresses(lab) - {lab.node_address(dead)}
    for router in lab.group("routers"):
        assert established(lab, router) == others == next_hops(lab, router, f"{service}/32")
    found = json.loads(report.read_text())
    assert found["ok"]
    assert any(f"node {dead} is not ready" in note for note in found["notes"]), found["notes"]


def test_drift_reports_that_it_was_not_reached(lab: Lab, dead: str, tmp_path: Path) -> None:
    report = tmp_path / "drift.json"
    lab.playbook("drift", drift_report_path=str(report)).expect(4)
    found = json.loads(report.read_text())
    assert found["lines"] == [f"{dead}: role load_balancer: NOT COMPARED: the host was not reached"]
