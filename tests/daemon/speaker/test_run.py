# SPDX-License-Identifier: GPL-3.0-or-later
"""The speaker as a process between a real API server and a router, with the rights that its role has."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import pytest
from daemon.speaker.cluster import KINDS, Cluster, Speaker
from daemon.speaker.router import Router
from support.following import until
from support.waiting import eventually

pytestmark = pytest.mark.apiserver


async def test_a_service_is_announced_and_withdrawn_with_its_last_endpoint(
    cluster: Cluster, router: Router
) -> None:
    kubeconfig = await cluster.prepare()
    await cluster.configure(tor=router.port)
    async with Speaker(cluster, kubeconfig) as speaker:
        await until(lambda: router.sessions == 1)
        await cluster.service("web", "10.9.0.1")
        await cluster.endpoints("web", "elsewhere")
        await until(lambda: "10.9.0.1/32" in router.routes)
        await eventually(lambda: cluster.events("nodeAssigned"))
        (event,) = await cluster.events("nodeAssigned")
        assert event["message"] == f'announcing from node "{cluster.node}" with protocol "bgp"'
        assert (await speaker.verdict())["sentTo"] == ["tor"]

        await cluster.endpoints("web", "elsewhere", ready=False)
        await until(lambda: not router.routes)
        assert (await speaker.verdict())["reason"] == "noEndpoints"
        (event,) = await eventually(lambda: cluster.events("noEndpoints"))
        assert event["type"] == "Warning"
        await cluster.endpoints("web", "elsewhere")
        await until(lambda: "10.9.0.1/32" in router.routes)
        await cluster.delete("Service", "web")
        await until(lambda: not router.routes)
    assert router.sessions == 1


async def test_from_a_service_without_an_address_to_a_route_with_both_daemons(
    cluster: Cluster, router: Router
) -> None:
    kubeconfig = await cluster.prepare()
    await cluster.configure(tor=router.port)
    async with (
        Speaker(cluster, cluster.api.kubeconfig, program="controller") as controller,
        Speaker(cluster, kubeconfig),
    ):
        await until(lambda: router.sessions == 1, 20)
        await eventually(controller.status, 20)
        await cluster.endpoints("web", "elsewhere")
        spec = {
            "type": "LoadBalancer",
            "loadBalancerClass": f"test.io/{cluster.name}",
            "ports": [{"port": 80, "protocol": "TCP"}],
        }
        await cluster.apply("Service", "web", spec=spec)
        await until(lambda: len(router.routes) == 1)
        (event,) = await eventually(lambda: cluster.events("IPAllocated"))
        (prefix,) = router.routes
        assert prefix.removesuffix("/32") in event["message"]


async def test_local_policy_follows_the_endpoints_of_the_node(cluster: Cluster, router: Router) -> None:
    kubeconfig = await cluster.prepare()
    await cluster.configure(tor=router.port)
    await cluster.service("web", "10.9.0.1", externalTrafficPolicy="Local")
    await cluster.endpoints("web", "elsewhere")
    async with Speaker(cluster, kubeconfig) as speaker:
        await until(lambda: router.sessions == 1)
        assert (await eventually(speaker.verdict))["reason"] == "noLocalEndpoints"
        await cluster.endpoints("web", "elsewhere", cluster.node)
        await until(lambda: "10.9.0.1/32" in router.routes)
    assert await cluster.events("noLocalEndpoints") == []  # as it should be on most nodes: nothing to tell


async def test_a_label_takes_the_node_out_and_back_in(cluster: Cluster, router: Router) -> None:
    kubeconfig = await cluster.prepare_web(router.port)
    async with Speaker(cluster, kubeconfig) as speaker:
        await until(lambda: "10.9.0.1/32" in router.routes)
        await cluster.apply(
            "Node", cluster.node, labels={"node.kubernetes.io/exclude-from-external-load-balancers": ""}
        )
        await until(lambda: not router.routes)
        assert (await speaker.verdict())["reason"] == "nodeLabeledExcludeBalancers"
        await cluster.apply("Node", cluster.node)
        await until(lambda: "10.9.0.1/32" in router.routes)
    assert router.sessions == 1


async def test_changed_settings_restart_the_session_of_that_peer_alone(
    cluster: Cluster, router: Router
) -> None:
    async with Router() as other:
        kubeconfig = await cluster.prepare()
        await cluster.configure(tor=router.port, other=other.port)
        await cluster.service("web", "10.9.0.1")
        await cluster.endpoints("web", "elsewhere")
        async with Speaker(cluster, kubeconfig):
            await until(lambda: bool(router.routes and other.routes))
            await cluster.peer("other", other.port, holdTime="12s")
            await until(lambda: other.sessions == 2 and bool(other.routes))
            cease = other.notifications[0]
            assert (cease.code, cease.subcode) == (6, 6)  # Cease, configuration change
            await cluster.apply("BGPAdvertisement", "adv", spec={"communities": ["64512:7"]})
            await until(lambda: _communities(router) == {64512 << 16 | 7})
            await cluster.delete("BGPPeer", "other")
            await until(lambda: len(other.notifications) == 2)
            assert other.notifications[1].subcode == 3  # peer de-configured
        assert (router.sessions, len(router.notifications)) == (1, 1)


def _communities(router: Router) -> frozenset[int]:
    return frozenset(router.routes["10.9.0.1/32"].attributes.communities or ())


async def test_a_configuration_that_becomes_bad_stays_in_force_as_it_was(
    cluster: Cluster, router: Router
) -> None:
    kubeconfig = await cluster.prepare_web(router.port)
    async with Speaker(cluster, kubeconfig) as speaker:
        await until(lambda: "10.9.0.1/32" in router.routes)
        await cluster.apply("BGPAdvertisement", "adv", spec={"communities": ["nobody-says-what"]})
        status = await eventually(lambda: _stale(speaker))
        assert [each["field"] for each in status["configuration"]["problems"]] == ["spec.communities[0]"]
        assert (router.sessions, "10.9.0.1/32" in router.routes) == (1, True)
        assert "metallb_k8s_client_config_stale_bool 1\n" in await speaker.metrics()


async def test_a_peer_in_a_vrf_that_the_node_does_not_have_has_no_session_and_says_why(
    cluster: Cluster, router: Router
) -> None:
    kubeconfig = await cluster.prepare()
    await cluster.configure(tor=router.port)
    async with Speaker(cluster, kubeconfig) as speaker:
        await until(lambda: router.sessions == 1)
        await cluster.peer("tor", router.port, vrf="red")
        await until(lambda: len(router.notifications) == 1)
        peer = await eventually(lambda: _failed(speaker))
        assert peer["state"] != "Established" and "red" in peer["lastError"]
    assert router.sessions == 1


async def _failed(speaker: Speaker) -> dict[str, Any] | None:
    (peer,) = (await speaker.status())["peers"]
    return peer if peer.get("lastError") else None


async def test_an_empty_collection_that_is_read_last_holds_nothing_up(
    cluster: Cluster, router: Router
) -> None:
    kubeconfig = await cluster.prepare()
    await cluster.configure(tor=router.port)
    role = await cluster.client.get(cluster.role_path)
    rules = [{**rule, "resources": [*rule["resources"]]} for rule in role["rules"]]
    for rule in rules:
        rule["resources"] = [each for each in rule["resources"] if each != "communities"]
    await cluster.client.patch(cluster.role_path, {"rules": rules})
    async with Speaker(cluster, kubeconfig) as speaker:
        await eventually(lambda: _only_missing(speaker, "communities"))
        await cluster.client.patch(cluster.role_path, {"rules": role["rules"]})
        await until(lambda: router.sessions == 1)


async def _only_missing(speaker: Speaker, resource: str) -> bool:
    cache = (await speaker.status())["copies"]
    return [each["resource"] for each in cache if not each["synced"]] == [resource]


async def _stale(speaker: Speaker) -> Any:
    status = await speaker.status()
    return status if status["configuration"]["stale"] else None


async def test_a_password_comes_from_a_secret_and_follows_it(cluster: Cluster) -> None:
    async with Router(password="first") as router:
        kubeconfig = await cluster.prepare("tor-password")
        await cluster.configure()
        await cluster.peer("tor", router.port, passwordSecret={"name": "tor-password"})
        async with Speaker(cluster, kubeconfig) as speaker:
            await eventually(lambda: _peer_reason(speaker, "secretNotFound"))
            (event,) = await eventually(lambda: cluster.events("secretNotFound"))
            assert event["involvedObject"]["name"] == "tor"
            await _secret(cluster, "first")
            await until(lambda: router.sessions == 1)
            await _secret(cluster, "second")
            await until(lambda: any(line["event"] == "password_changed" for line in speaker.log()))
            router.set_password("second")
            heard = router.keepalives
            await until(lambda: router.keepalives > heard + 3, 30)  # for longer than the hold time
            await cluster.delete("Secret", "tor-password")
            await eventually(lambda: _peer_reason(speaker, "secretNotFound"))
            (peer,) = (await speaker.status())["peers"]
            assert peer["state"] == "Established"  # with the password that it had
        assert router.sessions == 1, "the same session, with another key"
        assert "second" not in str(speaker.log())


async def _secret(cluster: Cluster, password: str) -> None:
    data = {"password": base64.b64encode(password.encode()).decode()}
    await cluster.apply("Secret", "tor-password", type="kubernetes.io/basic-auth", data=data)


async def _peer_reason(speaker: Speaker, reason: str) -> bool:
    (peer,) = (await speaker.status())["peers"]
    return bool(peer.get("reason") == reason)


async def test_a_session_goes_on_where_its_new_secret_can_not_be_read(cluster: Cluster) -> None:
    """An edit that can not be met changes nothing."""
    async with Router(password="first") as router:
        kubeconfig = await cluster.prepare()
        await cluster.configure()
        await cluster.peer("tor", router.port, password="first")
        async with Speaker(cluster, kubeconfig) as speaker:
            await until(lambda: router.sessions == 1)
            await cluster.peer("tor", router.port, passwordSecret={"name": "hidden"})
            await eventually(lambda: _peer_reason(speaker, "secretNotRead"))
            (peer,) = (await speaker.status())["peers"]
            assert peer["state"] == "Established"
            assert peer["message"].endswith("the session goes on as it was")
            assert router.notifications == []


async def test_the_bgp_identifier_is_the_node_s_and_stays(cluster: Cluster, router: Router) -> None:
    kubeconfig = await cluster.prepare_web(router.port)
    path = KINDS["Node"].path(cluster.name, cluster.node, "status")

    async def has(address: str) -> None:
        addresses = [{"type": "InternalIP", "address": address}]
        await cluster.client.patch(path, {"status": {"addresses": addresses}})

    await has("10.31.8.1")
    async with Speaker(cluster, kubeconfig):
        await until(lambda: "10.9.0.1/32" in router.routes)
        assert str(router.opens[0].router_id) == "10.31.8.1", "and not that of the connection, 127.0.0.1"
        await has("10.31.8.9")
        await cluster.service("other", "10.9.0.2")
        await cluster.endpoints("other", "elsewhere")
        await until(lambda: "10.9.0.2/32" in router.routes)
        assert router.sessions == 1


async def test_a_secret_that_may_not_be_read_is_named(cluster: Cluster, router: Router) -> None:
    kubeconfig = await cluster.prepare()
    await cluster.configure()
    await cluster.peer("tor", router.port, passwordSecret={"name": "hidden"})
    async with Speaker(cluster, kubeconfig) as speaker:
        await eventually(lambda: _peer_reason(speaker, "secretNotRead"))
        (peer,) = (await speaker.status())["peers"]
        assert "forbidden" in peer["message"]
    assert router.sessions == 0


async def test_it_takes_leave_when_it_is_told_to_stop(cluster: Cluster, router: Router) -> None:
    kubeconfig = await cluster.prepare()
    await cluster.configure(tor=router.port)
    async with Speaker(cluster, kubeconfig) as speaker:
        await until(lambda: router.sessions == 1)
        await eventually(lambda: _established(speaker))
        started = time.monotonic()
        assert await speaker.terminate() == 0
        assert time.monotonic() - started < 5  # the grace period that its pod has
        await until(lambda: len(router.notifications) == 1)
        assert (router.notifications[0].code, router.notifications[0].subcode) == (6, 2)  # Cease, shutdown
        assert f"{cluster.node} is stopping".encode() in router.notifications[0].data
        assert [line["event"] for line in speaker.log()][-2:] == ["stopping", "stopped"]


async def _established(speaker: Speaker) -> bool:
    (peer,) = (await speaker.status())["peers"]
    return bool(peer["state"] == "Established")


async def _misses_the_api(speaker: Speaker) -> bool:
    return any(each["problem"] for each in (await speaker.status())["copies"])


async def test_it_goes_on_announcing_while_the_api_server_is_away(cluster: Cluster, router: Router) -> None:
    kubeconfig = await cluster.prepare_web(router.port)
    async with Speaker(cluster, kubeconfig) as speaker:
        await until(lambda: "10.9.0.1/32" in router.routes)
        await asyncio.to_thread(cluster.api.stop_api, kill=True)
        try:
            await eventually(lambda: _misses_the_api(speaker))
            router.hang_up()  # even a session that is lost comes back without the API
            await until(lambda: router.sessions == 2 and "10.9.0.1/32" in router.routes)
        finally:
            await asyncio.to_thread(cluster.api.start_api)
        await cluster.service("two", "10.9.0.2")
        await cluster.endpoints("two", "elsewhere")
        await until(lambda: "10.9.0.2/32" in router.routes, 25)
    assert router.sessions == 2


async def test_metrics_have_the_names_that_dashboards_know(cluster: Cluster, router: Router) -> None:
    kubeconfig = await cluster.prepare_web(router.port)
    await cluster.service("idle", "10.9.0.2")
    async with Speaker(cluster, kubeconfig) as speaker:
        await until(lambda: "10.9.0.1/32" in router.routes)
        lines = (await speaker.metrics()).splitlines()
    peer = f'{{peer="127.0.0.1:{router.port}",vrf="default"}}'
    service = f'service="{cluster.name}/web",protocol="bgp",node="{cluster.node}",ip="10.9.0.1"'
    for line in (
        f"metallb_bgp_session_up{peer} 1",
        f"metallb_bgp_announced_prefixes_total{peer} 1",
        f"metallb_bgp_pending_prefixes_total{peer} 0",
        f"metallb_speaker_announced{{{service}}} 1",
        'vipcast_speaker_not_announced{reason="noEndpoints"} 1',
        "metallb_k8s_client_config_loaded_bool 1",
        "metallb_k8s_client_config_stale_bool 0",
    ):
        assert line in lines
    assert any(line.startswith(f"metallb_bgp_updates_total{peer} ") for line in lines)
