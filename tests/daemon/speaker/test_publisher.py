# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of a node while its copy of the collection is not current, in a real API server."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from ipaddress import ip_address
from typing import Any

import pytest
from daemon.speaker.cluster import Cluster
from support.apiserver import ApiServer
from support.waiting import eventually

from vipcast.k8s import ApiError, Client, Json, find_access
from vipcast.k8s.client import Listing, WatchEvent
from vipcast.k8s.resource import NODES, SERVICE_L2_STATUSES
from vipcast.layer2.api import AddressStatus, Holding
from vipcast.speaker.layer2.status_objects import layer2_name
from vipcast.speaker.layer2.verdicts import Layer2Verdict
from vipcast.speaker.reporting.publisher import Publisher

pytestmark = pytest.mark.apiserver


class DeafClient(Client):
    """Lists each collection once, and then waits for `hears`: writes go through, and no news comes back."""

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        self.hears = asyncio.Event()
        self._listed: Counter[str] = Counter()

    async def list(self, path: str, **query: Any) -> Listing:
        if self._listed[path]:
            await self.hears.wait()
        self._listed[path] += 1
        return await super().list(path, **query)

    async def watch(
        self, path: str, *, resource_version: str, **query: Any
    ) -> AsyncGenerator[WatchEvent, None]:
        if not self.hears.is_set():
            raise ApiError(503, "ServiceUnavailable", "the API server has only just come back")
        async for event in super().watch(path, resource_version=resource_version, **query):
            yield event


async def test_what_was_deleted_before_it_was_seen_comes_back(
    cluster: Cluster, api_server: ApiServer
) -> None:
    """Two nodes write the same object at the end of an outage, and the one that no longer owns goes last."""
    await cluster.prepare()
    key = cluster.name, "web"
    path = SERVICE_L2_STATUSES.path(cluster.name, layer2_name(key))

    async def stored() -> Json | None:
        listing = await cluster.client.list(SERVICE_L2_STATUSES.path(cluster.name))
        return next(iter(listing.items), None)

    client = DeafClient(find_access(str(api_server.kubeconfig)))
    node = await cluster.client.get(NODES.path(None, cluster.node))
    owned = AddressStatus(Holding.OWNER, cluster.node, 1, 0.0)
    publisher = Publisher(client, cluster.node, cluster.name)
    publisher.publish(
        node["metadata"]["uid"],
        [],
        {},
        layer2={key: (Layer2Verdict(ip_address("10.31.8.100"), status=owned),)},
    )
    running = asyncio.create_task(publisher.run())
    try:
        await eventually(stored)
        await cluster.client.delete(path)
        client.hears.set()
        assert (await eventually(stored))["status"]["node"] == cluster.node
    finally:
        running.cancel()
        await client.close()
