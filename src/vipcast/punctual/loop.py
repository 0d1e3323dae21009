# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event loop: sockets, signals and one alarm. There is no more to it, so that nothing else takes time."""

from __future__ import annotations

import selectors
import signal
import socket
import time
from collections.abc import Callable

Callback = Callable[[float], None]


class Loop:
    """``turn`` waits until a socket can be read or written, a signal comes, or the time is over."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._readers: dict[int, Callback] = {}
        self._writers: dict[int, Callback] = {}
        self.signals: set[int] = set()
        self._wake, self._woken = socket.socketpair()
        for end in (self._wake, self._woken):
            end.setblocking(False)
        self.read(self._wake, self._drain)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: self.signals.add(number))
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)

    def read(self, sock: socket.socket, callback: Callback) -> None:
        self._readers[sock.fileno()] = callback
        self._register(sock)

    def write(self, sock: socket.socket, callback: Callback | None) -> None:
        """None: no longer."""
        if callback is None:
            self._writers.pop(sock.fileno(), None)
        else:
            self._writers[sock.fileno()] = callback
        self._register(sock)

    def forget(self, sock: socket.socket) -> None:
        self._readers.pop(sock.fileno(), None)
        self._writers.pop(sock.fileno(), None)
        self._register(sock)

    def turn(self, until: float | None) -> float:
        """The time at which what was ready was read: what came later is not known yet."""
        timeout = None if until is None else max(0.0, until - time.monotonic())
        ready = self._selector.select(timeout)
        now = time.monotonic()
        for key, events in ready:
            reader, writer = self._readers.get(key.fd), self._writers.get(key.fd)
            if events & selectors.EVENT_READ and reader is not None:
                reader(now)
            if events & selectors.EVENT_WRITE and writer is not None:
                writer(now)
        return now

    def close(self) -> None:
        signal.set_wakeup_fd(-1)
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def _register(self, sock: socket.socket) -> None:
        number = sock.fileno()
        events = (selectors.EVENT_READ if number in self._readers else 0) | (
            selectors.EVENT_WRITE if number in self._writers else 0
        )
        known = number in self._selector.get_map()
        if known and events:
            self._selector.modify(number, events)
        elif known:
            self._selector.unregister(number)
        elif events:
            self._selector.register(number, events)

    def _drain(self, _now: float) -> None:
        try:
            while self._wake.recv(64):
                pass
        except BlockingIOError:
            pass
