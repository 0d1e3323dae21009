# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest
from support.apiserver import ApiServer
from support.fixtures import clean_api_server

from vipcast.k8s import Client, find_access

__all__ = ["clean_api_server"]

_numbers = itertools.count()


@pytest.fixture
async def client(api_server: ApiServer) -> AsyncIterator[Client]:
    client = Client(find_access(str(api_server.kubeconfig)))
    yield client
    await client.close()


@pytest.fixture
async def namespace(client: Client) -> str:
    name = f"test-{next(_numbers)}"
    await client.create("/api/v1/namespaces", {"metadata": {"name": name}})
    return name
