# SPDX-License-Identifier: GPL-3.0-or-later
"""One router without power: what goes on, what refuses, and what says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.lab import Lab, eventually
from support.routers import established, node_addresses

pytestmark = pytest.mark.timeout(600)
HASH = "net.ipv4.fib_multipath_hash_policy"


@pytest.fixture(scope="module", autouse=True)
def dead(lab: Lab, second: str, off: Callable, whole: Callable[[], None]) -> Iterator[str]:
    """Take the second router's power away for all of these, and wait until it is whole again."""
    with off(second):
        yield second
    whole()


def objects(lab: Lab) -> str:
    """Return what is in the cluster of ours, by name and version."""
    columns = "-o=custom-columns=NAME:.metadata.name,VERSION:.metadata.generation"
    kinds = "daemonsets,deployments,ipaddresspools.metallb.io,bgppeers.metallb.io"
    return lab.kubectl("get", kinds, "-n", "metallb-system", columns)


def test_the_service_stays_reachable_through_the_other(lab: Lab, first: str, service: str) -> None:
    asked = (
        f"for i in $(seq 8); do curl -s -m 2 -o /dev/null -w '%{{http_code}}\n' http://{service}/; done; true"
    )
    # Until the kernels of client and nodes have learnt that the dead one answers no ARP.
    assert eventually(lambda: lab.run(lab.client, asked).split() == ["200"] * 8, timeout=60)
    assert established(lab, first) == node_addresses(lab)


def test_verify_names_it(lab: Lab, dead: str, tmp_path: Path) -> None:
    """The client's share is the step before this one."""
    report = tmp_path / "verify.json"
    said = {"verify_timeout": 0, "verify_probe": False, "verify_report_path": str(report)}
    run = lab.playbook("verify", **said).expect(2)
    assert f"{dead}: its BGP tables: expected an answer, found none" in run.output
    assert [one["where"] for one in json.loads(report.read_text())["differences"]] == [dead]


def test_status_shows_it_and_does_not_fail(lab: Lab, dead: str) -> None:
    run = lab.playbook("status").expect()
    assert f"{dead}: its BGP tables: expected an answer, found none" in run.output


def test_a_rollout_refuses_before_anything_changes(lab: Lab, first: str, dead: str) -> None:
    lab.run(first, f"sysctl -qw {HASH}=0")
    before = objects(lab)
    run = lab.playbook("site", load_balancer_speaker_log_level="debug").expect(2)
    assert f"router {dead}: Ansible cannot reach it" in run.output
    assert run.changed == {}
    assert objects(lab) == before
    assert lab.run(first, f"sysctl -n {HASH}").strip() == "0"
    lab.run(first, f"sysctl -qw {HASH}=1")


def test_without_the_first_look_each_router_is_still_looked_at_before_one_is_changed(
    lab: Lab, first: str, dead: str
) -> None:
    """`--limit routers` leaves out the plays of the control node, and so the list of preflight."""
    lab.run(first, f"sysctl -qw {HASH}=0")
    run = lab.playbook("site", "--limit", "routers")
    assert run.returncode in (2, 4), run.output
    assert "TASK [vipcast.baremetal.preflight : Refuse, with all that is wrong]" not in run.output
    assert f"Nothing was changed. What is wrong with {dead} is shown above." in run.output
    assert run.changed == {}
    assert lab.run(first, f"sysctl -n {HASH}").strip() == "0"
    lab.run(first, f"sysctl -qw {HASH}=1")


def test_a_rollout_that_may_leave_it_out_does_the_other_and_names_it(lab: Lab, first: str, dead: str) -> None:
    lab.run(first, f"sysctl -qw {HASH}=0")
    run = lab.playbook("site", "--tags", "router", preflight_leave_out_routers=True)
    assert run.returncode in (2, 4), run.output
    assert f"{dead}: left out, and not as declared. The others are done." in run.output
    assert lab.run(first, f"sysctl -n {HASH}").strip() == "1"


def test_a_removal_refuses_before_anything_is_removed(lab: Lab, first: str, dead: str) -> None:
    before = objects(lab)
    run = lab.playbook("remove", remove_confirmed=True)
    assert run.returncode in (2, 4), run.output
    assert f"Nothing was removed, because neighbors would stay on {dead}" in run.output
    assert run.changed == {}
    assert objects(lab) == before
    assert established(lab, first) == node_addresses(lab)


def test_a_drain_refuses_for_nobody_knows_of_other_ways(lab: Lab, dead: str) -> None:
    node = lab.group("nodes")[1]
    run = lab.playbook("drain", drain_nodes=node).expect(2)
    assert f"Nothing was changed. {dead}: nothing is known of other ways" in run.output
    assert "vipcast.io/drain" not in lab.get("node", node)["metadata"].get("annotations", {})


def test_a_drain_by_force_says_which_router_it_could_not_see(lab: Lab, first: str, dead: str) -> None:
    node = lab.group("nodes")[1]
    try:
        told = {"drain_nodes": node, "drain_wait": "1s", "drain_force": True, "drain_timeout": 20}
        run = lab.playbook("drain", **told).expect(2)
        assert "The nodes were told, and it is not done yet" in run.output
        assert f"{dead}: " in run.output.partition("it is not done yet")[2]
        assert established(lab, first) == node_addresses(lab) - {lab.node_address(node)}
    finally:
        lab.playbook("drain", drain_nodes=node, drain_state="undrained", drain_timeout=10)
    assert eventually(lambda: established(lab, first) == node_addresses(lab), timeout=30)


def test_drift_reports_what_it_could_see(lab: Lab, dead: str, tmp_path: Path) -> None:
    report = tmp_path / "drift.json"
    report.write_text("{}")
    lab.playbook("drift", drift_report_path=str(report)).expect(4)
    found = json.loads(report.read_text())
    assert [(one["host"], one["role"], one["message"]) for one in found["errors"]] == [
        (dead, "router", "the host was not reached")
    ]
    assert found["drift"] == []
    assert found["lines"] == [f"{dead}: role router: NOT COMPARED: the host was not reached"]


def edit_pool(lab: Lab, *addresses: str) -> None:
    """Change the addresses of the pool by hand."""
    patch = json.dumps({"spec": {"addresses": addresses}})
    lab.kubectl("patch", "ipaddresspool", "default", "-n", "metallb-system", "--type=merge", "-p", patch)


def test_drift_reports_without_any_router(lab: Lab, first: str, dead: str, tmp_path: Path) -> None:
    """The other one is somewhere else here; the cluster's drift is in the report all the same."""
    report = tmp_path / "drift.json"
    report.write_text("{}")
    lost = tmp_path / "lost.yml"
    lost.write_text(f"{{routers: {{hosts: {{{first}: {{ansible_host: 198.18.31.99}}}}}}}}")
    edit_pool(lab, "10.9.0.0/16", "10.99.0.0/24")
    try:
        run = lab.playbook("drift", f"-i{lost}", drift_report_path=str(report)).expect(4)
    finally:
        edit_pool(lab, "10.9.0.0/16")
    found = json.loads(report.read_text())
    assert {one["host"] for one in found["errors"]} == {first, dead}
    assert any("10.99.0.0/24" in one["found"] for one in found["drift"]), found
    assert "10.99.0.0/24" in run.output
