# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects in which a speaker says what it does, in a real API server, with its role's rights."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from daemon.speaker.cluster import Cluster, Speaker
from daemon.speaker.reports import Reports, no_trouble_of, services_are, session_is
from daemon.speaker.router import Router
from support.following import until
from support.ports import free_port
from support.waiting import eventually

from vipcast.k8s import Json
from vipcast.k8s.resource import BGP_SESSION_STATES, CONFIG_MAPS, NODES, SERVICE_BGP_STATUSES
from vipcast.speaker.reporting.status_objects import OURS

pytestmark = pytest.mark.apiserver


@pytest.fixture
def reports(cluster: Cluster) -> Reports:
    return Reports(cluster)


async def test_a_session_is_told_with_all_that_both_sides_agreed_on(
    cluster: Cluster, router: Router, reports: Reports
) -> None:
    kubeconfig = await cluster.prepare_web(router.port)
    counts = {"announced": 1, "pending": 0, "withheld": 0, "received": 0}
    async with Speaker(cluster, kubeconfig):
        status = await eventually(session_is(reports, bgpStatus="Established", prefixes=counts))
        assert status["node"] == cluster.node
        assert (status["peer"], status["port"], status["vrf"]) == ("127.0.0.1", router.port, "")
        assert (status["localASN"], status["peerASN"], status["bfdStatus"]) == (64513, 64512, "N/A")
        assert status["timers"]["negotiated"] == {"hold": 9, "keepalive": 3}
        assert status["timers"]["configured"] == {"hold": 9, "keepalive": 3, "connect": 1}
        assert "IPv4 unicast" in status["capabilities"]["local"]
        assert "IPv4 unicast" in status["capabilities"]["peer"]
        assert status["families"][0] == {
            "family": "IPv4 unicast",
            "announced": 1,
            "pending": 0,
            "withheld": 0,
        }
        assert status["peerRouterID"] == "10.0.0.1"
        (item,) = await reports.items(BGP_SESSION_STATES)
        labels = item["metadata"]["labels"]
        assert labels["frrk8s.metallb.io/node"] == labels["metallb.io/node"] == cluster.node
        assert (labels["frrk8s.metallb.io/peer"], labels["frrk8s.metallb.io/vrf"]) == ("127.0.0.1", "")
        node = await cluster.client.get(NODES.path(name=cluster.node))
        (owner,) = item["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("Node", node["metadata"]["uid"])
        table = cluster.api.kubectl("get", "bgpsessionstates", "--namespace", cluster.name)
        assert table.split()[1:10] == [
            "NODE",
            "PEER",
            "PEER",
            "AS",
            "BGP",
            "BFD",
            "SINCE",
            "ANNOUNCED",
            "PENDING",
        ]
        assert "Established" in table


async def test_a_session_that_is_lost_is_told_with_the_error_and_one_that_is_over_goes(
    cluster: Cluster, reports: Reports
) -> None:
    kubeconfig = await cluster.prepare()
    async with Router() as router:
        await cluster.configure(tor=router.port)
        async with Speaker(cluster, kubeconfig):
            await eventually(session_is(reports, bgpStatus="Established"))
            router.retire()
            status = await eventually(session_lost(reports))
            assert "closed" in status["lastError"] or "refused" in status["lastError"], status
            await cluster.delete("BGPPeer", "tor")
            await eventually(session_gone(reports))


def session_lost(reports: Reports) -> Callable[[], Awaitable[Json]]:
    async def ask() -> Json:
        status = await reports.session()
        return (
            status if status.get("bgpStatus") not in (None, "Established") and status.get("lastError") else {}
        )

    return ask


def session_gone(reports: Reports) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return await reports.items(BGP_SESSION_STATES) == []

    return ask


async def test_a_peer_without_a_session_says_why(cluster: Cluster, reports: Reports) -> None:
    kubeconfig = await cluster.prepare()
    await cluster.configure()
    await cluster.peer("tor", 179, passwordSecret={"name": "hidden"})
    async with Speaker(cluster, kubeconfig):
        status = await eventually(session_is(reports, bgpStatus="NotStarted", reason="secretNotRead"))
        assert "forbidden" in status["message"]


OLD_CONFIG = """
peers:
- {peer-address: "::1", peer-asn: 64512, my-asn: 64513}
address-pools:
- {name: default, protocol: bgp, addresses: [10.9.0.0/16]}
"""


async def test_a_peer_of_the_old_config_map_has_its_object_too(cluster: Cluster, reports: Reports) -> None:
    kubeconfig = await cluster.prepare()
    body = {"metadata": {"name": "config"}, "data": {"config": OLD_CONFIG}}
    await cluster.client.create(CONFIG_MAPS.path(cluster.name), body)
    async with Speaker(cluster, kubeconfig):
        status = await eventually(lambda: reports.session("peer-1"))
        assert (status["peer"], status["localASN"]) == ("::1", 64513)
        (item,) = await reports.items(BGP_SESSION_STATES)
        peer = item["metadata"]["labels"]["frrk8s.metallb.io/peer"]
        assert peer == "0000-0000-0000-0000-0000-0000-0000-0001"


async def test_a_service_is_told_with_its_peers_then_why_not_then_no_more(
    cluster: Cluster, router: Router, reports: Reports
) -> None:
    kubeconfig = await cluster.prepare_web(router.port)
    async with Speaker(cluster, kubeconfig):
        await eventually(services_are(reports, "web"))
        status = (await reports.services())["web"]
        assert (status["node"], status["serviceNamespace"]) == (cluster.node, cluster.name)
        (entry,) = status["addresses"]
        assert (status["peers"], entry["peers"], entry["prefixes"]) == (["tor"], ["tor"], ["10.9.0.1/32"])
        since = entry["since"]
        (item,) = await reports.items(SERVICE_BGP_STATUSES)
        assert item["metadata"]["labels"] == {
            **OURS,
            "metallb.io/node": cluster.node,
            "metallb.io/service-name": "web",
            "metallb.io/service-namespace": cluster.name,
        }
        await cluster.apply("BGPAdvertisement", "adv", spec={"aggregationLength": 24})
        await eventually(prefixes_are(reports, "10.9.0.0/24"))
        (entry,) = (await reports.services())["web"]["addresses"]
        assert entry["since"] == since, "it is announced for as long as before"
        await cluster.endpoints("web", "elsewhere", ready=False)
        await eventually(why_not(reports, "noEndpoints"))
        assert (await reports.services())["web"]["peers"] == []
        await cluster.delete("Service", "web")
        await eventually(services_are(reports))


def prefixes_are(reports: Reports, *wanted: str) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        (entry,) = (await reports.services())["web"]["addresses"]
        return entry.get("prefixes") == list(wanted)

    return ask


def why_not(reports: Reports, reason: str) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return (await reports.services())["web"].get("reason") == reason

    return ask


async def test_a_node_that_is_not_meant_to_announce_a_service_says_nothing_of_it(
    cluster: Cluster, router: Router, reports: Reports
) -> None:
    kubeconfig = await cluster.prepare()
    await cluster.configure(tor=router.port)
    await cluster.service("far", "10.9.0.1", externalTrafficPolicy="Local")
    await cluster.endpoints("far", "elsewhere")
    await cluster.service("near", "10.9.0.2", externalTrafficPolicy="Local")
    await cluster.endpoints("near", cluster.node)
    async with Speaker(cluster, kubeconfig):
        await eventually(services_are(reports, "near"))


async def test_a_speaker_says_goodbye_and_the_next_one_clears_what_is_left(
    cluster: Cluster, router: Router, reports: Reports
) -> None:
    kubeconfig = await cluster.prepare()
    async with Router() as second:
        await cluster.configure(tor=router.port, other=second.port)
    for number, name in enumerate(("stays", "goes"), 1):
        await cluster.service(name, f"10.9.0.{number}")
        await cluster.endpoints(name, "elsewhere")
    async with Speaker(cluster, kubeconfig) as speaker:
        await eventually(session_is(reports, bgpStatus="Established"))
        await eventually(services_are(reports, "stays", "goes"))
        assert await speaker.terminate() == 0
        assert (await reports.session())["bgpStatus"] == "Idle"
    since = {name: each["addresses"][0]["since"] for name, each in (await reports.services()).items()}
    await cluster.delete("Service", "goes")
    await cluster.delete("BGPPeer", "other")
    async with Speaker(cluster, kubeconfig):
        await eventually(services_are(reports, "stays"))
        await eventually(session_is(reports, bgpStatus="Established"))
        await eventually(sessions_are(reports, "tor"))
        (entry,) = (await reports.services())["stays"]["addresses"]
        assert entry["since"] == since["stays"]


def sessions_are(reports: Reports, *names: str) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        found = {item["status"]["peerName"] for item in await reports.items(BGP_SESSION_STATES)}
        return found == set(names)

    return ask


async def test_what_somebody_deletes_or_edits_comes_back(
    cluster: Cluster, router: Router, reports: Reports
) -> None:
    kubeconfig = await cluster.prepare_web(router.port)
    async with Speaker(cluster, kubeconfig):
        await eventually(services_are(reports, "web"))
        (item,) = await reports.items(SERVICE_BGP_STATUSES)
        path = SERVICE_BGP_STATUSES.path(cluster.name, item["metadata"]["name"])
        await cluster.client.delete(path)
        await eventually(services_are(reports, "web"))
        await cluster.client.patch(path, {"status": {"peers": ["nobody"]}})
        await eventually(peers_are(reports, "tor"))


def peers_are(reports: Reports, *wanted: str) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return (await reports.services())["web"]["peers"] == list(wanted)

    return ask


async def test_a_node_that_is_made_again_gets_its_objects_again(
    cluster: Cluster, router: Router, reports: Reports
) -> None:
    kubeconfig = await cluster.prepare_web(router.port)
    async with Speaker(cluster, kubeconfig):
        await eventually(session_is(reports, bgpStatus="Established"))
        await eventually(services_are(reports, "web"))
        await cluster.delete("Node", cluster.node)
        await until(lambda: len(router.notifications) == 1)
        node = await cluster.apply("Node", cluster.node)
        await eventually(belong_to(reports, node["metadata"]["uid"]))
        await eventually(session_is(reports, bgpStatus="Established"))


def belong_to(reports: Reports, uid: str) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        items = [*await reports.items(BGP_SESSION_STATES), *await reports.items(SERVICE_BGP_STATUSES)]
        owners = [item["metadata"]["ownerReferences"] for item in items]
        return len(items) == 2 and all([owner["uid"] for owner in each] == [uid] for each in owners)

    return ask


async def test_objects_of_other_nodes_and_of_other_programs_are_left_alone(
    cluster: Cluster, router: Router, reports: Reports
) -> None:
    kubeconfig = await cluster.prepare()
    await cluster.configure(tor=router.port)
    kind = SERVICE_BGP_STATUSES
    for name, node, ours in (("a", "elsewhere", OURS), ("b", cluster.node, {}), ("c", cluster.node, OURS)):
        body = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {"name": name, "labels": {**ours, "metallb.io/node": node}},
            "status": {"node": node, "serviceName": name},
        }
        await cluster.client.create(kind.path(cluster.name), body)
    async with Speaker(cluster, kubeconfig):
        await eventually(session_is(reports, bgpStatus="Established"))
        await eventually(services_are(reports, "a", "b"))


