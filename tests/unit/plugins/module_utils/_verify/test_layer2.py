# SPDX-License-Identifier: GPL-3.0-or-later
"""Test who should answer on the segment, and one difference for each thing that is otherwise."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.expectations import Scope
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.layer2 import expect_owners, read_macs
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.probes import Settings, judge, plan
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.report import Segment, verification
from ansible_collections.vipcast.baremetal.plugins.module_utils._verify.vendor import vendor

from .situation import cluster, declared, node, router, service

VIP = "10.9.1.1"
WHO = f"who has {VIP} (default/web)"
MACS = {"n1": "02:00:00:00:00:01", "n2": "02:00:00:00:00:02", "n3": "02:00:00:00:00:03"}
SINCE = "2026-01-02T12:00:00Z"


def layer2(**advertisement: Any) -> dict[str, Any]:
    """Announced on the segment, and to no router."""
    every = [{"name": "all", **advertisement}]
    return declared(vipcast_advertisements=[], vipcast_l2_advertisements=every)


def owner(node_name: str = "n1", **values: Any) -> dict[str, Any]:
    common = {"service": "default/web", "address": None, "interfaces": ["eth0"], "since": SINCE}
    return {**common, "node": node_name, "macs": [], "foreign": [], **values}


def owned(*owners: dict[str, Any], of: dict[str, Any] | None = None, **nodes: Any) -> dict[str, Any]:
    return {**cluster(of or service(), **nodes), "owners": list(owners)}


def told(**nodes: str) -> list[dict[str, Any]]:
    """The nodes' MAC addresses as a loop registered them; `lo`'s and ssh's words are there too."""
    texts = {name: f"/sys/class/net/eth0/address {mac}" for name, mac in {**MACS, **nodes}.items()}
    loopback = "/sys/class/net/lo/address 00:00:00:00:00:00\r\nConnection to node closed.\r\n"
    return [{"item": {"name": name}, "stdout": f"{text}\r\n{loopback}"} for name, text in texts.items()]


def heard(*macs: str, client: str = "c1", kernel: str | None = None, **values: Any) -> dict[str, Any]:
    """Return what one client's neighbor_probe found for the address."""
    found = {
        "address": VIP,
        "on_segment": True,
        "why": "",
        "answers": [{"mac": mac, "name": "", "times": 3, "latency_ms": 0.25} for mac in macs],
        "kernel": {"mac": kernel, "state": "REACHABLE"} if kernel else None,
        **values,
    }
    return {"item": client, "neighbors": [found]}


def verified(
    cluster_: dict[str, Any], *results: dict[str, Any], macs: Any = None, of: Any = None
) -> dict[str, Any]:
    segment = Segment(list(results), told() if macs is None else macs)
    return verification(of or layer2(), cluster_, [router()], [], segment=segment)


def differences(cluster_: dict[str, Any], *results: dict[str, Any], **more: Any) -> list[str]:
    return list(verified(cluster_, *results, **more)["texts"])


def others(cluster_: dict[str, Any]) -> list[list[str]]:
    """The rows of "Who else could answer", as columns."""
    lines = verified(cluster_)["lines"]
    begin = lines.index("Who else could answer") + 2
    return [re.split(r"  +", line.strip()) for line in lines[begin : lines.index("", begin)]]


def test_nothing_differs_where_the_owner_alone_answers() -> None:
    found = verified(owned(owner()), heard(MACS["n1"], kernel=MACS["n1"]))
    assert found["ok"], found["texts"]
    assert found["notes"] == []
    assert found["lines"][-1] == (
        "OK: 3 sessions Established, 0 routes, 1 of 1 addresses owned, 0 of 0 requests good"
    )
    assert json.loads(json.dumps(found)) == found


def test_the_report_says_who_owns_what_since_when_and_where() -> None:
    lines = verified(owned(owner()), heard(MACS["n1"]))["lines"]
    first = lines[lines.index("Layer 2") + 2]
    assert first.split() == [VIP, "default/web", "n1", SINCE, "eth0", "c1", "n1", MACS["n1"], "0.2"]


def test_the_report_says_who_could_take_over_and_why_not_the_other_nodes() -> None:
    row = [VIP, "n2", "n3: not ready: NodeStatusUnknown"]
    assert others(owned(owner(), n3={"ready": False, "reason": "NodeStatusUnknown"})) == [row]


def test_where_nobody_could_take_over_the_report_says_so() -> None:
    gone = {name: {"ready": False, "reason": "NodeStatusUnknown"} for name in ("n2", "n3")}
    assert others(owned(owner(), **gone)) == [[VIP, "nobody", "n2, n3: not ready: NodeStatusUnknown"]]


def test_nobody_who_answers_is_a_difference() -> None:
    (text,) = differences(owned(owner()), heard())
    assert text.startswith(
        f"client c1: {WHO}: expected n1, found nobody; likely reason: n1 says that it owns"
    )


