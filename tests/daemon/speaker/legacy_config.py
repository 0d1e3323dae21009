# SPDX-License-Identifier: GPL-3.0-or-later
"""MetalLB's old ConfigMap, written into a test's namespace."""

from __future__ import annotations

from daemon.speaker.cluster import Cluster

from vipcast.k8s import resource as resources


async def write(cluster: Cluster, text: str) -> None:
    body = {"metadata": {"name": "config"}, "data": {"config": text}}
    path = resources.CONFIG_MAPS.path(cluster.name)
    if (await cluster.client.list(path, field_selector="metadata.name=config")).items:
        await cluster.client.patch(resources.CONFIG_MAPS.path(cluster.name, "config"), body)
    else:
        await cluster.client.create(path, body)
