# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a speaker does while a kind cannot be read, and what it does not have to look at again."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest
from daemon.speaker.cluster import Cluster, Speaker
from daemon.speaker.router import Router
from support.following import until
from support.waiting import eventually

from vipcast.daemon.options import DATA_PLANE_NONE, Options
from vipcast.daemon.run import Daemon
from vipcast.k8s import Access, Client
from vipcast.k8s.resource import BGP_ADVERTISEMENTS, IP_ADDRESS_POOLS
from vipcast.speaker import decide as decide_module
from vipcast.speaker import run
from vipcast.speaker.cache import WITHOUT, Cache, Part
from vipcast.speaker.decide import Decision, Snapshot

Json = dict[str, Any]


async def forget(cluster: Cluster, plural: str) -> Json:
    """Take the right to read a kind away; the Role as it was."""
    role = await cluster.client.get(cluster.role_path)
    without = [
        {**rule, "resources": [each for each in rule["resources"] if each != plural]}
        for rule in role["rules"]
    ]
    rules = [rule for rule in without if rule["resources"]]
    assert rules != role["rules"]
    await cluster.client.patch(cluster.role_path, {"rules": rules})
    return role


async def readiness(speaker: Speaker) -> str:
    try:
        return await speaker._get(speaker.health, "readyz")
    except OSError as error:
        return str(error.read().decode()) if hasattr(error, "read") else ""


@pytest.mark.apiserver
@pytest.mark.parametrize("plural", ["l2advertisements", "bfdprofiles"])
async def test_what_bgp_does_not_need_does_not_hold_it_up(
    cluster: Cluster, router: Router, plural: str
) -> None:
    kubeconfig = await cluster.prepare()
    await forget(cluster, plural)
    await cluster.configure(tor=router.port)
    await cluster.service("web", "10.9.0.1")
    await cluster.endpoints("web", "elsewhere")
    async with Speaker(cluster, kubeconfig) as speaker:
        await until(lambda: "10.9.0.1/32" in router.routes)
        why = await readiness(speaker)  # a rollout stops at the first node
        assert why.startswith(f"not read yet: {plural} (") and "forbidden" in why


@pytest.mark.apiserver
async def test_an_address_that_may_be_for_layer_2_is_not_judged_before_that_is_read(cluster: Cluster) -> None:
    kubeconfig = await cluster.prepare()
    role = await forget(cluster, "l2advertisements")
    await cluster.apply("IPAddressPool", "pool", spec={"addresses": ["10.9.0.0/16"]})
    await cluster.service("web", "10.9.0.1")
    await cluster.endpoints("web", "elsewhere")
    async with Speaker(cluster, kubeconfig) as speaker:

        async def addresses() -> list[Json] | None:
            services = (await speaker.status())["services"]
            return services[0]["addresses"] if services else None

        async def told(reasons: list[str]) -> bool:
            found = await addresses()
            return found is not None and [each["reason"] for each in found] == reasons

        await eventually(lambda: told([]))
        assert (await readiness(speaker)).startswith("not read yet: l2advertisements (")
        await cluster.client.patch(cluster.role_path, {"rules": role["rules"]})
        await eventually(lambda: told(["noMatchingAdvertisement"]))
        assert (await speaker.status())["layer2"] is None


@pytest.mark.apiserver
@pytest.mark.parametrize("plural", ["bgppeers", "bgpadvertisements", "communities"])
async def test_a_session_waits_for_all_that_its_routes_depend_on(
    cluster: Cluster, router: Router, plural: str
) -> None:
    """A router drops what it kept of us when a session comes without it."""
    kubeconfig = await cluster.prepare()
    await cluster.configure(tor=router.port)
    await cluster.service("web", "10.9.0.1")
    await cluster.endpoints("web", "elsewhere")
    async with Speaker(cluster, kubeconfig):
        await until(lambda: "10.9.0.1/32" in router.routes)
        reports = f"/apis/metallb.io/v1beta1/namespaces/{cluster.name}/servicebgpstatuses"

        async def reported() -> list[Json]:
            return (await cluster.client.list(reports)).items

        before = await eventually(reported)
    sessions = router.sessions
    role = await forget(cluster, plural)
    async with Speaker(cluster, kubeconfig) as speaker:

        async def named() -> bool:
            return f"not read yet: {plural} (" in await readiness(speaker)

        await eventually(named)
        await eventually(lambda: decided(speaker))
        assert router.sessions == sessions
        # What the speaker before has said stays: nothing is known that would be truer.
        after = (await cluster.client.list(reports)).items
        assert [each["metadata"]["name"] for each in after] == [each["metadata"]["name"] for each in before]
        await cluster.client.patch(cluster.role_path, {"rules": role["rules"]})
        await until(lambda: router.sessions > sessions and "10.9.0.1/32" in router.routes, 60)


