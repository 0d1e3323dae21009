# SPDX-License-Identifier: GPL-3.0-or-later
"""A peering that listens on a simulated network, and callers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address

from vipcast.bgp.messages import Open, encode
from vipcast.net.listener import Listener
from vipcast.net.peering import Peering, PeerSettings

OPEN = encode(Open.of(64512, 9, IPv4Address("192.0.2.2")))


def peer_settings(port: int, **values: object) -> PeerSettings:
    defaults = {
        "name": "r",
        "address": ip_address("127.0.0.1"),
        "port": port,
        "local_asn": 64513,
        "remote_asn": 64512,
        "hold_time": 9,
        "connect_time": 0.2,
    }
    return PeerSettings(**{**defaults, **values})  # type: ignore[arg-type]


class SimulatedNetwork:
    """Peerings that run; all are closed afterwards."""

    def __init__(self) -> None:
        self._running: list[tuple[Peering, asyncio.Task[None]]] = []

    def start(self, settings: PeerSettings, listener: Listener | None = None) -> Peering:
        peering = Peering(settings, notify=lambda: None, listener=listener)
        self._running.append((peering, asyncio.create_task(peering.run())))
        return peering

    async def end(self) -> None:
        for peering, task in self._running:
            await peering.close()
            await asyncio.wait_for(task, 3)


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def mirrored(settings: PeerSettings, **values: object) -> PeerSettings:
    """The other side's."""
    return peer_settings(
        settings.port, name="l", local_asn=settings.remote_asn, remote_asn=settings.local_asn, **values
    )


async def call(port: int, source: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
