# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded answers of two FRR versions become the same facts."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._router import facts
from ansible_collections.vipcast.baremetal.plugins.module_utils._router.errors import Refusal

FIXTURES = Path(__file__).parents[2] / "fixtures" / "frr"
# The recordings have three nodes and two.
NODES = {"8.4.4": ["10.10.0.11", "10.10.0.12", "10.10.0.13"], "10.3": ["10.10.0.11", "10.10.0.12"]}
BOTH = pytest.mark.parametrize("version", ["8.4.4", "10.3"])


def recorded(version: str, name: str) -> dict[str, Any]:
    path = FIXTURES / version / f"{name}.json"
    return facts.parse(path.read_text(), name)


def sessions(version: str, **changes: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """Sessions by address and family; C(changes) are made to the first node's summary."""
    summary = recorded(version, "show_bgp_summary_json")
    summary["ipv4Unicast"]["peers"]["10.10.0.11"].update(changes)
    detail = recorded(version, "show_bgp_neighbors_10_10_0_11_json")
    found = facts.sessions(summary, detail, {})
    return {(session["address"], session["family"]): session for session in found}


@BOTH
def test_a_session_that_carries_routes(version: str) -> None:
    session = sessions(version)[("10.10.0.11", "ipv4")]

    assert session["established"] and session["healthy"]
    assert session["reason"] == "healthy"
    assert (session["remote_as"], session["prefixes_accepted"], session["hold_time"]) == (64512, 1, 9)


@BOTH
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"peerState": "Policy", "pfxRcd": 0}, "no_policy"),
        ({"pfxRcd": 0}, "no_prefixes"),
        ({"state": "Active", "pfxRcd": 0}, "not_established"),
        ({"state": "Idle (Admin)", "pfxRcd": 0}, "shut_down"),
        ({"state": "Idle (PfxCt)", "pfxRcd": 0}, "prefix_limit"),
        ({"state": "Idle", "peerState": "Admin", "pfxRcd": 0}, "shut_down"),
    ],
)
def test_sessions_that_only_look_healthy(version: str, change: dict[str, Any], reason: str) -> None:
    session = sessions(version, **change)[("10.10.0.11", "ipv4")]

    assert not session["healthy"]
    assert session["reason"] == reason
    assert session["explanation"]


@BOTH
def test_a_family_that_was_never_negotiated(version: str) -> None:
    summary = recorded(version, "show_bgp_summary_json")
    detail = recorded(version, "show_bgp_neighbors_10_10_0_11_json")
    summary["ipv6Unicast"]["peers"] = {"10.10.0.11": {"state": "Established", "peerState": "OK", "pfxRcd": 0}}
    found = [session for session in facts.sessions(summary, detail, {}) if session["family"] == "ipv6"]

    assert [(session["address"], session["reason"]) for session in found] == [
        ("10.10.0.11", "family_not_negotiated")
    ]


@BOTH
def test_a_filter_that_refuses_everything(version: str) -> None:
    summary = recorded(version, "show_bgp_summary_json")
    summary["ipv4Unicast"]["peers"]["10.10.0.11"]["pfxRcd"] = 0
    detail = recorded(version, "show_bgp_neighbors_10_10_0_11_json")
    counts = {("ipv4", "10.10.0.11"): {"ribTableWalkCounters": {"Adj-in": 4}}}
    found = facts.sessions(summary, detail, counts)[0]

    assert (found["reason"], found["prefixes_received"], found["prefixes_accepted"]) == ("filtered", 4, 0)


def test_newer_versions_count_what_the_filter_refused() -> None:
    summary = recorded("10.3", "show_bgp_summary_json")
    summary["ipv4Unicast"]["peers"]["10.10.0.11"]["pfxRcd"] = 0
    detail = recorded("10.3", "show_bgp_neighbors_10_10_0_11_json")
    detail["10.10.0.11"]["prefixStats"]["inboundFiltered"] = 2

    assert facts.sessions(summary, detail, {})[0]["reason"] == "filtered"


@BOTH
def test_the_bgp_table_and_one_prefix_say_the_same(version: str) -> None:
    """8.4 leaves "multipath" out of the best path in the table."""
    whole = facts.table(recorded(version, "show_bgp_ipv4_unicast_json"))["192.0.2.10/32"]
    one = facts.table(recorded(version, "show_bgp_ipv4_unicast_192_0_2_10_32_json"))["192.0.2.10/32"]

    assert facts.used_next_hops(whole) == facts.used_next_hops(one) == NODES[version]
    assert len([path for path in whole if path["best"]]) == 1
    assert {path["as_path"] for path in whole + one} == {"64512"}


@BOTH
def test_a_path_that_is_neither_best_nor_equal_is_not_used(version: str) -> None:
    paths = copy.deepcopy(facts.table(recorded(version, "show_bgp_ipv4_unicast_json"))["192.0.2.10/32"])
    worse = next(path for path in paths if not path["best"])
    worse["multipath"] = False

    assert facts.used_next_hops(paths) == [node for node in NODES[version] if node not in worse["next_hops"]]


@BOTH
def test_installed_next_hops(version: str) -> None:
    document = recorded(version, "show_ip_route_192_0_2_10_32_json")
    found = facts.fib(document)["192.0.2.10/32"]
    assert found == {"installed": True, "protocol": "bgp", "distance": 20, "next_hops": NODES[version]}

    missing = document["192.0.2.10/32"][0]["nexthops"][1]
    missing["fib"] = False
    assert facts.fib(document)["192.0.2.10/32"]["next_hops"] == [
        hop for hop in NODES[version] if hop != missing["ip"]
    ]


def test_an_address_without_a_route_has_no_route() -> None:
    assert facts.fib({"0.0.0.0/0": []}) == {}
    assert facts.table({}) == {}


@pytest.mark.parametrize(
    "text", ["", "bgpd is not running\n", "% Unknown command: show x", '{{"warning": 1}}', "[]"]
)
def test_no_json(text: str) -> None:
    with pytest.raises(Refusal, match="printed no JSON"):
        facts.parse(text, "show x json")


def test_fixtures_are_whole() -> None:
    assert (
        json.loads((FIXTURES / "8.4.4/show_bgp_summary_json.json").read_text())["ipv4Unicast"]["as"] == 64513
    )
