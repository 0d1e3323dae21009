# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packet sockets of one interface (packet(7)), and its multicast groups. The sockets take CAP_NET_RAW."""

from __future__ import annotations

import array
import contextlib
import errno
import os
import socket
import struct
from ipaddress import IPv6Address

__all__ = ["Groups", "attach_filter", "check", "explain", "open_packet_socket"]

_SO_ATTACH_FILTER = 26
_INSTRUCTION = 8  # octets of struct sock_filter
# What waits while we are kept from running: some 4,000 requests.
_BUFFER = 1 << 20
_SOL_PACKET, _PACKET_IGNORE_OUTGOING = 263, 23  # linux/socket.h, linux/if_packet.h
# What a socket says when the options that it has take as much memory as it may have (net.core.optmem_max).
_FULL = frozenset({errno.ENOBUFS, errno.ENOMEM})
# Where an interface takes no group at all, thousands are not tried one by one, each second.
_MOST_FAILURES = 16


def open_packet_socket(interface: str, ether_type: int, program: bytes) -> socket.socket:
    """Whole frames of one EtherType that pass ``program``, the first one too. Raises OSError."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        with contextlib.suppress(OSError):  # Linux 4.20; the filter drops what we sent ourselves as well
            sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        attach_filter(sock, program)
        sock.bind((interface, ether_type))
    except BaseException:
        sock.close()
        raise
    return sock


def check() -> None:
    """Check that this process may have packet sockets. Raises PermissionError, in words."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except PermissionError as error:
        raise PermissionError("answering at layer 2 takes the capability NET_RAW") from error


def attach_filter(sock: socket.socket, program: bytes) -> None:
    """Put a filter in the place of the one before, without a gap. Raises OSError."""
    code = array.array("B", program)
    length = len(program) // _INSTRUCTION
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", length, code.buffer_info()[0]))


def explain(error: OSError, interface: str) -> str:
    """Return why nothing is answered there, for a person."""
    if error.errno in (errno.EPERM, errno.EACCES):
        return f"cannot answer on {interface}: that takes the capability NET_RAW"
    if error.errno in (errno.ENODEV, errno.ENXIO):
        return f"cannot answer on {interface}: it has gone"
    return f"cannot answer on {interface}: {os.strerror(error.errno) if error.errno else error}"


class Groups:
    """The multicast groups that an interface listens to (RFC 3810: the kernel tells the switches).

    ``wanted`` and what was achieved are two things: ``reach`` brings them together as far as the kernel lets
    it, and can be tried again. As many sockets as it takes: what one may join is bounded by its memory for
    options.
    """

    def __init__(self, index: int) -> None:
        self.wanted: frozenset[IPv6Address] = frozenset()
        self.error: OSError | None = None  # of the last group that could not be joined
        self._index = index
        self._joined: dict[IPv6Address, socket.socket] = {}
        self.sockets: list[socket.socket] = []

    @property
    def joined(self) -> list[tuple[IPv6Address, int]]:
        """Each with the number of its socket."""
        return [(group, self.sockets.index(sock)) for group, sock in self._joined.items()]

    @property
    def missing(self) -> frozenset[IPv6Address]:
        return self.wanted - self._joined.keys()

    def adopt(self, sockets: list[socket.socket], joined: list[tuple[IPv6Address, int]]) -> None:
        """Take over the sockets of another process; ``reach`` leaves the groups that are not wanted."""
        self.sockets = sockets
        self._joined = {group: sockets[number] for group, number in joined}

    def reach(self) -> None:
        """Join and leave what is missing and too much. Where many fail, the rest is for the next time."""
        self.error = None
        failures = 0
        for group in sorted(self.missing):
            if failures >= _MOST_FAILURES:
                break
            try:
                self._joined[group] = self._join(group)
            except OSError as error:
                self.error, failures = error, failures + 1
        for group in self._joined.keys() - self.wanted:
            self._leave(group)

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()
        self.sockets.clear()
        self._joined.clear()
        self.wanted = frozenset()

    def _join(self, group: IPv6Address) -> socket.socket:
        for sock in reversed(self.sockets):
            try:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, self._request(group))
                return sock
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                break  # the ones before are full, too
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        try:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, self._request(group))
        except OSError:
            sock.close()
            raise
        self.sockets.append(sock)
        return sock

    def _leave(self, group: IPv6Address) -> None:
        sock = self._joined.pop(group, None)
        if sock is None:
            return
        with contextlib.suppress(OSError):  # the interface has gone, and its groups with it
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_LEAVE_GROUP, self._request(group))
        # It has room again.
        self.sockets.remove(sock)
        self.sockets.append(sock)

    def _request(self, group: IPv6Address) -> bytes:
        return group.packed + struct.pack("=I", self._index)
