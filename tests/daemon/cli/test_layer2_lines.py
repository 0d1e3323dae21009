# SPDX-License-Identifier: GPL-3.0-or-later
"""Layer 2 as a person reads it: on a node, and of the whole cluster."""

from __future__ import annotations

import ipaddress
from typing import Any

from daemon.cli.cluster_output import shown
from daemon.cli.status_documents import NOW, document

from vipcast.cli.layer2_lines import process_lines
from vipcast.cli.status import speaker_lines
from vipcast.layer2.api import AddressStatus, Holding, InterfaceStatus, Layer2Status, MemberStatus, Traffic
from vipcast.net.layer2_protocol import write_status

MAC = "02:00:00:00:00:0a"
MINE = {
    "protocol": "layer2",
    "address": "10.9.0.1",
    "announced": True,
    "node": "n1",
    "since": "2026-01-02T11:58:00Z",
    "why": "n2 is dead",
    "interfaces": [{"name": "eth0", "mac": MAC}],
    "standby": ["n3", "n2"],
    "others": {"nodeDrained": ["n4"]},
}
OTHERS = {
    "protocol": "layer2",
    "address": "10.9.0.2",
    "announced": False,
    "node": "n2",
    "since": "2026-01-02T11:58:00Z",
    "reason": "notOwner",
    "message": "n2 answers",
    "standby": [],
}
MEMBERS = [
    {"name": "n2", "state": "alive", "since": "2026-01-02T11:00:00Z", "address": "10.31.8.2",
     "roundTrip": 0.00042, "why": ""},
    {"name": "n3", "state": "dead", "since": "2026-01-02T11:59:00Z", "address": None, "roundTrip": None,
     "why": "nothing was heard for 0.35 s"},
]  # fmt: skip


def lines(*, wide: bool = False, **parts: Any) -> list[str]:
    return list(speaker_lines(document(**parts), NOW, wide=wide))


def layer2(**parts: Any) -> dict[str, Any]:
    return {"connected": True, "problems": [], "members": MEMBERS, "interfaces": [], **parts}


def services(*entries: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [{"namespace": "web", "name": "shop", "addresses": list(entries), **more}]


def test_a_node_says_who_has_an_address_where_since_when_and_why() -> None:
    told = lines(services=services(MINE, OTHERS), layer2=layer2())
    assert told[4:7] == [
        "SERVICE   ADDRESS   ANNOUNCED  PREFIXES AND PEERS, OR OWNER, OR WHY NOT",
        f"web/shop  10.9.0.1  yes        n1 answers on eth0 {MAC} since 00:02:00 (n2 is dead)",
        "web/shop  10.9.0.2  no         notOwner: n2 answers since 00:02:00",
    ]


def test_members_are_shown_with_their_state_and_round_trip() -> None:
    told = lines(layer2=layer2())
    (row,) = [line for line in told if line.startswith("n2 ")]
    assert row.split() == ["n2", "alive", "01:00:00", "10.31.8.2", "0.4", "ms"]
    (row,) = [line for line in told if line.startswith("n3 ")]
    assert "dead" in row and row.endswith("nothing was heard for 0.35 s")


def test_a_stranger_that_answers_too_is_named() -> None:
    told = lines(services=services({**MINE, "foreign": ["02:00:00:00:00:99"]}), layer2=layer2())
    assert any(line.endswith("02:00:00:00:00:99 answers too, a stranger") for line in told)


def test_a_process_that_is_missing_and_problems_are_told() -> None:
    told = lines(layer2=layer2(connected=False, members=[], problems=["there is no key"]))
    assert "Layer 2: the process vipcast layer2 is not there." in told
    assert "\nlayer 2: there is no key" in told


def test_interfaces_that_refuse_are_told_always_and_all_of_them_when_asked() -> None:
    interfaces = [
        {"name": "eth0", "mac": MAC, "refused": "", "problem": None},
        {"name": "lo", "mac": "", "refused": "EXCLUDED", "problem": None},
        {"name": "eth1", "mac": MAC, "refused": "", "problem": "no memory for the filter"},
    ]
    notes = [line for line in lines(layer2=layer2(interfaces=interfaces)) if line.startswith("  interface")]
    assert notes == ["  interface eth1: no memory for the filter"]
    wide = [line for line in lines(wide=True, layer2=layer2(interfaces=interfaces)) if "interface" in line]
    assert wide[:2] == [
        f"  interface eth0: answers with {MAC}",
        "  interface lo: not used: its name is excluded",
    ]


def test_wide_says_who_would_take_over_and_why_not_the_others() -> None:
    told = lines(wide=True, services=services(MINE, OTHERS), layer2=layer2())
    assert "\nweb/shop 10.9.0.1: n3, n2 would take over" in told
    assert "  not n4: nodeDrained" in told
    assert "\nweb/shop 10.9.0.2: nobody would take over" in told
    many = {**OTHERS, "candidates": 300}
    told = lines(wide=True, services=services(many), layer2=layer2())
    assert "\nweb/shop 10.9.0.2: one of 300 nodes would take over" in told


def test_without_layer_2_nothing_of_it_is_said() -> None:
    assert not [line for line in lines() if "ayer 2" in line or "MEMBER" in line]


# -- the whole cluster ---------------------------------------------------------------------------------------

ENTRY = {name: MINE[name] for name in ("address", "node", "since", "why", "interfaces")}


def test_the_cluster_has_a_row_for_each_owner() -> None:
    told = shown(services=services(address="10.9.0.1", message="", layer2=[ENTRY]))
    assert told[-2:] == [
        "SERVICE   ADDRESS   OWNER  SINCE     INTERFACES AND MACS     WHY",
        f"web/shop  10.9.0.1  n1     00:02:00  eth0 {MAC}  n2 is dead",
    ]
    assert not [line for line in told if line.endswith("no")], "it is not said to be announced by nobody"


def test_an_address_without_an_owner_and_one_with_two_are_told() -> None:
    nobody = {"address": "fd09::1", "reason": "noEndpoints", "message": "nobody serves"}
    both = services(address="", message="", layer2=[ENTRY, nobody, {**ENTRY, "node": "n2"}])
    told = shown(services=both)
    assert any(line.split()[2:4] == ["nobody", "-"] and "nobody serves" in line for line in told)
    assert "  10.9.0.1: both n1 and n2 say that they have it" in told


# -- the process ---------------------------------------------------------------------------------------------


def test_the_process_says_what_it_holds_and_whom_it_hears() -> None:
    vip = ipaddress.ip_address("10.9.0.1")
    since = NOW.timestamp() - 120
    interfaces = (InterfaceStatus("eth0", MAC),)
    said = Layer2Status(
        addresses={vip: AddressStatus(Holding.OWNER, "n1", 3, since, interfaces, why="n2 is dead")},
        members={"n2": MemberStatus("dead", since, "10.31.8.2", None, "nothing was heard")},
        traffic=Traffic(dropped={"bad tag": 7}),
        problems=("there is no key",),
    )
    own = {"node": "n1", "clients": 1, "priority": "realtime"}
    told = list(process_lines({"version": "0.1.0", "status": {**own, **write_status(said)}}, NOW))
    assert told[:2] == ["layer 2 on n1, vipcast 0.1.0,", "realtime priority, asked by a speaker"]
    assert told[4].split() == ["10.9.0.1", "owner", "n1", "00:02:00", "eth0", MAC, "n2", "is", "dead"]
    assert told[7].split() == ["n2", "dead", "00:02:00", "10.31.8.2", "-", "nothing", "was", "heard"]
    assert told[-2:] == ["7 heartbeats were not believed: bad tag", "\nthere is no key"]
