# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input stops with one clear message, and the router stays as it was."""

from __future__ import annotations

from typing import Any

import pytest

from .machine import NODES, ROUTER, Machine
from .play import Player

FIRST = next(iter(NODES.values()))

BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "another AS": ({"asn": 64600}, "other_as", "already runs 'router bgp 64512' and 64600 is declared"),
    "a prefix with host bits": ({"prefixes": [{"prefix": "10.9.0.1/16"}]}, "bad_option", "host bits set"),
    "lengths that do not fit": (
        {"prefixes": [{"prefix": "10.9.0.0/16", "min_length": 8}]},
        "bad_option",
        "lengths 8 to 32 do not fit",
    ),
    "a neighbor twice": (
        {"neighbors": [{"address": FIRST, "remote_as": 1}, {"address": FIRST, "remote_as": 2}]},
        "bad_option",
        f"{FIRST} is declared 2 times",
    ),
    "no AS number": ({"neighbors": [{"address": FIRST, "remote_as": 0}]}, "bad_option", "0 is no AS number"),
    "a keepalive that is too slow": (
        {"timers": {"hold": 9, "keepalive": 9}},
        "bad_option",
        "more than a third of the hold time of 9 s",
    ),
    "the router as its own neighbor": (
        {"neighbors": [{"address": each, "remote_as": 64513} for each in (*NODES.values(), ROUTER)]},
        "refused_by_daemon",
        f"('neighbor {ROUTER} remote-as 64513')",
    ),
    "a source that is no interface": (
        {"neighbors": [{"address": FIRST, "remote_as": 64513, "update_source": "a@b:c.d-e_f" * 9}]},
        "bad_option",
        "neither an interface nor an address",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_changes_nothing(
    router: Machine, player: Player, intent: dict[str, Any], case: str
) -> None:
    change, reason, message = BAD[case]
    before, saved = router.running(), router.sh("cat /etc/frr/frr.conf")
    uptimes = {address: peer["connectionsDropped"] for address, peer in router.sessions().items()}
    answer = player.task("bgp_router", **{**intent, **change})

    assert answer.result["failed"] and not answer.result["changed"], answer.output
    assert answer.result["reason"] == reason, answer.result["msg"]
    assert message in answer.result["msg"]
    assert router.running() == before
    assert router.sh("cat /etc/frr/frr.conf") == saved
    if reason != "refused_by_daemon":
        assert {a: p["connectionsDropped"] for a, p in router.sessions().items()} == uptimes


def test_half_of_a_change_is_undone(router: Machine, player: Player, intent: dict[str, Any]) -> None:
    """vtysh goes on after the line that the daemon refuses: the good part was applied and must go again."""
    before = router.running()
    dropped = {address: peer["connectionsDropped"] for address, peer in router.sessions().items()}
    intent["neighbors"] += [
        {"address": ROUTER, "remote_as": 64513},
        {"address": "10.31.8.77", "remote_as": 64513},
    ]
    answer = player.task("bgp_router", **intent)

    assert "Can not configure the local system as neighbor" in answer.result["msg"]
    assert "What had been applied was undone; nothing was saved" in answer.result["msg"]
    assert router.running() == before
    assert {address: peer["connectionsDropped"] for address, peer in router.sessions().items()} == dropped


def test_a_neighbor_in_a_foreign_peer_group(router: Machine, player: Player, intent: dict[str, Any]) -> None:
    router.configure(
        "router bgp 64512",
        "neighbor TEAM peer-group",
        "neighbor TEAM remote-as 64513",
        "neighbor 10.31.8.50 peer-group TEAM",
        "neighbor 192.0.2.60 peer-group TEAM",
    )
    intent["neighbors"].append({"address": "10.31.8.50", "remote_as": 64513})
    answer = player.task("bgp_router", **intent)
    router.configure(
        "router bgp 64512", "no neighbor 10.31.8.50", "no neighbor 192.0.2.60", "no neighbor TEAM peer-group"
    )

    assert answer.result["reason"] == "in_peer_group"
    assert "peer group TEAM" in answer.result["msg"]
    assert "192.0.2.60" in answer.result["msg"]


def test_replacing_the_instance_on_demand(router: Machine, player: Player, intent: dict[str, Any]) -> None:
    other = {**intent, "asn": 64600, "replace_as": True}
    answer = player.task("bgp_router", **other)
    assert answer.result["changed"], answer.output
    assert "router bgp 64600" in router.running() and "router bgp 64512" not in router.running()

    back = player.task("bgp_router", **{**intent, "replace_as": True})
    assert back.result["changed"], back.output
    router.wait_established(*NODES.values())


def test_bgpd_down(router: Machine, player: Player, intent: dict[str, Any]) -> None:
    router.sh("kill -9 $(cat /run/frr/watchfrr.pid /run/frr/bgpd.pid); sleep 1")
    answer = player.task("bgp_router", **intent)
    asked = player.task("bgp_router_info")

    assert answer.result["reason"] == asked.result["reason"] == "daemon_down"
    assert "bgpd is not running" in answer.result["msg"]
    assert player.role().rc == 0


def test_no_vtysh(router: Machine, player: Player, intent: dict[str, Any]) -> None:
    answer = player.task("bgp_router", vtysh_command="/opt/none/vtysh", **intent)
    assert answer.result["reason"] == "no_daemon"


def test_unknown_option(router: Machine, player: Player, intent: dict[str, Any]) -> None:
    answer = player.task("bgp_router", neighbours=[], **intent)
    assert "neighbours" in answer.result["msg"]
