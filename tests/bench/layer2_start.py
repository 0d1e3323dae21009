# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how long `vipcast layer2` takes from its start to its first announcement, and what memory it needs.

    sudo .venv/bin/python tests/bench/layer2_start.py [--rounds 20] [--sizes 1,1000,5000]

Nodes and a client on a segment in namespaces. The clock starts with the process and stops when the client's
card has the first gratuitous ARP. `alone`: two others are expected and not there, so it waits as long as a
dead one takes; `together`: all three start. Then the memory of one that answers for 1, 1,000 and 5,000, and
how long its heartbeats pause at most while a speaker comes back that wants so many.
"""

from __future__ import annotations

import argparse
import itertools
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
from daemon.layer2_agent.harness import VIP, Cluster, Net, eventually  # noqa: E402

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


class Heartbeats:
    """`pause`: the longest time between two heartbeats that came to a node, since `begin`."""

    def __init__(self, namespace: str) -> None:
        self._at: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(namespace,), daemon=True)
        self._thread.start()

    def pause(self, since: float) -> float:
        self._ended.set()
        self._thread.join(PATIENCE)
        times = [at for at in self._at if at >= since]
        return max((later - one for one, later in itertools.pairwise(times)), default=PATIENCE)

    def _run(self, namespace: str) -> None:
        enter(namespace)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("", 7946))
            while not self._ended.is_set():
                if select.select([sock], [], [], 0.2)[0]:
                    sock.recv(2048)
                    self._at.append(time.monotonic())


def returning(count: int) -> float:
    """Seconds, of the one process whose speaker is another one from now on."""
    addresses = [str(ip_address("10.31.16.0") + number) for number in range(count)]
    with Net(nodes=2) as net, Cluster(net, addresses) as cluster:
        first, second = sorted(cluster.processes)
        cluster.processes[second].__exit__(None, None, None)
        eventually(lambda: cluster.speakers[first].status(addresses[-1]).owner == first, "it owns all", 60)
        time.sleep(8)  # until everything has been said
        heard, since = Heartbeats(cluster.namespaces[second]), time.monotonic()
        cluster.attend(first)
        eventually(lambda: len(cluster.speakers[first].statuses()) == count, "it knows all", 60)
        time.sleep(1)
        return heard.pause(since)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--sizes", default="1,1000,5000")
    options = parser.parse_args()
    if (lack := lacking()) is not None:
        sys.exit(lack)
    for named, nodes in (("alone", 1), ("merge", 3)):
        found = sorted(start(nodes) for _number in range(options.rounds))
        print(f"{named}: median {statistics.median(found):.2f} s, max {found[-1]:.2f} ({len(found)} times)")
    for count in map(int, options.sizes.split(",")):
        print(f"{count} addresses: {memory(count):.1f} MiB", flush=True)
        print(f"{count} addresses: heartbeats pause for {1000 * returning(count):.0f} ms", flush=True)


if __name__ == "__main__":
    main()
