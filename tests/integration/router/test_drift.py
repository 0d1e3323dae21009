# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what changes behind our back is named, repaired, and costs no other session anything."""

from __future__ import annotations

from typing import Any

import pytest

from .machine import NODES, Machine
from .play import Player

FIRST, SECOND, THIRD = NODES.values()
INSTANCE = "router bgp 64512"
FAMILY = "router bgp 64512, ipv4 unicast"
RUNNING = "running configuration"
IN_FAMILY = "address-family ipv4 unicast"

# How it is broken, the only entries of the report, and which sessions may go down.
CASES: dict[str, tuple[tuple[str, ...], list[tuple[str, str, str, str]], set[str]]] = {
    "a neighbor removed": (
        (INSTANCE, f"no neighbor {SECOND}"),
        [(f"neighbor {SECOND}", INSTANCE, "remote-as 64513", "missing")],
        {SECOND},
    ),
    "a neighbor with another AS": (
        (INSTANCE, f"neighbor {SECOND} remote-as 64999"),
        [(f"remote-as of neighbor {SECOND}", INSTANCE, "64513", "64999")],
        {SECOND},
    ),
    "a filter taken off a neighbor": (
        (INSTANCE, IN_FAMILY, f"no neighbor {SECOND} route-map VIPCAST-IN in"),
        [(f"inbound filter of neighbor {SECOND}", FAMILY, "VIPCAST-IN", "none")],
        set(),
    ),
    "the filter removed": (
        ("no route-map VIPCAST-IN",),
        [("route-map VIPCAST-IN", RUNNING, "permit, match ip address prefix-list VIPCAST-POOLS", "missing")],
        set(),
    ),
    "a rule that lets everything in": (
        ("route-map VIPCAST-IN permit 99",),
        [("rule 99 of route-map VIPCAST-IN", RUNNING, "none", "permit")],
        set(),
    ),
    "the list of pools removed": (
        ("no ip prefix-list VIPCAST-POOLS",),
        [("ip prefix-list VIPCAST-POOLS", RUNNING, "permit 10.9.0.0/16 ge 32", "missing")],
        set(),
    ),
    "a foreign range in the list of pools": (
        ("ip prefix-list VIPCAST-POOLS seq 7 permit 172.16.0.0/12 le 32",),
        [("entry 7 of ip prefix-list VIPCAST-POOLS", RUNNING, "none", "permit 172.16.0.0/12 le 32")],
        set(),
    ),
    "announcing to the nodes": (
        (INSTANCE, IN_FAMILY, f"no neighbor {FIRST} route-map VIPCAST-OUT out"),
        [(f"outbound filter of neighbor {FIRST}", FAMILY, "VIPCAST-OUT", "none")],
        set(),
    ),
    "a neighbor shut down": (
        (INSTANCE, f"neighbor {THIRD} shutdown"),
        [(f"shutdown of neighbor {THIRD}", INSTANCE, "none", "set")],
        {THIRD},
    ),
    "an undeclared neighbor of ours": (
        (
            INSTANCE,
            "neighbor 10.31.8.99 remote-as 64513",
            IN_FAMILY,
            "neighbor 10.31.8.99 route-map VIPCAST-IN in",
        ),
        [("neighbor 10.31.8.99", INSTANCE, "not declared", "remote-as 64513")],
        set(),
    ),
    "a description": (
        (INSTANCE, f"neighbor {FIRST} description something else"),
        [(f"description of neighbor {FIRST}", INSTANCE, "n1", "something else")],
        set(),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_drift_is_named_and_repaired(
    router: Machine, player: Player, intent: dict[str, Any], case: str
) -> None:
    commands, expected, may_drop = CASES[case]
    healthy = router.running()
    dropped = _dropped(router)
    router.configure(*commands)
    broken = router.running()
    assert broken != healthy, "the case breaks nothing"

    seen = player.task("bgp_router", check=True, **intent)
    assert seen.drift == expected
    assert router.running() == broken, "check mode changed something"

    repaired = player.task("bgp_router", **intent)
    assert repaired.drift == expected
    # A route map that was made anew stands behind the others.
    assert sorted(router.running().splitlines()) == sorted(healthy.splitlines())
    router.wait_established(*NODES.values())
    lost = {address for address, count in _dropped(router).items() if count != dropped.get(address)}
    assert lost <= may_drop
    assert player.task("bgp_router", check=True, **intent).drift == []


def test_a_limit_of_paths_is_raised_where_it_is_too_low(
    router: Machine, player: Player, intent: dict[str, Any]
) -> None:
    router.configure(INSTANCE, IN_FAMILY, "maximum-paths 1")
    answer = player.task("bgp_router", **intent)
    running = router.running()
    router.configure(INSTANCE, IN_FAMILY, "maximum-paths 8")
    enough = player.task("bgp_router", **intent)
    router.configure(INSTANCE, IN_FAMILY, "no maximum-paths")

    assert answer.drift == [("maximum-paths", FAMILY, "3", "1")]
    assert "maximum-paths 3" in running
    assert enough.drift == [
        ("saved configuration", "startup file", "the same as the running configuration", "different")
    ]


def test_more_nodes_than_the_build_has_next_hops_is_a_warning(
    router: Machine, player: Player, intent: dict[str, Any]
) -> None:
    answer = player.task("bgp_router", check=True, **{**intent, "maximum_paths": 257})

    assert answer.drift == []
    assert "at most 256" in answer.output


def test_what_was_never_saved_is_drift_too(router: Machine, player: Player, intent: dict[str, Any]) -> None:
    router.sh("sed -i '/neighbor 10.31.8.12/d' /etc/frr/frr.conf")
    answer = player.task("bgp_router", **intent)

    assert answer.drift == [
        ("saved configuration", "startup file", "the same as the running configuration", "different")
    ]
    assert "neighbor 10.31.8.12 remote-as 64513" in router.sh("cat /etc/frr/frr.conf")


def test_foreign_configuration_is_reported_and_stays(
    router: Machine, player: Player, intent: dict[str, Any]
) -> None:
    foreign = (
        INSTANCE,
        "neighbor 192.0.2.1 remote-as 65000",
        "neighbor 192.0.2.1 password their-secret",
        "bgp log-neighbor-changes",
        IN_FAMILY,
        "network 203.0.113.0/24",
    )
    router.configure(*foreign)
    router.configure("ip prefix-list THEIRS seq 5 permit any", "route-map THEIRS permit 10")
    before = router.running()
    intent["neighbors"].pop()
    answer = player.task("bgp_router", **intent)
    intent["state"] = "absent"
    gone = player.task("bgp_router", **intent)
    after = router.running()
    router.configure("no router bgp 64512", "no ip prefix-list THEIRS", "no route-map THEIRS")

    assert answer.result["foreign"]["neighbors"] == ["192.0.2.1"]
    assert answer.result["foreign"]["route_maps"] == ["THEIRS"]
    assert answer.result["foreign"]["prefix_lists"] == ["THEIRS"]
    assert f"{INSTANCE} / network 203.0.113.0/24" in answer.result["foreign"]["bgp_lines"]
    assert answer.drift == [(f"neighbor {THIRD}", INSTANCE, "not declared", "remote-as 64513")]
    assert "their-secret" not in answer.output + gone.output
    kept = [
        line for line in before.splitlines() if "192.0.2.1" in line or "THEIRS" in line or "network" in line
    ]
    assert len(kept) == 5
    assert [line for line in after.splitlines() if line in kept] == kept
    assert "VIPCAST" not in after


def _dropped(router: Machine) -> dict[str, int]:
    return {address: peer["connectionsDropped"] for address, peer in router.sessions().items()}
