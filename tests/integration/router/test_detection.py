# SPDX-License-Identifier: GPL-3.0-or-later
"""BFD, graceful restart, GTSM and address families on a real router: entered, drifted, repaired, removed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .machine import NODES, Machine
from .play import Player

FIRST, SECOND, THIRD = NODES.values()
INSTANCE = "router bgp 64512"
RUNNING = "running configuration"
FAST = {"name": "fast", "receive_interval": 100, "transmit_interval": 50, "detect_multiplier": 4}
PEER = {"bfd_profile": "fast", "enable_graceful_restart": True}


@pytest.fixture
def detecting(router: Machine, player: Player, intent: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Options with BFD and graceful restart on every neighbor, configured; what was before comes back."""
    wanted = {
        **intent,
        "bfd_profiles": [FAST],
        "neighbors": [
            {**one, "bfd_profile": "fast", "graceful_restart": True} for one in intent["neighbors"]
        ],
    }
    found = player.task("frr_daemon", daemons=["bgpd", "bfdd"], service="script", install=False)
    assert not found.result["failed"], found.output
    assert not player.task("bgp_router", **wanted).result["failed"]
    yield wanted
    assert not player.task("bgp_router", **intent).result["failed"]


def test_one_declaration_is_enough(router: Machine, player: Player) -> None:
    """The role alone: daemon, profile and neighbors, and nothing to do the second time."""
    said: dict[str, Any] = {"vipcast_bfd_profiles": [FAST], "vipcast_peer": PEER}
    first = player.role(**said)
    running = router.running()
    second = player.role(**said)
    back = player.role()

    assert first.rc == 0, first.output
    assert ("bfd-profile VIPCAST-fast", RUNNING) in [row[:2] for row in first.drift]
    assert f" neighbor {FIRST} bfd profile VIPCAST-fast" in running.splitlines()
    assert f" neighbor {FIRST} graceful-restart-helper" in running.splitlines()
    # What the nodes send every 50 ms is what the router receives.
    assert [line for line in running.splitlines() if "-interval" in line or "multiplier" in line] == [
        "  detect-multiplier 4",
        "  transmit-interval 100",
        "  receive-interval 50",
    ]
    assert second.drift == []
    assert back.rc == 0, back.output
    assert "VIPCAST-fast" not in router.running()


def test_bfd_asks_every_neighbor(router: Machine, detecting: dict[str, Any]) -> None:
    peers = router.vtysh("show bfd peers brief")

    assert all(address in peers for address in NODES.values()), peers