async def test_an_outage_of_the_api_changes_nothing_and_is_caught_up_with(
    cluster: Cluster, router: Router, reports: Reports
) -> None:
    kubeconfig = await cluster.prepare_web(router.port)
    async with Speaker(cluster, kubeconfig) as speaker:
        await eventually(session_is(reports, bgpStatus="Established", established=1))
        await asyncio.to_thread(cluster.api.stop_api, kill=True)
        try:
            router.hang_up()
            await until(lambda: router.sessions == 2 and "10.9.0.1/32" in router.routes)
            await eventually(lambda: trouble_of(speaker), 15)
        finally:
            await asyncio.to_thread(cluster.api.start_api)
        await eventually(session_is(reports, bgpStatus="Established", established=2), 45)
        await eventually(lambda: no_trouble_of(speaker))
    assert [line["event"] for line in speaker.log()].count("status_not_written") == 1


async def trouble_of(speaker: Speaker) -> bool:
    found = (await speaker.status())["reports"]
    return bool(found["problem"]) and found["failures"] > 0


async def test_nothing_is_written_while_nothing_happens(
    cluster: Cluster, router: Router, reports: Reports
) -> None:
    kubeconfig = await cluster.prepare_web(router.port)
    await cluster.peer("tor", router.port, holdTime="3s")
    async with Speaker(cluster, kubeconfig) as speaker:
        await eventually(session_is(reports, bgpStatus="Established"))
        await eventually(services_are(reports, "web"))
        await eventually(lambda: no_trouble_of(speaker))
        before = (await speaker.status())["reports"]["written"]
        # Another decision, the same result.
        await cluster.apply("Node", cluster.node, labels={"some": "label"})
        heard = router.keepalives
        await until(lambda: router.keepalives >= heard + 3)
        assert (await speaker.status())["reports"] == {
            "waiting": 0,
            "written": before,
            "failures": 0,
            "problem": None,
        }


