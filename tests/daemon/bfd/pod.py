# SPDX-License-Identifier: GPL-3.0-or-later
"""A pod on the node: a namespace behind a veth, as CNIs make it, that sends whatever it likes (NET_RAW)."""

from __future__ import annotations

import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address

from daemon.interop.network import NODE, ROUTER, Cable, run, wait_carrier
from daemon.interop.speaker import enter

POD, GATEWAY = "10.88.0.2", "10.88.0.1"


class Pod:
    """The pod, which can ``send`` packets with any source to the node."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def send(self, *packets: bytes) -> None:
        """Give the kernel whole IPv4 packets."""

        def work() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
                for packet in packets:
                    sock.sendto(packet, (NODE, 0))

        inside(self.namespace, work)


@contextmanager
def pod(cable: Cable, *, reverse_path: int = 0) -> Iterator[Pod]:
    """A pod on the cable's node, whose kernel checks sources as ``reverse_path`` says (rp_filter)."""
    namespace = f"{cable.node}-pod"
    run("ip", "netns", "add", namespace)
    try:
        veth = ("type", "veth", "peer", "name", "eth0", "netns", namespace)
        run("ip", "-n", cable.node, "link", "add", "veth-pod", *veth)
        for where, name, address in ((cable.node, "veth-pod", GATEWAY), (namespace, "eth0", POD)):
            run("ip", "-n", where, "addr", "add", f"{address}/24", "dev", name)
            run("ip", "-n", where, "link", "set", name, "up")
        wait_carrier(namespace)
        run("ip", "-n", namespace, "route", "add", "default", "via", GATEWAY)
        for name in ("all", "veth-pod"):
            setting = f"net.ipv4.conf.{name}.rp_filter={reverse_path}"
            run("ip", "netns", "exec", cable.node, "sysctl", "-qw", setting)
        yield Pod(namespace)
    finally:
        run("ip", "netns", "del", namespace, check=False)


def datagram(payload: bytes, *, port: int = 3784, ttl: int = 255, source: str = ROUTER) -> bytes:
    """Return an IPv4 packet to the node; the kernel fills in the header's checksum."""
    udp = struct.pack("!HHHH", 50000, port, 8 + len(payload), 0)
    addresses = ip_address(source).packed + ip_address(NODE).packed
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp) + len(payload), 0, 0, ttl, 17, 0)
    return header + addresses + udp + payload


def inside(namespace: str, work: Callable[[], object]) -> None:
    """Run it in a namespace, in a thread of its own."""
    raised: list[BaseException] = []

    def enter_and_work() -> None:
        try:
            enter(namespace)
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=enter_and_work)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


_FLOOD = """
import socket, sys, time
payload, address, port, packets, seconds = bytes.fromhex(sys.argv[1]), *sys.argv[2:]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
sock.connect((address, int(port)))
end, sent = time.monotonic() + float(seconds), 0
while sent < int(packets) and time.monotonic() < end:
    for _each in range(100):
        try:
            sock.send(payload)
        except OSError:  # an ICMP error that came back
            pass
    sent += 100
print(sent)
"""


def flood(namespace: str, payload: bytes, *, packets: int = 200_000, seconds: float = 4.0) -> int:
    """Send UDP packets to the node's BFD port as fast as one process can; how many were sent."""
    command = (sys.executable, "-c", _FLOOD, payload.hex(), NODE, "3784", str(packets), str(seconds))
    return int(run("ip", "netns", "exec", namespace, *command))
