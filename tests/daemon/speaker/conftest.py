# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from daemon.speaker.cluster import Cluster
from daemon.speaker.router import Router
from support.apiserver import ApiServer
from support.fixtures import clean_api_server

from vipcast.k8s import Client, find_access

__all__ = ["clean_api_server"]


@pytest.fixture
async def cluster(api_server: ApiServer) -> AsyncIterator[Cluster]:
    client = Client(find_access(str(api_server.kubeconfig)))
    made = Cluster(api_server, client)
    yield made
    await made.give_back()
    await client.close()


@pytest.fixture
async def router() -> AsyncIterator[Router]:
    async with Router() as router:
        yield router
