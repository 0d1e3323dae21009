# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what is reported of a session, with FRR at its other end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from daemon.bfd.harness import BfdProcess, BfdRouter
from daemon.interop.frr import NODE, ROUTER, missing
from daemon.speaker.cluster import Cluster, Speaker
from daemon.speaker.namespaces import api_reachable_in
from daemon.speaker.reports import Reports, session_is
from support.waiting import eventually

from vipcast.k8s import Json

pytestmark = [pytest.mark.apiserver, pytest.mark.netns]

CONFIG = f"""
router bgp 64512
 no bgp ebgp-requires-policy
 bgp graceful-restart
 neighbor {NODE} remote-as 64513
 neighbor {NODE} timers 3 9
 neighbor {NODE} timers connect 1
"""
ANNOUNCED = {"announced": 1, "pending": 0, "withheld": 0, "received": 0}


@pytest.fixture
def frr() -> Iterator[BfdRouter]:
    if (lack := missing()) is not None:
        pytest.fail(lack)
    with BfdRouter() as router:
        yield router


async def prepared(cluster: Cluster, **of_peer: Any) -> Path:
    kubeconfig = await cluster.prepare()
    await cluster.configure()
    await cluster.peer("tor", 179, peerAddress=ROUTER, **of_peer)
    await cluster.service("web", "10.9.0.1")
    await cluster.endpoints("web", "elsewhere")
    return kubeconfig


async def speaker_in(stack: AsyncExitStack, cluster: Cluster, frr: BfdRouter, kubeconfig: Path) -> Speaker:
    await stack.enter_async_context(api_reachable_in(frr.node, cluster.api.port))
    inside = ("ip", "netns", "exec", frr.node)
    return await stack.enter_async_context(Speaker(cluster, kubeconfig, inside=inside))


async def test_a_session_with_frr_is_told_and_its_words_when_it_shuts_down(
    cluster: Cluster, frr: BfdRouter
) -> None:
    frr.start(CONFIG)
    kubeconfig, reports = await prepared(cluster, enableGracefulRestart=True), Reports(cluster)
    async with AsyncExitStack() as stack:
        await speaker_in(stack, cluster, frr, kubeconfig)
        status = await eventually(session_is(reports, bgpStatus="Established", prefixes=ANNOUNCED))
        assert (status["peer"], status["localAddress"], status["port"]) == (ROUTER, NODE, 179)
        assert status["timers"]["negotiated"] == {"hold": 9, "keepalive": 3}
        assert "4-octet AS numbers (AS 64512)" in status["capabilities"]["peer"]
        assert "route refresh" in status["capabilities"]["peer"]
        assert status["gracefulRestart"] == {"configured": 120, "negotiated": True}
        await asyncio.to_thread(
            frr.vtysh, "configure", "router bgp", f"neighbor {NODE} shutdown message new fans at noon"
        )
        status = await eventually(told(reports, "new fans at noon"))
        assert status["bgpStatus"] != "Established"
        await asyncio.to_thread(frr.vtysh, "configure", "router bgp", f"no neighbor {NODE} shutdown")
        status = await eventually(session_is(reports, bgpStatus="Established", established=2))
        assert "new fans at noon" in status["lost"], "what was wrong last is still worth knowing"


def told(reports: Reports, words: str) -> Callable[[], Awaitable[Json]]:
    async def ask() -> Json:
        status = await reports.session()
        return status if words in status.get("lost", "") else {}

    return ask


async def test_bfd_is_told_beside_bgp_and_measured(cluster: Cluster, frr: BfdRouter) -> None:
    frr.start_all("", f"{CONFIG} neighbor {NODE} bfd")
    kubeconfig, reports = await prepared(cluster, bfdProfile="fast"), Reports(cluster)
    await cluster.apply("BFDProfile", "fast", spec={"receiveInterval": 100, "transmitInterval": 100})
    async with AsyncExitStack() as stack:
        speaker = await speaker_in(stack, cluster, frr, kubeconfig)
        stack.enter_context(BfdProcess(frr.node, frr.folder, f"--namespace={cluster.name}"))
        status = await eventually(session_is(reports, bgpStatus="Established", bfdStatus="Up"))
        assert status["bfd"]["peerState"] == "Up"
        assert 0 < status["bfd"]["detectionTime"] <= 1
        labels = f'{{peer="{ROUTER}",vrf="default"}}'
        lines = (await speaker.metrics()).splitlines()
        metrics = dict(line.rsplit(" ", 1) for line in lines if line)
        assert metrics[f"metallb_bfd_session_up{labels}"] == "1"
        assert int(metrics[f"metallb_bfd_control_packet_input{labels}"]) > 0
        assert int(metrics[f"metallb_bfd_control_packet_output{labels}"]) > 0
        assert metrics[f"metallb_bfd_session_up_events{labels}"] == "1"
        await asyncio.to_thread(frr.kill, "bfdd")
        status = await eventually(session_is(reports, bfdStatus="Down"))
        assert status["bfd"]["wentDown"] == 1
        assert status["bfd"]["diagnostic"] == "nothing was heard for the detection time"
        assert await eventually(lambda: cluster.events("bfdDown"))


async def test_a_node_that_leaves_is_told_phase_by_phase_and_in_events(
    cluster: Cluster, frr: BfdRouter
) -> None:
    frr.start(CONFIG)
    kubeconfig, reports = await prepared(cluster), Reports(cluster)
    async with AsyncExitStack() as stack:
        speaker = await speaker_in(stack, cluster, frr, kubeconfig)
        await eventually(session_is(reports, bgpStatus="Established", prefixes=ANNOUNCED))
        await cluster.apply("Node", cluster.node, annotations={"vipcast.io/drain": "8s"})
        await eventually(session_is(reports, bgpStatus="Established", drain="shuttingDown"))
        assert 'vipcast_speaker_drain{phase="shuttingDown"} 1' in await speaker.metrics()
        await eventually(session_is(reports, bgpStatus="NotStarted", drain="ended"))
        assert await reports.services() == {}, "nothing is meant to be announced from here"
        await cluster.apply("Node", cluster.node)
        status = await eventually(session_is(reports, bgpStatus="Established", prefixes=ANNOUNCED))
        assert "drain" not in status
        listing = await cluster.client.list("/api/v1/namespaces/default/events")
        ours = [each for each in listing.items if each["involvedObject"]["name"] == cluster.node]
        reasons = {each["reason"] for each in ours}
        assert reasons >= {"drainShuttingDown", "drainWithdrawn", "drainEnded"}
