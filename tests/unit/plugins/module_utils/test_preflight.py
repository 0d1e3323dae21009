# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests for the answers of hosts before a rollout, and for what is made of them."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils import _preflight

R1, R2 = {"host": "r1", "address": "10.0.0.1"}, {"host": "r2", "address": "10.0.0.2"}
N1, N2 = (
    {"host": "n1", "name": "n1", "address": "10.0.0.11"},
    {"host": "n2", "name": "n2", "address": "10.0.0.12"},
)
LAN = "2: eth0    inet {}/24 brd 10.0.0.255 scope global eth0\\       valid_lft forever preferred_lft forever"


def said(item: t.Any, *lines: str, **more: t.Any) -> dict[str, t.Any]:
    return {
        "item": item,
        "answered": True,
        "connected": True,
        "rc": 0,
        "stdout": "\n".join(lines),
        "stderr": "",
        **more,
    }


def silent(item: t.Any, reason: str, *, connected: bool = False) -> dict[str, t.Any]:
    return {"item": item, "answered": False, "connected": connected, "reason": reason}


def skipped(item: t.Any) -> dict[str, t.Any]:
    return {"item": item, "skipped": True}


@pytest.mark.parametrize(
    ("answer", "beginning"),
    [
        (
            silent(R1, "Failed to connect\nto the host"),
            "Ansible cannot reach it: Failed to connect to the host; ",
        ),
        (
            silent(R1, "Missing sudo password", connected=True),
            "Ansible cannot become root on it: Missing sudo password; ",
        ),
        (
            said(R1, rc=127, stdout="sh: sudo: not found"),
            "Ansible cannot become root on it: sh: sudo: not found; ",
        ),
        (said(R1, rc=1), "Ansible cannot become root on it: exit status 1; "),
        (said(R1, "welcome", "uid 1000"), "Ansible works on it as user id 1000; "),
    ],
)
def test_a_router_that_does_not_let_root_in_is_named(answer: dict[str, t.Any], beginning: str) -> None:
    (text,) = _preflight.of_routers([answer], []).problems
    assert text.startswith(f"router r1: {beginning}")


def test_routers_that_may_be_left_out_are_warnings() -> None:
    out_of_reach = silent({"host": "r1"}, "no route to host")
    node = {"host": "n1"}
    given = {
        "routers": [out_of_reach],
        "nodes": [said(node, "misses 192.0.2.1")],
        "leave_out_routers": True,
    }
    declaration = {"routers": [{"host": "r1", "address": "192.0.2.1"}], "pools": [], "advertisements": []}
    found = _preflight.judge(declaration, given)

    assert found.problems == []
    assert [text.partition(":")[0] for text in found.warnings] == ["router r1"] * 2


def test_a_router_with_a_shell_of_its_own_needs_no_root() -> None:
    assert _preflight.of_routers([said(R1, "uid 1000"), said(R2, "uid 0")], ["r1"]).problems == []


def test_a_node_that_is_out_of_reach_is_no_problem_and_one_without_root_is() -> None:
    answers = [silent(N1, "no route to host"), said(N2, "uid 1000"), skipped(N1)]
    (text,) = _preflight.of_nodes(answers).problems
    assert text.startswith("node n2: Ansible cannot become root on it: it works there as user id 1000; ")


def test_a_router_that_one_node_reaches_is_reached() -> None:
    answers = [
        said(N1, "misses 10.0.0.1", "reaches 10.0.0.2"),
        said(N2, "reaches 10.0.0.1", "misses 10.0.0.2"),
    ]
    assert _preflight.of_ways(answers, [R1, R2]).plain() == {"problems": [], "warnings": []}


def test_a_router_that_no_node_reaches_is_told_with_those_that_tried() -> None:
    answers = [said(N1, "misses 10.0.0.1"), silent(N2, "no route to host")]
    found = _preflight.of_ways(answers, [R1])
    assert found.problems == [
        "router r1: none of n1 reaches 10.0.0.1; vipcast_router_address is the address that nodes peer with"
    ]
    assert found.warnings == ["n2 could not be asked: no route to host"]


def test_nodes_that_could_not_be_asked_say_nothing_about_routers() -> None:
    found = _preflight.of_ways([silent(N1, "no route to host"), silent(N2, "no route to host")], [R1])
    assert found.problems == []
    assert found.warnings == [
        "n1, n2 could not be asked: no route to host; whether nodes reach the routers is not known"
    ]


# -- pools inside of networks ------------------------------------------------------------------------------

EVERYBODY: dict[str, t.Any] = {"pools": ["a"]}


def declared(addresses: str, **more: t.Any) -> dict[str, t.Any]:
    return {
        "pools": [{"name": "a", "addresses": [addresses]}],
        "advertisements": [EVERYBODY],
        "l2_advertisements": [],
        **more,
    }


