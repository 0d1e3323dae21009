# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP socket for a peer, dialling or listening: source address, device, TTL, MD5."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

from vipcast.model.addresses import IPAddress
from vipcast.model.defaults import MAX_PASSWORD
from vipcast.net.settings import PeerSettings

# linux/tcp.h, linux/in.h, linux/in6.h; Python's socket module doesn't have them.
_TCP_MD5SIG = 14
_IP_MINTTL = 21
_IPV6_MINHOPCOUNT = 73
# Internetwork control (RFC 4271 section 8 leaves it open; every router marks its BGP so).
_TRAFFIC_CLASS = 0xC0
_MAX_TTL = 255
# How many connections the kernel holds for us until they are taken: peers are few.
_BACKLOG = 64

SocketAddress = tuple[str, int] | tuple[str, int, int, int]


def open_socket(settings: PeerSettings, peer: IPAddress) -> socket.socket:
    """Return a socket for ``peer``: non-blocking, not connected.

    Raises OSError: the kernel refuses a setting.
    """
    sock = socket.socket(_family(peer.version), socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if settings.vrf is not None:
            bind_to_device(sock, settings.vrf)
        set_options(sock, settings)
        if settings.password is not None:
            set_md5_key(sock, peer, settings.password)
        if settings.source_address is not None:
            sock.bind(socket_address(settings.source_address, 0, settings.interface))
    except BaseException:
        sock.close()
        raise
    return sock


def open_listener(version: int, device: str | None, port: int) -> socket.socket:
    """Non-blocking, for peers of one IP version, on all addresses or those of ``device`` (a VRF)."""
    sock = socket.socket(_family(version), socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        # The second lets a socket of a VRF and one of the rest of the host be on one port.
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            sock.setsockopt(socket.SOL_SOCKET, option, 1)
        if version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if device is not None:
            bind_to_device(sock, device)
        # Whoever asks for TTL security drops a SYN-ACK with less (RFC 5082 section 3).
        _set_ttl(sock, _MAX_TTL)
        sock.bind(("", port))
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def set_options(sock: socket.socket, settings: PeerSettings) -> None:
    """Set the options that every connection with the peer has, whoever made it."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    four = sock.family == socket.AF_INET
    level = socket.IPPROTO_IP if four else socket.IPPROTO_IPV6
    sock.setsockopt(level, socket.IP_TOS if four else socket.IPV6_TCLASS, _TRAFFIC_CLASS)
    if settings.ttl_security_hops is not None:
        # RFC 5082 section 3: sent with 255, and nothing taken that has passed more routers than agreed.
        _set_ttl(sock, _MAX_TTL)
        least = _MAX_TTL + 1 - settings.ttl_security_hops
        sock.setsockopt(level, _IP_MINTTL if four else _IPV6_MINHOPCOUNT, least)
    elif not settings.internal and not settings.multihop:
        # RFC 4271 section 5.1.3: an external peer is one hop away; a packet that strays dies there.
        _set_ttl(sock, 1)


def _family(version: int) -> socket.AddressFamily:
    return socket.AF_INET if version == 4 else socket.AF_INET6


def _set_ttl(sock: socket.socket, ttl: int) -> None:
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)


def bind_to_device(sock: socket.socket, device: str) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode() + b"\0")


def set_md5_key(sock: socket.socket, peer: IPAddress, password: str | None) -> None:
    """``password`` None: what comes from the peer is not signed any more."""
    key = (password or "").encode()
    if isinstance(peer, IPv4Address):
        address = struct.pack("=HH4s", socket.AF_INET, 0, peer.packed)
    else:
        address = struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, peer.packed, scope(peer))
    # struct tcp_md5sig: the peer's sockaddr_storage, flags, prefix length, key length, interface, key.
    option = address.ljust(128, b"\0") + struct.pack(f"=BBHI{MAX_PASSWORD}s", 0, 0, len(key), 0, key)
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_MD5SIG, option)


def socket_address(address: IPAddress, port: int, interface: str | None = None) -> SocketAddress:
    """``interface``: where a link-local address is, unless its scope says so."""
    if isinstance(address, IPv4Address):
        return str(address), port
    return str(address).partition("%")[0], port, 0, scope(address, interface)


def scope(address: IPv6Address, interface: str | None = None) -> int:
    """The index of the interface of a link-local address; 0 for others. OSError: there is no such one."""
    if not address.is_link_local:
        return 0
    name = address.scope_id or interface
    return interface_index(name) if name else 0


def interface_index(name: str) -> int:
    """OSError with ENODEV where there is none; Python's own has no number."""
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV)) from error


def local_address(sock_name: tuple[str, int]) -> IPAddress:
    """Our end of a connection, from ``getsockname``; a scope is of no use to anyone else."""
    return ip_address(sock_name[0].partition("%")[0])


def is_open(sock: socket.socket) -> bool:
    """Return whether the other end has not closed a connection, whatever of it is still unread."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    return not poll.poll(0)


def refuse(sock: socket.socket, message: bytes) -> None:
    """Say why and close; a new connection's buffer always has room for that much."""
    with contextlib.suppress(OSError):
        sock.send(message)
    sock.close()


def explain(error: OSError, settings: PeerSettings) -> str:
    """Return why there is no connection, for a person."""
    if error.errno == errno.EADDRNOTAVAIL and settings.source_address is not None:
        return f"the source address {settings.source_address} is not on this host"
    if error.errno == errno.ENOPROTOOPT and settings.password is not None:
        return "this kernel has no TCP MD5 (CONFIG_TCP_MD5SIG): a password cannot be used"
    if error.errno in (errno.ENODEV, errno.ENXIO):
        return f"there is no interface {settings.vrf or settings.interface} on this host"
    # asyncio puts its own words into strerror.
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"cannot connect to {settings.place}: {reason}"


def explain_listening(error: OSError, port: int, device: str | None) -> str:
    """Return why nobody can be waited for, for a person."""
    where = f"port {port}" if device is None else f"port {port} of {device}"
    if error.errno == errno.EADDRINUSE:
        return f"cannot listen on {where}: another program of this host does"
    if error.errno == errno.EACCES:
        return f"cannot listen on {where}: that takes the capability NET_BIND_SERVICE"
    if error.errno == errno.ENODEV:
        return f"cannot listen on {where}: there is no such interface on this host"
    return f"cannot listen on {where}: {os.strerror(error.errno) if error.errno else error}"
