# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a BGPPeer and a BGPAdvertisement ask for, from the API to FRR's tables and its kernel."""

from __future__ import annotations

import asyncio
import json

import pytest
from daemon.bfd.harness import BfdProcess, BfdRouter
from daemon.interop.frr import NODE, ROUTER, run
from daemon.speaker.cluster import Cluster, Speaker
from daemon.speaker.frr_cluster import (
    DRAIN,
    announced,
    communities,
    config,
    frr,
    in_kernel,
    inside,
    only_peer,
    valid,
)
from daemon.speaker.namespaces import api_reachable_in, until_told

__all__ = ["frr"]

pytestmark = [pytest.mark.apiserver, pytest.mark.netns]

OTHER_NODE = "10.99.0.3"


BOTH_FAMILIES = ("address-family ipv6 unicast", f"neighbor {NODE} activate", "exit-address-family")


async def test_both_families_and_all_that_a_route_can_carry_over_one_session(
    cluster: Cluster, frr: BfdRouter
) -> None:
    frr.start(config(*BOTH_FAMILIES))
    kubeconfig = await announced(cluster, dualStackAddressFamily=True)
    await cluster.apply("IPAddressPool", "six", spec={"addresses": ["fd09::/64"]})
    spec = {"communities": ["64512:7", "large:64512:1:2"], "asPathPrepend": 1, "med": 5}
    await cluster.apply("BGPAdvertisement", "adv", spec=spec)
    await cluster.service("six", "fd09::1")
    await cluster.endpoints("six", "elsewhere", family=6)
    async with (
        api_reachable_in(frr.node, cluster.api.port),
        Speaker(cluster, kubeconfig, inside=inside(frr)),
    ):
        for prefix in ("10.9.0.1/32", "fd09::1/128"):
            await until_told(lambda prefix=prefix: valid(frr, prefix))
            (path,) = frr.paths(prefix)
            assert path["community"]["string"] == "64512:7"
            assert path["largeCommunity"]["string"] == "64512:1:2"
            assert (path["aspath"]["string"], path["metric"]) == ("64513 64513", 5)
        assert frr.paths("fd09::1/128")[0]["nexthops"][0]["ip"] == "fd99::1"


async def test_the_router_sends_every_node_its_share(cluster: Cluster, frr: BfdRouter) -> None:
    run("ip", "-n", frr.node, "addr", "add", f"{OTHER_NODE}/24", "dev", "eth0")
    frr.start(config(f"neighbor {OTHER_NODE} remote-as 64513", f"neighbor {OTHER_NODE} timers 3 9"))
    kubeconfig, other = await cluster.prepare(), f"other-{cluster.node}"
    await cluster.apply("Node", other, labels={"which": "other"})
    await cluster.apply("Node", cluster.node, labels={"which": "first"})
    await cluster.apply("IPAddressPool", "pool", spec={"addresses": ["10.9.0.0/16"]})
    await cluster.apply("BGPAdvertisement", "adv", spec={"weightedByEndpoints": True})
    for name, source in (("first", NODE), ("other", OTHER_NODE)):
        where = [{"matchLabels": {"which": name}}]
        await cluster.peer(name, 179, peerAddress=ROUTER, sourceAddress=source, nodeSelectors=where)
    await cluster.service("web", "10.9.0.1", externalTrafficPolicy="Local")
    await cluster.endpoints("web", *[cluster.node] * 3, other)
    async with (
        api_reachable_in(frr.node, cluster.api.port),
        Speaker(cluster, kubeconfig, inside=inside(frr)),
        Speaker(cluster, kubeconfig, inside=inside(frr), node=other),
    ):
        await until_told(lambda: _shares(frr) == {NODE: 0.75, OTHER_NODE: 0.25})
        await cluster.endpoints("web", cluster.node, other)
        await until_told(lambda: _shares(frr) == {NODE: 0.5, OTHER_NODE: 0.5})
        await cluster.endpoints("web", other)
        await until_told(lambda: _shares(frr) == {OTHER_NODE: 1.0})


def _shares(frr: BfdRouter) -> dict[str, float]:
    """Return the weights of the next hops in the router's kernel."""
    found = json.loads(run("ip", "-n", frr.router, "-j", "route", "show", "10.9.0.1/32") or "[]")
    hops = [hop for route in found for hop in route.get("nexthops", [route])]
    total = sum(hop.get("weight", 1) for hop in hops)
    return {hop["gateway"]: round(hop.get("weight", 1) / total, 2) for hop in hops if "gateway" in hop}


