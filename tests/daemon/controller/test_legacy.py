# SPDX-License-Identifier: GPL-3.0-or-later
"""MetalLB's old ConfigMap gives addresses, live, to a controller with the rights that its role has."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
from daemon.speaker.cluster import ROLE, Cluster, Speaker
from daemon.speaker.conftest import cluster
from daemon.speaker.legacy_config import write
from support.waiting import eventually

from vipcast.k8s import Json
from vipcast.k8s import resource as resources

__all__ = ["cluster"]

pytestmark = pytest.mark.apiserver


def pools(**ranges: str) -> str:
    """A configuration with layer 2 pools."""
    found = [
        {"name": name.replace("_", "-"), "protocol": "layer2", "addresses": [text]}
        for name, text in ranges.items()
    ]
    return json.dumps({"address-pools": found})


async def rights(cluster: Cluster) -> Path:
    """The namespace and the account as the role makes them; the account's kubeconfig."""
    await cluster.client.create("/api/v1/namespaces", {"metadata": {"name": cluster.name}})
    template = jinja2.Template((ROLE / "templates" / "controller-rbac.yml.j2").read_text())
    template.environment.filters["to_json"] = json.dumps
    manifests = template.render(load_balancer_namespace=cluster.name, load_balancer_config_map="config")
    await asyncio.to_thread(cluster.api.kubectl, "apply", "-f", "-", stdin=manifests)
    token = await asyncio.to_thread(cluster.api.token, cluster.name, "controller")
    return cluster.api.write_kubeconfig(f"controller-{cluster.name}", token=token)


@pytest.fixture
async def controller(cluster: Cluster) -> AsyncIterator[Speaker]:
    async with Speaker(cluster, await rights(cluster), program="controller") as controller:
        await eventually(controller.status)
        yield controller


async def make_service(cluster: Cluster, name: str, **spec: Any) -> None:
    ports = [{"port": 80, "protocol": "TCP"}]
    fields = {"type": "LoadBalancer", "loadBalancerClass": f"test.io/{cluster.name}", "ports": ports, **spec}
    await cluster.apply("Service", name, spec=fields)


async def address(cluster: Cluster, name: str) -> str | None:
    item = await cluster.client.get(resources.SERVICES.path(cluster.name, name))
    ingress = item["status"]["loadBalancer"].get("ingress") or [{}]
    return ingress[0].get("ip")  # type: ignore[no-any-return]


async def has(cluster: Cluster, name: str, wanted: str | None) -> None:
    async def question() -> bool:
        return await address(cluster, name) == wanted

    await eventually(question)


async def state(cluster: Cluster) -> Json:
    path = resources.CONFIGURATION_STATES.path(cluster.name)
    found: list[Json] = (await cluster.client.list(path)).items
    return found[0].get("status", {}) if found else {}


async def said(cluster: Cluster, result: str, words: str = "") -> None:
    async def question() -> bool:
        status = await state(cluster)
        return status.get("result") == result and words in status.get("errorSummary", "")

    await eventually(question)


async def test_addresses_follow_the_config_map_and_stay_while_it_is_broken(
    cluster: Cluster, controller: Speaker
) -> None:
    await make_service(cluster, "web")
    assert await address(cluster, "web") is None
    await write(cluster, pools(default="10.31.8.100-10.31.8.200"))
    await has(cluster, "web", "10.31.8.100")
    await said(cluster, "Valid")

    await write(cluster, pools(default="10.31.9.100-10.31.9.200"))
    await has(cluster, "web", "10.31.9.100")

    await write(cluster, "address-pools: [unfinished")
    await said(cluster, "Invalid", "ConfigMap")
    assert await eventually(lambda: cluster.events("Unreadable"))
    assert await address(cluster, "web") == "10.31.9.100"
    await make_service(cluster, "more")  # what was in force is in force for new services too
    await has(cluster, "more", "10.31.9.101")

    await write(cluster, pools(default="10.31.9.100-10.31.9.200"))
    await said(cluster, "Valid")
    await cluster.client.delete(resources.CONFIG_MAPS.path(cluster.name, "config"))
    await has(cluster, "web", None)
    assert await eventually(lambda: cluster.events("ClearAssignment"))


async def test_a_bad_entry_is_named_and_leaves_the_others(cluster: Cluster, controller: Speaker) -> None:
    await write(cluster, pools(good="10.31.8.0/24", bad="10.31.9.0/33"))
    await make_service(cluster, "web")
    await has(cluster, "web", "10.31.8.0")
    (event,) = await eventually(lambda: cluster.events("BadAddress"))
    assert event["involvedObject"]["kind"] == "ConfigMap"
    assert event["message"].startswith("address-pools[1].addresses[0]: '10.31.9.0/33'")
    await said(cluster, "Invalid", "address-pools[1].addresses[0]")
    conditions = {each["type"]: each["status"] for each in (await state(cluster))["conditions"]}
    assert conditions == {"configReconcilerValid": "False", "poolReconcilerValid": "False"}


