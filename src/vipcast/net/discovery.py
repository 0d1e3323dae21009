# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the router on an interface, and being found by it: for unnumbered peers.

A router that has an unnumbered neighbor on an interface sends Router Advertisements there; their source is
its link-local address. It learns ours in the same way.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
import socket
import struct
import sys
from collections.abc import Callable
from ipaddress import IPv6Address
from pathlib import Path

from vipcast.net.addresses import read_addresses
from vipcast.net.devices import device_is_gone
from vipcast.net.router_advertisement import (
    ALL_NODES,
    ALL_ROUTERS,
    HOP_LIMIT,
    Kind,
    encode_advertisement,
    encode_solicitation,
    valid_kind,
)
from vipcast.net.sockets import bind_to_device, interface_index

# Seconds between two of our advertisements: what routers use for unnumbered neighbors.
INTERVAL = 10.0
# While no router is known it is asked for this often (RFC 4861 section 10: RTR_SOLICITATION_INTERVAL).
IMPATIENT = 4.0
# A new interface has no address yet while the kernel looks whether another host has it (RFC 4862).
RETRY = 1.0
# After so long without an advertisement another router on the interface may take its place.
FORGET = 3.5 * INTERVAL
# RFC 4861 section 10, MIN_DELAY_BETWEEN_RAS is 3 s: a flood of solicitations is answered once in that time.
_ANSWER_PAUSE = 3.0
_AT_ONCE = 16

_ICMP6_FILTER = 1
_WANTED = (Kind.SOLICITATION, Kind.ADVERTISEMENT)


class Discovery:
    """``address``: the router's, with its scope; None where none has been heard. ``problem``: for a person.

    ``changed`` is called when either has changed.
    """

    def __init__(self, interface: str, changed: Callable[[], None]) -> None:
        self.address: IPv6Address | None = None
        self.problem = ""
        self._interface = interface
        self._changed = changed
        self._heard_at = 0.0
        self._answered_at = -_ANSWER_PAUSE
        self._sock: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._tick()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._close()

    def _tick(self) -> None:
        """An interface may come, go, and come back under its name: what fails is begun anew next time."""
        try:
            if self._sock is not None and device_is_gone(self._sock):
                self._close()
                self._heard_at = -math.inf  # another link: whoever is heard there first is the router
            anew = self._sock is None
            if anew:
                self._open()
            self._speak(ask=anew or self.address is None)
            self._report("")
        except OSError as error:
            self._close()
            self._report(self._explain(error))
        wait = RETRY if self.problem else IMPATIENT if self.address is None else INTERVAL
        self._timer = asyncio.get_running_loop().call_later(wait, self._tick)

    def _open(self) -> None:
        self._sock = sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        sock.setblocking(False)
        index = interface_index(self._interface)
        bind_to_device(sock, self._interface)
        sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, _filter())
        for option in (socket.IPV6_MULTICAST_HOPS, socket.IPV6_UNICAST_HOPS):
            sock.setsockopt(socket.IPPROTO_IPV6, option, HOP_LIMIT)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        group = socket.inet_pton(socket.AF_INET6, ALL_ROUTERS) + struct.pack("=I", index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
        asyncio.get_running_loop().add_reader(sock, self._read)

    def _close(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            asyncio.get_running_loop().remove_reader(sock)
            sock.close()

    def _speak(self, *, ask: bool) -> None:
        own = self._link_layer_address()
        self._send(encode_advertisement(own), ALL_NODES)
        if ask:
            self._send(encode_solicitation(own), ALL_ROUTERS)

    def _send(self, message: bytes, group: str) -> None:
        if self._sock is not None:
            self._sock.sendto(message, (group, 0, 0, interface_index(self._interface)))

    def _link_layer_address(self) -> bytes:
        path = Path("/sys/class/net") / self._interface / "address"
        try:
            return bytes.fromhex(path.read_text().strip().replace(":", ""))
        except (OSError, ValueError):  # another mount namespace, a device without one: the option is left out
            return b""

    def _read(self) -> None:
        for _again in range(_AT_ONCE):
            if self._sock is None:
                return
            try:
                data, extra, _flags, name = self._sock.recvmsg(1500, socket.CMSG_SPACE(4))
            except OSError:  # nothing more, or the interface is gone: the next tick finds out
                return
            hops = next((int.from_bytes(value[:4], sys.byteorder) for _level, _kind, value in extra), 0)
            source = IPv6Address(name[0].partition("%")[0])
            kind = valid_kind(data, source, hops)
            if kind is Kind.ADVERTISEMENT:
                self._heard(source)
            elif kind is Kind.SOLICITATION:
                self._answer()

    def _heard(self, source: IPv6Address) -> None:
        """The router that is known stays, as long as it is heard: another one is another peer's."""
        found, now = IPv6Address(f"{source}%{self._interface}"), asyncio.get_running_loop().time()
        if self.address not in (None, found) and now - self._heard_at < FORGET:
            return
        if found != self.address and _is_ours(source):
            return  # another program of this host advertises itself
        self._heard_at = now
        if found != self.address:
            self.address = found
            self._changed()

    def _answer(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._answered_at >= _ANSWER_PAUSE:
            self._answered_at = now
            with contextlib.suppress(OSError):
                self._send(encode_advertisement(self._link_layer_address()), ALL_NODES)

    def _report(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._changed()

    def _explain(self, error: OSError) -> str:
        where = f"cannot look for the router on {self._interface}"
        if error.errno in (errno.EPERM, errno.EACCES):
            return f"{where}: an unnumbered peer takes the capability NET_RAW"
        if error.errno in (errno.ENODEV, errno.ENXIO):
            return f"{where}: there is no such interface on this host"
        if error.errno in (errno.EADDRNOTAVAIL, errno.ENETUNREACH):
            return f"{where}: it has no link-local address (IPv6 is off, or the link is down)"
        return f"{where}: {os.strerror(error.errno) if error.errno else error}"


def _is_ours(source: IPv6Address) -> bool:
    try:
        return any(each.address == source for each in read_addresses())
    except OSError:
        return False


def _filter() -> bytes:
    """struct icmp6_filter (linux/icmpv6.h): a bit that is set keeps a type away."""
    blocked = [0xFFFFFFFF] * 8
    for kind in _WANTED:
        blocked[kind >> 5] &= ~(1 << (kind & 31))
    return struct.pack("=8I", *blocked)
