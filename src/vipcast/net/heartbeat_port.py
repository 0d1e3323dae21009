# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The UDP sockets of the heartbeats, one of each IP version."""

from __future__ import annotations

import errno
import os
import socket
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address

from vipcast.layer2.wants import Address

__all__ = ["HeartbeatPort"]

# Internetwork control, as routers mark theirs: a switch that is busy sends these first.
_TRAFFIC_CLASS = 0xC0
_BUFFER = 1 << 20
_READ = 65536
# A flood must not keep us reading for ever; 1,000 nodes in the slowest case send less in a round.
_AT_ONCE = 4096
_KNOWN = 4096

_VERSIONS = {4: socket.AF_INET, 6: socket.AF_INET6}
Datagram = tuple[bytes, tuple[Address, int]]


class HeartbeatPort:
    """``sockets`` by IP version; ``problem``: why there are not both."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.sockets: dict[int, socket.socket] = {}
        self.problem: str | None = None
        self.errors: Counter[str] = Counter()  # by what the kernel said
        self._sources: dict[str, Address] = {}

    def open(self) -> list[socket.socket]:
        """Those that are missing; the new ones."""
        self.problem = None
        opened = []
        for version, family in _VERSIONS.items():
            if version not in self.sockets and (sock := self._open(version, family)) is not None:
                self.sockets[version] = sock
                opened.append(sock)
        return opened

    def send(self, data: bytes, address: Address, port: int) -> None:
        sock = self.sockets.get(address.version)
        if sock is None:
            return
        try:
            sock.sendto(data, (str(address), port))
        except OSError as error:  # the next one may find a way
            self.errors[errno.errorcode.get(error.errno or 0, "unknown")] += 1

    def receive(self, sock: socket.socket) -> Iterator[Datagram]:
        """What waits in the socket's buffer, and where it came from."""
        for _each in range(_AT_ONCE):
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
            sock.bind(("", self.port))
        except OSError as error:
            sock.close()
            self.problem = self._explain(error)
            return None
        return sock

    def _explain(self, error: OSError) -> str:
        if error.errno == errno.EADDRINUSE:
            return f"UDP port {self.port} is taken: another program of this node has it (MetalLB's speaker?)"
        return f"cannot use UDP port {self.port}: {os.strerror(error.errno) if error.errno else error}"

    def _source(self, text: str) -> Address:
        found = self._sources.get(text)
        if found is None:
            if len(self._sources) >= _KNOWN:
                self._sources.clear()
            found = self._sources[text] = ip_address(text.partition("%")[0])
        return found
