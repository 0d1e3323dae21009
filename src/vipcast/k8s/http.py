# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/1.1 to one server: h11 says what the bytes mean, asyncio moves them, a small pool keeps connections.

Every wait has an end and every body a limit: the server is trusted, the network between is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11

from vipcast.k8s.credentials import Access
from vipcast.k8s.errors import UnreachableError

__all__ = ["Http", "Into", "Response", "Stream"]

CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 30.0  # half of the API server's own limit of 60 s
IDLE_SECONDS = 60.0  # a kept connection older than this may be forgotten by something on the way
MAX_IDLE = 16  # more than a daemon ever has requests under way; a handshake costs as much as a request
# Bytes of an answer that is kept whole: one object (`pages` has how large one can be). Lists are read as they
# come.
MAX_BODY = 16 * 1024 * 1024
_CHUNK = 64 * 1024
# Seconds until the kernel declares a silent peer dead: probes after 15 s, three of them 5 s apart.
_KEEPALIVE = {socket.TCP_KEEPIDLE: 15, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}
_USER_TIMEOUT_MS = 30_000

_Headers = list[tuple[str, str]]
# Called when a good answer begins; what it returns gets the body in pieces.
Into = Callable[[], Callable[[bytes], None]]
# TimeoutError and ssl.SSLError are OSErrors, UnicodeError is a ValueError.
_OURS = (OSError, EOFError, ValueError, h11.ProtocolError)


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


