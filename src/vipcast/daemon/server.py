# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny HTTP server for probes, metrics and the status document: GET and HEAD, one answer per connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import h11

__all__ = ["BadAddressError", "Page", "Server", "json_page", "parse_address", "text_page"]

PATIENCE_SECONDS = 10.0  # for a client to send its request and take its answer
MAX_CONNECTIONS = 32  # a probe, a few scrapers, a person; more is somebody else's mistake


class BadAddressError(ValueError):
    """Not something to listen on."""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    status: int
    content_type: str
    body: bytes


def text_page(text: str, status: int = 200, content_type: str = "text/plain; charset=utf-8") -> Page:
    """Text, with a line end."""
    return Page(status, content_type, (text if text.endswith("\n") else f"{text}\n").encode())


def json_page(document: object, status: int = 200) -> Page:
    """A JSON document."""
    return Page(status, "application/json", (json.dumps(document, default=str) + "\n").encode())


def parse_address(text: str) -> tuple[str | None, int] | None:
    """``HOST:PORT``, ``[V6]:PORT``, ``:PORT`` (host None: all), or ``none``. Raises BadAddressError."""
    if text == "none":
        return None
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if (
        not colon
        or not (port.isascii() and port.isdigit())
        or int(port) > 65535
        or (":" in host and not bracketed)
    ):
        raise BadAddressError(
            f"{text!r} is not an address to listen on; write 127.0.0.1:17472, [::1]:17472 or :17472"
        )
    return (host[1:-1] if bracketed else host) or None, int(port)


class Server:
    """Serves `pages`: a path and what makes its answer."""

    def __init__(self, pages: Mapping[str, Callable[[], Page]]) -> None:
        self._pages = dict(pages)
        self._server: asyncio.Server | None = None
        self._open = 0
        self.port = 0  # where it listens, once it does

    async def start(self, host: str | None, port: int) -> None:
        """Listen. Raises OSError when the address is taken or not ours."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=16 * 1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more."""
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= MAX_CONNECTIONS:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._answer(reader, writer)
        except (OSError, h11.RemoteProtocolError):
            pass  # a client that is slow, gone or talks nonsense is its own problem
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        while (event := connection.next_event()) is h11.NEED_DATA:
            connection.receive_data(await reader.read(4096))
        if not isinstance(event, h11.Request):
            return
        page = self._page(event)
        headers = [("content-type", page.content_type), ("content-length", str(len(page.body)))]
        head: h11.Event = h11.Response(status_code=page.status, headers=[*headers, ("connection", "close")])
        body = b"" if event.method == b"HEAD" else page.body
        parts = [head, h11.Data(body), h11.EndOfMessage()]
        writer.write(b"".join(connection.send(part) or b"" for part in parts))
        await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()
            await reader.read(4096)  # let the client take the answer before the connection goes

    def _page(self, request: h11.Request) -> Page:
        if request.method not in (b"GET", b"HEAD"):
            return text_page("only GET and HEAD", 405)
        make = self._pages.get(request.target.split(b"?")[0].decode("latin-1"))
        return make() if make else text_page(f"not here; try {' '.join(sorted(self._pages))}", 404)
