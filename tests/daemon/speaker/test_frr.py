# SPDX-License-Identifier: GPL-3.0-or-later
"""The same with FRR as the router, in a network namespace; its word is what counts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from daemon.interop.frr import NODE, ROUTER, missing
from daemon.interop.frr import Router as Frr
from daemon.speaker.cluster import Cluster, Speaker
from daemon.speaker.namespaces import api_reachable_in, until_told

from vipcast.k8s.resource import CONFIG_MAPS

pytestmark = [pytest.mark.apiserver, pytest.mark.netns]

CONFIG = f"""
router bgp 64512
 no bgp ebgp-requires-policy
 neighbor {NODE} remote-as 64513
 neighbor {NODE} timers 3 9
 neighbor {NODE} passive
"""


@pytest.fixture
def frr() -> Iterator[Frr]:
    if (lack := missing()) is not None:
        pytest.fail(lack)
    with Frr() as router:
        router.start(CONFIG)
        yield router


async def test_frr_has_the_route_while_an_endpoint_serves_and_hears_the_farewell(
    cluster: Cluster, frr: Frr
) -> None:
    kubeconfig = await cluster.prepare()
    await cluster.configure()
    await cluster.apply("BGPAdvertisement", "adv", spec={"communities": ["64512:7"]})
    await cluster.peer("tor", 179, peerAddress=ROUTER)
    await cluster.service("web", "10.9.0.1")
    await cluster.endpoints("web", "elsewhere")
    inside = ("ip", "netns", "exec", frr.node)
    async with (
        api_reachable_in(frr.node, cluster.api.port),
        Speaker(cluster, kubeconfig, inside=inside) as speaker,
    ):
        # A path is valid once FRR knows the way to its next hop, which is a moment after it came.
        await until_told(lambda: [path["valid"] for path in frr.paths("10.9.0.1/32")] == [True])
        (path,) = frr.paths("10.9.0.1/32")
        assert path["nexthops"][0]["ip"] == NODE
        assert path["community"]["string"] == "64512:7"
        assert path["aspath"]["string"] == "64513"
        _shown_as_a_table(inside, speaker, cluster)
        await cluster.endpoints("web", "elsewhere", ready=False)
        await until_told(lambda: frr.paths("10.9.0.1/32") == [])
        assert frr.neighbor()["bgpState"] == "Established"
        assert await speaker.terminate() == 0
        await until_told(lambda: "is stopping" in str(frr.neighbor()))


OLD_CONFIG = f"""
peers:
- peer-address: {ROUTER}
  peer-asn: 64512
  my-asn: 64513
  hold-time: 9s
address-pools:
- name: default
  protocol: bgp
  addresses: [10.9.0.0/16]
  bgp-advertisements:
  - aggregation-length: 24
    communities: [mine]
bgp-communities: {{mine: 64512:10}}
"""


async def test_frr_has_what_the_old_config_map_says(cluster: Cluster, frr: Frr) -> None:
    kubeconfig = await cluster.prepare()
    body = {"metadata": {"name": "config"}, "data": {"config": OLD_CONFIG}}
    await cluster.client.create(CONFIG_MAPS.path(cluster.name), body)
    await cluster.service("web", "10.9.0.1")
    await cluster.endpoints("web", "elsewhere")
    inside = ("ip", "netns", "exec", frr.node)
    async with api_reachable_in(frr.node, cluster.api.port), Speaker(cluster, kubeconfig, inside=inside):
        await until_told(lambda: [path["valid"] for path in frr.paths("10.9.0.0/24")] == [True])
        (path,) = frr.paths("10.9.0.0/24")
        assert path["community"]["string"] == "64512:10"
        await cluster.client.delete(CONFIG_MAPS.path(cluster.name, "config"))
        await until_told(lambda: frr.paths("10.9.0.0/24") == [])
        await until_told(lambda: frr.neighbor()["bgpState"] != "Established")


def _shown_as_a_table(inside: tuple[str, ...], speaker: Speaker, cluster: Cluster) -> None:
    program = [sys.executable, "-c", "import sys; from vipcast.cli import main; sys.exit(main())"]
    command = [*inside, *program, "status", "--health-address", f"127.0.0.1:{speaker.health}"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    lines = [line.split() for line in shown.splitlines()]
    peer = next(line for line in lines if line[:1] == ["tor"])
    assert peer[1:5] == ["64513", "64512", ROUTER, "Established"]
    assert [f"{cluster.name}/web", "10.9.0.1", "yes", "10.9.0.1/32", "to", "tor"] in lines
