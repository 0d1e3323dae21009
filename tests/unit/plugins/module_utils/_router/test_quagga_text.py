# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests that what a quagga 1.2.3 printed becomes the same facts as FRR's JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._router import detection, facts, kernel
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.dialects import quagga_text as texts

FIXTURES = Path(__file__).parents[2] / "fixtures" / "quagga" / "1.2.3"
NODES = ["10.31.8.1", "10.31.8.11", "10.31.8.12"]
SERVICES = ["10.9.1.1/32", "10.9.1.2/32", "10.9.1.3/32"]


def recorded(name: str) -> str:
    return (FIXTURES / f"{name}.txt").read_text()


def sessions(summary: str, neighbors: str, counts: Any = None) -> dict[str, dict[str, Any]]:
    details = texts.neighbors(neighbors)
    document = {"ipv4Unicast": texts.summary(summary, details)}
    return {one["address"]: one for one in facts.sessions(document, details, counts or {})}


def test_sessions_that_carry_routes() -> None:
    found = sessions(recorded("show_ip_bgp_summary"), recorded("show_ip_bgp_neighbors"))

    assert sorted(found) == NODES
    session = found["10.31.8.1"]
    assert (session["state"], session["reason"], session["healthy"]) == ("Established", "healthy", True)
    assert (session["remote_as"], session["description"]) == (64513, "10-31-8-1")
    assert (session["prefixes_accepted"], session["prefixes_received"]) == (3, None)
    assert (session["hold_time"], session["uptime"]) == (9, 40)
    assert (session["connections_established"], session["connections_dropped"]) == (1, 0)
    # Its text says neither.
    assert (session["prefixes_sent"], session["since"]) == (None, None)


def test_a_session_that_is_down() -> None:
    found = sessions(
        recorded("show_ip_bgp_summary_one_down"), recorded("show_ip_bgp_neighbors_10_31_8_11_down")
    )

    session = found["10.31.8.11"]
    assert (session["state"], session["established"]) == ("Active", False)
    assert (session["reason"], session["last_reset"]) == ("not_established", "Peer closed the session")
    assert session["uptime"] == 0
    assert found["10.31.8.12"]["healthy"]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("Idle (Admin)", "shut_down"),
        ("Idle (PfxCt)", "prefix_limit"),
        ("OpenConfirm", "not_established"),
        ("0", "no_prefixes"),
    ],
)
def test_other_states(state: str, reason: str) -> None:
    rows = recorded("show_ip_bgp_summary_one_down").replace("Active     ", f"{state:11}")
    session = sessions(rows, recorded("show_ip_bgp_neighbors"))["10.31.8.11"]

    assert (session["reason"], session["healthy"]) == (reason, False)


def test_a_filter_that_refuses_everything() -> None:
    rows = recorded("show_ip_bgp_summary_one_down").replace("Active", "0")
    counts = {("ipv4", "10.31.8.11"): texts.counts("\nTotal number of prefixes 4\n")}
    session = sessions(rows, recorded("show_ip_bgp_neighbors"), counts)["10.31.8.11"]

    assert (session["reason"], session["prefixes_received"]) == ("filtered", 4)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("*> 10.9.1.1/32      10.31.8.1  0  0 64513 i\n\nTotal number of prefixes 12\n", 12),
        ("\n", 0),
        ("% Inbound soft reconfiguration not enabled\n", None),
        ("% No such neighbor or address family\n", None),
    ],
)
def test_how_many_routes_came_before_the_filter(end: str, expected: int | None) -> None:
    found = texts.counts(end).get("ribTableWalkCounters", {}).get("Adj-in")

    assert found == expected


def test_received_routes_are_counted_where_they_are_kept() -> None:
    text = recorded("show_ip_bgp_neighbors")
    assert facts.wants_counts(texts.neighbors(text)) == []

    kept = text.replace("(all)\n", "(all)\n  Inbound soft reconfiguration allowed\n", 1)
    assert facts.wants_counts(texts.neighbors(kept)) == [("ipv4", "10.31.8.1")]


def test_a_family_that_was_not_negotiated() -> None:
    text = recorded("show_ip_bgp_neighbors").replace(
        "    Address family IPv4 Unicast: advertised and received\n",
        "    Address family IPv4 Unicast: advertised\n",
    )
    session = sessions(recorded("show_ip_bgp_summary"), text)["10.31.8.1"]

    assert session["reason"] == "family_not_negotiated"


def test_an_address_that_fills_its_column() -> None:
    row = "10.31.8.11      4 64513      17      18        0    0    0 00:00:40        3"
    long = row.replace("10.31.8.11      ", f"2001:db8:ffff::8:11\n{' ' * 16}").replace("64513", "4200000000")
    text = recorded("show_ip_bgp_summary").replace(row, long)

    assert texts.summary(text, {})["peers"]["2001:db8:ffff::8:11"]["remoteAs"] == 4200000000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00:00:40", 40),
        ("23:59:59", 86399),
        ("1d02h03m", 93780),
        ("01w2d03h", 788400),
        ("01y02w3d", 33004800),
        ("never", 0),
    ],
)
def test_uptimes(text: str, expected: int) -> None:
    assert texts.seconds(text) == expected


def test_nothing_is_configured() -> None:
    assert texts.summary("No IPv6 neighbor is configured\n", {}) == {}
    assert texts.neighbors("") == {}
    assert texts.summary("% Unknown command.\n", {}) == {}


