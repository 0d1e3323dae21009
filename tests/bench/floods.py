# SPDX-License-Identifier: GPL-3.0-or-later
"""Flood what a node listens to: sessions lost, owners changed, and how late our own packets leave.

    sudo .venv/bin/python tests/bench/floods.py [--seconds N] [--rate PACKETS] [--senders N] [PORT ...]

PORT is 3784 (UDP, BFD), 179 (TCP, BGP; from an address that is no peer's), 17472 (TCP, the health address of
`vipcast bfd`, opened for this) or 7946 (UDP, heartbeats of `vipcast layer2`); without one, all of them. Each
flood has a bounded number of packets, seconds times rate, and says how many a second the machine gave. The
node is a network namespace; for the first three ports FRR (bgpd, bfdd) is its router, with BFD of 3 x 300 ms,
and for 7946 there are three nodes and a client. Of TCP each packet is a connection that is opened and closed.
Needs root, Debian's frr and tcpdump.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

from daemon.bfd.harness import NODE, ROUTER, Asker, BfdProcess, BfdRouter, eventually, settings  # noqa: E402
from daemon.interop.frr import missing  # noqa: E402
from daemon.interop.network import run  # noqa: E402
from daemon.interop.speaker import Speaker, peer  # noqa: E402
from daemon.layer2_agent.harness import Asking, Cluster, Net, processor_time  # noqa: E402

from vipcast.net.listener import Listener  # noqa: E402

STRANGER = "10.99.0.9"
HEALTH = 17472
_BFD = f"bfd\n peer {NODE} interface eth0 local-address {ROUTER}\n exit\nexit"
_BGP = f"router bgp 64512\n no bgp ebgp-requires-policy\n neighbor {NODE} remote-as 64513\nexit"

_SEND = """
import socket, sys, time
kind, source, address, port, rate, packets = sys.argv[1:]
rate, packets = int(rate), int(packets)
def udp():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
    sock.bind((source, 0))
    sock.connect((address, int(port)))
    while True:
        try:
            sock.send(b"x" * 24)
        except OSError:  # an ICMP error that came back
            pass
        yield
def tcp():
    while True:
        with socket.socket() as sock:
            sock.setblocking(False)
            try:
                sock.bind((source, 0))
                sock.connect_ex((address, int(port)))
            except OSError:  # no port is free
                pass
        yield
step, start, sent = {"udp": udp, "tcp": tcp}[kind](), time.monotonic(), 0
end = start + packets / rate
while sent < packets and (now := time.monotonic()) < end:
    if sent > (now - start) * rate:
        time.sleep(0.001)
        continue
    for _each in range(50):
        next(step)
    sent += 50