@pytest.mark.apiserver
async def test_reports_of_one_kind_do_not_wait_for_another(cluster: Cluster, router: Router) -> None:
    kubeconfig = await cluster.prepare()
    await forget(cluster, "servicel2statuses")
    await cluster.configure(tor=router.port)
    await cluster.service("web", "10.9.0.1")
    await cluster.endpoints("web", "elsewhere")
    async with Speaker(cluster, kubeconfig) as speaker:
        for plural in ("servicebgpstatuses", "bgpsessionstates"):
            path = f"/apis/metallb.io/v1beta1/namespaces/{cluster.name}/{plural}"

            async def reported(path: str = path) -> list[Json]:
                return (await cluster.client.list(path)).items

            await eventually(reported)
        assert "servicel2statuses" in (await speaker.status())["reports"]["problem"]


@pytest.mark.apiserver
async def test_a_session_that_comes_and_goes_decides_nothing_anew(
    cluster: Cluster, router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    decisions: list[None] = []

    def decide(snapshot: Snapshot) -> Decision:
        decisions.append(None)
        return decide_module.decide(snapshot)

    await cluster.prepare_web(router.port)
    monkeypatch.setattr(run, "decide", decide)
    options = Options(
        namespace=cluster.name,
        lb_class=f"test.io/{cluster.name}",
        node_name=cluster.node,
        data_plane_health=DATA_PLANE_NONE,
    )
    daemon = Daemon("speaker", options, cluster.client)
    speaking = asyncio.create_task(run.speak(daemon))
    await until(lambda: "10.9.0.1/32" in router.routes)
    await asyncio.sleep(1)  # what came with the session
    made, sessions = len(decisions), router.sessions
    assert made
    router.hang_up()
    await until(lambda: router.sessions > sessions and "10.9.0.1/32" in router.routes)
    assert daemon.status is not None
    assert len(decisions) == made
    await cluster.service("more", "10.9.0.2")
    await cluster.endpoints("more", "elsewhere")
    await until(lambda: "10.9.0.2/32" in router.routes)
    assert len(decisions) > made
    daemon.stopping.set()
    await speaking


async def decided(speaker: Speaker) -> bool:
    """Tell whether everything else was read, so that it would have had a session by now."""
    waiting = (await readiness(speaker)).removeprefix("not read yet: ")
    return waiting.count("(") == 1 and bool(await speaker.status())


def test_every_kind_that_is_read_has_its_place_in_the_table() -> None:
    client = Client(Access("http://127.0.0.1:9"))
    cache = Cache(client, Options(config_map="config"), lambda: None)
    assert {each.resource for each in cache.informers} == set(WITHOUT)
    assert cache.lacks(Part.BFD) and cache.lacks(Part.ALL)


def pool(**changed: Any) -> Json:
    metadata = {"name": "p", "uid": "u", "generation": 1, "resourceVersion": "1", "labels": {}}
    spec = {"addresses": ["10.9.0.0/24"]}
    return {"metadata": metadata, "spec": spec, "status": {"assignedIPv4": 1}, **changed}


def test_counters_and_messages_are_no_reason_to_read_the_configuration_again() -> None:
    decisions: list[bool] = []
    client = Client(Access("http://127.0.0.1:9"))
    cache = Cache(client, Options(), lambda: decisions.append(True))
    key = ("metallb-system", "p")

    def heard(item: Json | None) -> bool:
        cache.configuration_changed = False
        decisions.clear()
        cache._configuration(IP_ADDRESS_POOLS, key, item)
        assert bool(decisions) == cache.configuration_changed
        return cache.configuration_changed

    assert heard(pool())
    told = {"type": "Accepted", "status": "True", "observedGeneration": 1, "message": "it is in force"}
    assert heard(pool(status={"conditions": [told]}))  # it says now what is in force
    assert not heard(pool(status={"conditions": [{**told, "message": "other words"}], "assignedIPv4": 2}))
    again = pool(status={"conditions": [told]})
    again["metadata"]["annotations"] = {"who": "cares"}
    again["metadata"]["resourceVersion"] = "9"
    assert not heard(copy.deepcopy(again))
    for change in ({"labels": {"a": "b"}}, {"generation": 2}, {"uid": "v"}):
        again["metadata"] |= change
        assert heard(copy.deepcopy(again)), change
    again["status"]["inForce"] = {"addresses": ["10.8.0.0/24"]}
    assert heard(copy.deepcopy(again))
    assert heard(None) and not heard(None)
    cache._configuration(BGP_ADVERTISEMENTS, key, pool())  # of another kind, with the same name
    assert cache.configuration_changed
