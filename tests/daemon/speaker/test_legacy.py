# SPDX-License-Identifier: GPL-3.0-or-later
"""The speaker gets peers and pools from MetalLB's old ConfigMap, with the rights that its role has."""

from __future__ import annotations

import pytest
from daemon.speaker.cluster import Cluster, Speaker
from daemon.speaker.legacy_config import write
from daemon.speaker.router import Router
from support.following import until
from support.waiting import eventually

from vipcast.k8s import resource as resources

pytestmark = pytest.mark.apiserver


def config(port: int, pool: str = "10.9.0.0/16", more: str = "") -> str:
    return f"""
peers:
- peer-address: 127.0.0.1
  peer-port: {port}
  peer-asn: 64512
  my-asn: 64513
  hold-time: 9s
address-pools:
- name: default
  protocol: bgp
  addresses: [{pool}]
  bgp-advertisements:
  - communities: [mine]
bgp-communities:
  mine: 64512:10
{more}"""


async def problems(speaker: Speaker) -> list[str]:
    found = (await speaker.status())["configuration"]["problems"]
    return [f"{each['kind']} {each['field']}: {each['message']}" for each in found]


async def test_session_and_route_come_from_the_config_map_and_go_with_it(
    cluster: Cluster, router: Router
) -> None:
    kubeconfig = await cluster.prepare()
    await cluster.service("web", "10.9.0.1")
    await cluster.endpoints("web", "elsewhere")
    async with Speaker(cluster, kubeconfig) as speaker:
        await eventually(speaker.status)
        assert router.sessions == 0
        await write(cluster, config(router.port))
        await until(lambda: "10.9.0.1/32" in router.routes)
        assert router.routes["10.9.0.1/32"].attributes.communities == {64512 << 16 | 10}

        await write(cluster, "peers: [unfinished")
        await eventually(lambda: _has(speaker, "ConfigMap config: is not YAML"))
        assert set(router.routes) == {"10.9.0.1/32"}

        await write(cluster, config(router.port, pool="10.10.0.0/16"))
        await until(lambda: not router.routes)
        assert router.sessions == 1

        await cluster.client.delete(resources.CONFIG_MAPS.path(cluster.name, "config"))
        await until(lambda: len(router.notifications) == 1)
        assert (await speaker.status())["peers"] == []


async def test_an_object_of_the_same_name_takes_over_without_a_new_session(
    cluster: Cluster, router: Router
) -> None:
    kubeconfig = await cluster.prepare()
    await write(cluster, config(router.port))
    async with Speaker(cluster, kubeconfig) as speaker:
        await until(lambda: router.sessions == 1)
        spec = {"myASN": 64513, "peerASN": 64512, "peerAddress": "127.0.0.1", "holdTime": "9s"}
        await cluster.apply(
            "BGPPeer", f"peer-127.0.0.1-{router.port}", spec={**spec, "peerPort": router.port}
        )
        await eventually(lambda: _has(speaker, "ConfigMap peers[0]: BGPPeer"))
        await cluster.client.delete(resources.CONFIG_MAPS.path(cluster.name, "config"))
        await eventually(lambda: _has_none(speaker))
        await cluster.configure()
        await cluster.service("web", "10.9.0.1")
        await cluster.endpoints("web", "elsewhere")
        await until(lambda: "10.9.0.1/32" in router.routes)
    assert router.sessions == 1


async def _has(speaker: Speaker, words: str) -> bool:
    return any(words in each for each in await problems(speaker))


async def _has_none(speaker: Speaker) -> bool:
    return await problems(speaker) == []
