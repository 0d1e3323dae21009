# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One session of a peer's and its TCP connection: dialling, reading, writing, hanging up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

from vipcast.bgp.events import Connect, Disconnect, StateChanged
from vipcast.bgp.session import Session
from vipcast.model.addresses import IPAddress
from vipcast.net import sockets
from vipcast.net.settings import PeerSettings
from vipcast.net.tcp_stream import TcpStream

# So much is made at once before other peers get their turn: about ten milliseconds of work.
_CHUNK = 16384


class Host(Protocol):
    """The owner of a peer's connections.

    ``run_step`` makes one step, and then all that follows from it; ``pump`` does only the latter.
    """

    settings: PeerSettings

    def run_step(self, step: Callable[[], None]) -> None: ...
    def pump(self) -> None: ...
    def now(self) -> float: ...
    def peer_address(self) -> IPAddress: ...
    def linked(self, connection: Connection, link: TcpStream) -> None: ...
    def changed(self, event: StateChanged) -> None: ...
    def dropped(self, connection: Connection) -> None: ...


class Connection:
    """``session`` None: the peer has dialled, and TCP is not up for us yet."""

    def __init__(self, host: Host, session: Session | None) -> None:
        self.session = session
        self.link: TcpStream | None = None
        self._host = host
        self._attempt: asyncio.Task[None] | None = None
        self._more: asyncio.Handle | None = None
        self._delivered = 0

    # ---- for the host ----

    def pump(self) -> None:
        """Write what the session has to send, and perform its events."""
        self._look_at_reader()
        self._write()
        while self.session is not None and (event := self.session.next_event()) is not None:
            match event:
                case Connect():
                    self._attempt = asyncio.get_running_loop().create_task(self._dial())
                case Disconnect():
                    self.disconnect()
                case StateChanged():
                    self._host.changed(event)

    def set_key(self, peer: IPAddress, password: str) -> None:
        """Sign with another password from now on. Raises OSError: the kernel does not take it."""
        if self.link is not None:
            self.link.set_key(peer, password)

    def take(self, sock: socket.socket) -> None:
        """Serve a connection that the peer has made."""
        self._attempt = asyncio.get_running_loop().create_task(self._welcome(sock))

    def disconnect(self) -> None:
        if self._attempt is not None:
            self._attempt.cancel()
            self._attempt = None
        if self._more is not None:
            self._more.cancel()
            self._more = None
        link, self.link = self.link, None
        if link is not None:
            if self.session is not None:
                link.write(self.session.data_to_send(0))
            link.disconnect()

    # ---- from the link ----

    def link_up(self, link: TcpStream) -> None:
        self.link, self._delivered = link, 0
        self._host.linked(self, link)

    def link_data(self, data: bytes) -> None:
        if (session := self.session) is not None:
            self._host.run_step(lambda: session.receive_data(data, self._host.now()))

    def link_blocked(self) -> None:
        """Called inside ``write``: whoever wrote goes on by itself."""
        if self.session is not None:
            self.session.write_blocked(self._host.now())

    def link_resumed(self) -> None:
        if self.session is not None:
            self._host.run_step(self.session.write_resumed)

    def link_lost(self, why: str) -> None:
        self.link = None
        self._failed(why)

    # ---- inside ----

    def _failed(self, why: str) -> None:
        if (session := self.session) is not None:
            self._host.run_step(lambda: session.connection_failed(self._host.now(), why))

    def _look_at_reader(self) -> None:
        """Tell the session whether the peer goes on taking what it is sent (RFC 9687). Its acknowledgements
        say so; our own buffer fills only after the kernel's, and a few routes fill neither for days.
        """
        if self.link is None or self.session is None:
            return
        outstanding = self.link.outstanding
        delivered = self.link.written - outstanding
        if not outstanding or delivered > self._delivered:
            self.session.write_resumed()
        if outstanding:
            self.session.write_blocked(self._host.now())
        self._delivered = delivered

    def _write(self) -> None:
        if self.link is None or self.session is None or self.link.paused:
            return
        self.link.write(self.session.data_to_send(_CHUNK))
        if self.session.busy and not self.link.paused and self._more is None:
            self._more = asyncio.get_running_loop().call_soon(self._write_more)

    def _write_more(self) -> None:
        self._more = None
        self._host.pump()

    async def _dial(self) -> None:
        try:
            await self._connect()
        except OSError as error:
            self._failed(sockets.explain(error, self._host.settings))

    async def _connect(self) -> None:
        loop, settings = asyncio.get_running_loop(), self._host.settings
        peer = self._host.peer_address()
        sock = sockets.open_socket(settings, peer)
        try:
            name = sockets.socket_address(peer, settings.port, settings.interface)
            await loop.sock_connect(sock, name)
            await loop.create_connection(lambda: TcpStream(self), sock=sock)
        except BaseException:
            sock.close()
            raise

    async def _welcome(self, sock: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: TcpStream(self), sock)
        except OSError:  # it has gone before it was served
            sock.close()
            self._host.dropped(self)
        except BaseException:
            sock.close()
            raise
