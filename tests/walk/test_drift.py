# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift: made by hand, named by the report and by check mode, repaired by a rollout.

No session goes down but the one concerned.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.lab import Lab, eventually

NAMESPACE = "metallb-system"


@dataclass(frozen=True)
class Case:
    """One thing that somebody changed."""

    name: str
    make: Callable[[Lab], object]
    named: tuple[str, ...]  # what the one line about it must contain
    shown: str  # in the differences that check mode shows
    concerned: Callable[[Lab], set[str]] = lambda lab: set()  # the neighbours whose session may go down
    sessions: int = 0  # and how many of them at most


def node(lab: Lab, number: int) -> str:
    """Its address; -1 is the last one."""
    return lab.node_address(lab.group("nodes")[number])


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
    Case("strict ARP flipped", flip_strict_arp, ("strictARP", "true", "false"), "+  strictARP: true"),
    Case(
        "a neighbour removed",
        lambda lab: configure(lab, router_bgp(lab), f"no neighbor {node(lab, -1)}"),
        ("neighbor",),
        " timers connect 5",
        lambda lab: {node(lab, -1)},
        1,
    ),
    Case(
        "a neighbour with another AS",
        lambda lab: configure(lab, router_bgp(lab), f"neighbor {node(lab, 0)} remote-as 64999"),
        ("64999", "64513"),
        " remote-as 64999",
        lambda lab: {node(lab, 0)},
        1,
    ),
    Case("the pool edited", edit_pool, ("IPAddressPool", "10.99.0.0/24"), "-  - 10.99.0.0/24"),
    Case(
        "the speaker's image edited",
        edit_image,
        ("speaker", "example.invalid/vipcast:edited"),
        "image: example.invalid/vipcast:edited",
        # The update takes down one speaker, finds no image for the next, and goes no further.
        lambda lab: {lab.node_address(host) for host in lab.group("nodes")},
        1,
    ),
    Case(
        "the router's filter removed",
        remove_filter,
        ("inbound filter", "VIPCAST-IN"),
        "route-map VIPCAST-IN in",
    ),
]


def drift_report(lab: Lab, path: Path) -> list[str]:
    """What has drifted, a line each; the exit status has to say the same."""
    path.unlink(missing_ok=True)
    run = lab.playbook("drift", drift_report_path=str(path))
    assert path.exists(), run.output
    found = json.loads(path.read_text())["drift"]
    run.expect(2 if found else 0)
    return [json.dumps(entry) for entry in found]


def names(lines: list[str], case: Case) -> bool:
    return any(all(word in line for word in case.named) for line in lines)


def expect_sessions(lab: Lab, before: dict[str, int], concerned: set[str], most: int) -> None:
    """The sessions of before, and of those that may have been reset so many at most are new."""
    assert eventually(lambda: set(lab.established()) == set(before), timeout=60)
    after = lab.established()
    # FRR computes the moment from an uptime in whole seconds: it wobbles by one.
    moved = {peer for peer in before if abs(after[peer] - before[peer]) > 2}
    assert moved <= concerned, f"sessions that were reset without need: {moved}"
    assert len(moved) <= most, f"more sessions were reset than needed: {moved}"


def test_without_drift_the_report_is_empty_and_the_exit_status_is_0(lab: Lab, tmp_path: Path) -> None:
    assert drift_report(lab, tmp_path / "drift.json") == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_drift_is_named_and_repaired(lab: Lab, case: Case, tmp_path: Path) -> None:
    before = lab.established()
    assert before
    case.make(lab)
    # Alone: so what was repaired before it is repaired for good.
    lines = drift_report(lab, tmp_path / "drift.json")
    assert names(lines, case), lines
    if case.name == "a neighbour removed":
        # Its policy lines go with it; everything else is one line.
        assert all(node(lab, -1) in line for line in lines), lines
    else:
        assert len(lines) == 1, lines
    lab.playbook("site").expect()
    expect_sessions(lab, before, case.concerned(lab), case.sessions)


def test_check_mode_names_everything_and_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    before = lab.established()
    for case in CASES:
        case.make(lab)
    lines = drift_report(lab, tmp_path / "drift.json")
    assert [case.name for case in CASES if not names(lines, case)] == []
    checked = lab.playbook("site", "--check", "--diff", "--skip-tags", "verify").expect()
    assert set(checked.changed) == {"localhost", lab.router}, checked.output
    assert [case.name for case in CASES if case.shown not in checked.output] == [], checked.output
    assert drift_report(lab, tmp_path / "drift.json") == lines

    lab.playbook("site").expect()
    concerned = set().union(*(case.concerned(lab) for case in CASES))
    expect_sessions(lab, before, concerned, sum(case.sessions for case in CASES))
    assert drift_report(lab, tmp_path / "drift.json") == []
