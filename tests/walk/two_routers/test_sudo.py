# SPDX-License-Identifier: GPL-3.0-or-later
"""Root by sudo with a password, on nodes and routers and nowhere else; and what is said where that fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.lab import Lab

pytestmark = pytest.mark.timeout(600)
# What somebody may get wrong, and the word for it.
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a wrong password": (
        {"ansible_become_password": "wrong"},
        "cannot become root on it: Incorrect sudo password",
    ),
    "no password": ({"ansible_become_password": ""}, "cannot become root on it: Missing sudo password"),
    "no sudo": ({"ansible_become_exe": "no-such-sudo"}, "cannot become root on it: "),
}


def test_hosts_let_the_operator_in_and_ask_him_for_a_password(lab: Lab) -> None:
    for host in (*lab.group("nodes"), *lab.group("routers")):
        assert lab.variables(host)["ansible_user"] == "operator"
        # As root, who may be anybody: -n asks nobody.
        asked = "su -s /bin/sh operator -c 'sudo -n true' 2>&1 || true"
        assert "a password is required" in lab.run(host, asked), host


def test_routers_have_no_python(lab: Lab) -> None:
    for router in lab.group("routers"):
        assert lab.run(router, "command -v python3 || command -v python || echo none").strip() == "none"


def test_a_second_rollout_changes_nothing(lab: Lab) -> None:
    assert lab.playbook("site").expect().changed == {}


def test_drift_and_status_find_everything_as_declared(lab: Lab, tmp_path: Path) -> None:
    report = tmp_path / "drift.json"
    lab.playbook("drift", drift_report_path=str(report)).expect()
    assert json.loads(report.read_text())["lines"] == ["no drift"]
    lab.playbook("status").expect()


def test_check_mode_is_silent(lab: Lab) -> None:
    run = lab.playbook("site", "--check", "--diff").expect()
    assert run.changed == {}
    assert not [line for line in run.output.splitlines() if line.startswith(("+", "--- ", "@@"))], run.output


@pytest.mark.parametrize(("variables", "word"), WRONG.values(), ids=WRONG)
def test_the_list_names_every_host_that_does_not_make_root(
    lab: Lab, variables: dict[str, Any], word: str
) -> None:
    run = lab.playbook("site", **variables).expect(2)
    hosts = [f"router {name}" for name in lab.group("routers")] + [f"node {n}" for n in lab.group("nodes")]
    assert f"Nothing was changed. {len(hosts)} to put right first:" in run.output
    assert [host for host in hosts if f"- {host}: Ansible {word}" not in run.output] == [], run.output
    assert run.changed == {}


def test_the_list_names_every_host_on_which_nobody_is_root(lab: Lab) -> None:
    run = lab.playbook("site", ansible_become=False).expect(2)
    for router in lab.group("routers"):
        assert f"- router {router}: Ansible works on it as user id 1000; " in run.output, run.output
    for node in lab.group("nodes"):
        said = f"- node {node}: Ansible cannot become root on it: it works there as user id 1000; "
        assert said in run.output, run.output
    assert run.changed == {}


def test_a_control_node_that_works_as_root_too_is_warned_of(lab: Lab, declare: Callable[[str], str]) -> None:
    everywhere = declare("{all: {vars: {ansible_become: true}}}")
    run = lab.playbook("site", everywhere, "--check", "--tags", "preflight").expect()
    assert "localhost: ansible_become is true for this machine too" in run.output


def test_drift_says_which_hosts_it_could_not_become_root_on(lab: Lab, tmp_path: Path) -> None:
    report = tmp_path / "drift.json"
    lab.playbook("drift", drift_report_path=str(report), ansible_become_password="wrong").expect(4)
    errors = {one["host"]: one["message"] for one in json.loads(report.read_text())["errors"]}
    assert set(errors) == {*lab.group("nodes"), *lab.group("routers")}
    assert all("Incorrect sudo password" in message for message in errors.values()), errors


def test_verify_names_the_routers_that_it_could_not_ask(lab: Lab) -> None:
    run = lab.playbook(
        "verify", verify_timeout=0, verify_probe=False, ansible_become_password="wrong"
    ).expect(2)
    for router in lab.group("routers"):
        assert f"{router}: its BGP tables: expected an answer, found none" in run.output
    assert "Incorrect sudo password" in run.output
