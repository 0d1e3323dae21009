# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions that end, and routes that stay or go with them."""

from __future__ import annotations

import base64
import signal

import pytest
from daemon.bfd.harness import BfdProcess, BfdRouter
from daemon.interop.frr import NODE, ROUTER
from daemon.speaker.cluster import Cluster, Speaker
from daemon.speaker.frr_cluster import (
    DRAIN,
    announced,
    communities,
    config,
    frr,
    in_kernel,
    inside,
    valid,
    watched,
)
from daemon.speaker.namespaces import api_reachable_in, until_told

__all__ = ["frr"]

pytestmark = [pytest.mark.apiserver, pytest.mark.netns]

RESTART = {"enableGracefulRestart": True, "gracefulRestartTime": "30s"}


async def test_a_speaker_that_is_replaced_leaves_its_routes_with_the_router(
    cluster: Cluster, frr: BfdRouter
) -> None:
    frr.start(config())
    kubeconfig = await announced(cluster, **RESTART)
    async with (
        api_reachable_in(frr.node, cluster.api.port),
        Speaker(cluster, kubeconfig, inside=inside(frr)) as speaker,
    ):
        await until_told(lambda: in_kernel(frr))
        async with watched(frr) as seen:
            assert await speaker.terminate() == 0
            await until_told(lambda: frr.neighbor()["bgpState"] != "Established")
            async with Speaker(cluster, kubeconfig, inside=inside(frr)):
                await until_told(lambda: frr.neighbor()["bgpState"] == "Established")
                await until_told(lambda: "stale" not in str(frr.paths("10.9.0.1/32")))
                assert valid(frr)
                assert seen == {True}


@pytest.mark.parametrize("replaced", [True, False])
async def test_routes_outlive_a_pod_that_is_replaced_and_not_a_node_that_is_shut_down(
    cluster: Cluster, frr: BfdRouter, replaced: bool
) -> None:
    """A rollout deletes the Pod; systemd ends the container of one that is to stay."""
    frr.start(config())
    kubeconfig = await announced(cluster, **RESTART)
    await cluster.pod("speaker-x")
    async with (
        api_reachable_in(frr.node, cluster.api.port),
        Speaker(cluster, kubeconfig, "--pod-name=speaker-x", inside=inside(frr)) as speaker,
    ):
        await until_told(lambda: in_kernel(frr))
        if replaced:
            await cluster.delete("Pod", "speaker-x")
        assert await speaker.terminate() == 0
        await until_told(lambda: frr.neighbor()["bgpState"] != "Established")
        if replaced:
            await until_told(lambda: [path.get("stale") for path in frr.paths("10.9.0.1/32")] == [True])
            assert in_kernel(frr)
        else:
            await until_told(lambda: not in_kernel(frr))


async def test_without_graceful_restart_the_routes_go_with_the_speaker(
    cluster: Cluster, frr: BfdRouter
) -> None:
    frr.start(config())
    kubeconfig = await announced(cluster)
    async with (
        api_reachable_in(frr.node, cluster.api.port),
        Speaker(cluster, kubeconfig, inside=inside(frr)) as speaker,
    ):
        await until_told(lambda: in_kernel(frr))
        assert await speaker.terminate() == 0
        await until_told(lambda: not in_kernel(frr), 5)


async def test_a_peer_that_is_removed_keeps_nothing(cluster: Cluster, frr: BfdRouter) -> None:
    frr.start(config())
    kubeconfig = await announced(cluster, **RESTART)
    async with (
        api_reachable_in(frr.node, cluster.api.port),
        Speaker(cluster, kubeconfig, inside=inside(frr)),
    ):
        await until_told(lambda: in_kernel(frr))
        await cluster.delete("BGPPeer", "tor")
        await until_told(lambda: not in_kernel(frr), 5)


