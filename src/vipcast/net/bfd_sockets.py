# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""UDP sockets for BFD Control packets (RFC 5881 sections 3 to 5, RFC 5883). No capability is needed."""

from __future__ import annotations

import errno
import os
import random
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from vipcast.bfd.settings import SINGLE_HOP_TTL, BfdSettings
from vipcast.model.addresses import IPAddress
from vipcast.net.route_lookup import interfaces_to

SINGLE_HOP_PORT, MULTIHOP_PORT, ECHO_PORT = 3784, 4784, 3785
# RFC 5881 section 4: the source port is of this range, one for each session.
SOURCE_PORTS = range(49152, 65536)
# Internetwork control, as every router marks its own.
_TRAFFIC_CLASS = 0xC0
# linux/in.h, linux/in6.h; Python's socket module lacks some.
_IP_PKTINFO, _IP_RECVTTL = 8, 12
_IPV6_RECVPKTINFO, _IPV6_PKTINFO = 49, 50
_IPV6_RECVHOPLIMIT, _IPV6_HOPLIMIT = 51, 52
# What waits while we are kept from running; the kernel gives as much as it allows.
_BUFFER = 1 << 20
_SO_MEMINFO, _DROPS = 55, 8 * 4  # SK_MEMINFO_DROPS
_ANCILLARY = 128
_PACKET = 512  # a Control packet with the longest authentication is 52 octets
# In a turn from one socket: about two milliseconds. Whoever fills the buffer must not keep us reading.
AT_ONCE = 256
# Before anything expires more is read, of what came during a pause of ours: ten milliseconds' worth.
AFTER_A_PAUSE = 1024
_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class ReceiverKey:
    """One socket takes the packets of all sessions that share this."""

    version: int
    multihop: bool
    vrf: str | None

    @property
    def port(self) -> int:
        return MULTIHOP_PORT if self.multihop else SINGLE_HOP_PORT


@dataclass(frozen=True, slots=True)
class Datagram:
    data: bytes
    source: IPAddress  # without a scope
    interface: int  # index
    ttl: int


def receiver_key(settings: BfdSettings) -> ReceiverKey:
    return ReceiverKey(settings.peer.version, settings.multihop, settings.vrf)


def open_receiver(key: ReceiverKey) -> socket.socket:
    """Raises OSError: EADDRINUSE where another BFD program runs on this node."""
    sock = socket.socket(_family(key.version), socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if key.version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVHOPLIMIT, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        _bind_device(sock, key.vrf)
        sock.bind(("", key.port))
    except BaseException:
        sock.close()
        raise
    return sock


def open_sender(settings: BfdSettings) -> socket.socket:
    """Connected: its source address and port stay the same as long as it lives. Raises OSError."""
    sock = socket.socket(_family(settings.peer.version), socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        four = settings.peer.version == 4
        level = socket.IPPROTO_IP if four else socket.IPPROTO_IPV6
        sock.setsockopt(level, socket.IP_TTL if four else socket.IPV6_UNICAST_HOPS, SINGLE_HOP_TTL)
        sock.setsockopt(level, socket.IP_TOS if four else socket.IPV6_TCLASS, _TRAFFIC_CLASS)
        _bind_device(sock, settings.vrf or (None if settings.multihop else settings.interface))
        scope = _scope(settings)
        _bind_source(sock, "" if settings.local is None else _bare(settings.local), scope)
        sock.connect(_name(_bare(settings.peer), receiver_key(settings).port, scope, four))
    except BaseException:
        sock.close()
        raise
    return sock


def receive(sock: socket.socket, most: int = AT_ONCE) -> Iterator[Datagram]:
    """Read what waits in the socket's buffer, ``most`` packets of it: more may come as fast as it is read."""
    for _each in range(most):
        try:
            data, ancillary, _flags, name = sock.recvmsg(_PACKET, _ANCILLARY)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # an ICMP error that came back; the next packet is not less good for it
            continue
        ttl, interface = _read_ancillary(ancillary)
        yield Datagram(data, ip_address(name[0].partition("%")[0]), interface, ttl)


def dropped(sock: socket.socket) -> int:
    """Return how many packets the kernel has dropped instead of giving them to the socket."""
    try:
        return int(struct.unpack_from("=I", sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 64), _DROPS)[0])
    except (OSError, struct.error):  # before Linux 4.12
        return 0


def unscoped(address: IPAddress) -> IPAddress:
    return ip_address(_bare(address)) if isinstance(address, IPv6Address) and address.scope_id else address


def interfaces(settings: BfdSettings) -> frozenset[int] | None:
    """Return the indices of the interfaces that a single-hop session is on (RFC 5881 section 3): the one that
    is set, or else those of the route to the peer. None: any, for several hops, and in a VRF, to which the
    sockets are bound: from outside of it nothing comes in.
    """
    if settings.multihop or (settings.vrf and not settings.interface):
        return None
    try:
        if settings.interface:
            return frozenset((socket.if_nametoindex(settings.interface),))
        local = None if settings.local is None else unscoped(settings.local)
        return interfaces_to(unscoped(settings.peer), local)
    except OSError:  # the interface has gone, or there is no route now
        return frozenset()


def explain(error: OSError, settings: BfdSettings) -> str:
    """Return why there are no packets, for a person."""
    if error.errno == errno.EADDRINUSE:
        port = receiver_key(settings).port
        return f"UDP port {port} is taken: another BFD program runs on this node (frr-k8s, bird, cilium?)"
    if error.errno == errno.EADDRNOTAVAIL and settings.local is not None:
        return f"the source address {settings.local} is not on this host"
    if error.errno == errno.ENODEV:
        return f"there is no device {settings.vrf or settings.interface} on this host"
    return f"cannot send to {settings.peer}: {os.strerror(error.errno) if error.errno else error}"


def _family(version: int) -> socket.AddressFamily:
    return socket.AF_INET if version == 4 else socket.AF_INET6


def _bind_device(sock: socket.socket, device: str | None) -> None:
    if device:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")


def _bind_source(sock: socket.socket, address: str, scope: int) -> None:
    """Bind to a free port of the range."""
    for port in random.sample(SOURCE_PORTS, _ATTEMPTS):
        try:
            sock.bind(_name(address, port, scope, sock.family == socket.AF_INET))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return
    raise OSError(errno.EADDRNOTAVAIL, "no free source port")


def _name(address: str, port: int, scope: int, four: bool) -> tuple[str, int] | tuple[str, int, int, int]:
    return (address, port) if four else (address, port, 0, scope)


def _scope(settings: BfdSettings) -> int:
    """Return the scope of a link-local peer: the interface that its settings or its address name."""
    if not isinstance(settings.peer, IPv6Address) or not settings.peer.is_link_local:
        return 0
    name = settings.interface or settings.peer.scope_id
    return socket.if_nametoindex(name) if name else 0


def _bare(address: IPAddress) -> str:
    return str(address).partition("%")[0]


def _read_ancillary(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, int]:
    """TTL and interface index; a TTL that the kernel doesn't tell is none."""
    ttl = interface = 0
    for level, kind, data in ancillary:
        if (level, kind) in ((socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, _IPV6_HOPLIMIT)):
            ttl = struct.unpack_from("i", data)[0]
        elif (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            interface = struct.unpack_from("i", data)[0]
        elif (level, kind) == (socket.IPPROTO_IPV6, _IPV6_PKTINFO):
            interface = struct.unpack_from("i", data, 16)[0]
    return ttl, interface
