# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift: made by hand, named by the report and by check mode, repaired by a rollout.

No session goes down but the one concerned.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.lab import Lab, eventually

NAMESPACE = "metallb-system"


@dataclass(frozen=True)
class Case:
    """One thing that somebody changed."""

    name: str
    make: Callable[[Lab], object]
    named: tuple[str, ...]  # what the one line about it must contain
    concerned: Callable[[Lab], set[str]] = lambda lab: set()  # the neighbours whose session may go down
    sessions: int = 0  # and how many of them at most


def last_node(lab: Lab) -> str:
    return lab.node_address(lab.group("nodes")[-1])


def configure(lab: Lab, *lines: str) -> str:
    return lab.vtysh("configure terminal", *lines)


def router_bgp(lab: Lab) -> str:
    return f"router bgp {lab.variables(lab.router)['vipcast_router_asn']}"


def flip_strict_arp(lab: Lab) -> None:
    config_map = lab.get("configmap", "kube-proxy", "-n", "kube-system")
    text = config_map["data"]["config.conf"]
    assert "strictARP: true" in text
    config_map["data"]["config.conf"] = text.replace("strictARP: true", "strictARP: false")
    lab.kubectl("replace", "-f", "-", stdin=json.dumps(config_map))


def remove_filter(lab: Lab) -> str:
    running = lab.vtysh("show running-config")
    line = next(
        line.strip() for line in running.splitlines() if " route-map " in line and line.endswith(" in")
    )
    return configure(lab, router_bgp(lab), "address-family ipv4 unicast", f"no {line}")


def edit_pool(lab: Lab) -> str:
    patch = {"spec": {"addresses": ["10.9.0.0/16", "10.99.0.0/24"]}}
    return lab.kubectl(
        "patch", "ipaddresspool", "default", "-n", NAMESPACE, "--type=merge", "-p", json.dumps(patch)
    )


def edit_image(lab: Lab) -> str:
    return lab.kubectl(
        "set", "image", "-n", NAMESPACE, "daemonset/speaker", "speaker=example.invalid/vipcast:edited"
    )


CASES = [
    Case("strict ARP flipped", flip_strict_arp, ("strictARP", "true", "false")),
    Case(
        "a neighbour removed",
        lambda lab: configure(lab, router_bgp(lab), f"no neighbor {last_node(lab)}"),
        ("neighbor",),
        lambda lab: {last_node(lab)},
        1,
    ),
    Case(
        "a neighbour with another AS",
        lambda lab: configure(lab, router_bgp(lab), f"neighbor {last_node(lab)} remote-as 64999"),
        ("64999", "64513"),
        lambda lab: {last_node(lab)},
        1,
    ),
    Case("the pool edited", edit_pool, ("IPAddressPool", "10.99.0.0/24")),
    Case(
        "the speaker's image edited",
        edit_image,
        ("speaker", "example.invalid/vipcast:edited"),
        # The update takes down one speaker, finds no image for the next, and goes no further.
        lambda lab: {lab.node_address(host) for host in lab.group("nodes")},
        1,
    ),
    Case("the router's filter removed", remove_filter, ("inbound filter", "VIPCAST-IN")),
]


def drift_report(lab: Lab, path: Path) -> tuple[int, list[dict[str, Any]], str]:
    run = lab.playbook("drift", drift_report_path=str(path))
    assert path.exists(), run.output
    return run.returncode, json.loads(path.read_text())["drift"], run.output


def test_without_drift_the_report_is_empty_and_the_exit_status_is_0(lab: Lab, tmp_path: Path) -> None:
    code, drift, output = drift_report(lab, tmp_path / "drift.json")
    assert (code, drift) == (0, []), output


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_drift_is_named_and_repaired(lab: Lab, case: Case, tmp_path: Path) -> None:
    before = lab.established()
    assert before
    case.make(lab)

    assert lab.playbook("site", "--check", "--diff").changed
    # The drift report after it shows that check mode changed nothing.
    code, drift, output = drift_report(lab, tmp_path / "drift.json")
    assert code == 2, output
    lines = [json.dumps(entry) for entry in drift]
    assert any(all(word in line for word in case.named) for line in lines), lines
    if case.name != "a neighbour removed":
        # A neighbour's removal takes its policy lines along; everything else is one line.
        assert len(drift) == 1, lines

    lab.playbook("site").expect()
    assert drift_report(lab, tmp_path / "after.json")[:2] == (0, [])

    assert eventually(lambda: set(lab.established()) == set(before), timeout=60)
    after = lab.established()
    # FRR computes the moment from an uptime in whole seconds: it wobbles by one.
    moved = {peer for peer in before if abs(after[peer] - before[peer]) > 2}
    assert moved <= case.concerned(lab), f"sessions that were reset without need: {moved}"
    assert len(moved) <= case.sessions, f"more sessions were reset than needed: {moved}"
