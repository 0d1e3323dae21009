# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The UDP sockets of the heartbeats, one of each IP version."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from vipcast.layer2.kernel_filter import MOST_HOPS, encode, heartbeat_filter
from vipcast.model.addresses import IPAddress
from vipcast.net.packet_sockets import attach_filter

__all__ = ["HeartbeatPort"]

# Internetwork control, as routers mark theirs: a switch that is busy sends these first.
_TRAFFIC_CLASS = 0xC0
_BUFFER = 1 << 20
_READ = 65536
# A flood must not keep us reading for ever: what is left is read in the next turn, after what is due. Before
# anybody is judged to be dead all that waits is read; 1,000 nodes in the slowest case send less in a round.
_AT_ONCE, _ALL = 256, 4096
_KNOWN = 4096
_SO_DETACH_FILTER = 27

_VERSIONS = {4: socket.AF_INET, 6: socket.AF_INET6}
Datagram = tuple[bytes, tuple[IPAddress, int]]


class HeartbeatPort:
    """``sockets`` by IP version; ``problem``: why there are not both.

    ``room``: octets of their buffers, where the kernel gives less than was asked for (net.core.rmem_max).
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.sockets: dict[int, socket.socket] = {}
        self.problem: str | None = None
        self.errors: Counter[str] = Counter()  # by what the kernel said
        self.room: int | None = None
        self._on_link: bool | None = False  # None: there is no filter
        self._sources: dict[str, IPAddress] = {}

    def open(self) -> list[socket.socket]:
        """Open the sockets that are missing; return the new ones."""
        self.problem = None
        opened = []
        for version, family in _VERSIONS.items():
            if version not in self.sockets and (sock := self._open(version, family)) is not None:
                self.sockets[version] = sock
                opened.append(sock)
        return opened

    def adopt(self, sockets: Mapping[int, socket.socket]) -> None:
        """Take over the sockets of another process, of an earlier release maybe."""
        self.sockets.update(sockets)
        for version, sock in sockets.items():
            self._prepare(version, sock)

    def take_from_link_only(self, on_link: bool) -> None:
        """Set whether the kernel is to drop what a router has forwarded (RFC 5082)."""
        if on_link != self._on_link:
            self._on_link = on_link
            for version, sock in self.sockets.items():
                self._filter(version, sock)

    def take_everything(self) -> None:
        """Remove the filters: another process is to have the sockets, one that knows nothing of them."""
        self._on_link = None
        for sock in self.sockets.values():
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)

    def send(self, data: bytes, address: IPAddress, port: int) -> None:
        sock = self.sockets.get(address.version)
        if sock is None:
            return
        try:
            sock.sendto(data, (str(address), port))
        except OSError as error:  # the next one may find a way
            self.errors[errno.errorcode.get(error.errno or 0, "unknown")] += 1

    def receive(self, sock: socket.socket, *, everything: bool = False) -> Iterator[Datagram]:
        """Yield what waits in the socket's buffer, and where it came from: some of it, or all."""
        for _each in range(_ALL if everything else _AT_ONCE):
            try:
                data, name = sock.recvfrom(_READ)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # an ICMP error that came back; the next packet is not less good for it
                continue
            yield data, (self._source(name[0]), name[1])

    def close(self) -> None:
        for sock in self.sockets.values():
            sock.close()
        self.sockets.clear()

    def _open(self, version: int, family: socket.AddressFamily) -> socket.socket | None:
        try:
            sock = socket.socket(family, socket.SOCK_DGRAM)
        except OSError:  # a kernel without IPv6
            return None
        try:
            sock.setblocking(False)
            if version == 6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _TRAFFIC_CLASS)
            else:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _TRAFFIC_CLASS)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self._prepare(version, sock)
            sock.bind(("", self.port))
        except OSError as error:
            sock.close()
            self.problem = self._explain(error)
            return None
        return sock

    def _prepare(self, version: int, sock: socket.socket) -> None:
        """Raises OSError."""
        if version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, MOST_HOPS)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, MOST_HOPS)
        self._filter(version, sock)
        given = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # the kernel doubles it
        self.room = given if given < _BUFFER else None

    def _filter(self, version: int, sock: socket.socket) -> None:
        attach_filter(sock, encode(heartbeat_filter(version, on_link=bool(self._on_link))))

    def _explain(self, error: OSError) -> str:
        if error.errno == errno.EADDRINUSE:
            return f"UDP port {self.port} is taken: another program of this node has it (MetalLB's speaker?)"
        return f"cannot use UDP port {self.port}: {os.strerror(error.errno) if error.errno else error}"

    def _source(self, text: str) -> IPAddress:
        found = self._sources.get(text)
        if found is None:
            if len(self._sources) >= _KNOWN:
                self._sources.clear()
            found = self._sources[text] = ip_address(text.partition("%")[0])
        return found
