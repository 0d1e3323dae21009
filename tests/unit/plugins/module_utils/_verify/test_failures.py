# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a verification says of nodes that die, speakers that restart, and weights."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.expectations import Scope, expect
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.observations import FoundSession
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.report import verification
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.worst_case import worst_case

from .situation import ALL, cluster, declared, route, router, service, session

BFD = {"state": "up", "detection_time": 0.9, "ignored_in_restart": False}
RESTART = {"restart_time": 20, "families": ["ipv4Unicast"]}
PROFILE = {"vipcast_bfd_profiles": [{"name": "fast"}]}


def found(**values: Any) -> FoundSession:
    return FoundSession("10.31.8.1", "Established", hold=9, **values)


# The session, when a dead node's routes are gone, and how long a restart is hidden. docs/design/0013-bfd.md
# has what was measured for each; here with 0.9 s of detection, 9 s of hold time and 20 s of restart time.
WORST = {
    "neither": (found(), 9, None),
    "graceful restart": (found(kept=20), 29, 20),
    "BFD": (found(bfd="up", detection=0.9), 0.9, None),
    "both": (found(bfd="up", detection=0.9, kept=20), 0.9, 20),
    "both, and BFD is not up": (found(bfd="down", kept=20), 29, 20),
    "both, and losses of BFD are taken for restarts": (
        found(bfd="up", detection=0.9, kept=20, defeated=True),
        29,
        20,
    ),
    "no hold timer": (FoundSession("10.31.8.1", "Established"), None, None),
}


@pytest.mark.parametrize("case", WORST)
def test_the_worst_case_follows_from_what_is_negotiated(case: str) -> None:
    session_found, dead, hidden = WORST[case]
    worst = worst_case(session_found)
    assert (worst.dead, worst.hidden, worst.dead_in_restart) == (dead, hidden, hidden)


def look(sessions: list[dict[str, Any]], peer: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    said = declared(**PROFILE, vipcast_peer=peer or {})
    return verification(said, cluster(service()), [router(route(), sessions=sessions, **more)], [])


def test_the_report_says_it_once_for_all_that_share_it() -> None:
    every = [session(address, hold_time=9, bfd=BFD, graceful_restart=RESTART) for address in ALL]
    report = look(every, {"bfd_profile": "fast", "graceful_restart": True})
    assert report["ok"], report["texts"]
    assert [(one["nodes"], one["dead_node"], one["restart_hidden"]) for one in report["failures"]] == [
        (["n1", "n2", "n3"], 0.9, 20)
    ]
    line = report["lines"][report["lines"].index("Worst case") + 2]
    assert all(words in line for words in ("all 3", "0.9s", "never within 20s"))


def test_a_session_without_the_bfd_that_is_declared_is_a_difference() -> None:
    quiet = {**BFD, "state": "down", "detection_time": None}
    sessions = [session(ALL[0], bfd=quiet), session(ALL[1], bfd=BFD), session(ALL[2])]
    texts = look(sessions, {"bfd_profile": "fast"})["texts"]
    assert [text.partition("; likely")[0] for text in texts] == [
        "r1: BFD with 10.31.8.1 (n1): expected up, found down",
        "r1: BFD with 10.31.8.12 (n3): expected up, found not configured",
    ]


def test_graceful_restart_that_is_declared_and_not_agreed_on_is_a_difference() -> None:
    sessions = [session(ALL[0]), *(session(address, graceful_restart=RESTART) for address in ALL[1:])]
    texts = look(sessions, {"graceful_restart": True})["texts"]
    assert [text.partition("; likely")[0] for text in texts] == [
        "r1: graceful restart of 10.31.8.1 (n1): expected agreed on, found not"
    ]


@pytest.mark.parametrize(("version", "differences"), [("8.4.4", 3), ("10.1.2", 0), ("10.0-dev", 3)])
def test_a_router_on_which_graceful_restart_defeats_bfd_is_named(version: str, differences: int) -> None:
    ignored = {**BFD, "ignored_in_restart": True}
    every = [session(address, bfd=ignored, graceful_restart=RESTART) for address in ALL]
    texts = look(every, {"bfd_profile": "fast", "graceful_restart": True}, version=version)["texts"]
    assert len(texts) == differences
    assert all("check-control-plane-failure" in text for text in texts)


def weighted(weights: list[int], *on: str, **values: Any) -> dict[str, Any]:
    said = declared(vipcast_advertisements=[{"name": "default", "weighted_by_endpoints": True}])
    pods = [{"node": name, "pod": f"web-{at}", "ready": True, "serving": True} for at, name in enumerate(on)]
    shown = {**service(**{"external_traffic_policy": "Local", **values}), "endpoints": pods}
    seen = route()
    for hop, weight in zip(seen["kernel"]["next_hops"], weights):
        hop["weight"] = weight
    return verification(said, cluster(shown), [router(seen)], [])


def test_weights_follow_the_endpoints() -> None:
    assert weighted([50, 25, 25], "n1", "n1", "n2", "n3")["ok"]
    # What FRR makes of thirds.
    assert weighted([33, 33, 33], "n1", "n2", "n3")["ok"]


def test_equal_weights_of_unequal_nodes_are_a_difference() -> None:
    texts = weighted([1, 1, 1], "n1", "n1", "n2", "n3")["texts"]
    assert texts[0].startswith(
        "r1: weight of next hop 10.31.8.1 (n1) for 10.9.1.1/32: expected 50% (2 of 4 endpoints), found 33%"
    )


def test_nodes_that_pass_packets_on_have_no_weights() -> None:
    assert weighted([1, 1, 1], "n1", "n1", "n2", "n3", external_traffic_policy="Cluster")["ok"]


BACKUP = [
    {"name": "main", "node_selectors": [{"match_labels": {"kubernetes.io/hostname": "n1"}}]},
    {"name": "backup", "as_path_prepend": 2, "node_selectors": [
        {"match_expressions": [{"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["n1"]}]}
    ]},
]  # fmt: skip


def test_nodes_whose_routes_are_the_second_best_are_no_next_hops() -> None:
    """They are announced with a longer path: a router knows them, and forwards to the first node alone."""
    best = plan_of(declared(vipcast_advertisements=BACKUP), cluster(service()))
    assert best == {"10.31.8.1": "n1"}
    without_it = plan_of(declared(vipcast_advertisements=BACKUP), cluster(service(), n1={"ready": False}))
    assert sorted(without_it.values()) == ["n2", "n3"]


@pytest.mark.parametrize(
    ("fields", "internal", "alone"),
    [
        ({"med": 10}, False, True),
        ({"med": 10}, True, True),
        ({"as_path_prepend": 1}, False, True),
        ({"as_path_prepend": 1}, True, False),
        ({"local_pref": 50}, True, True),
    ],
)
def test_what_makes_a_route_the_second_best(fields: dict[str, Any], internal: bool, alone: bool) -> None:
    said = [BACKUP[0], {**BACKUP[1], "as_path_prepend": 0, **fields}]
    asn = 64512 if internal else 64513
    hops = plan_of(declared(vipcast_cluster_asn=asn, vipcast_advertisements=said), cluster(service()))
    assert (hops == {"10.31.8.1": "n1"}) is alone
    assert alone or len(hops) == 3


def plan_of(said: dict[str, Any], seen: dict[str, Any]) -> dict[str, str]:
    """The next hops that the router should have."""
    (one,) = expect(said, seen, Scope()).routes
    return one.hops
