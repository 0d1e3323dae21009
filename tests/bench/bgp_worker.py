# SPDX-License-Identifier: GPL-3.0-or-later
"""One Peering as a process of its own, so that its CPU and memory are its own.

    PYTHONPATH=src python tests/bench/bgp_worker.py '{"address": "192.0.2.1", "local_asn": 1, ...}'

It reads names of files with prefixes, one in a line, and each time announces those of the file alone. It says
``ready``, and ``given`` for each file. At the end of its input it takes leave.
"""

from __future__ import annotations

import asyncio
import json
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from vipcast.bgp.route import Route
from vipcast.net.peering import Peering, PeerSettings


def routes(path: str) -> frozenset[Route]:
    return frozenset(Route(ip_network(line)) for line in Path(path).read_text().split())


def settings(values: dict[str, Any]) -> PeerSettings:
    values["address"] = ip_address(values["address"])
    return PeerSettings(**{"name": "router", "port": 179, "connect_time": 1, **values})


async def lines() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    return reader


async def main(values: dict[str, Any]) -> None:
    peering = Peering(settings(values), notify=lambda: None)
    reader = await lines()
    running = asyncio.create_task(peering.run())
    print("ready", flush=True)
    while line := await reader.readline():
        peering.set_routes(routes(line.decode().strip()))
        print("given", flush=True)
    await peering.close()
    await running


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