def test_an_address_that_no_node_says_it_owns_is_a_difference() -> None:
    (text,) = differences(owned(), heard(MACS["n1"]))
    assert text.startswith(f"cluster: owner of {VIP} (default/web): expected a node, found none")


def test_several_nodes_that_answer_are_all_named() -> None:
    (text,) = differences(owned(owner()), heard(MACS["n1"], MACS["n2"]))
    assert text.startswith(
        f"client c1: {WHO}: expected one answer, found n1 ({MACS['n1']}), n2 ({MACS['n2']}); likely reason: "
    )
    assert "strictARP" in text


def test_a_stranger_who_answers_too_is_called_one() -> None:
    (text,) = differences(owned(owner()), heard(MACS["n1"], "02:00:00:00:00:ee"))
    assert "no known node (02:00:00:00:00:ee)" in text
    assert text.endswith("somebody else on the segment has this address")


def test_the_maker_of_a_strangers_card_stands_beside_its_mac_address() -> None:
    found = verified(owned(owner()), heard("b8:27:eb:00:00:01"))
    (text,) = found["texts"]
    assert "found no known node (b8:27:eb:00:00:01, Raspberry Pi Foundation)" in text
    assert found["owners"][0]["asked"][0]["answers"][0]["vendor"] == "Raspberry Pi Foundation"
    assert any("Raspberry Pi Foundation" in line for line in found["lines"])


@pytest.mark.parametrize("mac", ["ba:27:eb:00:00:01", "no MAC address", "", "ff:ff:fa:00:00:01"])
def test_no_maker_is_named_where_none_is_registered(mac: str) -> None:
    assert vendor(mac) == ""


def test_what_the_owner_itself_hears_counts_where_no_client_is_on_the_segment() -> None:
    (text,) = differences(owned(owner(foreign=["02:00:00:00:00:ee"])))
    assert text.startswith(
        f"node n1: {WHO}: expected nobody but n1, found no known node (02:00:00:00:00:ee); likely reason: "
    )


def test_what_the_owner_heard_a_while_ago_is_no_difference_where_somebody_asked() -> None:
    found = verified(owned(owner(foreign=["02:00:00:00:00:ee"])), heard(MACS["n1"]))
    assert found["ok"], found["texts"]
    assert found["notes"] == [f"n1 heard no known node (02:00:00:00:00:ee) answer for {VIP} not long ago"]


def test_another_node_that_the_owner_heard_after_a_split_is_worth_knowing_and_no_more() -> None:
    found = verified(owned(owner(foreign=[MACS["n2"]])))
    assert found["ok"], found["texts"]
    assert f"n1 heard n2 ({MACS['n2']}) answer for {VIP} not long ago" in found["notes"]


def test_without_anybody_who_asked_the_report_has_the_mac_that_the_status_says() -> None:
    first = verified(owned(owner(macs=[MACS["n1"]])))["lines"]
    row = first[first.index("Layer 2") + 2].split()
    assert row[5:8] == ["nobody", "-", MACS["n1"]]


def test_a_node_that_did_not_tell_its_macs_may_be_the_stranger() -> None:
    macs = [*told()[:2], {"item": {"name": "n3"}, "unreachable": True, "msg": "no route to host"}]
    (text,) = differences(owned(owner()), heard(MACS["n1"], MACS["n3"]), macs=macs)
    assert text.endswith("or it is one of n3, which did not tell theirs")


def test_an_answer_from_another_node_than_the_status_names_is_a_difference() -> None:
    (text,) = differences(owned(owner("n1")), heard(MACS["n2"]))
    assert text.startswith(f"client c1: {WHO}: expected n1, found n2 ({MACS['n2']})")


def test_an_answer_from_another_interface_than_the_status_names_is_a_difference() -> None:
    (text,) = differences(owned(owner(interfaces=["eth1"])), heard(MACS["n1"]))
    assert f"{WHO}: expected n1 on eth1, found n1 on eth0" in text


def test_a_status_without_interfaces_means_any() -> None:
    assert differences(owned(owner(interfaces=[])), heard(MACS["n1"])) == []


def test_the_answers_of_an_owner_whose_macs_are_unknown_are_not_judged_and_that_is_said() -> None:
    macs = [{"item": {"name": "n1"}, "unreachable": True, "msg": "no route to host"}, *told()[1:]]
    found = verified(owned(owner()), heard(MACS["n1"]), macs=macs)
    assert found["ok"], found["texts"]
    assert found["notes"] == [
        "whether answers are those of n1 was not judged, for its MAC addresses are unknown: no route to host"
    ]


def test_a_client_that_remembers_an_old_owner_is_a_difference() -> None:
    (text,) = differences(owned(owner()), heard(MACS["n1"], kernel=MACS["n3"]))
    assert text.startswith(
        f"client c1: its neighbor table for {VIP}: expected {MACS['n1']}, found {MACS['n3']} (REACHABLE)"
    )


