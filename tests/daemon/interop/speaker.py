# SPDX-License-Identifier: GPL-3.0-or-later
"""The speaker's side of an interop test: a Peering in a thread of its own, inside the node's namespace."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from types import TracebackType
from typing import Any

from daemon.interop.network import ROUTER, eventually

from vipcast.bgp.fsm import State
from vipcast.bgp.route import Route
from vipcast.net.listener import Listener
from vipcast.net.peering import Peering, PeerSettings
from vipcast.net.status import PeerStatus

__all__ = ["Speaker", "enter", "eventually", "peer"]

_CLONE_NEWNET = 0x40000000


def enter(namespace: str) -> None:
    """Move this thread into a network namespace (``os.setns`` came with Python 3.12)."""
    handle = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(handle, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    finally:
        os.close(handle)


def peer(address: str | None = ROUTER, **values: Any) -> PeerSettings:
    defaults = {
        "name": "r",
        "address": None if address is None else ip_address(address),
        "port": 179,
        "local_asn": 64513,
        "remote_asn": 64512,
        "hold_time": 9,
        "connect_time": 1,
    }
    return PeerSettings(**{**defaults, **values})


class Speaker:
    """``with Speaker(namespace, settings) as s``: it runs; leaving closes it unless the test has."""

    def __init__(self, namespace: str, settings: PeerSettings, *, listener: Listener | None = None) -> None:
        self.notified = 0
        self._peering = Peering(settings, notify=self._count, listener=listener)
        self._loop = asyncio.new_event_loop()
        self._left = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(namespace,), daemon=True)
        self._error: BaseException | None = None

    def _count(self) -> None:
        self.notified += 1

    def _run(self, namespace: str) -> None:
        try:
            enter(namespace)
            self._loop.run_until_complete(self._main())
        except BaseException as error:
            self._error = error

    async def _main(self) -> None:
        await self._peering.run()
        await self._left.wait()

    async def _close(self, message: str, preserve: bool) -> None:
        await self._peering.close(message, preserve=preserve)
        self._left.set()

    def __enter__(self) -> Speaker:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if self._error is not None and error is None:
            raise self._error

    def _call(self, step: Callable[[], Any]) -> Any:
        if self._error is not None:
            raise self._error

        async def inside() -> Any:
            return step()

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(30)

    def set_routes(self, *routes: Route) -> None:
        self._call(lambda: self._peering.set_routes(frozenset(routes)))

    def status(self) -> PeerStatus:
        status: PeerStatus = self._call(self._peering.status)
        return status

    def prefixes_sent(self) -> int:
        """Cheaper than a status, for measurements."""
        return self._peering._peer_sessions.memory.counters.prefixes_sent

    def freeze(self, seconds: float) -> None:
        """The process stands still, as under SIGSTOP: no clock, no socket."""
        self._loop.call_soon_threadsafe(time.sleep, seconds)

    def set_password(self, password: str) -> bool:
        taken: bool = self._call(lambda: self._peering.set_password(password))
        return taken

    def bfd_down(self, why: str) -> None:
        self._call(lambda: self._peering.bfd_down(why))

    def close(self, message: str = "", *, preserve: bool = False) -> None:
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._close(message, preserve), self._loop).result(30)
            self._thread.join(30)

    def wait(self, condition: Callable[[PeerStatus], object], seconds: float = 30) -> PeerStatus:
        end = time.monotonic() + seconds
        while not condition(status := self.status()):
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {status}")
            time.sleep(0.02)
        return status

    def wait_up(self, seconds: float = 30) -> PeerStatus:
        return self.wait(lambda s: s.state is State.ESTABLISHED and not s.pending, seconds)
