# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny HTTP server for probes, metrics and the status document: GET and HEAD, one answer per connection.

It talks to whoever reaches the port. Nobody is waited for longer than `PATIENCE_SECONDS`. Where too many
connections are open, the address that has most of them loses its oldest: who opens many and says nothing
loses them, a probe does not. An address that opens too many in a second is not even answered; that costs so
little that thousands of them leave room for a probe. Of addresses of this machine no more than that is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any

import h11

from vipcast.daemon.address import BadAddressError, parse_address
from vipcast.daemon.log import log_for
from vipcast.k8s.bucket import Buckets

__all__ = [
    "BadAddressError",
    "Handler",
    "Page",
    "Request",
    "Server",
    "json_page",
    "parse_address",
    "text_page",
]

PATIENCE_SECONDS = 10.0  # for a client to send its request and take its answer; a scraper's own patience
HANDSHAKE_SECONDS = 5.0
_LIMIT = 16 * 1024  # bytes that are read ahead; h11 takes as many of a request
MAX_CONNECTIONS = 32  # a probe, a few scrapers, a person; more is somebody else's mistake
# Connections per second of one address, and how many at once. A scraper that comes every second needs one.
RATE, BURST = 10.0, 30.0
MAX_SOURCES = 1024  # addresses whose rate is known; whoever was quiet longest is forgotten
_BACKLOG = 256  # connections that the kernel keeps for us
_TURN = 64  # connections that are taken in one turn of the event loop

_log = log_for("server")


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()  # besides those that say what the body is


@dataclass(frozen=True, slots=True)
class Request:
    """A question."""

    path: str  # without what follows a question mark
    headers: Mapping[str, str]  # names in lower case
    client: str  # the address that it comes from

    @property
    def local(self) -> bool:
        """Return whether a request is from this machine, or from inside the same pod."""
        return is_local(self.client)


