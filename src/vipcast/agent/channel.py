# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection of a Unix or TCP socket, without waiting: lines in; lines, and open sockets, out."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Sequence

from vipcast.agent.loop import Loop

_READ = 65536


class Channel:
    """``heard`` is given each line; ``gone`` is called once, when the other side has gone or was too much.

    ``limit``: octets of a line, and of what waits to be sent.
    """

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        *,
        heard: Callable[[Channel, bytes], None],
        gone: Callable[[Channel], None],
        limit: int,
    ) -> None:
        self.sock = sock
        self._loop, self._heard, self._gone, self._limit = loop, heard, gone, limit
        self._in = bytearray()
        self._out: deque[tuple[bytes, Sequence[int]]] = deque()
        self._waiting = 0
        self._closed = False
        self._finishing = False
        sock.setblocking(False)
        loop.read(sock, self._readable)

    def send(self, data: bytes, descriptors: Sequence[int] = ()) -> None:
        """A reader that does not read is given up: memory is bounded."""
        self._out.append((data, descriptors))
        self._waiting += len(data)
        self._writable(0.0)
        if self._waiting > self._limit:
            self._end()

    @property
    def idle(self) -> bool:
        """Everything was sent."""
        return not self._out

    def finish(self) -> None:
        """End when everything was sent; nothing more is heard."""
        self._finishing = True
        if self.idle:
            self._end()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._loop.unregister(self.sock)
            self.sock.close()

    def _end(self) -> None:
        if not self._closed:
            self.close()
            self._gone(self)

    def _readable(self, _now: float) -> None:
        try:
            data = self.sock.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._in += data
        while not (self._closed or self._finishing) and (end := self._in.find(b"\n")) >= 0:
            line = bytes(self._in[:end])
            del self._in[: end + 1]
            self._heard(self, line)
        if not data or len(self._in) > self._limit:
            self._end()

    def _writable(self, _now: float) -> None:
        try:
            while self._out and not self._closed:
                self._send_first()
        except BlockingIOError:
            self._loop.write(self.sock, self._writable)
            return
        except OSError:
            self._end()
            return
        if self._finishing:
            self._end()
        elif not self._closed:
            self._loop.write(self.sock, None)

    def _send_first(self) -> None:
        data, descriptors = self._out[0]
        sent = socket.send_fds(self.sock, [data], list(descriptors)) if descriptors else self.sock.send(data)
        self._waiting -= sent
        if sent < len(data):
            self._out[0] = data[sent:], ()
        else:
            self._out.popleft()
