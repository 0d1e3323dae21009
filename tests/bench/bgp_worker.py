# SPDX-License-Identifier: GPL-3.0-or-later
"""One Peering in a process of its own, for measurements: reads names of files with prefixes, one in a line.

python tests/bench/bgp_worker.py ROUTER OUR_AS ROUTERS_AS
"""

from __future__ import annotations

import asyncio
import sys
from ipaddress import IPv4Network, ip_address
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from vipcast.bgp.route import Route
from vipcast.net.peering import Peering, PeerSettings


def routes(path: str) -> frozenset[Route]:
    return frozenset(Route(IPv4Network(line)) for line in Path(path).read_text().split())


async def lines() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    return reader


async def main(router: str, asn: int, remote: int) -> None:
    settings = PeerSettings("router", ip_address(router), 179, asn, remote, hold_time=90, connect_time=1)
    peering = Peering(settings, notify=lambda: None)
    running = asyncio.create_task(peering.run())
    reader = await lines()
    print("ready", flush=True)
    while line := await reader.readline():
        peering.set_routes(routes(line.decode().strip()))
        print("given", flush=True)
    await peering.close()
    await running


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
