# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One peer over TCP, for ever: the clock and the sockets for ``vipcast.bgp.peer``.

    run() -- start --> PeerSessions --- its sessions --- Connection, TcpStream
                          ^                               |
    Listener -- accept ---+--- octets, pauses, loss, timer-+

With a `Listener` the peer may dial us, too: always where its settings say that we wait for it, and on demand
where the listener awaits all.
"""

from __future__ import annotations

import asyncio
import copy
import random
import socket
import time
from collections.abc import Callable
from dataclasses import replace

from vipcast.bgp.error_codes import Cease
from vipcast.bgp.events import StateChanged
from vipcast.bgp.export import Withheld
from vipcast.bgp.fsm import State
from vipcast.bgp.peer import PeerSessions, Refusal, refusal_message
from vipcast.bgp.route import Route
from vipcast.bgp.session import Session
from vipcast.bgp.wire import Family
from vipcast.model.addresses import IPAddress
from vipcast.net import sockets
from vipcast.net.addresses import next_hops, read_addresses
from vipcast.net.connection import Connection
from vipcast.net.discovery import Discovery
from vipcast.net.listener import Expected, Listener
from vipcast.net.settings import PeerSettings
from vipcast.net.status import PeerStatus
from vipcast.net.tcp_stream import LINGER, TcpStream

__all__ = ["PeerSettings", "PeerStatus", "Peering"]

# A peer that dials without end is not served faster than its old connections go.
_MAX_LINKS = 8
_NOBODY_LISTENS = "this peer is waited for, and nothing listens for it"

_Routes = tuple[frozenset[Route], frozenset[Route], dict[Route, Withheld]]


def _no_input() -> None:
    """The step of a pump."""


def _jitter() -> float:
    """RFC 4271 section 10."""
    return random.uniform(0.75, 1.0)


def _next_hops(local: IPAddress, index: int) -> dict[Family, IPAddress]:
    """A kernel that does not tell costs the other family, which is then withheld with its reason."""
    try:
        return next_hops(local, index, read_addresses())
    except OSError:
        return {}


class Peering:
    """A peer, its sessions and their connections.

    ``notify`` is called, in the event loop, when the state has changed and when everything due has been sent;
    ask ``status`` what it is about. A peer can do nothing that raises here; what else goes wrong is a bug
    of ours, and ``run`` raises it. ``listener``: where the peer may dial us.
    """

    def __init__(
        self, settings: PeerSettings, *, notify: Callable[[], None], listener: Listener | None = None
    ) -> None:
        self.settings = settings
        self._notify = notify
        self._listener = listener
        self._peer_sessions = PeerSessions(settings.session(), passive=settings.passive, jitter=_jitter)
        self._connections: list[Connection] = []
        self._open_streams: set[TcpStream] = set()
        self._expected: Expected | None = None
        self._waiting: socket.socket | None = None
        self._discovery: Discovery | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._finished: asyncio.Future[None] | None = None
        self._closed = False
        self._local: IPAddress | None = None
        self._state = State.IDLE
        self._since = (time.monotonic(), time.time())
        self._error_wall: float | None = None
        self._lost = ("", time.time())
        self._was_busy = False
        self._routes_of: tuple[int, _Routes] | None = None

    # ---- for the speaker ----

    def set_routes(self, routes: frozenset[Route]) -> None:
        """The whole desired set; the difference is sent. Raises LocalError for two routes of one prefix."""
        self._peer_sessions.set_routes(routes)
        if self._running:
            self.pump()

    def status(self) -> PeerStatus:
        session, memory = self._peer_sessions.current, self._peer_sessions.memory
        announced, pending, withheld = self._routes()
        return PeerStatus(
            name=self.settings.name,
            state=session.state,
            since_monotonic=self._since[0],
            since_wall=self._since[1],
            last_error=memory.last_error,
            last_error_wall=self._error_wall,
            lost=self._lost[0],
            lost_wall=self._lost[1],
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
            counters=copy.deepcopy(memory.counters),
            remote_address=self._remote,
            problem=self._problem,
        )

    def _routes(self) -> _Routes:
        """Sets of thousands are built when something changed, not for every question."""
        rib = self._peer_sessions.memory.rib
        if self._routes_of is None or self._routes_of[0] != rib.version:
            announced = frozenset(rib.sent)
            pending = frozenset(rib.desired).difference(announced, rib.withheld)
            self._routes_of = (rib.version, (announced, pending, dict(rib.withheld)))
        return self._routes_of[1]

    @property
    def _problem(self) -> str:
        if self._discovery is not None and self._discovery.problem:
            return self._discovery.problem
        if self._expected is not None:
            return self._expected.problem
        return _NOBODY_LISTENS if self.settings.passive and self._listener is None else ""

    async def run(self) -> None:
        """Run until cancelled or closed."""
        if self._closed:
            return
        self._finished = asyncio.get_running_loop().create_future()
        self._listen()
        self._discover()
        self.run_step(lambda: self._peer_sessions.start(self.now()))
        try:
            await self._finished
        finally:
            self._end("", Cease.ADMINISTRATIVE_SHUTDOWN)

    def set_password(self, password: str) -> bool:
        """Take another password into the connections that are there; whether that could be done.

        It can be where there was one: whether segments are signed is agreed on with the first one.
        """
        if self.settings.password is None or self._closed:
            return False
        settings, peer = replace(self.settings, password=password), self._remote
        try:
            if peer is not None:
                for connection in self._connections:
                    connection.set_key(peer, password)
        except OSError:
            return False
        self.settings = settings
        self._drop_waiting()
        if self._expected is not None and self._listener is not None:
            self._listener.change(self._expected, settings)
        return True

    def bfd_down(self, why: str) -> None:
        """BFD has lost the peer: the session ends with Cease/BFD Down (RFC 9384) and is tried again."""
        if self._running:
            self.run_step(lambda: self._peer_sessions.reset(self.now(), Cease.BFD_DOWN, why))

    async def close(
        self,
        message: str = "",
        *,
        subcode: Cease = Cease.ADMINISTRATIVE_SHUTDOWN,
        preserve: bool = False,
    ) -> None:
        """Cease with ``message`` (RFC 9003), then close. The peer forgets all routes at once.

        ``preserve``: it keeps them, if graceful restart was negotiated.
        """
        self._closed = True
        self._end(message, subcode, preserve=preserve)
        if self._open_streams:
            await asyncio.wait([link.closed for link in self._open_streams], timeout=LINGER)

    # ---- for its connections ----

    @staticmethod
    def now() -> float:
        return asyncio.get_running_loop().time()

    def run_step(self, step: Callable[[], None]) -> None:
        """One input, then everything that follows from it. A bug ends ``run``, and no other peer's."""
        try:
            step()
            self._peer_sessions.settle(self.now())
            self._serve()
        except Exception as exc:
            if not self._running:
                raise
            assert self._finished is not None
            self._finished.set_exception(exc)

    def pump(self) -> None:
        """Do what follows from earlier inputs: write what is to be said, and perform events."""
        self.run_step(_no_input)

    def peer_address(self) -> IPAddress:
        if (address := self._remote) is None:
            raise OSError(f"no router has advertised itself on {self.settings.interface} (RFC 4861)")
        return address

    @property
    def _remote(self) -> IPAddress | None:
        if self.settings.address is not None or self._discovery is None:
            return self.settings.address
        return self._discovery.address

    def linked(self, connection: Connection, link: TcpStream) -> None:
        self._open_streams.add(link)
        link.closed.add_done_callback(lambda _: self._open_streams.discard(link))
        local, index = link.local
        hops = _next_hops(local, index)
        if (session := connection.session) is not None:
            self._local = local
            self.run_step(lambda: session.connected(self.now(), local, hops))
        else:
            self.run_step(lambda: self._accept(connection, link, local, hops))

    def changed(self, event: StateChanged) -> None:
        if event.why:
            self._error_wall = time.time()
            if event.old is State.ESTABLISHED:
                self._lost = (event.why, time.time())

    def dropped(self, connection: Connection) -> None:
        self._connections.remove(connection)

    # ---- an unnumbered peer ----

    def _discover(self) -> None:
        if self.settings.address is None and self.settings.interface is not None:
            self._discovery = Discovery(self.settings.interface, self._discovered)
            self._discovery.start()

    def _discovered(self) -> None:
        if (address := self._remote) is not None:
            if self._expected is not None and self._listener is not None:
                self._listener.found(self._expected, address)
            self.run_step(lambda: self._peer_sessions.retry_now(self.now()))
        self._notify()

    # ---- the peer has dialled ----

    def _listen(self) -> None:
        listener = self._listener
        if listener is not None and (self.settings.passive or listener.always):
            self._expected = listener.expect(self.settings, self._incoming, self._notify)

    def _incoming(self, sock: socket.socket) -> None:
        """It is served, refused, or kept until it can be: the newest one alone."""
        busy = len(self._open_streams) >= _MAX_LINKS
        refusal = Refusal.BUSY if busy else self._peer_sessions.refusal(self.now())
        if refusal is Refusal.LATER:
            self._drop_waiting()
            self._waiting = sock
        elif refusal is not None:
            sockets.refuse(sock, refusal_message(refusal))
        else:
            connection = Connection(self, None)
            self._connections.append(connection)
            connection.take(sock)

    def _accept(
        self, connection: Connection, link: TcpStream, local: IPAddress, hops: dict[Family, IPAddress]
    ) -> None:
        answer = self._peer_sessions.accept(self.now(), local, hops)
        if isinstance(answer, Session):
            self._local = local
            connection.session = answer
        else:  # while asyncio took the socket over, the neighbor has changed its mind
            link.write(b"" if answer is Refusal.LATER else refusal_message(answer))
            connection.disconnect()
            self._connections.remove(connection)

    def _take_waiting(self) -> None:
        if self._waiting is not None and self._peer_sessions.refusal(self.now()) is not Refusal.LATER:
            sock, self._waiting = self._waiting, None
            self._incoming(sock)

    def _drop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.close()
            self._waiting = None

    # ---- the loop around the neighbor ----

    @property
    def _running(self) -> bool:
        return self._finished is not None and not self._finished.done()

    def _serve(self) -> None:
        for session in self._peer_sessions.sessions:
            if all(connection.session is not session for connection in self._connections):
                self._connections.append(Connection(self, session))
        for connection in tuple(self._connections):
            connection.pump()
        self._connections = [each for each in self._connections if self._lives(each)]
        self._take_waiting()
        self._arm()
        self._tell()

    def _lives(self, connection: Connection) -> bool:
        return connection.session is None or connection.session in self._peer_sessions.sessions

    def _tell(self) -> None:
        session = self._peer_sessions.current
        changed, self._state = session.state is not self._state, session.state
        if changed:
            self._since = (self.now(), time.time())
        sent = self._was_busy and not session.busy and session.state is State.ESTABLISHED
        self._was_busy = session.busy
        if changed or sent:
            self._notify()

    def _arm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if (at := self._peer_sessions.timer()) is not None:
            self._alarm = asyncio.get_running_loop().call_at(at, self._ring)

    def _ring(self) -> None:
        """The loop may ring a clock tick early; what it rang for is due all the same."""
        now = max(self.now(), self._peer_sessions.timer() or 0.0)
        if self._waiting is not None and not sockets.is_open(self._waiting):
            self._drop_waiting()
        self.run_step(lambda: self._peer_sessions.handle_timer(now, waiting=self._waiting is not None))

    def _end(self, message: str, subcode: Cease, *, preserve: bool = False) -> None:
        """Leave, whatever state it is in; nothing is scheduled afterwards."""
        if self._expected is not None and self._listener is not None:
            self._listener.forget(self._expected)
            self._expected = None
        if self._discovery is not None:
            self._discovery.stop()
        if self._peer_sessions.current.state is not State.IDLE:
            self._peer_sessions.stop(self.now(), message, subcode=subcode, preserve=preserve)
            self._serve()
        if self._alarm is not None:
            self._alarm.cancel()
        self._drop_waiting()
        for connection in self._connections:
            connection.disconnect()
        if self._running:
            assert self._finished is not None
            self._finished.set_result(None)