async def test_a_router_that_is_away_for_long_costs_few_writes(cluster: Cluster, reports: Reports) -> None:
    kubeconfig = await cluster.prepare()
    await cluster.configure()
    await cluster.peer("tor", free_port())  # tried every second
    async with Speaker(cluster, kubeconfig) as speaker:
        await eventually(session_lost(reports))
        before = (await reports.session())["since"], (await speaker.status())["reports"]["written"]
        await tried_again(speaker, 3)
        assert ((await reports.session())["since"], (await speaker.status())["reports"]["written"]) == before


async def tried_again(speaker: Speaker, times: int) -> None:
    """Return when the speaker has tried to reach its only peer so often; an attempt moves the next one."""
    seen: set[str] = set()

    async def enough() -> bool:
        (peer,) = (await speaker.status())["peers"]
        seen.add(peer["nextAttemptAt"])
        return len(seen - {None}) > times + 1

    await eventually(enough)


async def test_without_the_right_to_report_a_speaker_announces_and_says_what_is_missing(
    cluster: Cluster, router: Router
) -> None:
    """A cluster with older definitions: here the speaker lacks the right, which is the same to it."""
    kubeconfig = await cluster.prepare_web(router.port)
    role = await cluster.client.get(cluster.role_path)
    rules = [rule for rule in role["rules"] if "bgpsessionstates" not in rule["resources"]]
    await cluster.client.patch(cluster.role_path, {"rules": rules})
    async with Speaker(cluster, kubeconfig) as speaker:
        await until(lambda: "10.9.0.1/32" in router.routes)
        problem = (await speaker.status())["reports"]["problem"]
        assert "bgpsessionstates" in problem and "forbidden" in problem


def can(cluster: Cluster, verb: str, what: str, namespace: str) -> bool:
    user = f"--as=system:serviceaccount:{cluster.name}:speaker"
    try:
        cluster.api.kubectl("auth", "can-i", verb, what, user, "--namespace", namespace, "--quiet")
    except RuntimeError:
        return False
    return True


async def test_a_speaker_may_write_its_reports_in_its_own_namespace_and_nothing_else(
    cluster: Cluster,
) -> None:
    await cluster.prepare()
    for kind in ("bgpsessionstates.metallb.io", "servicebgpstatuses.metallb.io"):
        for verb in ("list", "watch", "create", "patch", "delete"):
            assert await asyncio.to_thread(can, cluster, verb, kind, cluster.name), (verb, kind)
            assert not await asyncio.to_thread(can, cluster, verb, kind, "default"), (verb, kind)
        assert not await asyncio.to_thread(can, cluster, "deletecollection", kind, cluster.name)
    for kind in ("bgppeers.metallb.io", "configurationstates.metallb.io", "services/status", "nodes"):
        assert not await asyncio.to_thread(can, cluster, "patch", kind, cluster.name)
