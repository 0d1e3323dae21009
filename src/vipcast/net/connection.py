# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One session of a peer's and its TCP connection: dialling, reading, writing, hanging up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

from vipcast.bgp.events import Dial, HangUp, StateChanged
from vipcast.bgp.route import Address
from vipcast.bgp.session import Session
from vipcast.net import sockets
from vipcast.net.link import Link
from vipcast.net.settings import PeerSettings

# So much is made at once before other peers get their turn: about ten milliseconds of work.
_CHUNK = 16384


class Host(Protocol):
    """Whoever has the neighbour. ``guard`` makes one step, and then all that follows from it."""

    settings: PeerSettings

    def guard(self, step: Callable[[], None]) -> None: ...
    def now(self) -> float: ...
    def peer_address(self) -> Address: ...
    def linked(self, connection: Connection, link: Link) -> None: ...
    def changed(self, event: StateChanged) -> None: ...
    def dropped(self, connection: Connection) -> None: ...


class Connection:
    """``session`` None: the peer has dialled, and TCP is not up for us yet."""

    def __init__(self, host: Host, session: Session | None) -> None:
        self.session = session
        self.link: Link | None = None
        self._host = host
        self._attempt: asyncio.Task[None] | None = None
        self._more: asyncio.Handle | None = None

    # ---- for the host ----

    def pump(self) -> None:
        """What the session has to say and wants to have done."""
        self._write()
        while self.session is not None and (event := self.session.next_event()) is not None:
            match event:
                case Dial():
                    self._attempt = asyncio.get_running_loop().create_task(self._dial())
                case HangUp():
                    self.hang_up()
                case StateChanged():
                    self._host.changed(event)

    def take(self, sock: socket.socket) -> None:
        """Serve a connection that the peer has made."""
        self._attempt = asyncio.get_running_loop().create_task(self._welcome(sock))

    def hang_up(self) -> None:
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
            link.hang_up()

    # ---- from the link ----

    def link_up(self, link: Link) -> None:
        self.link = link
        self._host.linked(self, link)

    def link_data(self, data: bytes) -> None:
        if (session := self.session) is not None:
            self._host.guard(lambda: session.receive_data(data, self._host.now()))

    def link_blocked(self) -> None:
        """Called inside ``write``: whoever wrote goes on by itself."""
        if self.session is not None:
            self.session.write_blocked(self._host.now())

    def link_resumed(self) -> None:
        if self.session is not None:
            self._host.guard(self.session.write_resumed)

    def link_lost(self, why: str) -> None:
        self.link = None
        self._failed(why)

    # ---- inside ----

    def _failed(self, why: str) -> None:
        if (session := self.session) is not None:
            self._host.guard(lambda: session.connection_failed(self._host.now(), why))

    def _write(self) -> None:
        if self.link is None or self.session is None or self.link.paused:
            return
        self.link.write(self.session.data_to_send(_CHUNK))
        if self.session.busy and not self.link.paused and self._more is None:
            self._more = asyncio.get_running_loop().call_soon(self._write_more)

    def _write_more(self) -> None:
        self._more = None
        self._host.guard(lambda: None)

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
            await loop.create_connection(lambda: Link(self), sock=sock)
        except BaseException:
            sock.close()
            raise

    async def _welcome(self, sock: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: Link(self), sock)
        except OSError:  # it has gone before it was served
            sock.close()
            self._host.dropped(self)
        except BaseException:
            sock.close()
            raise