async def test_a_pool_that_becomes_an_object_moves_nobody(cluster: Cluster, controller: Speaker) -> None:
    await write(cluster, pools(default="10.31.8.100-10.31.8.200"))
    await make_service(cluster, "other", loadBalancerIP="10.31.8.100")
    await make_service(cluster, "web")
    await has(cluster, "web", "10.31.8.101")
    await cluster.delete("Service", "other")  # were it given anew, the first address would be free
    await cluster.apply("IPAddressPool", "default", spec={"addresses": ["10.31.8.100-10.31.8.200"]})
    await said(cluster, "Invalid", "remove this from the ConfigMap")
    await cluster.client.delete(resources.CONFIG_MAPS.path(cluster.name, "config"))
    await said(cluster, "Valid")
    assert await address(cluster, "web") == "10.31.8.101"
    assert await cluster.events("ClearAssignment") == []


@pytest.mark.parametrize("broken", ["a slip", "no YAML", "a range"])
async def test_what_was_in_force_survives_a_restart_with_a_broken_text(cluster: Cluster, broken: str) -> None:
    """Written while no controller runs, so that nothing but what was written down can tell."""
    kubeconfig = await rights(cluster)
    good = pools(default="10.31.8.100-10.31.8.200")
    text = {
        "a slip": good.replace("address-pools", "adress-pools"),
        "no YAML": "address-pools: [unfinished",
        "a range": pools(other="10.31.8.100-10.31.8.300"),
    }[broken]
    await write(cluster, good)
    await make_service(cluster, "web")
    async with Speaker(cluster, kubeconfig, program="controller"):
        await has(cluster, "web", "10.31.8.100")
        await eventually(lambda: remembered(cluster))
    await write(cluster, text)
    for name in ("more", "and-more"):  # and what is written down then is as good
        async with Speaker(cluster, kubeconfig, program="controller"):
            await make_service(cluster, name)
            await has(cluster, name, {"more": "10.31.8.101", "and-more": "10.31.8.102"}[name])
            await said(cluster, "Invalid", "ConfigMap")
    async with Speaker(cluster, kubeconfig, program="controller"):
        await write(cluster, pools(other="10.31.9.0/24"))
        await has(cluster, "web", "10.31.9.0")
        await said(cluster, "Valid")


async def remembered(cluster: Cluster) -> bool:
    return bool((await state(cluster)).get("configMap"))


async def test_a_restart_with_a_broken_one_takes_no_address_until_it_is_mended(cluster: Cluster) -> None:
    kubeconfig = await rights(cluster)
    await write(cluster, pools(default="10.31.8.100-10.31.8.200"))
    await make_service(cluster, "web")
    async with Speaker(cluster, kubeconfig, program="controller"):
        await has(cluster, "web", "10.31.8.100")
    for broken, words in (
        ("address-pools: [unfinished", "is not YAML"),
        (pools(default="10.31.8.100-10.31.8.300"), "address-pools[0].addresses[0]"),
    ):
        await write(cluster, broken)
        place = resources.CONFIGURATION_STATES.path(cluster.name, "controller")
        await cluster.client.delete(place)  # so that nothing is known of what was in force
        async with Speaker(cluster, kubeconfig, program="controller") as controller:
            await eventually(lambda words=words: told(cluster, words))
            assert "no pool is in force" in await not_ready(controller)
            assert await address(cluster, "web") == "10.31.8.100"
            await write(cluster, pools(default="10.31.8.100-10.31.8.200"))
            await said(cluster, "Valid")
            assert await eventually(lambda: started(controller))
    assert await address(cluster, "web") == "10.31.8.100"
    assert await cluster.events("ClearAssignment") == []


async def told(cluster: Cluster, words: str) -> bool:
    """Return whether an event on the ConfigMap has the words."""
    found = (await cluster.client.list(f"/api/v1/namespaces/{cluster.name}/events")).items
    return any(words in item["message"] for item in found if item["involvedObject"]["kind"] == "ConfigMap")


async def not_ready(controller: Speaker) -> str:
    """Return why."""

    def ask() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{controller.health}/readyz", timeout=5):
                return ""
        except urllib.error.HTTPError as error:
            return error.read().decode()

    return await asyncio.to_thread(ask)


async def started(controller: Speaker) -> bool:
    return bool((await controller.status())["lead"]["started"])
