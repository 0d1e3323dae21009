# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure an answer of `vipcast layer2`, beside the kernel's own and a bare loop on a packet socket.

    tests/bench/arp_answers.py [--requests 3000] [--rate 5000] [--seconds 5]

A client on a segment in namespaces asks each of them in turn, in one run: one request after the other
(latency), and so many requests a second (what arrives, and what it costs the process). Then it asks four
times as often for addresses that are nobody's, and three nodes do nothing: what that costs. Needs root. The
client is Python: what it takes itself is in every row.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import select
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

from daemon.interop.speaker import enter  # noqa: E402
from daemon.layer2_agent.harness import Cluster, Net, processor_time  # noqa: E402

KERNEL, BARE, FIRST, FOREIGN = "10.31.8.11", "10.31.15.1", "10.31.16.0", "10.31.200.0"
# What is asked for nobody: Python's least.
BARE_LOOP = """
import socket, sys
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
sock.bind(("eth0", 0x0806))
mac, wanted = sock.getsockname()[4], socket.inet_aton(sys.argv[1])
print("ready", flush=True)
while True:
    frame = sock.recv(2048)
    if frame[20:22] == b"\\0\\1" and frame[38:42] == wanted:
        asking = frame[22:28]
        sock.send(asking + mac + frame[12:20] + b"\\0\\2" + mac + wanted + asking + frame[28:32])
"""


class Asker:
    """Run in the client's namespace, in a process of its own."""

    def __init__(self, namespace: str, targets: list[str]) -> None:
        enter(namespace)
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
        self.sock.bind(("eth0", 0x0806))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        mac = self.sock.getsockname()[4]
        head = struct.pack("!6s6sHHHBBH", b"\xff" * 6, mac, 0x0806, 1, 0x0800, 6, 4, 1)
        head += mac + ip_address("10.31.8.1").packed + bytes(6)
        self.mac = mac
        self.requests = [head + ip_address(target).packed for target in targets]

    def latencies(self, count: int) -> list[float]:
        """Seconds; an answer that does not come within one is infinity."""
        return [self._once(self.requests[number % len(self.requests)]) for number in range(count)]

    def _once(self, request: bytes) -> float:
        begun = time.perf_counter()
        self.sock.send(request)
        while select.select([self.sock], [], [], 1.0)[0]:
            if self._answers(self.sock.recv(2048)) == request[38:42]:
                return time.perf_counter() - begun
        return float("inf")

    def _answers(self, frame: bytes) -> bytes | None:
        return frame[28:32] if frame[:6] == self.mac and frame[20:22] == b"\0\2" else None

    def offered(self, rate: float, seconds: float) -> tuple[int, int]:
        """Return how many were asked at that rate, and how many answers came."""
        asked = answered = 0
        self.sock.setblocking(False)
        begun = time.perf_counter()
        while (now := time.perf_counter() - begun) < seconds + 0.5:
            due = int(min(now, seconds) * rate)
            for number in range(asked, due):
                self.sock.send(self.requests[number % len(self.requests)])
            asked = due
            try:
                while True:
                    answered += self._answers(self.sock.recv(2048)) is not None
            except BlockingIOError:
                time.sleep(0.0005)
        return asked, answered


def ask(net: Net, targets: list[str], method: str, *arguments: Any) -> Any:
    """Call an Asker's method."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()

    def work() -> None:
        queue.put(getattr(Asker(net.client, targets), method)(*arguments))

    process = context.Process(target=work)
    process.start()
    found = queue.get()
    process.join()
    return found


def row(name: str, net: Net, targets: list[str], pid: int | None, options: argparse.Namespace) -> None:
    ask(net, targets, "latencies", 200)  # warm
    latencies = sorted(ask(net, targets, "latencies", options.requests))
    before = processor_time(pid) if pid else 0.0
    asked, answered = ask(net, targets, "offered", options.rate, options.seconds)
    share = (processor_time(pid) - before) / options.seconds if pid else 0.0
    lost = sum(latency == float("inf") for latency in latencies)
    median, late = statistics.median(latencies), latencies[int(len(latencies) * 0.99)]
    rates = f"{answered / options.seconds:.0f} of {asked / options.seconds:.0f}"
    cost = f"{share:.0%}" if pid else ""
    print(f"| {name} | {median * 1e6:.0f} us | {late * 1e6:.0f} us | {lost} | {rates} | {cost} |", flush=True)


@contextmanager
def bare_loop(net: Net) -> Iterator[int]:
    command = ("ip", "netns", "exec", net.nodes[0], sys.executable, "-c", BARE_LOOP, BARE)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


@contextmanager
def ours(net: Net, count: int) -> Iterator[tuple[list[str], Cluster]]:
    first = int(ip_address(FIRST))
    addresses = [str(ip_address(first + number)) for number in range(count)]
    with Cluster(net, addresses) as cluster:
        for address in (addresses[0], addresses[-1]):
            cluster.settle(address, 60)
        time.sleep(6)  # the announcements are over
        yield addresses, cluster


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=5000)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    print("| | median | p99 | without | answers a second | of a core |")
    print("|---|---|---|---|---|---|")
    with Net(1) as net:
        row("the kernel", net, [KERNEL], None, options)
        with bare_loop(net) as pid:
            row("a bare loop", net, [BARE], pid, options)
        for count in (1, 5000):
            with ours(net, count) as (addresses, cluster):
                process = cluster.processes["n1"].process
                row(f"vipcast layer2, {count}", net, addresses, process.pid, options)
                flood(net, process.pid, options)
                print(f"  {count} addresses: {cluster.processes['n1'].memory() / 2**20:.0f} MiB")
    idle(options.seconds)


def flood(net: Net, pid: int, options: argparse.Namespace) -> None:
    """A busy segment: requests that are not for us."""
    foreign = [str(ip_address(FOREIGN) + number) for number in range(1000)]
    before = processor_time(pid)
    asked, answered = ask(net, foreign, "offered", 4 * options.rate, options.seconds)
    share = (processor_time(pid) - before) / options.seconds
    rate = asked / options.seconds
    print(f"  {rate:.0f} foreign requests a second: {share:.1%} of a core, {answered} answers")


def idle(seconds: float) -> None:
    for count in (1, 1000):
        with Net(3) as net, ours(net, count) as (_addresses, cluster):
            before = {name: each.processor_time() for name, each in cluster.processes.items()}
            time.sleep(6 * seconds)
            shares = [
                (each.processor_time() - before[name]) / (6 * seconds)
                for name, each in cluster.processes.items()
            ]
            memory = max(each.memory() for each in cluster.processes.values()) / 2**20
            each = ", ".join(f"{share:.1%}" for share in shares)
            print(f"3 nodes, {count} addresses, idle: {each} of a core, {memory:.0f} MiB")


if __name__ == "__main__":
    main()
