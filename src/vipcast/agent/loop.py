# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event loop: sockets, signals and one alarm. There is no more to it, so that nothing else takes time."""

from __future__ import annotations

import math
import select
import signal
import socket
import time
from collections.abc import Callable

Callback = Callable[[float], None]

# Later than this is no matter of a busy core's turns.
PAUSE_SECONDS = 0.1

_IN, _OUT = select.EPOLLIN, select.EPOLLOUT


class Loop:
    """``run_once`` waits until a socket can be read or written, a signal comes, or the time is over.

    ``had_event``: something else than a quick reader was called since it was last set to False.
    ``paused`` is called before any reader, when the process was kept from running (SIGSTOP, a suspended or
    busy machine): what waits in the sockets may be out of date.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Callback] = {}
        self._writers: dict[int, Callback] = {}
        self._quick: dict[int, Callback] = {}
        self._registered: dict[int, int] = {}
        self.signals: set[int] = set()
        self.had_event = True
        self.paused: Callback = lambda _now: None
        self._woken_at = time.monotonic()
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

    def read_quickly(self, sock: socket.socket, callback: Callback) -> None:
        """A reader that changes nothing that anybody waits for: after it, nothing has to be looked at."""
        self._quick[sock.fileno()] = callback
        self._register(sock)

    def write(self, sock: socket.socket, callback: Callback | None) -> None:
        """Set what is called when the socket can be written; None: nothing any more."""
        if callback is None:
            self._writers.pop(sock.fileno(), None)
        else:
            self._writers[sock.fileno()] = callback
        self._register(sock)

    def unregister(self, sock: socket.socket) -> None:
        for known in (self._readers, self._quick, self._writers):
            known.pop(sock.fileno(), None)
        self._register(sock)

    def run_once(self, until: float | None) -> float:
        """The time at which what was ready was read: what came later is not known yet."""
        timeout, begun = -1.0, time.monotonic()
        if until is not None:
            # The kernel takes milliseconds; too early would be a turn for nothing.
            timeout = math.ceil(max(0.0, until - begun) * 1e3) * 1e-3
        ready = self._epoll.poll(timeout)
        now = time.monotonic()
        late = now - begun - timeout if timeout >= 0 else 0.0
        if max(late, begun - self._woken_at) > PAUSE_SECONDS:
            self.paused(now)
        self._woken_at = now
        for number, events in ready:
            if (quick := self._quick.get(number)) is not None:
                quick(now)
                continue
            self.had_event = True
            reader, writer = self._readers.get(number), self._writers.get(number)
            # An error or a hang-up is for both to find.
            if events & ~_OUT and reader is not None:
                reader(now)
            if events & ~_IN and writer is not None:
                writer(now)
        return now

    def close(self) -> None:
        signal.set_wakeup_fd(-1)
        self._epoll.close()
        self._wake.close()
        self._woken.close()

    def _register(self, sock: socket.socket) -> None:
        number = sock.fileno()
        reads = number in self._readers or number in self._quick
        events = (_IN if reads else 0) | (_OUT if number in self._writers else 0)
        known = self._registered.pop(number, 0)
        if events:
            self._registered[number] = events
        if known and events:
            self._epoll.modify(number, events)
        elif known:
            self._epoll.unregister(number)
        elif events:
            self._epoll.register(number, events)

    def _drain(self, _now: float) -> None:
        try:
            while self._wake.recv(64):
                pass
        except BlockingIOError:
            pass
