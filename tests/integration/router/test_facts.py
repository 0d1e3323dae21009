# SPDX-License-Identifier: GPL-3.0-or-later
"""bgp_router_info tells a session that carries routes from one that only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from . import tree
from .machine import NODES, SERVICES, Machine
from .play import Player

FIRST, SECOND, THIRD = NODES.values()
ALL = sorted(NODES.values())


@pytest.mark.parametrize("full", [True, False], ids=["iproute2", "busybox"])
def test_routes_as_bgp_zebra_and_the_kernel_have_them(router: Machine, player: Player, full: bool) -> None:
    tree.choose_ip(router.root, full)
    answer = player.task("bgp_router_info")
    tree.choose_ip(router.root, False)
    found = answer.result

    assert [route["prefix"] for route in found["routes"]] == list(SERVICES)
    for route in found["routes"]:
        assert route["next_hops"] == ALL
        assert route["fib"] == {"installed": True, "protocol": "bgp", "distance": 20, "next_hops": ALL}
        assert route["consistent"]
        assert len([path for path in route["paths"] if path["best"]]) == 1
    hops = found["routes"][0]["kernel"]["next_hops"]
    if full:
        assert found["kernel_source"] == "json"
        assert [(hop["gateway"], hop["weight"]) for hop in hops] == [(address, 1) for address in ALL]
    else:
        assert found["kernel_source"] == "busybox"
        assert hops is None
    assert (found["asn"], found["router_id"], found["maximum_paths_limit"]) == (64512, "10.31.254.251", 256)
    assert found["hash_policy_ipv4"] == found["hash_policy_ipv6"] == 1
    assert found["forwarding_ipv4"] == 1


def test_only_some_prefixes(router: Machine, player: Player) -> None:
    found = player.task("bgp_router_info", prefixes=["10.9.1.2", "10.9.200.1/32"]).result["routes"]

    assert [route["prefix"] for route in found] == ["10.9.1.2/32", "10.9.200.1/32"]
    assert found[0]["next_hops"] == found[0]["fib"]["next_hops"] == ALL
    assert found[1]["next_hops"] == [] and found[1]["fib"] is None and found[1]["kernel"] is None


def _session(player: Player, address: str) -> dict[str, Any]:
    found = player.task("bgp_router_info", neighbors=[address]).result["sessions"]
    assert [session["address"] for session in found] == [address]
    return dict(found[0])


def test_a_healthy_session(router: Machine, player: Player) -> None:
    session = _session(player, FIRST)

    assert (session["state"], session["reason"], session["healthy"]) == ("Established", "healthy", True)
    assert (session["prefixes_received"], session["prefixes_accepted"], session["prefixes_sent"]) == (4, 2, 0)
    assert (session["remote_as"], session["description"], session["hold_time"]) == (64513, "n1", 9)


def test_established_with_everything_filtered(
    router: Machine, player: Player, intent: dict[str, Any]
) -> None:
    intent["prefixes"] = [{"prefix": "10.77.0.0/16"}]
    assert player.task("bgp_router", **intent).result["changed"]
    router.wait_established(*ALL, accepted=0)
    session = _session(player, SECOND)

    assert session["established"] and not session["healthy"]
    assert (session["reason"], session["prefixes_received"]) == ("filtered", 4)


def test_established_without_policy(router: Machine, player: Player) -> None:
    router.configure(
        "router bgp 64512", "address-family ipv4 unicast", f"no neighbor {SECOND} route-map VIPCAST-IN in"
    )
    router.wait_established(SECOND, accepted=0)
    session = _session(player, SECOND)

    assert session["established"] and not session["healthy"]
    assert session["reason"] == "no_policy"


def test_established_without_the_family(router: Machine, player: Player) -> None:
    """The other end offers IPv4 only; here IPv6 is active too, and FRR's summary calls that OK."""
    router.configure("router bgp 64512", "address-family ipv6 unicast", f"neighbor {THIRD} activate")
    router.wait_established(THIRD)
    found = player.task("bgp_router_info", neighbors=[THIRD]).result["sessions"]

    assert [(s["family"], s["reason"]) for s in found] == [
        ("ipv4", "healthy"),
        ("ipv6", "family_not_negotiated"),
    ]
    assert player.role().drift == [
        (f"activate of neighbor {THIRD}", "router bgp 64512, ipv6 unicast", "no", "yes")
    ]


def test_a_session_that_is_shut_down(router: Machine, player: Player) -> None:
    router.configure("router bgp 64512", f"neighbor {FIRST} shutdown")
    session = _session(player, FIRST)

    assert (session["reason"], session["healthy"], session["established"]) == ("shut_down", False, False)


def test_asking_changes_nothing(router: Machine, player: Player) -> None:
    before = router.running()
    answer = player.task("bgp_router_info", check=True)

    assert answer.result["changed"] is False
    assert router.running() == before
