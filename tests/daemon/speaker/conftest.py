# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from daemon.speaker.cluster import ROLE, Cluster
from daemon.speaker.router import Router
from support.apiserver import ApiServer
from support.fixtures import api_server

from vipcast.k8s import Client, find_access

__all__ = ["api_server"]


@pytest.fixture(scope="session")
def configured(api_server: ApiServer) -> ApiServer:
    """The API server with the configuration's kinds."""
    api_server.kubectl("apply", "-f", str(ROLE / "files" / "crds"))
    api_server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    return api_server


@pytest.fixture
async def cluster(configured: ApiServer) -> AsyncIterator[Cluster]:
    client = Client(find_access(str(configured.kubeconfig)))
    made = Cluster(configured, client)
    yield made
    await made.give_back()
    await client.close()


@pytest.fixture
async def router() -> AsyncIterator[Router]:
    async with Router() as router:
        yield router
