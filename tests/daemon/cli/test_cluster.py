# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a whole cluster, as a person reads it."""

from __future__ import annotations

from typing import Any

from daemon.cli.cluster_output import shown
from daemon.cli.status_documents import DOWN, UP

ONE, TWO = {**UP, "node": "n1"}, {**UP, "node": "n2", "drain": "shuttingDown"}
REFUSED = {"announced": False, "address": "10.9.0.1", "reason": "noEndpoints", "message": "nobody serves"}


def announced(node: str, *peers: str) -> dict[str, Any]:
    entry = {"announced": True, "address": "10.9.0.1", "prefixes": ["10.9.0.1/32"], "peers": list(peers)}
    return {"node": node, **entry}


def service(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"namespace": "web", "name": "shop", "addresses": list(entries), **more}


def verdict(*entries: dict[str, Any], sessions: Any = (ONE, TWO)) -> str:
    (row,) = [line for line in shown(sessions=sessions, services=[service(*entries)]) if "web/shop" in line]
    return row.split("10.9.0.1", 1)[1].strip()


def test_sessions_begin_with_their_node_and_a_note_names_both() -> None:
    withheld = [{"prefix": "fd09::1/128", "message": "the peer did not offer this address family"}]
    lines = shown(sessions=[{**ONE, "withheld": withheld}, {**DOWN, "node": "n2"}, TWO])
    assert lines[0].split()[:2] == ["NODE", "PEER"]
    assert [line.split()[:2] for line in lines[1:3]] == [["n1", "tor-1"]] * 2  # one row per family
    assert "  n1 tor-1: fd09::1/128 not sent: the peer did not offer this address family" in lines
    assert "  n2 tor-2: no route to host (2026-01-02T11:00:00Z)" in lines
    assert "  n2 tor-1: the node is leaving: shuttingDown" in lines


def test_a_service_is_sent_waits_or_is_refused_and_each_node_counts() -> None:
    assert verdict(announced("n1", "tor-1"), announced("n2", "tor-1")) == "yes        n1, n2 to tor-1"
    assert verdict(announced("n1", "tor-1", "x")) == "yes        n1 to tor-1; n1 waits for x"
    assert verdict(announced("n1", "x")) == "waits      n1 waits for x"
    assert verdict({"node": "n1", **REFUSED}) == "no         n1: noEndpoints: nobody serves"
    both = verdict(announced("n1", "tor-1"), {"node": "n2", **REFUSED})
    assert both == "yes        n1 to tor-1; n2: noEndpoints: nobody serves"


def test_many_nodes_are_a_number() -> None:
    sessions = [{**UP, "node": f"n{number}"} for number in range(17)]
    entries = [announced(f"n{number}", "tor-1") for number in range(17)]
    assert verdict(*entries, sessions=sessions) == "yes        17 nodes to tor-1"


def test_a_service_that_nobody_tells_of_has_a_reason_all_the_same() -> None:
    lines = shown(services=[service(address=None, message="the service has no address yet")])
    assert lines[-1].split(maxsplit=3) == ["web/shop", "-", "no", "the service has no address yet"]


def test_nothing_is_said_in_words() -> None:
    assert shown() == ["No speaker has told of a session.", "", "No LoadBalancer services of ours."]


def test_nodes_that_are_silent_or_gone_are_named() -> None:
    nodes = [{"name": "n1", "ready": True}, {"name": "n2", "ready": False}, {"name": "n3", "ready": True}]
    assert shown(nodes=nodes, sessions=[ONE, TWO])[-2:] == [
        "\nn2: the node is not ready, so what is shown of it may be old",
        "\nn3: no speaker tells of a session: no pod, or no BGPPeer selects the node",
    ]
