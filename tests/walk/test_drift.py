# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift: made by hand, named by the report and by check mode, repaired by a rollout.

No session goes down but the one concerned. Cases that have nothing to do with each other share a rollout.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.lab import Lab, eventually
from support.outage import without_api

pytestmark = pytest.mark.declaration("bgp")

NAMESPACE = "metallb-system"


@dataclass(frozen=True)
class Case:
    """One thing that somebody changed."""

    name: str
    make: Callable[[Lab], object]
    named: Callable[[Lab], tuple[str, ...]]  # what the one line about it must contain
    shown: str  # in the differences that check mode shows
    concerned: Callable[[Lab], set[str]] = lambda lab: set()  # the neighbors whose session may go down
    sessions: int = 0  # and how many of them at most
    more: Callable[[Lab], tuple[str, ...]] | None = None  # what each further line about it must contain


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


def words(*given: str) -> Callable[[Lab], tuple[str, ...]]:
    """Return the same words for every lab."""
    return lambda lab: given


STRICT_ARP = Case(
    "strict ARP flipped", flip_strict_arp, words("strictARP", "true", "false"), "+  strictARP: true"
)
NO_NEIGHBOR = Case(
    "a neighbor removed",
    lambda lab: configure(lab, router_bgp(lab), f"no neighbor {node(lab, -1)}"),
    lambda lab: (f'"neighbor {node(lab, -1)}"', "missing"),
    " timers connect 5",
    lambda lab: {node(lab, -1)},
    1,
    # Its policy lines go with it.
    lambda lab: (node(lab, -1),),
)
OTHER_AS = Case(
    "a neighbor with another AS",
    lambda lab: configure(lab, router_bgp(lab), f"neighbor {node(lab, 0)} remote-as 64999"),
    lambda lab: (node(lab, 0), "64999", "64513"),
    " remote-as 64999",
    lambda lab: {node(lab, 0)},
    1,
)
POOL = Case("the pool edited", edit_pool, words("IPAddressPool", "10.99.0.0/24"), "-  - 10.99.0.0/24")
IMAGE = Case(
    "the speaker's image edited",
    edit_image,
    words("speaker", "example.invalid/vipcast:edited"),
    "image: example.invalid/vipcast:edited",
    # The update takes down one speaker, finds no image for the next, and goes no further.
    lambda lab: {lab.node_address(host) for host in lab.group("nodes")},
    1,
)
FILTER = Case(
    "the router's filter removed",
    remove_filter,
    words("inbound filter", "VIPCAST-IN"),
    "route-map VIPCAST-IN in",
)
CASES = [STRICT_ARP, NO_NEIGHBOR, OTHER_AS, POOL, IMAGE, FILTER]
# What is made together, and the part of the rollout that repairs it.
ROUNDS = {
    "no session moves": ([STRICT_ARP, POOL, FILTER], ["--skip-tags", "verify"]),
    "two neighbors": ([NO_NEIGHBOR, OTHER_AS], ["--tags", "router"]),
    "the image": ([IMAGE], ["--tags", "load_balancer"]),
}


def drift_report(lab: Lab, path: Path) -> list[str]:
    """Return what has drifted, a line each; the exit status has to say the same."""
    path.unlink(missing_ok=True)
    run = lab.playbook("drift", drift_report_path=str(path))
    assert path.exists(), run.output
    found = json.loads(path.read_text())["drift"]
    run.expect(2 if found else 0)
    return [json.dumps(entry) for entry in found]


def naming(lab: Lab, lines: list[str], case: Case) -> list[str]:
    """Return the lines that name a case."""
    return [line for line in lines if all(word in line for word in case.named(lab))]


def unnamed(lab: Lab, lines: list[str], cases: list[Case]) -> list[str]:
    """Return the lines that belong to none of the cases."""
    known = [line for case in cases for line in naming(lab, lines, case)]
    more = [case.more(lab) for case in cases if case.more]
    return [
        line
        for line in lines
        if line not in known and not any(all(word in line for word in words) for words in more)
    ]


def expect_lines(lab: Lab, lines: list[str], cases: list[Case]) -> None:
    """One line names each case, and there is no other but those that a case brings along."""
    assert {case.name: len(naming(lab, lines, case)) for case in cases} == {case.name: 1 for case in cases}, (
        lines
    )
    assert unnamed(lab, lines, cases) == []


