# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the processes need no more capabilities than the role gives them."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from typing import Any

import pytest
from daemon.bfd.harness import BfdProcess, BfdRouter
from daemon.interop.frr import NODE
from daemon.speaker.capabilities import only
from daemon.speaker.cluster import Cluster, Speaker
from daemon.speaker.frr_cluster import announced, config, frr, in_kernel, inside, only_peer
from daemon.speaker.namespaces import api_reachable_in, until_told

__all__ = ["frr"]

pytestmark = [pytest.mark.apiserver, pytest.mark.netns]

UNNUMBERED = "\n ".join(
    (
        "router bgp 64512",
        "no bgp ebgp-requires-policy",
        "neighbor eth0 interface remote-as external",
        "neighbor eth0 timers 3 9",
    )
)


async def unnumbered(cluster: Cluster) -> Any:
    kubeconfig = await announced(cluster)
    spec = {
        "myASN": 64513,
        "dynamicASN": "external",
        "interface": "eth0",
        "connectTime": "1s",
        "holdTime": "9s",
    }
    await cluster.delete("BGPPeer", "tor")
    await cluster.apply("BGPPeer", "tor", spec=spec)
    return kubeconfig


async def test_without_any_capability_there_are_passwords_ttl_security_and_bfd(
    cluster: Cluster, frr: BfdRouter
) -> None:
    lines = (f"neighbor {NODE} password p", f"neighbor {NODE} ttl-security hops 1", f"neighbor {NODE} bfd")
    frr.start_all("", config(*lines))
    fields = {"password": "p", "ttlSecurityHops": 1, "bfdProfile": "fast", "enableGracefulRestart": True}
    kubeconfig = await announced(cluster, **fields)
    await cluster.apply("BFDProfile", "fast", spec={})
    flags = ("--namespace", cluster.name)
    async with (
        api_reachable_in(frr.node, cluster.api.port),
        Speaker(cluster, kubeconfig, inside=(*inside(frr), *only())),
    ):
        with BfdProcess(frr.node, frr.folder, *flags, prefix=only()):
            await until_told(lambda: in_kernel(frr) and frr.bfd_up())


async def test_to_listen_takes_one_capability(cluster: Cluster, frr: BfdRouter) -> None:
    frr.start(config())
    kubeconfig = await announced(cluster, passive=True)
    async with api_reachable_in(frr.node, cluster.api.port):
        without = (*inside(frr), *only())
        async with Speaker(cluster, kubeconfig, "--bgp-listen=179", inside=without) as speaker:
            await _named(speaker, "NET_BIND_SERVICE")
        with_it = (*inside(frr), *only("net_bind_service"))
        async with Speaker(cluster, kubeconfig, "--bgp-listen=179", inside=with_it):
            await until_told(lambda: in_kernel(frr))


async def test_a_session_over_an_interface_takes_one_capability(cluster: Cluster, frr: BfdRouter) -> None:
    frr.start(UNNUMBERED)
    kubeconfig = await unnumbered(cluster)
    async with api_reachable_in(frr.node, cluster.api.port):
        async with Speaker(cluster, kubeconfig, inside=(*inside(frr), *only())) as speaker:
            await _named(speaker, "NET_RAW")
        async with Speaker(cluster, kubeconfig, inside=(*inside(frr), *only("net_raw"))):
            await until_told(lambda: in_kernel(frr), 30)


async def _named(speaker: Speaker, capability: str) -> None:
    """The status of the peer says what is missing."""
    peer: dict[str, Any] = {}
    for _time in range(100):
        with contextlib.suppress(subprocess.CalledProcessError, ValueError):  # not there yet
            peer = await only_peer(speaker)
        if capability in str(peer):
            return
        await asyncio.sleep(0.2)
    raise AssertionError(peer)
