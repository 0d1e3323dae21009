# SPDX-License-Identifier: GPL-3.0-or-later
"""The status objects that speakers write, read from the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from daemon.speaker.cluster import Cluster, Speaker

from vipcast.k8s import Json, Resource
from vipcast.k8s.resource import BGP_SESSION_STATES, SERVICE_BGP_STATUSES


class Reports:
    """Return what the speakers of a namespace have written."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def items(self, resource: Resource) -> list[Json]:
        listing = await self._cluster.client.list(resource.path(self._cluster.name))
        return sorted(listing.items, key=lambda item: str(item["metadata"]["name"]))

    async def session(self, peer: str = "tor") -> Json:
        """The status of the only BGPSessionState of a peer; {} while there is none."""
        every = [item["status"] for item in await self.items(BGP_SESSION_STATES)]
        found = [status for status in every if status["peerName"] == peer]
        assert len(found) <= 1
        return found[0] if found else {}

    async def services(self) -> dict[str, Json]:
        """Status by the service's name."""
        every = [item["status"] for item in await self.items(SERVICE_BGP_STATUSES)]
        found = {status["serviceName"]: status for status in every}
        assert len(found) == len(every)
        return found


def session_is(reports: Reports, peer: str = "tor", **wanted: Any) -> Callable[[], Awaitable[Json]]:
    """A question: the session's status, once it has these values."""

    async def ask() -> Json:
        status = await reports.session(peer)
        return status if wanted.items() <= status.items() else {}

    return ask


def services_are(reports: Reports, *names: str) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return (await reports.services()).keys() == set(names)

    return ask


async def no_trouble_of(speaker: Speaker) -> bool:
    found = (await speaker.status())["reports"]
    return found["problem"] is None and found["waiting"] == 0
