# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from vipcast.controller.change import CONDITION, TAKEN_OVER, Change, make_change
from vipcast.ipam import Allocation, Refusal
from vipcast.ipam.decide import Outcome
from vipcast.ipam.service import ALLOCATED_FROM, OLD_ALLOCATED_FROM, Relation, read_service
from vipcast.model.addresses import parse_address
from vipcast.model.reasons import RefusalReason

NOW = "2026-01-02T03:04:05Z"
GIVEN = Outcome(Relation.OURS, Allocation((parse_address("10.9.0.1"),), "default"))
NONE_LEFT = Outcome(Relation.OURS, Refusal(RefusalReason.POOL_EXHAUSTED, "nothing is left"))
NOT_OURS = Outcome(Relation.NONE)


def service(
    ingress: list[dict[str, str]] | None = None,
    condition: tuple[str, str, str] | None = None,
    annotations: dict[str, str] | None = None,
) -> dict[str, Any]:
    other = {"type": "example.com/Other", "status": "True"}
    conditions = [other]
    if condition:
        words = dict(zip(("status", "reason", "message"), condition, strict=True))
        conditions.append({"type": CONDITION, "lastTransitionTime": "2025-01-01T00:00:00Z", **words})
    return {
        "metadata": {
            "namespace": "web",
            "name": "shop",
            "uid": "u",
            "resourceVersion": "7",
            "annotations": annotations or {},
        },
        "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.1"},
        "status": {"loadBalancer": {"ingress": ingress or []}, "conditions": conditions},
    }


DONE = service(
    [{"ip": "10.9.0.1", "ipMode": "VIP"}],
    ("True", "Allocated", "10.9.0.1 from pool default"),
    {ALLOCATED_FROM: "default"},
)


def change(item: dict[str, Any], outcome: Outcome, why: Refusal | None = None) -> Change:
    return make_change(item, read_service(item, None, {}), outcome, lambda shown: why, NOW)


def words(found: Change) -> list[str]:
    return [note.reason for note in found.notes]


def test_what_is_so_already_is_not_written() -> None:
    assert change(DONE, GIVEN) == Change()


def test_an_address_is_written_with_its_pool_and_condition_for_exactly_this_object() -> None:
    found = change(service(), GIVEN)
    assert found.patch == {
        "metadata": {
            "uid": "u",
            "resourceVersion": "7",
            "annotations": {ALLOCATED_FROM: "default", OLD_ALLOCATED_FROM: None, TAKEN_OVER: None},
        },
        "status": {
            "loadBalancer": {"ingress": [{"ip": "10.9.0.1"}]},
            "conditions": [
                {
                    "type": CONDITION,
                    "status": "True",
                    "reason": "Allocated",
                    "message": "10.9.0.1 from pool default",
                    "lastTransitionTime": NOW,
                }
            ],
        },
    }
    assert words(found) == ["IPAllocated"]


def test_a_refusal_takes_the_address_away_and_says_both() -> None:
    why = Refusal(RefusalReason.ADDRESS_NOT_IN_ANY_POOL, "10.9.0.1 is in no pool")
    found = change(DONE, NONE_LEFT, why)
    assert found.patch is not None
    assert found.patch["status"]["loadBalancer"] == {"ingress": None}
    assert found.patch["status"]["conditions"][0]["reason"] == "PoolExhausted"
    assert [(note.reason, note.message, note.warning) for note in found.notes] == [
        ("ClearAssignment", "took 10.9.0.1 back: 10.9.0.1 is in no pool", False),
        ("AllocationFailed", "PoolExhausted: nothing is left", True),
    ]


def test_a_refusal_with_another_message_keeps_its_time() -> None:
    found = change(service(condition=("False", "NoPools", "none")), NONE_LEFT)
    assert found.patch is not None
    assert found.patch["status"]["conditions"][0]["lastTransitionTime"] == "2025-01-01T00:00:00Z"
    assert "loadBalancer" not in found.patch["status"]