async def test_a_drain_asks_for_another_way_then_withdraws_then_ends_the_session_and_all_comes_back(
    cluster: Cluster, frr: BfdRouter
) -> None:
    """Each step is read from the router's log, where none is missed that lasts a second."""
    frr.start(
        config("bgp log-neighbor-changes")
        + f"\ndebug bgp updates in\nlog file {frr.folder}/bgpd.log debugging"
    )
    kubeconfig = await announced(cluster)
    async with (
        api_reachable_in(frr.node, cluster.api.port),
        Speaker(cluster, kubeconfig, inside=inside(frr)) as speaker,
    ):
        await until_told(lambda: valid(frr))
        begun = len(frr.log())
        await cluster.apply("Node", cluster.node, annotations={DRAIN: "6s"})
        await until_told(lambda: communities(frr) == ["graceful-shutdown"])
        (path,) = frr.paths("10.9.0.1/32")
        assert path["locPrf"] == 0, "of several next hops this one is left out"
        await until_told(lambda: "is drained" in str(frr.neighbor()))
        assert (await speaker.status())["drain"] == "ended"
        assert drain_phases(speaker) == ["shuttingDown", "withdrawn", "ended"]
        told = [word for line in frr.log()[begun:].splitlines() if (word := heard(line))]
        assert told == ["graceful-shutdown", "withdrawn", "Notification received"]
        await cluster.apply("Node", cluster.node)
        await until_told(lambda: communities(frr) == [""])


def drain_phases(speaker: Speaker) -> list[str]:
    return [line["phase"] for line in speaker.log() if line["event"] == "drain" and line["phase"]]


def heard(line: str) -> str | None:
    """Return what FRR has been told, if a line of its log is about that."""
    words = ("graceful-shutdown", "withdrawn", "Notification received")
    return next((word for word in words if word in line), None)


async def test_at_the_end_of_a_drain_bfd_is_taken_down_and_is_not_what_ends_the_session(
    cluster: Cluster, frr: BfdRouter
) -> None:
    frr.start_all("", config("bgp log-neighbor-changes", f"neighbor {NODE} bfd"))
    kubeconfig = await announced(cluster, bfdProfile="fast")
    await cluster.apply("BFDProfile", "fast", spec={"receiveInterval": 100, "transmitInterval": 100})
    async with (
        api_reachable_in(frr.node, cluster.api.port),
        Speaker(cluster, kubeconfig, inside=inside(frr)),
    ):
        with BfdProcess(frr.node, frr.folder, f"--namespace={cluster.name}"):
            await until_told(lambda: valid(frr) and frr.bfd_up())
            # Where BFD is up before BGP is, FRR makes its BFD session anew then, and ends BGP's once.
            begun = len(frr.log())
            await cluster.apply("Node", cluster.node, annotations={DRAIN: "0s"})
            await until_told(lambda: "administratively" in str(frr.bfd_peer().get("remote-diagnostic")))
            ends = [
                line for line in frr.log()[begun:].splitlines() if "ADJCHANGE" in line and " Down " in line
            ]
            assert len(ends) == 1 and "Notification received" in ends[0]
            await cluster.apply("Node", cluster.node)
            await until_told(lambda: valid(frr) and frr.bfd_up())


async def test_a_speaker_that_starts_in_a_drain_announces_nothing(cluster: Cluster, frr: BfdRouter) -> None:
    frr.start(config())
    kubeconfig = await announced(cluster)
    await cluster.apply("Node", cluster.node, annotations={DRAIN: "60s"})
    async with (
        api_reachable_in(frr.node, cluster.api.port),
        Speaker(cluster, kubeconfig, inside=inside(frr)),
    ):
        await until_told(lambda: frr.neighbor()["bgpState"] == "Established")
        await until_told(lambda: "is drained" in str(frr.neighbor()))
        assert frr.accepted() == 0
        assert frr.paths("10.9.0.1/32") == []
        await cluster.apply("Node", cluster.node)
        await until_told(lambda: valid(frr))


