# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Echo packets on the wire (RFC 5881 section 4): IPv4, from our address to it, by way of the peer's MAC.

The peer's forwarding sends them back; our kernel would drop them as its own, so they are read before it does.
The peer's MAC is that of its Control packets. Those are seen here before the kernel has judged them, so the
TTL, our discriminator and the interface have to fit here as well. Opening the socket needs CAP_NET_RAW, and
nothing else here does.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from vipcast.bfd.packet import ControlPacket
from vipcast.bfd.packet import decode as decode_control
from vipcast.bfd.settings import SINGLE_HOP_TTL
from vipcast.net.bfd_filter import echo_filter
from vipcast.net.bfd_sockets import AT_ONCE, ECHO_PORT, SINGLE_HOP_PORT
from vipcast.net.packet_sockets import attach_filter

_TTL = 255
_TRAFFIC_CLASS = 0xC0
_ETH_P_IP = 0x0800
_PACKET = 2048
_IP = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")


@dataclass(frozen=True, slots=True)
class Neighbor:
    """The interface and MAC by which a peer is reached."""

    interface: str
    mac: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """A packet. ``payload`` of an echo packet that came back, None for a Control packet. ``discriminator``:
    ours, as a Control packet has it.
    """

    source: IPv4Address
    neighbor: Neighbor
    payload: bytes | None
    discriminator: int = 0


def open_port(discriminators: Collection[int]) -> socket.socket:
    """Open the socket; ``discriminators`` as for ``listen_for``. Raises OSError, PermissionError without
    CAP_NET_RAW.
    """
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
    try:
        sock.setblocking(False)
        listen_for(sock, discriminators)
    except BaseException:
        sock.close()
        raise
    return sock


def listen_for(sock: socket.socket, discriminators: Collection[int]) -> None:
    """Have the kernel drop what belongs to no session with one of these discriminators."""
    attach_filter(sock, echo_filter(discriminators))


def send(sock: socket.socket, neighbor: Neighbor, ours: IPv4Address, payload: bytes) -> None:
    """Raises OSError."""
    address = (neighbor.interface, _ETH_P_IP, 0, 0, neighbor.mac)
    sock.sendto(_datagram(ours, payload), address)


def receive(sock: socket.socket, most: int = AT_ONCE) -> Iterator[Heard]:
    """Read what waits in the socket's buffer, ``most`` packets of it."""
    for _each in range(most):
        try:
            data, address = sock.recvfrom(_PACKET)
        except OSError:
            return
        if (heard := _read(data, Neighbor(address[0], address[4]))) is not None:
            yield heard


def _datagram(ours: IPv4Address, payload: bytes) -> bytes:
    """UDP without a checksum, which IPv4 allows."""
    udp = _UDP.pack(ECHO_PORT, ECHO_PORT, _UDP.size + len(payload), 0)
    length = _IP.size + len(udp) + len(payload)
    fields = (0x45, _TRAFFIC_CLASS, length, 0, 0, _TTL, socket.IPPROTO_UDP)
    plain = _IP.pack(*fields, 0, ours.packed, ours.packed)
    return _IP.pack(*fields, _checksum(plain), ours.packed, ours.packed) + udp + payload


def _checksum(header: bytes) -> int:
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)


def _read(data: bytes, neighbor: Neighbor) -> Heard | None:
    start = 4 * (data[0] & 0x0F) if data else 0
    if start < _IP.size or len(data) < start + _UDP.size:
        return None
    source, port = IPv4Address(data[12:16]), _UDP.unpack_from(data, start)[1]
    payload = data[start + _UDP.size :]
    if port == ECHO_PORT:
        # One that came back is from us and to us.
        return Heard(source, neighbor, payload) if data[12:16] == data[16:20] else None
    if port != SINGLE_HOP_PORT or data[8] != SINGLE_HOP_TTL:
        return None
    packet = decode_control(payload)
    if not isinstance(packet, ControlPacket) or not packet.your_discriminator:
        return None
    return Heard(source, neighbor, None, packet.your_discriminator)
