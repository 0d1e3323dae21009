# SPDX-License-Identifier: GPL-3.0-or-later
"""A speaker in a process of its own, so that it can be killed.

Arguments: the restart time in seconds, and the prefixes that it announces until it ends.
"""

from __future__ import annotations

import asyncio
import sys
from ipaddress import ip_network
from pathlib import Path

from daemon.interop.speaker import peer

from vipcast.bgp.route import Route
from vipcast.net.peering import Peering

TESTS = Path(__file__).parents[2]
PATH = f"{TESTS.parent / 'src'}:{TESTS}"


def command(restart_time: int, *prefixes: str) -> list[str]:
    python = ["env", f"PYTHONPATH={PATH}", sys.executable]
    return [*python, "-m", "daemon.interop.process", str(restart_time), *prefixes]


async def _main(restart_time: str, *prefixes: str) -> None:
    peering = Peering(peer(restart_time=int(restart_time)), notify=lambda: None)
    peering.set_routes(frozenset(Route(ip_network(prefix)) for prefix in prefixes))
    await peering.run()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
