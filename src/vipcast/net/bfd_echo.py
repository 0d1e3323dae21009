# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Echo packets on the wire (RFC 5881 section 4): IPv4, from our address to it, by way of the peer's MAC.

The peer's forwarding sends them back; our kernel would drop them as its own, so they are read before it does.
Opening the socket needs CAP_NET_RAW, and nothing else here does.
"""

from __future__ import annotations

import array
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from vipcast.net.bfd_sockets import ECHO_PORT, SINGLE_HOP_PORT

_TTL = 255
_TRAFFIC_CLASS = 0xC0
_ETH_P_IP = 0x0800
_SO_ATTACH_FILTER = 26
_PACKET = 2048
_IP = struct.Struct("!BBHHHBBH4s4s")
_UDP = struct.Struct("!HHHH")
# Classic BPF from the IP header on: UDP, no later fragment, destination port of echo or of Control packets,
# which tell us the MACs of peers. Each: code, jump if true, jump if false, value.
_FILTER = (
    (0x30, 0, 0, 9),  # load the protocol
    (0x15, 0, 7, socket.IPPROTO_UDP),
    (0x28, 0, 0, 6),  # load flags and fragment offset
    (0x45, 5, 0, 0x1FFF),
    (0xB1, 0, 0, 0),  # index by the header's length
    (0x48, 0, 0, 2),  # load the destination port
    (0x15, 1, 0, ECHO_PORT),
    (0x15, 0, 1, SINGLE_HOP_PORT),
    (0x06, 0, 0, _PACKET),
    (0x06, 0, 0, 0),
)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Where a peer is on the wire."""

    interface: str
    mac: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """``payload`` of an echo packet that came back; None for a Control packet, which only tells the MAC."""

    source: IPv4Address
    neighbour: Neighbour
    payload: bytes | None


def open_port() -> socket.socket:
    """Raises PermissionError without CAP_NET_RAW."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
    try:
        sock.setblocking(False)
        code = array.array("B", b"".join(struct.pack("=HBBI", *line) for line in _FILTER))
        program = struct.pack("@HP", len(_FILTER), code.buffer_info()[0])
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except BaseException:
        sock.close()
        raise
    return sock


def send(sock: socket.socket, neighbour: Neighbour, ours: IPv4Address, payload: bytes) -> None:
    """Raises OSError."""
    address = (neighbour.interface, _ETH_P_IP, 0, 0, neighbour.mac)
    sock.sendto(_datagram(ours, payload), address)


def receive_all(sock: socket.socket) -> Iterator[Heard]:
    """Everything that waits in the socket's buffer."""
    while True:
        try:
            data, address = sock.recvfrom(_PACKET)
        except OSError:
            return
        if (heard := _read(data, Neighbour(address[0], address[4]))) is not None:
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


def _read(data: bytes, neighbour: Neighbour) -> Heard | None:
    start = 4 * (data[0] & 0x0F) if data else 0
    if start < _IP.size or len(data) < start + _UDP.size:
        return None
    source = IPv4Address(data[12:16])
    port = _UDP.unpack_from(data, start)[1]
    if port != ECHO_PORT:
        return Heard(source, neighbour, None)
    # One that came back is from us and to us.
    return Heard(source, neighbour, data[start + _UDP.size :]) if data[12:16] == data[16:20] else None