@pytest.mark.parametrize(
    ("bent", "why"),
    [
        ({"ready": False, "reason": "NodeStatusUnknown"}, "not ready: NodeStatusUnknown"),
        ({"drained": True}, "drained: annotated vipcast.io/drain"),
        ({"excluded": True}, "labelled exclude-from-external-load-balancers"),
        ({"network_unavailable": True}, "without a network"),
    ],
)
def test_a_node_that_must_not_own_and_does_is_a_difference(bent: dict[str, Any], why: str) -> None:
    first = differences(owned(owner("n1"), n1=bent), heard(MACS["n1"]))[-1]
    assert first == (
        f"cluster: owner of {VIP} (default/web): expected one of n2, n3, found n1; "
        f"likely reason: the node is {why}"
    )


def test_with_the_policy_local_only_nodes_with_an_endpoint_may_own() -> None:
    local = service(on=("n2",), external_traffic_policy="Local")
    (vip,) = expect_owners(layer2(), owned(of=local), Scope())
    assert vip.candidates == ["n2"]
    assert set(vip.without) == {"n1", "n3"}


def test_only_nodes_that_an_advertisement_selects_may_own() -> None:
    selectors = [{"match_labels": {"kubernetes.io/hostname": "n3"}}]
    (vip,) = expect_owners(layer2(node_selectors=selectors), owned(), Scope())
    assert vip.candidates == ["n3"]
    assert vip.without == dict.fromkeys(("n1", "n2"), "selected by no L2Advertisement")


def test_a_node_that_the_inventory_lacks_may_own_where_no_node_is_selected() -> None:
    known = owned(owner("n9"))
    known["nodes"].append(node("n9"))
    (vip,) = expect_owners(layer2(), known, Scope())
    assert "n9" in vip.candidates


def test_services_that_share_an_address_have_to_agree() -> None:
    first, second = service("a", on=("n1",)), service("b", on=("n2",))
    local = {"external_traffic_policy": "Local"}
    both = cluster({**first, **local}, {**second})
    (vip,) = expect_owners(layer2(), both, Scope())
    assert (vip.services, vip.candidates) == (["default/a", "default/b"], ["n1"])


def test_without_an_endpoint_nobody_answers() -> None:
    assert verified(owned(of=service(on=())), heard())["ok"]
    (text,) = differences(owned(of=service(on=())), heard(MACS["n2"]))
    assert f"{WHO}: expected nobody, found n2" in text


def test_a_pool_without_an_l2_advertisement_has_no_owners() -> None:
    assert expect_owners(declared(), owned(), Scope()) == []


def test_two_nodes_that_say_so_are_a_difference() -> None:
    first = differences(owned(owner("n1"), owner("n2")), heard(MACS["n1"]))[0]
    assert first.startswith(f"cluster: owner of {VIP} (default/web): expected one node, found n1, n2")


def test_a_status_about_one_address_is_not_about_another() -> None:
    dual = service(addresses=[VIP, "10.9.1.2"])
    vips = expect_owners(layer2(), owned(owner(address=VIP), of=dual), Scope())
    assert [(vip.address, vip.owner) for vip in vips] == [(VIP, "n1"), ("10.9.1.2", None)]


def test_an_address_that_nobody_is_on_the_segment_of_is_noted() -> None:
    why = "10.9.1.1 is not on a segment of this host, which reaches it through 192.168.64.1"
    found = verified(owned(owner()), heard(on_segment=False, why=why))
    assert found["ok"]
    assert found["notes"] == [f"who has {VIP} was not asked: {why}"]


def test_a_host_that_cannot_ask_is_a_difference() -> None:
    failed = {"item": "c1", "msg": "Failed to import the required Python library (scapy)"}
    (text,) = differences(owned(owner()), failed)
    assert text == (
        "client c1: who has an address: expected a probe, found none; likely reason: Failed to import the "
        "required Python library (scapy)"
    )


def test_where_nobody_was_to_ask_nothing_is_noted() -> None:
    found = verification(layer2(), owned(owner()), [router()], [])
    assert (found["ok"], found["notes"]) == (True, [])
    assert found["owners"][0]["asked"] == []


def test_macs_of_several_interfaces_are_told_apart() -> None:
    macs = read_macs([{"item": {"name": "n1"}, "stdout": "/sys/class/net/eth1/address 02:AA:00:00:00:01"}])
    assert macs.interfaces("02:aa:00:00:00:01", "n1") == ["eth1"]
    assert macs.holders(MACS["n1"]) == []


def test_with_the_policy_local_the_owners_pods_are_all_that_a_client_meets() -> None:
    local = service(external_traffic_policy="Local")
    settings = Settings(timeout=3, concurrency=8, miss=0.0001)
    (entry,) = plan(layer2(), [local], [], settings)
    result = {
        "requests": 30,
        "ok": 30,
        "statuses": {"200": 30},
        "errors": [],
        "nodes": {"n1": 30},
        "unnamed": 0,
    }
    assert judge(entry, result, local) == []
    assert judge(entry, result, service()) != []
