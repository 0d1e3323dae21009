# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny HTTP server for probes, metrics and the status document: GET and HEAD, one answer per connection.

It talks to whoever reaches the port. Nobody is waited for longer than `PATIENCE_SECONDS`, and where too many
connections are open the oldest makes room: who opens many and says nothing loses them, a probe does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

import h11

from vipcast.daemon.address import BadAddressError, parse_address
from vipcast.daemon.log import log_for

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
        """From this machine, or from inside of the same pod."""
        address = ip_address(self.client.partition("%")[0])
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
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], None] = {}  # the oldest first
        self.port = 0  # where it listens, once it does

    async def start(self, host: str | None, port: int) -> None:
        """Listen. Raises OSError when the address is taken or not ours."""
        self._server = await asyncio.start_server(self._accept, host, port, limit=_LIMIT)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more, and let nobody wait for an answer."""
        if self._server:
            self._server.close()
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._tls:
            writer.transport.pause_reading()  # type: ignore[attr-defined] # what comes is for TLS to read
        if len(self._connections) >= MAX_CONNECTIONS:
            oldest = next(iter(self._connections))
            del self._connections[oldest]
            oldest.cancel()
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections[task] = None
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._connections.pop(task, None)
        if not task.cancelled() and (error := task.exception()):
            _log.error("page_failed", error)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
