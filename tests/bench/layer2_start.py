# SPDX-License-Identifier: GPL-3.0-or-later
"""How long `vipcast layer2` takes from its start to its first announcement, and what memory it needs.

    sudo .venv/bin/python tests/bench/layer2_start.py [--rounds 20]

Nodes and a client on a segment in namespaces. The clock starts with the process and stops when the client's
card has the first gratuitous ARP. `alone`: two others are expected and not there, so it waits as long as a
dead one takes; `together`: all three start. Then the memory of one that answers for 1, 1,000 and 5,000.
"""

from __future__ import annotations

import argparse
import select
import socket
import statistics
import sys
import threading
import time
from ipaddress import ip_address
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

from daemon.interop.network import lacking  # noqa: E402
from daemon.interop.speaker import enter  # noqa: E402
from daemon.layer2d.harness import VIP, Cluster, Net, eventually  # noqa: E402

PATIENCE = 10.0


class Listener:
    """`heard`: when the client's card had the first gratuitous ARP for the address."""

    def __init__(self, net: Net) -> None:
        self.heard: float | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(net.client,), daemon=True)
        self._thread.start()
        self._ready.wait(PATIENCE)

    def join(self) -> float:
        self._thread.join(PATIENCE)
        assert self.heard is not None, "nothing was announced"
        return self.heard

    def _run(self, namespace: str) -> None:
        enter(namespace)
        vip = ip_address(VIP).packed
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as sock:
            sock.bind(("eth0", 0x0806))
            self._ready.set()
            while select.select([sock], [], [], PATIENCE)[0]:
                frame = sock.recv(2048)
                if frame[28:32] == frame[38:42] == vip:
                    self.heard = time.monotonic()
                    return


def start(nodes: int) -> float:
    """Seconds, of a cluster of three of which so many are started."""
    with Net() as net:
        cluster, listener = Cluster(net), Listener(net)
        names = list(cluster.namespaces)[:nodes]
        try:
            began = time.monotonic()
            for name in names:
                cluster.processes[name] = cluster.process(name)
            for name in names:
                cluster.attend(name)
            return listener.join() - began
        finally:
            cluster.__exit__()


def memory(count: int) -> float:
    """MiB of the one process that answers for so many addresses, after a few announcements of each."""
    addresses = [str(ip_address("10.31.16.0") + number) for number in range(count)]
    with Net(nodes=1) as net, Cluster(net, addresses) as cluster:
        (process,), (speaker,) = cluster.processes.values(), cluster.speakers.values()
        eventually(lambda: speaker.status(addresses[-1]).owner, "it owns all", 30)
        time.sleep(5)
        return process.memory() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    if (lack := lacking()) is not None:
        sys.exit(lack)
    for named, nodes in (("alone", 1), ("together", 3)):
        found = sorted(start(nodes) for _number in range(options.rounds))
        print(f"{named}: median {statistics.median(found):.2f} s, max {found[-1]:.2f} ({len(found)} times)")
    for count in (1, 1000, 5000):
        print(f"{count} addresses: {memory(count):.1f} MiB", flush=True)


if __name__ == "__main__":
    main()