class Stream:
    """An answer whose body is still coming."""

    def __init__(self, connection: _Connection, head: h11.Response, idle: float) -> None:
        self.status = head.status_code
        self.headers = _plain(head)
        self._connection = connection
        self._idle = idle

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises UnreachableError when it breaks off or is silent too long."""
        while True:
            with _named(self._connection.server):
                async with asyncio.timeout(self._idle):
                    event = await self._connection.next_event()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            else:
                return

    async def read(self) -> bytes:
        """The rest of the body."""
        return await _collect(self.chunks(), self._connection.server)


class Http:
    """Requests to the server of an `Access`."""

    def __init__(self, access: Access, *, user_agent: str = "vipcast") -> None:
        self._access = access
        self._url = urlsplit(access.server)
        self._agent = user_agent
        self._idle: list[_Connection] = []

    async def request(
        self,
        method: str,
        target: str,
        *,
        body: bytes = b"",
        headers: _Headers | None = None,
        check: Callable[[], None] = lambda: None,
        into: Into | None = None,
    ) -> Response:
        """Send and wait for the whole answer. Raises UnreachableError.

        `check` is called right before bytes are sent, and may raise. With `into` the body of an answer below
        300 goes there, and the Response has none.
        """
        call = _Call(self._message(method, target, body, headers or []), body, check, into)
        began = time.monotonic()
        with _named(self._access.server), self._forgetting(began):
            async with asyncio.timeout(REQUEST_SECONDS):
                try:
                    return await self._exchange(await self._connection(), call)
                except _StaleError:
                    # The server hung up while the connection was idle and read nothing of the request.
                    return await self._exchange(await self._connect(), call)

    @contextlib.contextmanager
    def _forgetting(self, began: float) -> Iterator[None]:
        """Drop every connection that was idle already when a request `began` that got no answer in time.

        A path that goes silent takes all of them with it, and whoever tried one after the other would wait
        for each. A caller with less patience than ours cancels, which says the same.
        """
        try:
            yield
        except (TimeoutError, asyncio.CancelledError):
            fresh = [each for each in self._idle if each.since > began]
            for connection in self._idle:
                if connection.since <= began:
                    connection.close()
            self._idle = fresh
            raise

    @contextlib.asynccontextmanager
    async def stream(
        self, target: str, *, idle: float, headers: _Headers | None = None
    ) -> AsyncIterator[Stream]:
        """GET with a connection of its own; `idle` is how many seconds of silence are believed."""
        with _named(self._access.server):
            async with asyncio.timeout(REQUEST_SECONDS):
                connection = await self._connect()
                try:
                    head = await connection.send(self._message("GET", target, b"", headers or []), b"")
                except BaseException:
                    connection.close()
                    raise
        try:
            yield Stream(connection, head, idle)
        finally:
            connection.close()

    async def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().close()

    def _message(self, method: str, target: str, body: bytes, headers: _Headers) -> h11.Request:
        length = [("content-length", str(len(body)))] if body or method in ("POST", "PUT", "PATCH") else []
        always = [("host", self._url.netloc), ("user-agent", self._agent), ("accept", "application/json")]
        path = self._url.path.rstrip("/") + target
        return h11.Request(
            method=method, target=path, headers=[*always, *self._access.headers(), *length, *headers]
        )

    async def _exchange(self, connection: _Connection, call: _Call) -> Response:
        try:
            call.check()
            head = await connection.send(call.message, call.body)
            content = await self._take_body(connection, head, call.into)
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        return Response(head.status_code, _plain(head), content)

    async def _take_body(self, connection: _Connection, head: h11.Response, into: Into | None) -> bytes:
        if into is None or head.status_code >= 300:
            return await _collect(connection.body(), connection.server)
        feed = into()
        async for chunk in connection.body():
            feed(chunk)
        return b""

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable():
                return connection
            connection.close()
        return await self._connect()

    def _keep(self, connection: _Connection) -> None:
        if len(self._idle) < MAX_IDLE and connection.recycle():
            self._idle.append(connection)
        else:
            connection.close()

    async def _connect(self) -> _Connection:
        tls = self._access.tls
        default = 443 if tls else 80
        host, port = self._url.hostname or "", self._url.port or default
        context = tls.context() if tls else None
        name = (tls.server_name or host) if tls else None
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(
                host, port, ssl=context, server_hostname=name, limit=_CHUNK
            )
        _watch_over(writer.get_extra_info("socket"))
        return _Connection(reader, writer, self._access.server)


@dataclass(frozen=True, slots=True)
class _Call:
    """A request that is to be sent."""

    message: h11.Request
    body: bytes
    check: Callable[[], None]
    into: Into | None


class _StaleError(Exception):
    """A kept connection turned out to be closed before it answered anything."""


class _Connection:
    """One TCP connection and h11's view of it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: str) -> None:
        self.server = server
        self._reader, self._writer = reader, writer
        self._h11 = h11.Connection(h11.CLIENT)
        self._used = False
        self.since = time.monotonic()  # when it was made, or became idle

    async def send(self, message: h11.Request, body: bytes) -> h11.Response:
        """Send a request; the answer's head."""
        parts = [self._h11.send(message), self._h11.send(h11.Data(body)) if body else b""]
        data = b"".join(part for part in [*parts, self._h11.send(h11.EndOfMessage())] if part)
        try:
            self._writer.write(data)
            await self._writer.drain()
            event = await self.next_event()
        except (ConnectionError, EOFError, h11.RemoteProtocolError) as error:
            if self._used and message.method != b"POST":  # a second POST could create twice
                raise _StaleError from error
            raise
        if not isinstance(event, h11.Response):
            raise h11.RemoteProtocolError(f"expected an answer, got {type(event).__name__}")
        return event

    async def body(self) -> AsyncIterator[bytes]:
        """The body's pieces, to its end."""
        while isinstance(event := await self.next_event(), h11.Data):
            yield bytes(event.data)

    async def next_event(self) -> object:
        """The next thing that the server said. Raises EOFError when it hung up in the middle."""
        while True:
            event = self._h11.next_event()
            if isinstance(event, h11.InformationalResponse):
                continue
            if isinstance(event, h11.ConnectionClosed):
                raise EOFError("the server closed the connection")
            if event is not h11.NEED_DATA:
                return event
            self._h11.receive_data(await self._reader.read(_CHUNK))

    def recycle(self) -> bool:
        """Ready for another request? Starts counting its idle time."""
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return False
        self._h11.start_next_cycle()
        self._used, self.since = True, time.monotonic()
        return True

    def usable(self) -> bool:
        """Neither closed by the server nor idle for too long."""
        fresh = time.monotonic() - self.since < IDLE_SECONDS
        return fresh and not self._reader.at_eof() and not self._writer.is_closing()

    def close(self) -> None:
        """Hang up at once: nobody waits for what is still to come."""
        self._writer.transport.abort()


async def _collect(chunks: AsyncIterator[bytes], server: str) -> bytes:
    content = bytearray()
    async for chunk in chunks:
        content += chunk
        if len(content) > MAX_BODY:
            raise UnreachableError(f"{server}: the answer is larger than {MAX_BODY} bytes")
    return bytes(content)


@contextlib.contextmanager
def _named(server: str) -> Iterator[None]:
    try:
        yield
    except _OURS as error:
        raise UnreachableError(f"{server}: {_words(error)}") from error


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _plain(head: h11.Response) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}


def _watch_over(connected: socket.socket) -> None:
    """Let the kernel notice a peer that vanished without a word."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE.items():
        connected.setsockopt(socket.IPPROTO_TCP, option, value)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
