# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One BGP session over TCP, for ever: the clock and the socket for ``vipcast.bgp.session``.

    run() -- start --> Session --Dial--> a task that connects --> Link
                          ^                                         |
                          +--- octets, pauses, loss, timer ---------+

It only dials: no socket listens, so two connections with one peer, and with them collision resolution
(RFC 4271 section 6.8), cannot come about. A peer that dials us is refused by the kernel and waits for us.
"""

from __future__ import annotations

import asyncio
import copy
import random
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from vipcast.bgp.codes import Cease
from vipcast.bgp.events import Dial, HangUp, SessionEvent, StateChanged
from vipcast.bgp.fsm import State
from vipcast.bgp.rib import Withheld
from vipcast.bgp.route import Route
from vipcast.bgp.session import Session
from vipcast.net import sockets
from vipcast.net.link import LINGER, Link
from vipcast.net.settings import PeerSettings
from vipcast.net.status import PeerStatus

__all__ = ["PeerSettings", "PeerStatus", "Peering"]

# So much is made at once before other peers get their turn: about ten milliseconds of work.
_CHUNK = 16384

_Routes = tuple[frozenset[Route], frozenset[Route], dict[Route, Withheld]]


def _jitter() -> float:
    """RFC 4271 section 10."""
    return random.uniform(0.75, 1.0)


class Peering:
    """A peer, its session and its connection.

    ``notify`` is called, in the event loop, when the state has changed and when everything due has been sent;
    ask ``status`` what it is about. A peer can do nothing that raises here; what else goes wrong is a bug
    of ours, and ``run`` raises it.
    """

    def __init__(self, settings: PeerSettings, *, notify: Callable[[], None]) -> None:
        self.settings = settings
        self._notify = notify
        self._session = Session(settings.session(), jitter=_jitter)
        self._link: Link | None = None
        self._open_links: set[Link] = set()
        self._dialing: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._more: asyncio.Handle | None = None
        self._finished: asyncio.Future[None] | None = None
        self._closed = False
        self._local: IPv4Address | IPv6Address | None = None
        self._since = (time.monotonic(), time.time())
        self._error_wall: float | None = None
        self._was_busy = False
        self._routes_of: tuple[int, _Routes] | None = None

    # ---- for the speaker ----

    def set_routes(self, routes: frozenset[Route]) -> None:
        """The whole desired set; the difference is sent. Raises LocalError for two routes of one prefix."""
        self._session.set_routes(routes)
        if self._finished is not None and not self._finished.done():
            self._guard(lambda: None)

    def status(self) -> PeerStatus:
        session = self._session
        announced, pending, withheld = self._routes()
        return PeerStatus(
            name=self.settings.name,
            state=session.state,
            since_monotonic=self._since[0],
            since_wall=self._since[1],
            last_error=session.last_error,
            last_error_wall=self._error_wall,
            next_attempt_monotonic=session.next_attempt,
            local_address=self._local,
            local_router_id=session.local_open.router_id if session.local_open else None,
            remote_router_id=session.remote_open.router_id if session.remote_open else None,
            hold_time=session.negotiated.hold_time if session.negotiated else None,
            keepalive_time=session.negotiated.keepalive_time if session.negotiated else None,
            local_capabilities=session.local_open.capabilities if session.local_open else (),
            remote_capabilities=session.remote_open.capabilities if session.remote_open else (),
            announced=announced,
            pending=pending,
            withheld=withheld,
            counters=copy.deepcopy(session.counters),
        )

    def _routes(self) -> _Routes:
        """Sets of thousands are built when something changed, not for every question."""
        rib = self._session.rib
        if self._routes_of is None or self._routes_of[0] != rib.version:
            announced = frozenset(rib.sent)
            pending = frozenset(rib.desired).difference(announced, rib.withheld)
            self._routes_of = (rib.version, (announced, pending, dict(rib.withheld)))
        return self._routes_of[1]

    async def run(self) -> None:
        """Until cancelled or closed."""
        if self._closed:
            return
        self._finished = asyncio.get_running_loop().create_future()
        self._guard(lambda: self._session.start(self._now()))
        try:
            await self._finished
        finally:
            self._end("", Cease.ADMINISTRATIVE_SHUTDOWN)

    def bfd_down(self, why: str) -> None:
        """BFD has lost the peer: the session ends with Cease/BFD Down (RFC 9384) and is tried again."""
        if self._finished is not None and not self._finished.done():
            self._guard(lambda: self._session.abandon(self._now(), Cease.BFD_DOWN, why))

    async def close(
        self,
        message: str = "",
        *,
        subcode: Cease = Cease.ADMINISTRATIVE_SHUTDOWN,
        preserve: bool = False,  # noqa: ARG002 - until graceful restart is negotiated
    ) -> None:
        """Cease with ``message`` (RFC 9003), then close. The peer forgets all routes at once.

        ``preserve``: it keeps them, if graceful restart was negotiated.
        """
        self._closed = True
        self._end(message, subcode)
        if self._open_links:
            await asyncio.wait([link.closed for link in self._open_links], timeout=LINGER)

    # ---- from the link ----

    def link_up(self, link: Link) -> None:
        self._link = link
        self._open_links.add(link)
        link.closed.add_done_callback(lambda _: self._open_links.discard(link))
        self._local = local = sockets.local_address(link.local_name)
        self._guard(lambda: self._session.connected(self._now(), local))

    def link_data(self, data: bytes) -> None:
        self._guard(lambda: self._session.receive_data(data, self._now()))

    def link_blocked(self) -> None:
        """Called inside ``write``: whoever wrote goes on by itself."""
        self._session.write_blocked(self._now())

    def link_resumed(self) -> None:
        self._guard(self._session.write_resumed)

    def link_lost(self, why: str) -> None:
        self._link = None
        self._guard(lambda: self._session.connection_failed(self._now(), why))

    # ---- the loop around the session ----

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def _guard(self, step: Callable[[], None]) -> None:
        """One input, then everything that follows from it. A bug ends ``run``, and no other peer's."""
        try:
            step()
            self._pump()
        except Exception as exc:
            if self._finished is None or self._finished.done():
                raise
            self._finished.set_exception(exc)

    def _pump(self) -> None:
        self._write()
        while (event := self._session.next_event()) is not None:
            self._act(event)
        self._arm()
        self._tell_when_sent()

    def _write(self) -> None:
        if self._link is None or self._link.paused:
            return
        self._link.write(self._session.data_to_send(_CHUNK))
        if self._session.busy and not self._link.paused and self._more is None:
            self._more = asyncio.get_running_loop().call_soon(self._write_more)

    def _write_more(self) -> None:
        self._more = None
        self._guard(lambda: None)

    def _act(self, event: SessionEvent) -> None:
        match event:
            case Dial():
                self._dialing = asyncio.get_running_loop().create_task(self._dial())
            case HangUp():
                self._hang_up()
            case StateChanged():
                self._since = (self._now(), time.time())
                if event.why:
                    self._error_wall = self._since[1]
                self._notify()

    def _tell_when_sent(self) -> None:
        busy = self._session.busy
        if self._was_busy and not busy and self._session.state is State.ESTABLISHED:
            self._notify()
        self._was_busy = busy

    def _arm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if (at := self._session.timer()) is not None:
            self._alarm = asyncio.get_running_loop().call_at(at, self._ring)

    def _ring(self) -> None:
        """The loop may ring a clock tick early; what it rang for is due all the same."""
        at = self._session.timer()
        self._guard(lambda: self._session.handle_timer(max(self._now(), at or 0.0)))

    async def _dial(self) -> None:
        try:
            await self._connect()
        except OSError as error:
            why = sockets.explain(error, self.settings)
            self._guard(lambda: self._session.connection_failed(self._now(), why))

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        address = self.settings.address
        if address is None:
            raise OSError("no router is known on this interface")
        sock = sockets.open_socket(self.settings, address)
        try:
            await loop.sock_connect(sock, sockets.socket_address(address, self.settings.port))
            await loop.create_connection(lambda: Link(self), sock=sock)
        except BaseException:
            sock.close()
            raise

    def _hang_up(self) -> None:
        if self._dialing is not None:
            self._dialing.cancel()
            self._dialing = None
        link, self._link = self._link, None
        if link is not None:
            link.write(self._session.data_to_send(0))
            link.hang_up()

    def _end(self, message: str, subcode: Cease) -> None:
        """Leave, whatever state it is in; nothing is scheduled afterwards."""
        if self._session.state is not State.IDLE:
            self._session.stop(self._now(), message, subcode=subcode)
            self._pump()
        for handle in (self._alarm, self._more):
            if handle is not None:
                handle.cancel()
        self._hang_up()
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)