def is_local(client: str) -> bool:
    """Tell whether an address is a loopback address."""
    address = ip_address(client.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


Handler = Callable[[Request], Page | Awaitable[Page]]


def text_page(text: str, status: int = 200, content_type: str = "text/plain; charset=utf-8") -> Page:
    """Text, with a line end."""
    return Page(status, content_type, (text if text.endswith("\n") else f"{text}\n").encode())


def json_page(document: object, status: int = 200) -> Page:
    """A JSON document."""
    return Page(status, "application/json", (json.dumps(document, default=str) + "\n").encode())


class Server:
    """Serves `pages`: a path and what makes its answer. `tls` gives the context of a new connection."""

    def __init__(
        self, pages: Mapping[str, Handler], *, tls: Callable[[], ssl.SSLContext] | None = None
    ) -> None:
        self._pages, self._tls = dict(pages), tls
        self._listening: list[socket.socket] = []
        self._connections: dict[asyncio.Task[None], str] = {}  # the client's address; the oldest first
        self._rates: Buckets[str] = Buckets(RATE, BURST, MAX_SOURCES)
        self.port = 0  # where it listens, once it does

    async def start(self, host: str | None, port: int) -> None:
        """Listen. Raises OSError when the address is taken or not ours."""
        loop = asyncio.get_running_loop()
        for listening in await _listen(host, port):
            self._listening.append(listening)
            self.port = listening.getsockname()[1]
            loop.add_reader(listening, self._take, listening)

    async def close(self) -> None:
        """Listen no more, and let nobody wait for an answer."""
        for listening in self._listening:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        self._listening.clear()
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def _take(self, listening: socket.socket) -> None:
        """Take the connections that have come; the others in the next turn, so that work goes on between."""
        for _number in range(_TURN):
            try:
                connected, peer = listening.accept()
            except OSError:  # nobody waits any more, or whoever did has gone
                return
            if self._may(str(peer[0])):
                self._accept(connected, str(peer[0]))
            else:
                connected.close()

    def _may(self, client: str) -> bool:
        """Tell whether the address is local, or has not opened too many connections of late."""
        return is_local(client) or self._rates.take(client, time.monotonic())

    def _accept(self, connected: socket.socket, client: str) -> None:
        connected.setblocking(False)
        if len(self._connections) >= MAX_CONNECTIONS:
            self._make_room()
        task = asyncio.create_task(self._serve(connected))
        self._connections[task] = client
        task.add_done_callback(self._done)

    def _make_room(self) -> None:
        """Close the oldest connection of the address that has most.

        Where several addresses have most, it is the one whose oldest connection is oldest.
        """
        counts = Counter(self._connections.values())
        most = max(counts.values())
        oldest = next(task for task, client in self._connections.items() if counts[client] == most)
        del self._connections[oldest]
        oldest.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._connections.pop(task, None)
        if not task.cancelled() and (error := task.exception()):
            _log.error("page_failed", error)

    async def _serve(self, connected: socket.socket) -> None:
        try:
            reader, writer = await _streams(connected, paused=self._tls is not None)
        except OSError:
            return  # gone already
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                streams = await _encrypt(writer, self._tls()) if self._tls else (reader, writer)
                await self._answer(*streams)
                await _part(*streams)
        except (OSError, h11.RemoteProtocolError):
            pass  # a client that is slow, gone or talks nonsense is its own problem
        finally:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        while (event := connection.next_event()) is h11.NEED_DATA:
            connection.receive_data(await reader.read(4096))
        if not isinstance(event, h11.Request):
            return
        page = await self._page(event, writer.get_extra_info("peername")[0])
        about = [("content-type", page.content_type), ("content-length", str(len(page.body)))]
        headers = [*about, *page.headers, ("connection", "close")]
        head: h11.Event = h11.Response(status_code=page.status, headers=headers)
        body = b"" if event.method == b"HEAD" else page.body
        parts = [head, h11.Data(body), h11.EndOfMessage()]
        writer.write(b"".join(connection.send(part) or b"" for part in parts))
        await writer.drain()

    async def _page(self, event: h11.Request, client: str) -> Page:
        if event.method not in (b"GET", b"HEAD"):
            return text_page("only GET and HEAD", 405)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
        request = Request(event.target.split(b"?")[0].decode("latin-1"), headers, client)
        make = self._pages.get(request.path)
        if make is None:
            return text_page(f"not here; try {' '.join(sorted(self._pages))}", 404)
        page = make(request)
        return page if isinstance(page, Page) else await page


async def _streams(
    connected: socket.socket, *, paused: bool
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the streams of a connection; if `paused`, nothing is read yet: what comes is for TLS to read."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LIMIT, loop=loop)
    protocol = (_Paused if paused else asyncio.StreamReaderProtocol)(reader, loop=loop)
    transport, _protocol = await loop.connect_accepted_socket(lambda: protocol, connected)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


class _Paused(asyncio.StreamReaderProtocol):
    """A protocol that reads nothing from the first moment on."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        transport.pause_reading()  # type: ignore[attr-defined]


class _Encrypted(asyncio.StreamReaderProtocol):
    """asyncio's own takes a client that leaves within the handshake for one that speaks without TLS."""

    def eof_received(self) -> bool:
        super().eof_received()
        return False


async def _encrypt(
    writer: asyncio.StreamWriter, context: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Streams inside of TLS. Raises OSError when the handshake fails."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LIMIT, loop=loop)
    protocol = _Encrypted(reader, loop=loop)
    transport = await loop.start_tls(
        writer.transport, protocol, context, server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS
    )
    if transport is None:
        raise ConnectionAbortedError
    protocol.connection_made(transport)  # start_tls leaves that to us
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _part(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let the client take the answer before the connection goes."""
    if writer.can_write_eof():
        with contextlib.suppress(OSError):
            writer.write_eof()
            await reader.read(4096)
    else:  # TLS says goodbye by itself, and waits for the other side's
        writer.close()
        await writer.wait_closed()


async def _listen(host: str | None, port: int) -> list[socket.socket]:
    """Return sockets that listen, without a host on all addresses of this machine. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    listening: list[socket.socket] = []
    try:
        for family, _type, _protocol, _name, where in dict.fromkeys(found):
            with contextlib.suppress(_NoFamilyError):
                listening.append(_listen_on(family, where))
    except OSError:
        for each in listening:
            each.close()
        raise
    if not listening:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    return listening


class _NoFamilyError(Exception):
    """The kernel has no addresses of this family."""


def _listen_on(family: int, where: tuple[Any, ...]) -> socket.socket:
    try:
        listening = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _NoFamilyError from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(where)
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening
