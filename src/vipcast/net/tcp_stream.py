# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One TCP connection of a session, as asyncio sees it."""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
from typing import Protocol

from vipcast.model.addresses import IPAddress
from vipcast.net import sockets

# A peer can make us hold this much and no more: what it sends beyond waits in its own kernel.
READ_BUFFER = 16384
# What comes after the end is read into this and forgotten, from all connections.
_SCRAP = bytearray(READ_BUFFER)
_NO_NUMBER = bytes(4)
# How long a connection may take to go after we hung up: long enough for the last message to arrive.
LINGER = 2.0


class Owner(Protocol):
    """The owner of a stream, which is told what happens; nothing any more after ``disconnect``."""

    def link_up(self, link: TcpStream) -> None: ...
    def link_data(self, data: bytes) -> None: ...
    def link_blocked(self) -> None: ...
    def link_resumed(self) -> None: ...
    def link_lost(self, why: str) -> None: ...


class TcpStream(asyncio.BufferedProtocol):
    """A connection. ``closed`` is done when it is gone. ``written``: octets, ever."""

    def __init__(self, owner: Owner) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.paused = False
        self.written = 0
        self._owner: Owner | None = owner
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(READ_BUFFER)

    # ---- for the owner ----

    @property
    def local(self) -> tuple[IPAddress, int]:
        """Our end, and the index of its interface where that belongs to the address (link-local), or 0."""
        assert self._transport is not None
        name = self._transport.get_extra_info("sockname")
        return sockets.local_address(name), name[3] if len(name) == 4 else 0

    def write(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self.written += len(data)
            self._transport.write(data)

    @property
    def outstanding(self) -> int:
        """The octets that were written and that the peer's TCP has not acknowledged.

        Those that it has acknowledged and does not read are not known to anyone here.
        """
        assert self._transport is not None
        sock = self._transport.get_extra_info("socket")
        try:
            in_kernel = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, _NO_NUMBER)
        except (OSError, ValueError):  # the connection has gone: who owns it is about to hear of it
            return 0
        return self._transport.get_write_buffer_size() + int.from_bytes(in_kernel, sys.byteorder)

    def set_key(self, peer: IPAddress, password: str) -> None:
        """Sign with another password from now on (RFC 2385): TCP repeats until the peer has it, too.

        Raises OSError.
        """
        assert self._transport is not None
        sockets.set_md5_key(self._transport.get_extra_info("socket"), peer, password)

    def disconnect(self) -> None:
        """Close after what was written. Until the peer closes too, what it still sends is read and dropped:
        a socket closed over unread data resets, and a reset can overtake the NOTIFICATION.
        """
        self._owner = None
        self._buffer = _SCRAP
        if self._transport is None or self._transport.is_closing():
            return
        try:
            self._transport.write_eof()
        except OSError:  # the peer was faster and has reset the connection
            self._transport.abort()
        asyncio.get_running_loop().call_later(LINGER, self._transport.abort)

    # ---- for asyncio ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._owner is None:
            transport.abort()
        else:
            self._owner.link_up(self)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - asyncio's name
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._owner is not None:
            self._owner.link_data(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self.paused = True
        if self._owner is not None:
            self._owner.link_blocked()

    def resume_writing(self) -> None:
        self.paused = False
        if self._owner is not None:
            self._owner.link_resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
        owner, self._owner = self._owner, None
        if owner is not None:
            reason = getattr(exc, "strerror", None) or exc
            owner.link_lost(f"the connection broke: {reason}" if exc else "the peer closed the connection")
