# SPDX-License-Identifier: GPL-3.0-or-later
"""A speaker's client of a process beside it, in a thread of its own inside a namespace."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Generic, Protocol, Self, TypeVar

from daemon.interop.speaker import enter

__all__ = ["ClientThread"]


class _Client(Protocol):
    def run(self) -> Coroutine[Any, Any, None]: ...


C = TypeVar("C", bound=_Client)


class ClientThread(Generic[C]):
    """``begin`` is called in the namespace before ``client`` runs; leaving is like the end of a speaker."""

    def __init__(self, namespace: str, client: C, begin: Callable[[], None]) -> None:
        self._client, self._begin = client, begin
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(namespace,), daemon=True)

    def _run(self, namespace: str) -> None:
        enter(namespace)
        self._begin()
        self._task = self._loop.create_task(self._client.run())
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(20)

    def call(self, step: Callable[[C], Any]) -> Any:
        """Return what the step returns in the client's thread."""

        async def inside() -> Any:
            return step(self._client)

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(30)
