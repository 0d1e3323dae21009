# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP socket for a peer: source address, TTL, MD5."""

from __future__ import annotations

import errno
import os
import socket
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

from vipcast.net.settings import MAX_PASSWORD, PeerSettings

# linux/tcp.h; Python's socket module doesn't have it.
_TCP_MD5SIG = 14
# Internetwork control (RFC 4271 section 8 leaves it open; every router marks its BGP so).
_TRAFFIC_CLASS = 0xC0

SocketAddress = tuple[str, int] | tuple[str, int, int, int]


def open_socket(settings: PeerSettings, peer: IPv4Address | IPv6Address) -> socket.socket:
    """To dial ``peer``: not connected yet, non-blocking. OSError: the kernel refuses a setting."""
    family = socket.AF_INET if peer.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        _set_options(sock, settings, peer)
        if settings.source_address is not None:
            sock.bind(socket_address(settings.source_address, 0))
    except BaseException:
        sock.close()
        raise
    return sock


def _set_options(sock: socket.socket, settings: PeerSettings, peer: IPv4Address | IPv6Address) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    four = sock.family == socket.AF_INET
    level = socket.IPPROTO_IP if four else socket.IPPROTO_IPV6
    sock.setsockopt(level, socket.IP_TOS if four else socket.IPV6_TCLASS, _TRAFFIC_CLASS)
    if not settings.internal and not settings.multihop:
        # RFC 4271 section 5.1.3: an external peer is one hop away; a packet that strays dies there.
        sock.setsockopt(level, socket.IP_TTL if four else socket.IPV6_UNICAST_HOPS, 1)
    if settings.password is not None:
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_MD5SIG, _md5_key(peer, settings.password))


def _md5_key(peer: IPv4Address | IPv6Address, password: str) -> bytes:
    """struct tcp_md5sig: the peer's sockaddr_storage, flags, prefix length, key length, interface, key."""
    key = password.encode()
    if isinstance(peer, IPv4Address):
        address = struct.pack("=HH4s", socket.AF_INET, 0, peer.packed)
    else:
        address = struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, peer.packed, _scope(peer))
    return address.ljust(128, b"\0") + struct.pack(f"=BBHI{MAX_PASSWORD}s", 0, 0, len(key), 0, key)


def socket_address(address: IPv4Address | IPv6Address, port: int) -> SocketAddress:
    if isinstance(address, IPv4Address):
        return str(address), port
    return str(address).partition("%")[0], port, 0, _scope(address)


def _scope(address: IPv6Address) -> int:
    return socket.if_nametoindex(address.scope_id) if address.scope_id else 0


def local_address(sock_name: tuple[str, int]) -> IPv4Address | IPv6Address:
    """Our end of a connection, from ``getsockname``; a scope is of no use to anyone else."""
    return ip_address(sock_name[0].partition("%")[0])


def explain(error: OSError, settings: PeerSettings) -> str:
    """Why there is no connection, for a person."""
    if error.errno == errno.EADDRNOTAVAIL and settings.source_address is not None:
        return f"the source address {settings.source_address} is not on this host"
    if error.errno == errno.ENOPROTOOPT and settings.password is not None:
        return "this kernel has no TCP MD5 (CONFIG_TCP_MD5SIG): a password cannot be used"
    # asyncio puts its own words into strerror.
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"cannot connect to {settings.place}: {reason}"
