# SPDX-License-Identifier: GPL-3.0-or-later
"""How long until a router has 10,000 prefixes, from ``set_routes`` on an established session.

    sudo .venv/bin/python tests/bench/bgp_announce.py [--prefixes N] [--runs N]

Needs root, namespaces and Debian's frr package. It prints each run and the medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from ipaddress import IPv4Network
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

from daemon.interop.frr import NODE, Router, missing  # noqa: E402
from daemon.interop.speaker import Speaker, peer  # noqa: E402

from vipcast.bgp.framing import MessageType  # noqa: E402
from vipcast.bgp.route import Route  # noqa: E402

CONFIG = f"""router bgp 64512
 no bgp ebgp-requires-policy
 neighbor {NODE} remote-as 64513
 neighbor {NODE} timers connect 1
exit"""


def measure(count: int) -> tuple[float, float, int, int]:
    """Seconds until we have sent everything, until FRR has it; UPDATEs and octets."""
    routes = [Route(IPv4Network((0x0A000000 + i, 32))) for i in range(count)]
    with Router() as router:
        router.start(CONFIG)
        with Speaker(router.node, peer()) as speaker:
            speaker.wait_up(30)
            before = speaker.status().counters
            start = time.perf_counter()
            speaker.set_routes(*routes)
            while speaker.prefixes_sent() < count:
                time.sleep(0.01)
            sent = time.perf_counter() - start
            while router.accepted() != count:
                if time.perf_counter() - start > 60:
                    raise SystemExit(f"FRR has {router.accepted()} of {count} prefixes after 60 s")
                time.sleep(0.01)
            there = time.perf_counter() - start
            after = speaker.status().counters
    updates = after.messages_out[MessageType.UPDATE] - before.messages_out[MessageType.UPDATE]
    return sent, there, updates, after.bytes_out - before.bytes_out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prefixes", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    if (lack := missing()) is not None:
        raise SystemExit(lack)
    runs = []
    for number in range(1, options.runs + 1):
        sent, there, updates, octets = measure(options.prefixes)
        runs.append((sent, there))
        print(f"run {number}: sent {sent:.3f} s, in FRR {there:.3f} s, {updates} UPDATEs, {octets} octets")
    sent, there = (statistics.median(values) for values in zip(*runs, strict=True))
    print(f"median of {len(runs)}, {options.prefixes} prefixes: sent {sent:.3f} s, in FRR {there:.3f} s")


if __name__ == "__main__":
    main()