def networks(what: dict[str, t.Any], tolerated: t.Sequence[str] = ()) -> dict[str, list[str]]:
    far = "3: eth1    inet 192.0.2.1/24 scope global eth1\n4: wg0    inet 10.99.0.1/32 scope global wg0"
    routers = [said(R1, "uid 0", LAN.format("10.0.0.1"), far)]
    nodes = [said(N1, LAN.format("10.0.0.11"), "3: eth1    inet 172.16.0.1/16 scope global eth1")]
    return _preflight.of_networks(what, nodes, routers, tolerated).plain()


@pytest.mark.parametrize(
    ("addresses", "words"),
    [
        (
            "10.0.0.200-10.0.0.220",
            "pool a: 10.0.0.200-10.0.0.220 is in 10.0.0.0/24, which is a network of node n1: ",
        ),
        ("192.0.2.128/25", "is in 192.0.2.0/24, which is a network of router r1: "),
        ("10.0.0.0/8", "is in 10.0.0.0/24"),
    ],
)
def test_a_pool_by_bgp_inside_of_a_network_with_hosts_is_refused(addresses: str, words: str) -> None:
    found = networks(declared(addresses))
    assert len(found["problems"]) == 1
    assert words in found["problems"][0]
    assert "asks" not in found["problems"][0] and "by ARP" in found["problems"][0]


@pytest.mark.parametrize(
    "what",
    [
        declared("203.0.113.0/24"),
        # The node's other networks are not those that its routers are in.
        declared("172.16.1.0/24"),
        # A network without any host but its ends.
        declared("10.99.0.1/32"),
        declared("10.0.0.200/32", l2_advertisements=[EVERYBODY]),
        declared("10.0.0.200/32", advertisements=[]),
        declared("2001:db8::/64"),
    ],
)
def test_a_pool_that_nobody_asks_for_by_arp_is_not(what: dict[str, t.Any]) -> None:
    assert networks(what) == {"problems": [], "warnings": []}


def test_a_tolerated_pool_is_a_warning() -> None:
    found = networks(declared("10.0.0.200/32"), ["a"])
    assert found["problems"] == []
    assert len(found["warnings"]) == 1


def test_a_network_of_ipv6_is_seen_too() -> None:
    item = {"host": "n1", "name": "n1", "address": "2001:db8::11"}
    answer = said(item, "2: eth0    inet6 2001:db8::11/64 scope global \\  valid_lft forever")
    (text,) = _preflight.of_networks(declared("2001:db8::100-2001:db8::1ff"), [answer], [], ()).problems
    assert "2001:db8::/64" in text and "by neighbor discovery" in text


# -- the image ---------------------------------------------------------------------------------------------

AMD, ARM = {"name": "n1", "architecture": "amd64"}, {"name": "n2", "architecture": "arm64"}
DEBIAN = said(None, "has apt-get")


def image(nodes: t.Any, here: t.Any = None, bases: t.Any = None, says: t.Any = None) -> list[str]:
    return _preflight.of_image(nodes, here or DEBIAN, bases or {}, says or {}).problems


def test_nodes_of_several_kinds_are_no_problem() -> None:
    assert image([AMD, ARM]) == []
    assert image([AMD, ARM], says={"n1": "amd64", "n2": "arm64"}) == []
    assert image([{"name": "n1", "architecture": ""}]) == [], "a node that was never up says nothing"


def test_an_architecture_that_is_not_the_nodes_is_refused() -> None:
    (text,) = image([AMD, ARM], says={"n1": "amd64", "n2": "amd64"})
    assert text.startswith(
        "node n2: it is arm64, and load_balancer_image_architecture says amd64; leave it out"
    )


def test_a_kind_that_no_image_is_made_for_is_named() -> None:
    (text,) = image([AMD, {"name": "n3", "architecture": "loong64"}])
    assert text.startswith("node n3: no image is made for loong64 (but for amd64, arm, arm64, ")


@pytest.mark.parametrize(
    ("here", "bases", "lacking"),
    [
        (said(None), {}, "amd64, arm64"),
        (said(None, "cached bookworm-amd64-0123456789ab.tar"), {}, "arm64"),
        (said(None), {"arm64": "/srv/arm64.tar"}, "amd64"),
        (said(None), {"arm64": "/srv/arm64.tar", "amd64": "/srv/amd64.tar"}, ""),
        (said(None, "has mmdebstrap"), {}, ""),
        (DEBIAN, {}, ""),
    ],
)
def test_a_control_node_that_cannot_make_it_is_told_before_anything_is_changed(
    here: t.Any, bases: t.Any, lacking: str
) -> None:
    found = image([AMD, ARM], here, bases)
    assert bool(found) == bool(lacking)
    assert not lacking or found[0].startswith(
        f"localhost: it has to make the image for {lacking}, and has neither"
    )