async def test_other_timers_make_a_new_session_and_no_route_is_lost(cluster: Cluster, frr: BfdRouter) -> None:
    frr.start(config())
    kubeconfig = await announced(cluster, **RESTART)
    async with (
        api_reachable_in(frr.node, cluster.api.port),
        Speaker(cluster, kubeconfig, inside=inside(frr)),
    ):
        await until_told(lambda: in_kernel(frr))
        async with watched(frr) as seen:
            await cluster.peer("tor", 179, peerAddress=ROUTER, **RESTART, holdTime="6s")
            await until_told(lambda: frr.neighbor().get("connectionsEstablished") == 2)
            await until_told(lambda: "stale" not in str(frr.paths("10.9.0.1/32")))
            assert seen == {True}


async def test_a_drained_node_leaves_nothing_behind_when_its_speaker_ends(
    cluster: Cluster, frr: BfdRouter
) -> None:
    frr.start(config())
    kubeconfig = await announced(cluster, **RESTART)
    async with (
        api_reachable_in(frr.node, cluster.api.port),
        Speaker(cluster, kubeconfig, inside=inside(frr)) as speaker,
    ):
        await until_told(lambda: in_kernel(frr))
        await cluster.apply("Node", cluster.node, annotations={DRAIN: "60s"})
        await until_told(lambda: communities(frr) == ["graceful-shutdown"])
        assert await speaker.terminate() == 0
        await until_told(lambda: not in_kernel(frr), 5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["upgraded", "killed"])
async def test_with_bfd_too_nobody_notices_that_a_speaker_ends_and_another_begins(
    cluster: Cluster, frr: BfdRouter, number: int
) -> None:
    frr.start_all("", config(f"neighbor {NODE} bfd"))
    kubeconfig = await announced(cluster, bfdProfile="fast", **RESTART)
    await cluster.apply("BFDProfile", "fast", spec={"receiveInterval": 100, "transmitInterval": 100})
    async with api_reachable_in(frr.node, cluster.api.port), watched(frr) as seen:
        with BfdProcess(frr.node, frr.folder, f"--namespace={cluster.name}"):
            async with Speaker(cluster, kubeconfig, inside=inside(frr)) as speaker:
                await until_told(lambda: in_kernel(frr) and frr.bfd_up())
                before = frr.bfd_counters()["session-down"]
                seen.clear()
                await speaker.end(number)
                await until_told(lambda: frr.neighbor()["bgpState"] != "Established")
            async with Speaker(cluster, kubeconfig, inside=inside(frr)):
                await until_told(lambda: frr.neighbor()["bgpState"] == "Established")
                await until_told(lambda: "stale" not in str(frr.paths("10.9.0.1/32")))
                assert frr.bfd_up() and frr.bfd_counters()["session-down"] == before
                assert seen == {True}


async def test_another_password_in_the_secret_costs_no_route(cluster: Cluster, frr: BfdRouter) -> None:
    frr.start(config(f"neighbor {NODE} password first"))
    kubeconfig = await cluster.prepare("router")
    await _secret(cluster, "first")
    await cluster.configure()
    await cluster.peer("tor", 179, peerAddress=ROUTER, passwordSecret={"name": "router"}, **RESTART)
    await cluster.service("web", "10.9.0.1")
    await cluster.endpoints("web", "elsewhere")
    async with (
        api_reachable_in(frr.node, cluster.api.port),
        Speaker(cluster, kubeconfig, inside=inside(frr)),
    ):
        await until_told(lambda: in_kernel(frr))
        async with watched(frr) as seen:
            await _secret(cluster, "second")
            await until_told(lambda: frr.neighbor()["bgpState"] != "Established")
            frr.configure("router bgp 64512", f"neighbor {NODE} password second")
            await until_told(lambda: frr.neighbor()["bgpState"] == "Established")
            await until_told(lambda: "stale" not in str(frr.paths("10.9.0.1/32")))
            assert seen == {True}


async def _secret(cluster: Cluster, password: str) -> None:
    data = {"password": base64.b64encode(password.encode()).decode()}
    await cluster.apply("Secret", "router", type="kubernetes.io/basic-auth", data=data)