async def test_a_peer_that_is_waited_for_is_let_in_when_the_router_dials(
    cluster: Cluster, frr: BfdRouter
) -> None:
    frr.start(config())
    kubeconfig = await announced(cluster, passive=True)
    async with (
        api_reachable_in(frr.node, cluster.api.port),
        Speaker(cluster, kubeconfig, "--bgp-listen=179", inside=inside(frr)),
    ):
        await until_told(lambda: valid(frr))
        assert frr.neighbor()["hostForeign"] == NODE
        assert frr.neighbor()["portForeign"] == 179, "the router has dialled"


async def test_a_path_that_bfd_loses_ends_the_session(cluster: Cluster, frr: BfdRouter) -> None:
    frr.start_all("", config(f"neighbor {NODE} bfd"))
    kubeconfig = await announced(cluster, bfdProfile="fast")
    await cluster.apply("BFDProfile", "fast", spec={"receiveInterval": 100, "transmitInterval": 100})
    flags = (f"--namespace={cluster.name}",)
    async with (
        api_reachable_in(frr.node, cluster.api.port),
        Speaker(cluster, kubeconfig, inside=inside(frr)) as speaker,
    ):
        await until_told(lambda: valid(frr))
        with BfdProcess(frr.node, frr.folder, *flags):
            await until_told(frr.bfd_up)
            assert (await only_peer(speaker))["bfd"]["state"] == "Up"
            frr.kill("bfdd")
            await until_told(lambda: "Down" in str(frr.neighbor().get("lastNotificationReason")))
            assert "nothing was heard" in (await only_peer(speaker))["lastError"]
        events = await asyncio.to_thread(cluster.api.kubectl, "get", "events", "-n", cluster.name)
        assert "bfdUp" in events and "bfdDown" in events


async def test_without_a_bfd_process_the_session_goes_on_and_that_is_said(
    cluster: Cluster, frr: BfdRouter
) -> None:
    frr.start(config())
    kubeconfig = await announced(cluster, bfdProfile="fast")
    await cluster.apply("BFDProfile", "fast", spec={})
    async with (
        api_reachable_in(frr.node, cluster.api.port),
        Speaker(cluster, kubeconfig, inside=inside(frr)) as speaker,
    ):
        await until_told(lambda: valid(frr))
        for _time in range(150):
            peer = await only_peer(speaker)
            if "does not answer" in peer["bfd"].get("problem", ""):
                break
            await asyncio.sleep(0.1)
        assert "only the hold timer" in peer["bfd"]["problem"]
        assert peer["state"] == "Established"
        await until_told(lambda: "bfdProblem" in cluster.api.kubectl("get", "events", "-n", cluster.name))


async def test_a_session_over_an_interface_carries_both_families_and_has_bfd(
    cluster: Cluster, frr: BfdRouter
) -> None:
    lines = (
        "router bgp 64512",
        "no bgp ebgp-requires-policy",
        "neighbor eth0 interface remote-as external",
        "neighbor eth0 timers 3 9",
        "neighbor eth0 bfd",
        "address-family ipv6 unicast",
        "neighbor eth0 activate",
    )
    frr.start_all("", "\n ".join(lines))
    kubeconfig = await cluster.prepare()
    await cluster.configure()
    await cluster.apply("IPAddressPool", "six", spec={"addresses": ["fd09::/64"]})
    spec = {
        "myASN": 64513,
        "dynamicASN": "external",
        "interface": "eth0",
        "connectTime": "1s",
        "holdTime": "9s",
        "bfdProfile": "fast",
    }
    await cluster.apply("BFDProfile", "fast", spec={"receiveInterval": 100, "transmitInterval": 100})
    await cluster.apply("BGPPeer", "tor", spec=spec)
    for name, address, family in (("web", "10.9.0.1", 4), ("six", "fd09::1", 6)):
        await cluster.service(name, address)
        await cluster.endpoints(name, "elsewhere", family=family)
    async with (
        api_reachable_in(frr.node, cluster.api.port),
        Speaker(cluster, kubeconfig, inside=inside(frr)) as speaker,
    ):
        with BfdProcess(frr.node, frr.folder, f"--namespace={cluster.name}"):
            await until_told(lambda: in_kernel(frr) and in_kernel(frr, "fd09::1/128"), 30)
            await until_told(lambda: '"status":"up"' in frr.vtysh("show bfd peers json").replace(" ", ""))
            assert (await only_peer(speaker))["bfd"]["state"] == "Up"
