# SPDX-License-Identifier: GPL-3.0-or-later
"""A speaker in one network namespace and a router in another, with the API server where it is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from socket import create_server, socket

from daemon.interop.speaker import enter
from support.following import until


@asynccontextmanager
async def api_reachable_in(namespace: str, port: int) -> AsyncIterator[None]:
    """127.0.0.1:port inside the namespace leads to 127.0.0.1:port here."""
    made: list[socket] = []

    def listen() -> None:
        enter(namespace)
        made.append(create_server(("127.0.0.1", port)))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:  # the API server is away: so it is from here
            writer.close()
            return
        await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
        except ConnectionError:
            pass
        sink.close()

    server = await asyncio.start_server(accept, sock=made[0])
    yield
    server.close()


async def until_told(condition: Callable[[], object], seconds: float = 20) -> None:
    """vtysh takes its time; the relay must go on meanwhile."""
    results: list[bool] = []

    def done() -> bool:
        return bool(results)

    async def ask() -> None:
        while not results:
            if await asyncio.to_thread(condition):
                results.append(True)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(ask())
    try:
        await until(done, seconds)
    finally:
        task.cancel()
