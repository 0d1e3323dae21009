# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from support.world import pools_of

from vipcast.ipam import Allocator, Refusal, Request
from vipcast.ipam.service import Relation, read_service, trim
from vipcast.model.addresses import parse_address
from vipcast.model.reasons import RefusalReason

NEW, OLD = "metallb.io/", "metallb.universe.tf/"
DUAL = ["10.96.0.1", "fd00:96::1"]


def service(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    base = {"type": "LoadBalancer", "clusterIP": "10.96.0.1", "ports": [{"port": 80}]}
    metadata = {
        "namespace": "web",
        "name": "shop",
        "uid": "1",
        "resourceVersion": "7",
        "annotations": annotations or {},
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {**base, **spec}}


def want(*arguments: Any, **spec: Any) -> Request | Refusal | None:
    return read_service(trim(service(*arguments, **spec)), None, {}).want


@pytest.mark.parametrize(
    ("annotations", "spec", "addresses", "pool"),
    [
        ({}, {}, [], None),
        ({}, {"loadBalancerIP": "10.9.1.1"}, ["10.9.1.1"], None),
        ({NEW + "loadBalancerIPs": " 10.9.1.1 "}, {}, ["10.9.1.1"], None),
        ({OLD + "loadBalancerIPs": "10.9.1.1"}, {}, ["10.9.1.1"], None),
        ({NEW + "loadBalancerIPs": "10.9.1.1", OLD + "loadBalancerIPs": "10.9.1.2"}, {}, ["10.9.1.1"], None),
        ({NEW + "loadBalancerIPs": "", OLD + "loadBalancerIPs": "10.9.1.2"}, {}, ["10.9.1.2"], None),
        ({NEW + "loadBalancerIPs": ""}, {"loadBalancerIP": "10.9.1.3"}, ["10.9.1.3"], None),
        ({NEW + "address-pool": "gold", OLD + "address-pool": "iron"}, {}, [], "gold"),
        ({NEW + "loadBalancerIPs": "fd00::1, 10.9.1.1"}, {"clusterIPs": DUAL}, ["fd00::1", "10.9.1.1"], None),
        ({NEW + "address-pool": "gold"}, {}, [], "gold"),
        ({OLD + "address-pool": "gold"}, {}, [], "gold"),
    ],
)
def test_addresses_and_pools_are_asked_for_in_several_ways(
    annotations: Any, spec: Any, addresses: list[str], pool: str | None
) -> None:
    found = want(annotations, **spec)
    assert isinstance(found, Request)
    assert [str(address) for address in found.addresses] == addresses
    assert found.pool == pool


@pytest.mark.parametrize(
    ("annotations", "spec", "reason"),
    [
        (
            {NEW + "loadBalancerIPs": "10.9.1.1"},
            {"loadBalancerIP": "10.9.1.1"},
            RefusalReason.CONFLICTING_REQUESTS,
        ),
        ({}, {"loadBalancerIP": "first-free"}, RefusalReason.BAD_REQUEST),
        ({}, {"loadBalancerIP": "10.9.1.1,fd00::1", "clusterIPs": DUAL}, RefusalReason.BAD_REQUEST),
        ({NEW + "loadBalancerIPs": "10.9.1.1,"}, {}, RefusalReason.BAD_REQUEST),
        ({NEW + "loadBalancerIPs": " "}, {}, RefusalReason.BAD_REQUEST),
        ({OLD + "loadBalancerIPs": "10.9.1.0/24"}, {}, RefusalReason.BAD_REQUEST),
        ({NEW + "loadBalancerIPs": "fd00::1,fd00::2"}, {"clusterIPs": DUAL}, RefusalReason.BAD_REQUEST),
        ({NEW + "loadBalancerIPs": "10.9.1.1,fd00::1,10.9.1.2"}, {}, RefusalReason.BAD_REQUEST),
        ({NEW + "loadBalancerIPs": "10.9.1.1,10.9.1.2"}, {}, RefusalReason.BAD_REQUEST),
        ({}, {"clusterIP": ""}, RefusalReason.NO_CLUSTER_IP),
        ({}, {"clusterIP": "None"}, RefusalReason.NO_CLUSTER_IP),
        ({}, {"ipFamilyPolicy": "RequireDualStack"}, RefusalReason.NO_CLUSTER_IP),
    ],
)
def test_what_can_not_be_meant_is_refused_by_name(annotations: Any, spec: Any, reason: RefusalReason) -> None:
    found = want(annotations, **spec)
    assert isinstance(found, Refusal)
    assert found.reason is reason


@pytest.mark.parametrize(
    ("spec", "families", "require_all"),
    [
        ({}, (4,), True),
        ({"clusterIP": "fd00:96::1"}, (6,), True),
        ({"clusterIPs": DUAL}, (4,), True),
        ({"clusterIPs": DUAL[::-1], "ipFamilyPolicy": "SingleStack"}, (6,), True),
        ({"clusterIPs": DUAL, "ipFamilyPolicy": "RequireDualStack"}, (4, 6), True),
        ({"clusterIPs": DUAL[::-1], "ipFamilyPolicy": "PreferDualStack"}, (6, 4), False),
        ({"clusterIPs": DUAL[:1], "ipFamilyPolicy": "PreferDualStack"}, (4,), True),
    ],
)
def test_families_are_those_of_the_cluster_addresses(
    spec: Any, families: tuple[int, ...], require_all: bool
) -> None:
    found = want(**spec)
    assert isinstance(found, Request)
    assert (found.families, found.require_all) == (families, require_all)


@pytest.mark.parametrize(
    ("ours", "spec", "relation"),
    [
        (None, {}, Relation.OURS),
        (None, {"loadBalancerClass": "a/b"}, Relation.FOREIGN),
        ("a/b", {"loadBalancerClass": "a/b"}, Relation.OURS),
        ("a/b", {"loadBalancerClass": "a/c"}, Relation.FOREIGN),
        ("a/b", {}, Relation.FOREIGN),
        (None, {"type": "ClusterIP"}, Relation.NONE),
        ("a/b", {"type": "NodePort"}, Relation.NONE),
    ],
)
def test_only_services_of_our_class_are_ours(ours: str | None, spec: Any, relation: Relation) -> None:
    found = read_service(trim(service(**spec)), ours, {})
    assert found.relation is relation
    assert (found.want is None) is (relation is not Relation.OURS)


@pytest.mark.parametrize(("policy", "backend"), [("Cluster", ""), ("Local", "app=shop,tier=web"), (None, "")])
def test_local_traffic_ties_sharing_to_the_pods(policy: str | None, backend: str) -> None:
    ports = [{"port": 80}, {"port": 53, "protocol": "UDP"}]
    selector = {"tier": "web", "app": "shop"}
    found = want(
        {OLD + "allow-shared-ip": "key"}, externalTrafficPolicy=policy, ports=ports, selector=selector
    )
    assert isinstance(found, Request)
    assert (found.sharing.key, found.sharing.backend) == ("key", backend)
    assert found.sharing.ports == {("TCP", 80), ("UDP", 53)}


def test_old_names_of_annotations_are_noticed() -> None:
    found = read_service(service({OLD + "address-pool": "a", OLD + "ip-allocated-from-pool": "a"}), None, {})
    assert found.deprecated == (OLD + "address-pool",)


def test_a_service_of_a_namespace_that_is_not_known_yet_asks_for_nothing() -> None:
    found = read_service(service(), None, None)
    assert (found.relation, found.want, found.needs) == (Relation.OURS, None, None)
    assert found.is_unknown
    assert not read_service(service(type="ClusterIP"), None, None).is_unknown


def test_what_a_service_needs_is_told_though_its_request_can_not_be() -> None:
    found = read_service(service({NEW + "loadBalancerIPs": "nonsense"}), None, {})
    assert isinstance(found.want, Refusal) and found.needs is not None
    assert (found.needs.families, found.needs.addresses, found.needs.pool) == ((4,), (), None)


@pytest.mark.parametrize("name", ["loadBalancerIPs", "address-pool", "allow-shared-ip"])
@pytest.mark.parametrize(
    "text",
    ["\x01" * 260_000, "\U000e0001" * 60_000, "a" * 260_000, "1," * 130_000],
    ids=["control", "astral", "letters", "commas"],
)
def test_whatever_a_service_asks_for_the_answer_stays_short(name: str, text: str) -> None:
    item = service({NEW + name: text})
    allocator = Allocator(pools_of(p=["10.0.0.0/30"]))
    allocator.allocate(Request(("web", "holder"), (4,), addresses=(parse_address("10.0.0.0"),)))
    want = read_service(item, None, {}).want
    found = allocator.allocate(want) if isinstance(want, Request) else want
    assert not isinstance(found, Refusal) or len(found.message) <= 1024
    assert isinstance(found, Refusal) or name == "allow-shared-ip"
