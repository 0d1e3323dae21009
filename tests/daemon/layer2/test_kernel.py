# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter in a real kernel: two namespaces, a cable between them, and a packet socket at one end."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import threading
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address

import pytest
from daemon.interop.network import Cable, lacking, run
from daemon.interop.speaker import enter
from daemon.layer2.wire_cases import ARP, GROUP, GROUP_MAC, NDP, THEIR4, THEIRS, VIP, VIP6, changed

from vipcast.layer2 import arp, ndp
from vipcast.layer2.frames import EtherType
from vipcast.layer2.kernel_filter import arp_filter, encode, ndp_filter
from vipcast.net.packet_sockets import attach_filter, open_packet_socket

pytestmark = pytest.mark.netns

ALL_PROTOCOLS = 3
OPTMEM = "net.core.optmem_max"
REQUEST, SOLICITATION = ARP["request"][0], NDP["solicitation"][0]
FOREIGN = arp.ArpFrame(
    b"\xff" * 6, THEIRS, arp.Operation.REQUEST, THEIRS, THEIR4, bytes(6), IPv4Address("192.0.2.77")
).encode()
FOREIGN6 = ndp.Solicitation(
    GROUP_MAC, THEIRS, IPv6Address("fe80::9"), GROUP, IPv6Address("2001:db8::77:2:3"), THEIRS
).encode()


def inside(namespace: str, make: Callable[[], socket.socket]) -> socket.socket:
    made: list[socket.socket] = []

    def work() -> None:
        enter(namespace)
        made.append(make())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return made[0]


@contextlib.contextmanager
def little_memory(namespace: str) -> Iterator[None]:
    """Leave sockets 20 KiB for what they are told, which is less than the kernel's own limit today."""
    prefix: tuple[str, ...] = ("ip", "netns", "exec", namespace)
    # Each namespace has its own since Linux 6.9; before, there is the machine's alone.
    if not run(*prefix, "sysctl", "-n", OPTMEM, check=False):
        prefix = ()
    before = run(*prefix, "sysctl", "-n", OPTMEM).strip()
    try:
        run(*prefix, "sysctl", "-qw", f"{OPTMEM}=20480")
        assert run(*prefix, "sysctl", "-n", OPTMEM).strip() == "20480"
        yield
    finally:
        run(*prefix, "sysctl", "-qw", f"{OPTMEM}={before}")


class Ends:
    """``sender`` is a bare socket at the other end; ``mac``: of ours."""

    def __init__(self, cable: Cable) -> None:
        self.cable = cable
        self.sender = self.open_plain(cable.router)
        self.mac = inside(cable.node, self._listening).getsockname()[4]

    def open_plain(self, namespace: str) -> socket.socket:
        return inside(namespace, self._listening)

    @staticmethod
    def _listening() -> socket.socket:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock.bind(("eth0", 0))
        return sock

    def open(self, ether_type: int, program: bytes) -> socket.socket:
        return inside(self.cable.node, lambda: open_packet_socket("eth0", ether_type, program))


@pytest.fixture
def ends() -> Iterator[Ends]:
    if (lack := lacking()) is not None:
        pytest.fail(lack)
    with Cable() as cable:
        yield Ends(cable)


def hears(sock: socket.socket, frame: bytes) -> bool:
    """Return whether the frame comes, perhaps after others that a filter of ranges lets through as well."""
    return any(heard(sock) == frame for _each in range(20))


def heard(sock: socket.socket, seconds: float = 5.0) -> bytes:
    assert select.select([sock], [], [], seconds)[0], "nothing came"
    return sock.recv(2048)


@pytest.mark.parametrize("protocol", [EtherType.ARP, ALL_PROTOCOLS])
def test_a_flood_of_arp_for_others_does_not_reach_the_process(ends: Ends, protocol: int) -> None:
    ours = ends.open(protocol, encode(arp_filter([VIP])))
    for _each in range(2000):
        ends.sender.send(FOREIGN)
    ends.sender.send(REQUEST)
    assert heard(ours) == REQUEST
    for frame in (FOREIGN, FOREIGN6, SOLICITATION, REQUEST):
        ends.sender.send(frame)
    assert heard(ours) == REQUEST


@pytest.mark.parametrize("protocol", [EtherType.IPV6, ALL_PROTOCOLS])
def test_nor_does_neighbor_discovery_for_others(ends: Ends, protocol: int) -> None:
    ours = ends.open(protocol, encode(ndp_filter([VIP6])))
    for _each in range(2000):
        ends.sender.send(FOREIGN6)
    for frame in (FOREIGN, REQUEST, SOLICITATION):
        ends.sender.send(frame)
    assert heard(ours) == SOLICITATION


@pytest.mark.parametrize("protocol", [EtherType.ARP, ALL_PROTOCOLS])
def test_nor_do_tagged_frames_our_own_and_those_for_other_hosts(ends: Ends, protocol: int) -> None:
    run("ip", "-n", ends.cable.node, "link", "set", "eth0", "promisc", "on")
    ours = ends.open(protocol, encode(arp_filter([VIP])))
    tagged = REQUEST[:12] + bytes.fromhex("81000007") + REQUEST[12:]
    ends.sender.send(tagged)
    ends.sender.send(changed(REQUEST, 0, bytes.fromhex("02005e0053ee")))
    ends.open_plain(ends.cable.node).send(REQUEST)
    unicast = changed(REQUEST, 0, ends.mac)
    ends.sender.send(unicast)
    assert heard(ours) == unicast


def test_a_filter_is_changed_in_place(ends: Ends) -> None:
    ours = ends.open(EtherType.ARP, encode(arp_filter([])))
    ends.sender.send(REQUEST)
    attach_filter(ours, encode(arp_filter([VIP])))
    again = changed(REQUEST, 31, b"\x63")  # told apart by who asks
    ends.sender.send(again)
    assert heard(ours) == again


def test_the_kernel_takes_programs_of_thousands_of_addresses_even_with_little_memory_for_them(
    ends: Ends,
) -> None:
    some = random.Random(1)
    four = [IPv4Address(some.getrandbits(32)) for _number in range(5000)]
    six = [IPv6Address(some.getrandbits(128)) for _number in range(5000)]

    with little_memory(ends.cable.node):
        ours = ends.open(EtherType.ARP, encode(arp_filter(four)))
        ours6 = ends.open(EtherType.IPV6, encode(ndp_filter(six)))
    for number in (0, 2500, 4999):
        ends.sender.send(asked := changed(REQUEST, 38, four[number].packed))
        assert hears(ours, asked)
        ends.sender.send(asked := changed(SOLICITATION, 62, six[number].packed))
        assert hears(ours6, asked)