print(sent, time.monotonic() - start)
"""


class Flood(NamedTuple):
    """A flood. ``rate`` and ``packets`` are those of all senders together."""

    kind: str
    namespace: str
    source: str
    target: str
    port: int
    rate: int
    packets: int

    def run(self, senders: int) -> str:
        """Send it all; how much that was."""
        share = str(self.rate // senders), str(self.packets // senders)
        arguments = (self.kind, self.source, self.target, str(self.port), *share)
        command = ("ip", "netns", "exec", self.namespace, sys.executable, "-c", _SEND, *arguments)
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _each in range(senders)]
        said = [each.communicate()[0].split() for each in running]
        sent, seconds = sum(int(words[0]) for words in said), max(float(words[1]) for words in said)
        return f"{self.kind} {self.port}: {sent} sent in {seconds:.1f} s, {sent / seconds:.0f}/s"


@contextlib.contextmanager
def captured(namespace: str, folder: Path, expression: str) -> Iterator[Path]:
    """Capture our own packets, as they leave."""
    capture = folder / f"{time.monotonic_ns()}.pcap"
    tcpdump = ("tcpdump", "-i", "eth0", "-Q", "out", "-w", str(capture), "-U", "-s", "80", expression)
    command = ["ip", "netns", "exec", namespace, *tcpdump]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    time.sleep(1)
    try:
        yield capture
    finally:
        time.sleep(1)
        process.terminate()
        process.wait()


def longest_gaps(capture: Path) -> str:
    """Return the three longest between two packets of one source and target."""
    last: dict[str, float] = {}
    gaps = []
    for line in run("tcpdump", "-r", str(capture), "-tt", "-n", "-q").splitlines():
        at, _family, source, _to, target = line.split()[:5]
        if (way := f"{source} {target}") in last:
            gaps.append(float(at) - last[way])
        last[way] = float(at)
    longest = ", ".join(f"{1000 * gap:.0f}" for gap in sorted(gaps, reverse=True)[:3])
    return f"longest gaps of our own packets {longest} ms"


class _Process(BfdProcess):
    port = HEALTH


def router_side(options: argparse.Namespace, ports: list[int]) -> None:
    """BFD and BGP with FRR, and the floods on what they listen to."""
    with BfdRouter() as router:
        run("ip", "-n", router.router, "addr", "add", f"{STRANGER}/24", "dev", "eth0")
        router.start_all(_BFD, _BGP)
        slow = settings(transmit_interval=0.3, receive_interval=0.3)
        with (
            _Process(router.node, router.folder, f"--health-address=:{HEALTH}") as process,
            Asker(router.node, {"r": slow}) as asker,
            Speaker(router.node, peer(), listener=Listener(always=True)) as speaker,
        ):
            speaker.wait_up()
            eventually(lambda: asker.status().up and router.bfd_up(), "BFD is up", 30)
            time.sleep(3)
            for port in ports:
                before = processor_time(process.process.pid)
                one_flood(options, router, asker, speaker, port)
                spent = processor_time(process.process.pid) - before
                print(f"   vipcast bfd took {spent:.1f} s of a core", flush=True)


def one_flood(
    options: argparse.Namespace, router: BfdRouter, asker: Asker, speaker: Speaker, port: int
) -> None:
    kind, source = ("udp", ROUTER) if port == 3784 else ("tcp", STRANGER)
    flood = Flood(kind, router.router, source, NODE, port, options.rate, options.rate * options.seconds)
    before = counts(router, asker, speaker)
    with captured(router.node, router.folder, f"udp dst port 3784 and src host {NODE}") as capture:
        sent = flood.run(options.senders)
    names = ("BFD here", "BFD at FRR", "BGP")
    after = counts(router, asker, speaker)
    changes = ", ".join(f"{name} {b - a}" for name, a, b in zip(names, before, after, strict=True))
    print(f"{sent}; sessions lost: {changes}; {longest_gaps(capture)} of 300", flush=True)


def counts(router: BfdRouter, asker: Asker, speaker: Speaker) -> tuple[int, int, int]:
    """Return the losses so far."""
    there = sum(int(each["session-down"]) for each in router.all_bfd_counters())
    return asker.status().counters.down_events, there, speaker.status().counters.established


def layer2_side(options: argparse.Namespace) -> None:
    """Three nodes that watch each other, and a flood on the first one's heartbeats."""
    with Net() as net, Cluster(net, profile="default") as cluster:
        cluster.settle()
        first, process = next(iter(cluster.processes.items()))
        spent = process.processor_time()
        packets = options.rate * options.seconds
        flood = Flood("udp", net.client, "10.31.8.1", "10.31.8.11", 7946, options.rate, packets)
        before = changes_of(cluster)
        with (
            Asking(net) as asking,
            captured(cluster.namespaces[first], net.folder, "udp dst port 7946") as capture,
        ):
            sent = flood.run(options.senders)
        dead, moves = (b - a for a, b in zip(before, changes_of(cluster), strict=True))
        vain = f"at most {asking.most_in_vain()} of {len(asking.asked)} questions in a row in vain"
        print(
            f"{sent}; found dead {dead} times, {moves} moves of an address, {vain}; {longest_gaps(capture)}",
            f"   vipcast layer2 took {process.processor_time() - spent:.1f} s of a core",
            sep="\n",
            flush=True,
        )


def changes_of(cluster: Cluster) -> tuple[int, int]:
    """Return how many members were found dead, and moves, so far."""
    events = itertools.chain.from_iterable(process.events() for process in cluster.processes.values())
    dead = sum(event["event"] == "member_changed" and event["new"] == "dead" for event in events)
    return dead, sum(len(speaker.moves) for speaker in cluster.speakers.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rate", type=int, default=100_000, help="packets a second, of all senders together")
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("ports", nargs="*", type=int, metavar="PORT")
    options = parser.parse_args()
    if (lack := missing()) is not None:
        sys.exit(lack)
    every = (3784, 179, HEALTH, 7946)
    ports = [port for port in every if not options.ports or port in options.ports]
    if at_router := [port for port in ports if port != 7946]:
        router_side(options, at_router)
    if 7946 in ports:
        layer2_side(options)


if __name__ == "__main__":
    main()
