# SPDX-License-Identifier: GPL-3.0-or-later
"""Several sources make one cluster."""

from __future__ import annotations

from typing import Any

import pytest

from vipcast.ipam.snapshot import Snapshot, Source, combine

Json = dict[str, Any]


def pool(name: str, addresses: str, **metadata: Any) -> Json:
    return {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": {"name": name, **metadata},
        "spec": {"addresses": [addresses]},
    }


def service(spec: Json, status: Json | None = None, **metadata: Any) -> Json:
    item: Json = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a", "namespace": "web", **metadata},
        "spec": {"type": "LoadBalancer", **spec},
    }
    return item if status is None else {**item, "status": status}


def files(*contents: list[Json], whole: list[Json] | None = None) -> Snapshot:
    sources = [Source(f"{number}.yml", content) for number, content in enumerate(contents)]
    return combine(sources if whole is None else [*sources, Source("whole.yml", whole, whole=True)])


def names(found: Snapshot) -> dict[str, str]:
    return {item["metadata"]["name"]: item["spec"]["addresses"][0] for item in found.pools}


def test_a_later_pool_takes_the_place_of_an_earlier_one_and_says_so() -> None:
    found = files(
        [pool("one", "10.0.0.0/24", uid="1")], [pool("one", "10.0.0.0/25", namespace="metallb-system")]
    )
    assert names(found) == {"one": "10.0.0.0/25"}
    assert found.pools[0]["metadata"]["uid"] == "1"
    assert [item["spec"]["addresses"] for item in found.pools_before] == [["10.0.0.0/24"]]
    assert found.notes == ("IPAddressPool one: as in 1.yml, not as in 0.yml",)


def test_the_same_again_is_no_news() -> None:
    assert files([pool("one", "10.0.0.0/24")], [pool("one", "10.0.0.0/24")]).notes == ()


def test_a_pool_of_another_namespace_is_another_one() -> None:
    now = [pool("one", "10.0.0.0/24", namespace="a"), pool("one", "10.0.1.0/24", namespace="b")]
    found = files(now, [pool("one", "10.0.2.0/24", namespace="a")])
    assert [item["spec"]["addresses"] for item in found.pools] == [["10.0.2.0/24"], ["10.0.1.0/24"]]


def test_a_whole_source_says_which_pools_there_are() -> None:
    now = [pool("one", "10.0.0.0/24", uid="1"), pool("two", "10.0.1.0/24", uid="2")]
    found = files(now, whole=[pool("two", "10.0.1.0/25"), pool("three", "10.0.2.0/24")])
    assert names(found) == {"two": "10.0.1.0/25", "three": "10.0.2.0/24"}
    assert len(found.pools_before) == 2


def test_some_stay_although_a_source_is_whole() -> None:
    now = Source("now", [pool("one", "10.0.0.0/24"), pool("two", "10.0.1.0/24")])
    found = combine(
        [now, Source("whole", [], whole=True)], stays=lambda item: item["metadata"]["name"] == "two"
    )
    assert names(found) == {"two": "10.0.1.0/24"}


def test_a_service_keeps_what_is_the_api_servers() -> None:
    status = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}
    known = service({"clusterIPs": ["10.96.0.7"]}, status, uid="1", creationTimestamp="2026-01-01T00:00:00Z")
    found = files([known], [service({"loadBalancerIP": "10.0.0.2"}, annotations={"x": "y"})])
    (item,) = found.services
    assert item["status"] == status
    assert item["spec"] == {
        "type": "LoadBalancer",
        "loadBalancerIP": "10.0.0.2",
        "clusterIPs": ["10.96.0.7"],
        "ipFamilyPolicy": None,
    }
    assert item["metadata"]["annotations"] == {"x": "y"}
    assert item["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert not found.new_services


@pytest.mark.parametrize(
    ("before", "after", "families"),
    [
        ({"clusterIPs": ["10.96.0.7"]}, {"ipFamilyPolicy": "PreferDualStack"}, [4, 6]),
        ({"clusterIP": "fd00::7"}, {"ipFamilyPolicy": "RequireDualStack"}, [6, 4]),
        (
            {"clusterIPs": ["10.96.0.7", "fd00::7"], "ipFamilyPolicy": "RequireDualStack"},
            {"ipFamilyPolicy": "SingleStack"},
            [4],
        ),
        # A cluster of one family: the API server has given no second address, and will not.
        ({"clusterIPs": ["10.96.0.7"], "ipFamilyPolicy": "PreferDualStack"}, {}, [4]),
    ],
)
def test_another_family_policy_brings_or_takes_a_cluster_ip(
    before: Json, after: Json, families: list[int]
) -> None:
    (item,) = files([service(before, uid="1")], [service(after)]).services
    assert [6 if ":" in each else 4 for each in item["spec"]["clusterIPs"]] == families


@pytest.mark.parametrize(
    ("spec", "families"),
    [
        ({}, [4]),
        ({"ipFamilies": ["IPv6"]}, [6]),
        ({"ipFamilyPolicy": "PreferDualStack"}, [4, 6]),
        ({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]}, [6, 4]),
        ({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6", "IPv4"]}, [6]),
    ],
)
def test_a_new_service_gets_cluster_ips_of_the_families_it_names(spec: Json, families: list[int]) -> None:
    (item,) = files([service(spec)]).new_services
    assert [6 if ":" in each else 4 for each in item["spec"]["clusterIPs"]] == families


def test_without_a_namespace_it_is_default_and_others_are_other_services() -> None:
    bare = service({})
    del bare["metadata"]["namespace"]
    found = files([bare, service({})])
    assert [item["metadata"]["namespace"] for item in found.new_services] == ["default", "web"]


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"apiVersion": "v1", "kind": "Service"}, "metadata.name"),
        ({"apiVersion": "v1", "kind": "Service", "metadata": "a"}, "metadata"),
        (service({"ports": "80"}), "spec.ports"),
        (service({"ports": [{"name": "http"}]}), "spec.ports[0].port"),
        (service({}, annotations={"a": 1}), "metadata.annotations.a"),
        (service({"clusterIPs": [1]}), "spec.clusterIPs[0]"),
        (service({"loadBalancerIP": 10}), "spec.loadBalancerIP"),
        (service({}, {"loadBalancer": "x"}), "status.loadBalancer"),
        (service({}, {"loadBalancer": {"ingress": ["10.0.0.1"]}}), "status.loadBalancer.ingress[0]"),
    ],
)
def test_a_service_that_can_not_be_understood_is_named_and_left_out(item: Json, field: str) -> None:
    found = files([item])
    assert not found.services and not found.new_services
    assert field in [problem.field for problem in found.problems]


def test_a_slip_in_the_kind_of_a_pool_is_not_passed_over() -> None:
    slip = {**pool("one", "10.0.0.0/24"), "kind": "IPAdressPool"}
    other = {"apiVersion": "metallb.io/v1beta1", "kind": "BGPAdvertisement", "metadata": {"name": "x"}}
    workload = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}}
    assert [item["kind"] for item in files([slip, other, workload]).pools] == ["IPAdressPool"]
