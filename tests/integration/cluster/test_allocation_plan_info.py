# SPDX-License-Identifier: GPL-3.0-or-later
"""The module allocation_plan_info: what it says of a cluster's services, without touching them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.apiserver import ApiServer
from support.modules import ModuleServer

POOLS = "metallb.io/v1beta1"
Json = dict[str, Any]
Plan = Callable[..., Json]


def pool(name: str, *addresses: str, labels: dict[str, str] | None = None) -> Json:
    metadata = {"name": name, "labels": labels or {}}
    return {
        "apiVersion": POOLS,
        "kind": "IPAddressPool",
        "metadata": metadata,
        "spec": {"addresses": list(addresses)},
    }


@pytest.fixture
def shop(api_server: ApiServer, namespace: str) -> Iterator[str]:
    """A namespace with a pool `one` and a service `web`, which has an address of it."""
    api_server.apply({**pool("one", "10.9.0.0/24"), "metadata": {"name": "one", "namespace": namespace}})
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    metadata = {
        "name": "web",
        "namespace": namespace,
        "annotations": {"metallb.io/ip-allocated-from-pool": "one"},
    }
    api_server.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "10.9.0.7"}]}}}
    where = ("--namespace", namespace, "--subresource=status", "--type=merge")
    api_server.kubectl("patch", "service", "web", *where, "--patch", json.dumps(status))
    yield namespace
    api_server.kubectl("delete", "service", "web", "--namespace", namespace)


@pytest.fixture
def plan(call: Any, shop: str) -> Plan:
    """``plan(pool(...), prune=...)``: the result for the test's namespace."""

    def called(*objects: Json, **more: Any) -> Json:
        result: Json = call("allocation_plan_info", namespace=shop, objects=list(objects), **more)
        assert "msg" not in result, result
        return result

    return called


def happens(result: Json) -> dict[str, str]:
    return {each["name"]: each["happens"] for each in result["services"]}


def test_nothing_declared_is_nothing_moved(plan: Plan, shop: str) -> None:
    result = plan()
    assert happens(result) == {"web": "kept"}
    assert (result["moved"], result["lost"], result["waiting"], result["story"]) == ([], [], [], [])
    assert result["diff"]["before"] == result["diff"]["after"] == f"{shop}/web 10.9.0.7 one\n"
    assert not result["changed"]


@pytest.mark.parametrize("check", [False, True])
def test_a_smaller_pool_moves_and_nothing_is_written(plan: Plan, get: Any, shop: str, check: bool) -> None:
    before = get("service", "web", "-n", shop)["metadata"]["resourceVersion"]
    result = plan(pool("one", "10.9.0.0/30"), check=check)
    assert result["moved"] == [f"{shop}/web"]
    assert result["story"][0].startswith(f"{shop}/web: 10.9.0.7 -> 10.9.0.0: 10.9.0.7 is in no pool")
    assert result["diff"]["after"] == f"{shop}/web 10.9.0.0 one\n"
    assert not result["changed"]
    assert get("service", "web", "-n", shop)["metadata"]["resourceVersion"] == before


def test_what_is_not_declared_is_gone_if_it_is_pruned(plan: Plan, api_server: ApiServer, shop: str) -> None:
    other = pool("other", "10.8.0.0/24")
    assert happens(plan(other)) == {"web": "kept"}
    assert happens(plan(other, prune="set")) == {"web": "kept"}
    assert happens(plan(other, prune="all")) == {"web": "moved"}
    api_server.kubectl("label", "ipaddresspool", "one", "--namespace", shop, "vipcast.io/set=mine")
    assert happens(plan(other, prune="set")) == {"web": "kept"}
    assert happens(plan(other, prune="set", set_name="mine")) == {"web": "moved"}
    result = plan(prune="all")
    assert (result["lost"], result["moved"]) == ([f"{shop}/web"], [])


def test_a_bad_pool_is_a_problem_and_moves_nothing(plan: Plan) -> None:
    result = plan(pool("one", "10.9.0.0/24", "10.9.0.9-10.9.0.1"))
    assert happens(result) == {"web": "kept"}
    assert "spec.addresses[1]" in result["problems"][0]


def test_pools_of_the_old_config_map_count(plan: Plan, api_server: ApiServer, shop: str) -> None:
    text = "address-pools: [{name: old, protocol: layer2, addresses: [10.9.0.0/24]}]"
    metadata = {"name": "config", "namespace": shop}
    api_server.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config": text}}
    )
    api_server.kubectl("delete", "ipaddresspool", "one", "--namespace", shop)
    assert happens(plan()) == {"web": "kept"}
    assert happens(plan(config_map="")) == {"web": "lost"}
    assert happens(plan(pool("old", "10.9.1.0/24"))) == {"web": "moved"}
    api_server.kubectl(
        "patch", "configmap", "config", "--namespace", shop, "--patch", '{"data": {"config": "a: ["}}'
    )
    assert "is not YAML" in plan()["problems"][0]


def test_services_of_another_class_are_not_ours(plan: Plan) -> None:
    assert happens(plan(pool("one", "10.9.0.0/30"), lb_class="mine")) == {"web": "not ours"}


def test_a_cluster_without_our_kinds_has_no_pools(modules: ModuleServer, bare: ApiServer) -> None:
    objects = [pool("one", "10.9.0.0/24")]
    result = modules("allocation_plan_info", {"kubeconfig": str(bare.kubeconfig), "objects": objects})
    assert result["services"] == []
    assert result["pools"] == [{"pool": "one", "family": 4, "used": 0, "free": 256}]