CASES: dict[str, tuple[tuple[str, ...], list[tuple[str, str, str, str]]]] = {
    "an interval": (
        ("bfd", "profile VIPCAST-fast", "receive-interval 900"),
        [("receive-interval of bfd-profile VIPCAST-fast", RUNNING, "100", "900")],
    ),
    "a profile that does not begin to speak": (
        ("bfd", "profile VIPCAST-fast", "passive-mode"),
        [("passive-mode of bfd-profile VIPCAST-fast", RUNNING, "none", "set")],
    ),
    "BFD taken off a neighbor": (
        (INSTANCE, f"no neighbor {SECOND} bfd"),
        [
            (f"bfd of neighbor {SECOND}", INSTANCE, "set", "none"),
            (f"bfd profile of neighbor {SECOND}", INSTANCE, "VIPCAST-fast", "none"),
        ],
    ),
    "dead nodes taken for restarting ones": (
        (INSTANCE, f"neighbor {SECOND} bfd check-control-plane-failure"),
        [(f"bfd check-control-plane-failure of neighbor {SECOND}", INSTANCE, "none", "set")],
    ),
    "another profile": (
        (INSTANCE, f"neighbor {SECOND} bfd profile THEIRS"),
        [(f"bfd profile of neighbor {SECOND}", INSTANCE, "VIPCAST-fast", "THEIRS")],
    ),
    "graceful restart switched off": (
        (INSTANCE, f"neighbor {SECOND} graceful-restart-disable"),
        [
            (f"graceful-restart-disable of neighbor {SECOND}", INSTANCE, "none", "set"),
            (f"graceful-restart-helper of neighbor {SECOND}", INSTANCE, "set", "none"),
        ],
    ),
    "the profile removed": (
        ("bfd", "no profile VIPCAST-fast"),
        [
            (
                "bfd-profile VIPCAST-fast",
                RUNNING,
                "detect-multiplier 4, receive-interval 100, transmit-interval 50",
                "missing",
            )
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_drift_is_named_and_repaired(
    router: Machine, player: Player, detecting: dict[str, Any], case: str
) -> None:
    commands, expected = CASES[case]
    healthy = router.running()
    router.configure(*commands)
    broken = router.running()
    assert broken != healthy, "the case breaks nothing"

    repaired = player.task("bgp_router", **detecting)

    assert repaired.drift == expected
    assert sorted(router.running().splitlines()) == sorted(healthy.splitlines())
    assert player.task("bgp_router", check=True, **detecting).drift == []


def test_nothing_is_left_of_a_profile_that_nobody_declares(
    router: Machine, player: Player, detecting: dict[str, Any], intent: dict[str, Any]
) -> None:
    router.configure("bfd", "profile THEIRS", "receive-interval 700")
    answer = player.task("bgp_router", **intent)
    running = router.running()
    router.configure("bfd", "no profile THEIRS")

    assert ("bfd-profile VIPCAST-fast", RUNNING) in [row[:2] for row in answer.drift]
    assert "VIPCAST-fast" not in running
    assert " bfd" not in [line[-4:] for line in running.splitlines() if "neighbor" in line]
    assert "profile THEIRS" in running


def test_echo_mode_is_taken_although_frr_remarks_on_it(
    router: Machine, player: Player, detecting: dict[str, Any]
) -> None:
    echo = {**detecting, "bfd_profiles": [{**FAST, "echo_mode": True, "echo_interval": 30}]}
    assert not player.task("bgp_router", **echo).result["failed"]
    running = [line.strip() for line in router.running().splitlines()]

    assert {"echo-mode", "echo transmit-interval 30", "echo receive-interval 30"} <= set(running)
    assert player.task("bgp_router", check=True, **echo).drift == []


def test_the_way_from_multihop_to_gtsm_and_back(
    router: Machine, player: Player, intent: dict[str, Any]
) -> None:
    """FRR has one of the two for a neighbor, never both."""
    options: tuple[dict[str, int], ...] = (
        {"ebgp_multihop": 255},
        {"ttl_security_hops": 2},
        {"ebgp_multihop": 3},
        {},
    )
    for option in options:
        wanted = {**intent, "neighbors": [{**one, **option} for one in intent["neighbors"]]}
        assert not player.task("bgp_router", **wanted).result["failed"], option
        assert player.task("bgp_router", check=True, **wanted).drift == []


def test_both_families_over_one_session(router: Machine, player: Player, intent: dict[str, Any]) -> None:
    both = [{**one, "families": ["ipv4", "ipv6"]} for one in intent["neighbors"]]
    six = {"address": "fd00:31::1", "remote_as": 64513, "families": ["ipv4", "ipv6"]}
    wanted = {
        **intent,
        "neighbors": [*both, six],
        "prefixes": [*intent["prefixes"], {"prefix": "fd00:9::/64"}],
    }
    assert not player.task("bgp_router", **wanted).result["failed"]
    running = router.running()
    assert player.task("bgp_router", check=True, **wanted).drift == []
    assert not player.task("bgp_router", **intent).result["failed"]

    inside = running.partition("address-family ipv6 unicast")[2]
    assert all(f"  neighbor {address} activate" in inside for address in (*NODES.values(), "fd00:31::1"))
    assert " neighbor fd00:31::1 capability extended-nexthop" in running.splitlines()
    assert "ipv6 prefix-list VIPCAST-POOLS seq 5 permit fd00:9::/64 ge 128" in running


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "both ways to say how far": (
        {"ebgp_multihop": 2, "ttl_security_hops": 2},
        "ttl_security_hops and ebgp_multihop exclude each other",
    ),
    "a profile that nobody declares": ({"bfd_profile": "slow"}, "there is no VIPCAST-slow in bfd_profiles"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_meant_is_refused(
    router: Machine, player: Player, intent: dict[str, Any], case: str
) -> None:
    option, words = REFUSALS[case]
    before = router.running()
    answer = player.task("bgp_router", **{**intent, "neighbors": [{**intent["neighbors"][0], **option}]})

    assert answer.result["reason"] == "bad_option"
    assert words in answer.result["msg"]
    assert router.running() == before