def test_graceful_restart_as_it_is_agreed_on() -> None:
    text = recorded("show_ip_bgp_neighbors")
    detail = texts.neighbors(text)["10.31.8.1"]
    # This neighbor offers it for no family.
    assert detection.of_session({}, "10.31.8.1", detail, {}) == {"bfd": None, "graceful_restart": None}

    kept = text.replace("        none\n", "        IPv4 Unicast(preserved), IPv6 Unicast(not preserved)\n")
    found = detection.of_session({}, "10.31.8.1", texts.neighbors(kept)["10.31.8.1"], {})
    assert found["graceful_restart"] == {"restart_time": 120, "families": ["ipv4Unicast", "ipv6Unicast"]}


def test_the_bgp_table_and_one_prefix_say_the_same() -> None:
    whole = texts.table(recorded("show_ip_bgp"))
    one = texts.paths(recorded("show_ip_bgp_10_9_1_1_32"))

    assert sorted(whole) == SERVICES and sorted(one) == SERVICES[:1]
    assert facts.used_next_hops(whole["10.9.1.1/32"]) == facts.used_next_hops(one["10.9.1.1/32"]) == NODES
    assert [path["best"] for path in whole["10.9.1.1/32"]] == [True, False, False]
    assert [path["best"] for path in one["10.9.1.1/32"]] == [True, False, False]
    assert {path["as_path"] for paths in (*whole.values(), *one.values()) for path in paths} == {"64513"}
    # The table names no neighbors.
    assert [path["peer"] for path in one["10.9.1.1/32"]] == NODES[::-1]


def row(status: str, prefix: str, hop: str, as_path: str) -> str:
    """A path, as bgpd/bgp_route.c lays it out."""
    head = f"{prefix:<17}" if len(prefix) < 17 else f"{prefix}\n{' ' * 20}"
    middle = f"{hop:<16}" if len(hop) < 16 else f"{hop}\n{' ' * 36}"
    return f"{status:3}{head}{middle}{0:>10}{'':7}{0:>7} {as_path}"


def test_columns_that_are_full() -> None:
    rows = [
        row("*>", "2001:db8:9::1/128", "fd00:31::8:1", "64513 i"),
        row("*=", "", "2001:db8:31::8:11", "64513 64514 ?"),
        row("   ", "", "fd00::3", "i"),
        row("*>", "fd00::/64", "2001:db8:31::8:11", "i"),
        row("*>", "198.51.100.100/30", "100.100.100.100", "64513 i"),
        row("*>", "10.0.0.0", "10.0.0.1", "i"),
        row("*>", "172.16.0.0", "10.0.0.1", "i"),
        row("*>", "192.0.2.0", "10.0.0.1", "i"),
        row("*>", "0.0.0.0", "10.0.0.1", "i"),
    ]
    found = texts.table("\n".join(["", "   Network          Next Hop  Path", *rows, "", "Displayed  9"]))

    assert list(found) == [
        "2001:db8:9::1/128",
        "fd00::/64",
        "198.51.100.100/30",
        "10.0.0.0/8",
        "172.16.0.0/16",
        "192.0.2.0/24",
        "0.0.0.0/0",
    ]
    first = found["2001:db8:9::1/128"]
    assert [path["next_hops"] for path in first] == [["fd00:31::8:1"], ["2001:db8:31::8:11"], ["fd00::3"]]
    assert [path["as_path"] for path in first] == ["64513", "64513 64514", ""]
    assert [path["valid"] for path in first] == [True, True, False]
    assert facts.used_next_hops(first) == ["2001:db8:31::8:11", "fd00:31::8:1"]
    assert found["198.51.100.100/30"][0]["next_hops"] == ["100.100.100.100"]


def test_paths_that_are_not_used() -> None:
    text = recorded("show_ip_bgp_10_9_1_1_32")
    hidden = text.replace("10.31.8.11 from", "10.31.8.11 (inaccessible) from").replace(
        "valid, external, multipath\n", "invalid, external\n", 1
    )
    found = texts.paths(hidden)["10.9.1.1/32"]

    assert [path["valid"] for path in found] == [True, False, True]
    assert facts.used_next_hops(found) == ["10.31.8.1", "10.31.8.12"]
    assert texts.paths("% Network not in table\n") == {}


@pytest.mark.parametrize("name", ["show_ip_route", "show_ip_route_10_9_1_1_32"])
def test_installed_next_hops(name: str) -> None:
    found = texts.fib(recorded(name))

    assert found["10.9.1.1/32"] == {
        "installed": True,
        "protocol": "bgp",
        "distance": 20,
        "next_hops": NODES,
    }


def test_routes_of_other_kinds() -> None:
    found = texts.fib(recorded("show_ip_route"))

    assert found["0.0.0.0/0"]["protocol"] == "kernel"
    assert found["10.31.0.0/16"] == {
        "installed": True,
        "protocol": "connected",
        "distance": 0,
        "next_hops": ["eth0"],
    }


@pytest.mark.parametrize("name", ["show_ip_route", "show_ip_route_10_9_1_1_32"])
def test_a_next_hop_that_is_not_installed(name: str) -> None:
    text = recorded(name).replace(
        "  *                    via 10.31.8.1,", "                       via 10.31.8.1,"
    )
    text = text.replace("  >* 10.31.8.1,", "     10.31.8.1,")

    assert texts.fib(text)["10.9.1.1/32"]["next_hops"] == NODES[1:]


# As iproute2 prints it: with a space at the end of each line.
KERNEL = (
    "10.9.1.1 proto zebra metric 20 \n"
    "\tnexthop via 10.31.8.1 dev eth0 weight 1 \n"
    "\tnexthop via 10.31.8.11 dev eth0 weight 1 \n"
)


def test_quaggas_routes_in_the_kernel() -> None:
    found = kernel.routes(KERNEL, 4)["10.9.1.1/32"]

    assert (found["protocol"], found["metric"]) == ("zebra", 20)
    assert [hop["gateway"] for hop in found["next_hops"]] == NODES[:2]