def counters(lab: Lab) -> dict[str, tuple[int, int]]:
    """Return how often the session with each neighbor went down, and the messages of the neighbor so far.

    A neighbor that is removed and made again begins both anew.
    """
    return {peer: (one["connectionsDropped"], one["msgRcvd"]) for peer, one in lab.sessions().items()}


def was_reset(before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Return whether a session went down between two looks at its counters."""
    return before[0] != after[0] or after[1] < before[1]


def expect_sessions(lab: Lab, before: dict[str, tuple[int, int]], concerned: set[str], most: int) -> None:
    """All sessions are up again, and of those concerned so many at most went down; of the others none did."""
    assert eventually(lambda: set(lab.established()) == set(before), timeout=60)
    after = counters(lab)
    moved = {peer for peer in before if was_reset(before[peer], after[peer])}
    assert moved <= concerned, f"sessions that were reset without need: {moved}"
    assert len(moved) <= most, f"more sessions were reset than needed: {moved}"


def test_without_drift_the_report_is_empty_and_the_exit_status_is_0(lab: Lab, tmp_path: Path) -> None:
    assert drift_report(lab, tmp_path / "drift.json") == []


def test_while_the_api_is_away_nothing_is_called_drift_and_status_shows_the_router(
    lab: Lab, tmp_path: Path
) -> None:
    """The tests in two_routers show what else happens then, and what happens without a router."""
    report, seen = tmp_path / "drift.json", tmp_path / "status.json"
    with without_api(lab):
        lab.playbook("drift", drift_report_path=str(report)).expect(4)
        told = lab.playbook("status", verify_report_path=str(seen)).expect()
    found = json.loads(report.read_text())
    assert {(one["host"], one["role"]) for one in found["errors"]} == {
        ("localhost", "kube_proxy"),
        ("localhost", "load_balancer"),
    }
    assert found["drift"] == []
    assert "cluster: its services and nodes: expected an answer, found none" in told.output
    sessions = json.loads(seen.read_text())["sessions"]
    up = {one["address"] for one in sessions if one["found"] == "Established"}
    assert up == {lab.node_address(host) for host in lab.group("nodes")}


def specs(lab: Lab, kinds: str, *where: str) -> dict[str, object]:
    """Return what the objects of these kinds say."""
    items = lab.get(kinds, *where)["items"]
    return {f"{one['kind']} {one['metadata']['name']}": one["spec"] for one in items}


def state(lab: Lab) -> dict[str, object]:
    """Return everything that a case changes, as it is."""
    proxy = lab.get("configmap", "kube-proxy", "-n", "kube-system")["data"]
    ours = "daemonsets,deployments,ipaddresspools.metallb.io,bgppeers.metallb.io"
    running = lab.vtysh("show running-config").splitlines()
    return {**specs(lab, ours, "-n", NAMESPACE), "kube-proxy": proxy, "router": running}


@pytest.mark.parametrize("together", ROUNDS)
def test_drift_is_repaired(lab: Lab, together: str) -> None:
    """The line that names each of them is judged below, with all of them at once."""
    cases, arguments = ROUNDS[together]
    right, before = state(lab), counters(lab)
    assert before and set(before) == set(lab.established())
    for case in cases:
        case.make(lab)
    assert state(lab) != right
    lab.playbook("site", *arguments).expect()
    concerned = set().union(*(case.concerned(lab) for case in cases))
    expect_sessions(lab, before, concerned, sum(case.sessions for case in cases))
    assert state(lab) == right


def test_check_mode_names_everything_and_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    before = counters(lab)
    for case in CASES:
        case.make(lab)
    expect_lines(lab, drift_report(lab, tmp_path / "drift.json"), CASES)
    made = state(lab)
    checked = lab.playbook("site", "--check", "--diff", "--skip-tags", "verify").expect()
    assert set(checked.changed) == {"localhost", lab.router}, checked.output
    assert [case.name for case in CASES if case.shown not in checked.output] == [], checked.output
    assert state(lab) == made
    lab.playbook("site").expect()
    concerned = set().union(*(case.concerned(lab) for case in CASES))
    expect_sessions(lab, before, concerned, sum(case.sessions for case in CASES))
    assert drift_report(lab, tmp_path / "drift.json") == []
