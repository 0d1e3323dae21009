# SPDX-License-Identifier: GPL-3.0-or-later
"""The table that a person reads."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from daemon.cli.status_documents import DOWN, NOW, UP, document
from support.ports import free_port

from vipcast.cli import main
from vipcast.cli.status import controller_lines, speaker_lines, status
from vipcast.daemon.server import Server, text_page

WAITING = {
    "name": "tor-3", "address": "10.31.254.252", "port": 179, "localASN": 64513, "state": "NotStarted",
    "reason": "secretNotFound", "message": "there is no Secret metallb-system/tor-3",
}  # fmt: skip


def lines(**parts: Any) -> list[str]:
    return list(speaker_lines(document(**parts), NOW))


HEADS = (
    "PEER   LOCAL AS  PEER AS  ADDRESS                  STATE        SINCE     BFD   FAMILY        RECEIVED"
    "  ADVERTISED  PENDING"
)


def test_peers_are_a_table_and_what_is_wrong_stands_below() -> None:
    first = "tor-1  64513     64512    10.31.254.251            Established  00:12:03  Up    "
    assert lines(peers=[UP, DOWN, WAITING])[2:11] == [
        HEADS,
        f"{first}IPv4 unicast  7         1           0",
        f"{first}IPv6 unicast  -         1           2",
        "tor-2  64513     64512    10.31.254.251 port 1790  Active       5d02h     Down  IPv4 unicast  0"
        "         0           1",
        "tor-3  64513     -        10.31.254.252            NotStarted   -         -     -             -"
        "         0           0",
        "  tor-2: the peer ended the session: Cease (2026-01-02T10:59:00Z)",
        "  tor-2: no route to host (2026-01-02T11:00:00Z)",
        "  tor-2: BFD: nothing was heard for the detection time",
        "  tor-3: secretNotFound: there is no Secret metallb-system/tor-3",
    ]


def test_the_wide_form_has_what_both_sides_offered_and_agreed_on() -> None:
    shown = list(speaker_lines(document(peers=[UP]), NOW, wide=True))
    assert shown[5:15] == [
        "",
        "tor-1",
        "  address:          10.31.254.1 (router id 10.31.254.1) to 10.31.254.251 (router id 10.0.0.1)",
        "  timers:           hold 6 s, keepalive 2 s (configured: hold 9 s, keepalive 3 s, connect 10 s)",
        "  we offer:         IPv4 unicast, route refresh",
        "  it offers:        IPv4 unicast",
        "  graceful restart: negotiated, the router keeps our routes for 120 s",
        "  BFD:              Up, the router says Up, lost after 300 ms, went down 2 times",
        "  messages:         241 received, 243 sent; the session came up 3 times",
        "  last errors:      old news (2026-01-02T11:00:00Z)",
    ]


def test_a_node_that_is_leaving_and_reports_that_are_not_written_are_told() -> None:
    reports = {"problem": "403 Forbidden: no"}
    shown = lines(drain="withdrawn", reports=reports)
    assert shown[1] == "the node is leaving: withdrawn"
    assert shown[-1] == "\nnot written into the API: 403 Forbidden: no"


def test_services_say_where_they_went_what_they_wait_for_or_why_not() -> None:
    told = {"address": "10.9.0.1", "announced": True, "prefixes": ["10.9.0.0/24"], "peers": ["a", "b"]}
    flat = {"unweighted": "clusterPolicy"}
    refused = {"address": "10.9.0.2", "announced": False, "reason": "noEndpoints", "message": "nobody serves"}
    services = [
        {"namespace": "web", "name": "shop", "addresses": [{**told, "sentTo": ["a"]}]},
        {"namespace": "web", "name": "even", "addresses": [{**told, "sentTo": ["a", "b"], **flat}]},
        {"namespace": "web", "name": "new", "addresses": [{**told, "sentTo": []}, refused]},
    ]
    assert lines(services=services)[4:] == [
        "SERVICE   ADDRESS   ANNOUNCED  PREFIXES AND PEERS, OR WHY NOT",
        "web/shop  10.9.0.1  yes        10.9.0.0/24 to a; waits for b",
        "web/even  10.9.0.1  yes        10.9.0.0/24 to a, b; without a weight: clusterPolicy",
        "web/new   10.9.0.1  waits      10.9.0.0/24; waits for a, b",
        "web/new   10.9.0.2  no         noEndpoints: nobody serves",
    ]


def test_nothing_is_said_in_words() -> None:
    assert "No BGPPeer selects this node." in lines()
    assert "No LoadBalancer services of ours." in lines()


def test_troubles_come_last() -> None:
    problem = {"kind": "BGPPeer", "name": "tor", "field": "spec.vrf", "message": "is no name",
               "reason": "BadName", "effect": "Refused"}  # fmt: skip
    copy = {"resource": "services", "synced": True, "objects": 1, "problem": "no answer in time"}
    shown = lines(configuration={"problems": [problem], "stale": ["BGPPeer x/tor"]}, copies=[copy])[-3:]
    assert shown == [
        "\nrefused: BGPPeer tor: spec.vrf: is no name",
        "\nin force as it was before: BGPPeer x/tor",
        "\nmay be old: services: no answer in time",
    ]


LEAD = {
    "leading": True,
    "started": True,
    "identity": "controller-1_a",
    "leader": "controller-1_a",
    "since": "2026-01-02T11:58:00.000000Z",
    "problem": None,
}


def controller_shows(lead: dict[str, object], services: dict[str, int], **more: object) -> list[str]:
    pools = {"default": {"assignedIPv4": 3, "availableIPv4": 65533, "assignedIPv6": 0, "availableIPv6": 0}}
    told = {"lead": lead, "pools": pools, "services": services, "problems": [], "informers": {}, **more}
    return list(controller_lines({"program": "controller", "version": "0.1.0", "status": told}, NOW))


def test_a_controller_shows_its_pools_and_who_waits() -> None:
    shown = controller_shows(
        LEAD,
        {"allocated": 3, "waiting": 1, "unwritten": 2, "objectsUnwritten": 1},
        problems=["IPAddressPool x/two: spec.addresses[0]: overlaps"],
        informers={"services": "no answer in time"},
    )
    assert shown == [
        "controller, vipcast 0.1.0, leader, since 00:02:00",
        "",
        "POOL     IPV4 ASSIGNED  IPV4 FREE  IPV6 ASSIGNED  IPV6 FREE",
        "default  3              65533      0              0",
        "",
        "3 services have an address, 1 wait for one",
        "3 objects do not show yet what was decided",
        "\nIPAddressPool x/two: spec.addresses[0]: overlaps",
        "\nmay be old: services: no answer in time",
    ]


@pytest.mark.parametrize(
    ("lead", "line"),
    [
        ({"leading": False}, "standby; controller-1_a leads, since 00:02:00"),
        ({"leading": False, "leader": None, "since": None}, "standby; nobody leads"),
        ({"started": False}, "taking over, since 00:02:00"),
    ],
)
def test_a_controller_says_who_leads(lead: dict[str, object], line: str) -> None:
    assert controller_shows({**LEAD, **lead}, {})[0] == f"controller, vipcast 0.1.0, {line}"


def test_a_lease_that_cannot_be_written_is_shown() -> None:
    shown = controller_shows({**LEAD, "leading": False, "problem": "403 Forbidden: no"}, {})
    assert "\ntrouble with the Lease: 403 Forbidden: no" in shown


async def test_a_daemon_that_does_not_tell_everybody_is_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server({"/status": lambda _request: text_page("ask inside of the pod", 403)})
    await server.start("127.0.0.1", 0)
    code = await asyncio.to_thread(status, f"127.0.0.1:{server.port}", "table")
    await server.close()
    said = capsys.readouterr().err
    assert code == 2
    assert said.endswith("HTTP status 403: ask inside of the pod\n")


def test_nobody_there_is_2_and_says_where_it_looked(capsys: pytest.CaptureFixture[str]) -> None:
    address = f"127.0.0.1:{free_port()}"
    assert main(["status", "--health-address", address]) == 2
    assert address in capsys.readouterr().err


def test_who_dialled_and_is_no_peer_is_told_with_what_may_be_wrong() -> None:
    strangers = [{"address": "10.31.254.9", "connections": 12, "lastAt": "2026-01-02T11:00:00Z"}]
    assert lines(strangers=strangers)[-1].startswith("\nrefused: 10.31.254.9 dialled 12 times, last ")
