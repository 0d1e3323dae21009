# SPDX-License-Identifier: GPL-3.0-or-later
"""The view that is left while the cluster does not answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.lab import Lab
from support.outage import without_api
from support.routers import node_addresses

pytestmark = pytest.mark.timeout(600)


def test_status_says_that_the_cluster_is_silent_and_asks_the_routers(
    lab: Lab, service: str, tmp_path: Path
) -> None:
    report = tmp_path / "status.json"
    with without_api(lab):
        run = lab.playbook("status", verify_report_path=str(report)).expect()
    assert "cluster: its services and nodes: expected an answer, found none" in run.output
    found = json.loads(report.read_text())
    up = {(one["router"], one["address"]) for one in found["sessions"] if one["found"] == "Established"}
    assert up == {(router, node) for router in lab.group("routers") for node in node_addresses(lab)}
    routes = {(one["router"], one["prefix"]): set(one["kernel"]) for one in found["routes"]}
    assert routes == {(router, f"{service}/32"): node_addresses(lab) for router in lab.group("routers")}
    assert run.changed == {}


def test_verify_fails_at_once_where_the_cluster_is_silent(lab: Lab) -> None:
    with without_api(lab):
        run = lab.playbook("verify").expect(2)
    assert "TASK [vipcast.baremetal.verify : Ask the routers]" not in run.output


def test_drift_reports_the_routers_where_the_cluster_is_silent(lab: Lab, tmp_path: Path) -> None:
    report = tmp_path / "drift.json"
    report.write_text("{}")
    with without_api(lab):
        lab.playbook("drift", drift_report_path=str(report)).expect(4)
    found = json.loads(report.read_text())
    assert {(one["host"], one["role"]) for one in found["errors"]} == {
        ("localhost", "kube_proxy"),
        ("localhost", "load_balancer"),
    }
    assert found["drift"] == []
