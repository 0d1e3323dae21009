# SPDX-License-Identifier: GPL-3.0-or-later
"""A cable that takes its time: a tun device at each end, and a relay that keeps packets for a while."""

from __future__ import annotations

import fcntl
import heapq
import itertools
import os
import select
import struct
import threading
import time
from typing import Any

from daemon.interop.network import NODE, ROUTER, Cable, run
from daemon.interop.speaker import enter

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x1, 0x1000


class SlowCable(Cable):
    """A cable with a ``latency`` in seconds, one way. IPv4 alone."""

    def __init__(self, latency: float) -> None:
        super().__init__()
        self._latency = latency
        self._ends: list[int] = []
        self._over = threading.Event()
        self._relay = threading.Thread(target=self._carry, daemon=True)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._relay.is_alive():
            self._relay.join(10)
        for end in self._ends:
            os.close(end)
        super().__exit__()

    def __enter__(self) -> Any:
        return super().__enter__()

    def _wire(self) -> None:
        for namespace, address in ((self.node, NODE), (self.router, ROUTER)):
            run("ip", "netns", "add", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
            self._ends.append(_tun(namespace, "eth0"))
            run("ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
            run("ip", "-n", namespace, "link", "set", "eth0", "up")
        self._relay.start()

    def _carry(self) -> None:
        flying: list[tuple[float, int, int, bytes]] = []
        numbers = itertools.count()
        other = dict(zip(self._ends, reversed(self._ends), strict=True))
        while not self._over.is_set():
            wait = flying[0][0] - time.monotonic() if flying else 0.1
            for end in select.select(self._ends, [], [], max(0.0, min(wait, 0.1)))[0]:
                at = time.monotonic() + self._latency
                heapq.heappush(flying, (at, next(numbers), other[end], os.read(end, 65536)))
            while flying and flying[0][0] <= time.monotonic():
                _at, _number, end, packet = heapq.heappop(flying)
                os.write(end, packet)


def _tun(namespace: str, name: str) -> int:
    """Make the device in a namespace; its file descriptor may be used anywhere."""
    made: list[int] = []

    def make() -> None:
        enter(namespace)
        handle = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(handle, _TUNSETIFF, struct.pack("16sH14x", name.encode(), _IFF_TUN | _IFF_NO_PI))
        made.append(handle)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]
