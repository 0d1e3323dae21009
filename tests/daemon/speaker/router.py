# SPDX-License-Identifier: GPL-3.0-or-later
"""A router that listens on loopback, takes every session and writes down what it hears.

The octets are read with our own codec: that it reads them as others do is shown where FRR is the router.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from ipaddress import IPv4Address, IPv4Network, IPv6Network

from vipcast.bgp.capabilities import Multiprotocol
from vipcast.bgp.framing import FrameBuffer
from vipcast.bgp.messages import Keepalive, Message, Notification, Open, Update, decode, encode
from vipcast.bgp.wire import Family

_TCP_MD5SIG = 14


class Router:
    """`routes` is what it has now, `notifications` are the NOTIFICATIONs it got.

    `sessions` counts the OPENs and `keepalives` the KEEPALIVEs; `opens` are the OPENs.
    """

    def __init__(self, asn: int = 64512, password: str | None = None) -> None:
        self.asn = asn
        self.routes: dict[str, Update] = {}
        self.sessions = self.keepalives = 0
        self.opens: list[Open] = []
        self.notifications: list[Notification] = []
        self._password = password
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Router:
        self._socket = socket.create_server(("127.0.0.1", 0))
        if self._password:
            self.set_password(self._password)
        self._server = await asyncio.start_server(self._serve, sock=self._socket)
        self.port = self._socket.getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()

    def set_password(self, password: str) -> None:
        """TCP MD5 from now on, for connections that there are and those to come."""
        key = password.encode()
        address = struct.pack("=HH4s", socket.AF_INET, 0, IPv4Address("127.0.0.1").packed).ljust(128, b"\0")
        option = address + struct.pack("=BBHI80s", 0, 0, len(key), 0, key)
        for sock in (self._socket, *(writer.get_extra_info("socket") for writer in self._writers)):
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_MD5SIG, option)

    def hang_up(self) -> None:
        """Lose every connection."""
        for writer in self._writers:
            writer.transport.abort()

    def retire(self) -> None:
        """Lose every connection and take no other."""
        self._server.close()
        self.hang_up()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        frames = FrameBuffer()
        while data := await reader.read(65536):
            frames.receive(data)
            for frame in frames:
                self._hear(decode(frame), writer)
        self._writers.discard(writer)
        self.routes.clear()
        writer.close()

    def _hear(self, message: Message, writer: asyncio.StreamWriter) -> None:
        match message:
            case Open():
                self.sessions += 1
                self.opens.append(message)
                families = (Multiprotocol(family) for family in Family)
                writer.write(encode(Open.of(self.asn, 9, IPv4Address("10.0.0.1"), *families)))
                writer.write(encode(Keepalive()))
            case Keepalive():
                self.keepalives += 1
                writer.write(encode(Keepalive()))
            case Notification():
                self.notifications.append(message)
            case Update():
                self._learn(message)

    def _learn(self, update: Update) -> None:
        for prefix in update.removed:
            self.routes.pop(_text(prefix), None)
        for prefix in update.announced:
            self.routes[_text(prefix)] = update


def _text(prefix: IPv4Network | IPv6Network) -> str:
    return str(prefix)