def test_the_same_refusal_is_not_said_twice() -> None:
    assert change(service(condition=("False", "PoolExhausted", "nothing is left")), NONE_LEFT) == Change()


def test_a_service_that_left_loses_what_was_ours_and_only_that() -> None:
    found = change(DONE, NOT_OURS)
    assert found.patch is not None
    assert found.patch["metadata"]["annotations"][ALLOCATED_FROM] is None
    assert found.patch["status"] == {
        "loadBalancer": {"ingress": None},
        "conditions": [{"$patch": "delete", "type": CONDITION}],
    }


@pytest.mark.parametrize("ingress", [[], [{"ip": "192.0.2.1"}], [{"hostname": "x"}]])
def test_a_service_that_never_was_ours_is_not_touched(ingress: list[dict[str, str]]) -> None:
    assert change(service(ingress), NOT_OURS) == Change()
    assert change(service(ingress), Outcome(Relation.FOREIGN)) == Change()


@pytest.mark.parametrize(
    "ingress", [[{"hostname": "x"}], [{"ip": "10.9.0.1", "hostname": "x"}], [{"ip": "10.9.0.1"}] * 2, [{}]]
)
def test_nonsense_is_replaced(ingress: list[dict[str, str]]) -> None:
    found = change(service(ingress), GIVEN)
    assert found.patch is not None
    assert found.patch["status"]["loadBalancer"] == {"ingress": [{"ip": "10.9.0.1"}]}


def test_an_old_annotation_is_reported_with_the_first_event() -> None:
    item = service(annotations={"metallb.universe.tf/address-pool": "default"})
    assert words(change(item, GIVEN)) == ["IPAllocated", "deprecatedAnnotation"]


def test_what_others_wrote_beside_an_address_stays_with_it() -> None:
    """A second address comes: the list goes in whole, so the first one's entry has to be complete."""
    item = service([{"ip": "10.9.0.1", "ipMode": "Proxy", "ports": [{"port": 80, "error": "x.io/Down"}]}])
    both = Allocation((parse_address("10.9.0.1"), parse_address("fd00::1")), "default")
    found = change(item, Outcome(Relation.OURS, both))
    assert found.patch is not None
    assert found.patch["status"]["loadBalancer"]["ingress"] == [
        {"ip": "10.9.0.1", "ipMode": "Proxy", "ports": [{"port": 80, "error": "x.io/Down"}]},
        {"ip": "fd00::1"},
    ]


def with_node_port(item: dict[str, Any], number: int = 30080) -> dict[str, Any]:
    ports = [{"port": 80, "nodePort": number}]
    return {**item, "spec": {**item["spec"], "allocateLoadBalancerNodePorts": False, "ports": ports}}


def test_node_ports_that_are_left_are_said_once() -> None:
    found = change(with_node_port(DONE), GIVEN)
    assert found.patch is not None
    assert list(found.patch["status"]) == ["conditions"]
    [condition] = found.patch["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("vipcast.io/NodePortsReleased", "False")
    assert "30080" in condition["message"]
    assert [(note.reason, note.warning) for note in found.notes] == [("NodePortsLeft", True)]
    again = with_node_port(DONE)
    again["status"] = {**DONE["status"], "conditions": [*DONE["status"]["conditions"], condition]}
    assert change(again, GIVEN) == Change()
    found = change({**again, "spec": DONE["spec"]}, GIVEN)
    assert found.patch is not None
    assert found.patch["status"] == {"conditions": [{"$patch": "delete", "type": condition["type"]}]}
    assert found.notes == ()


def test_node_ports_of_a_service_that_is_not_ours_are_not_our_concern() -> None:
    item = with_node_port(service())
    assert change(item, Outcome(Relation.FOREIGN)) == Change()
    assert change(item, NOT_OURS) == Change()
