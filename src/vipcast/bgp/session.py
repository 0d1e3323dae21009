# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One BGP session: octets and the time in; octets, events and the next timer out.

                 receive_data, connected, connection_failed, handle_timer
                                     |
    Connect, Disconnect, StateChanged <- Session -> data_to_send()
                                     |
                        fsm (table) + rib (difference)

The driver's loop, after each input: write ``data_to_send()``, do what each ``next_event()`` asks for, call
``handle_timer`` at ``timer()``. Times are seconds of any monotonic clock; the session never asks for one.
A driver has one connection at a time; it reports on the newest only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from types import MappingProxyType

from vipcast.bgp import messages, negotiation
from vipcast.bgp.cease import HOLD_TIMER_NOTIFICATIONS, cease_notification
from vipcast.bgp.error_codes import Cease, ErrorCode
from vipcast.bgp.errors import RemoteError
from vipcast.bgp.events import Connect, Disconnect, SessionEvent, StateChanged
from vipcast.bgp.export import Export
from vipcast.bgp.framing import EXTENDED_MAX_LENGTH, MAX_LENGTH, FrameBuffer, type_of
from vipcast.bgp.fsm import ERROR_EVENTS, FSM_SUBCODES, TCP_UP, Action, Event, State, transition
from vipcast.bgp.messages import Keepalive, Message, Notification, Open, RefreshMark, RouteRefresh, Update
from vipcast.bgp.negotiation import Negotiated, SessionSettings
from vipcast.bgp.peer_state import PeerState
from vipcast.bgp.route import Route
from vipcast.bgp.timers import EXPIRED, Timers
from vipcast.bgp.wire import Family
from vipcast.model.addresses import IPAddress

# So old a session is before a new connection can mean that the peer has restarted: no router is back sooner,
# and a connection that was dialled before this session was up arrives within a round trip or two.
RESTART_TAKES = 1.0


class Session:
    """See the module. ``jitter`` gives factors for timers, 0.75 to 1.0 by RFC 4271 section 10.

    ``memory``: what other sessions with this peer have left. ``passive``: never dial, wait for the peer.
    ``yields``: asked with each OPEN that is right, whether another connection is to be preferred.
    """

    def __init__(
        self,
        settings: SessionSettings,
        *,
        jitter: Callable[[], float] = lambda: 1.0,
        memory: PeerState | None = None,
        passive: bool = False,
        yields: Callable[[Session, Open, float], bool] = lambda _session, _open, _now: False,
    ) -> None:
        self.settings = settings
        self.state = State.IDLE
        self.memory = memory or PeerState.of(settings, jitter)
        self.rib = self.memory.rib
        self.counters = self.memory.counters
        self.accepted = False
        """Whether the peer has made the connection."""
        self.negotiated: Negotiated | None = None
        self.local_open: Open | None = None
        self.remote_open: Open | None = None
        self._backoff = self.memory.backoff
        self._yields = yields
        self._established_at = 0.0
        self._local: IPAddress | None = None
        self._next_hops: dict[Family, IPAddress] = {}
        self._frames = FrameBuffer()
        self._outbox = bytearray()
        self._events: deque[SessionEvent] = deque()
        self._timers = Timers(self._backoff, delay_open_time=settings.delay_open_time, passive=passive)

    # ---- inputs ----

    def start(self, now: float, *, passive: bool = False) -> None:
        """``passive``: never dial, from now on."""
        self._timers.passive |= passive
        start = Event.ManualStart_with_PassiveTcpEstablishment if self._timers.passive else Event.ManualStart
        self._handle_event(start, now)

    def stop(
        self,
        now: float,
        message: str = "",
        *,
        subcode: Cease = Cease.ADMINISTRATIVE_SHUTDOWN,
        preserve: bool = False,
    ) -> None:
        """End it and stay in Idle. The peer drops all routes and is told ``message`` (RFC 9003).

        ``preserve``: with graceful restart it keeps them, for the time that was agreed.
        """
        notification = cease_notification(self.negotiated, subcode, message, preserve=preserve)
        if notification is None:
            self._handle_event(Event.TcpConnectionFails, now, why="we left, to come back: graceful restart")
        self._handle_event(Event.ManualStop, now, notification)

    def reset(self, now: float, subcode: Cease, why: str) -> None:
        """End it for a reason of our own; it comes back by itself. Without a connection nothing happens."""
        if self.state in (State.OPEN_SENT, State.OPEN_CONFIRM, State.ESTABLISHED):
            cease = Notification(ErrorCode.CEASE, subcode)
            self._handle_event(Event.AutomaticStop, now, cease, why=f"we ended the session: {cease}: {why}")

    def close_collision(self, now: float) -> None:
        """Another connection is preferred (RFC 4271 section 6.8, RFC 4486 section 4). Nobody's fault."""
        self._handle_event(Event.OpenCollisionDump, now, Notification(ErrorCode.CEASE, Cease.COLLISION))

    def start_passive(self, now: float) -> None:
        """Leave the rest in Idle early: the peer is there."""
        self._handle_event(Event.AutomaticStart_with_DampPeerOscillations_and_PassiveTcpEstablishment, now)

    def retry_now(self, now: float) -> None:
        """Leave the rest in Idle early, and dial."""
        if self._timers.at(Event.IdleHoldTimer_Expires) is not None:
            self._timers.stop(Event.IdleHoldTimer_Expires)
            self._handle_event(Event.IdleHoldTimer_Expires, now)

    def connected(
        self,
        now: float,
        local: IPAddress,
        next_hops: Mapping[Family, IPAddress] = MappingProxyType({}),
        *,
        accepted: bool = False,
    ) -> None:
        """TCP is up; ``local`` is our address on it: next hop, and router id where none is set.

        ``next_hops``: global addresses of the interface, for the families that ``local`` does not serve.
        ``accepted``: the peer has dialled.
        """
        self._local = local
        self._next_hops = dict(next_hops)
        self._outbox.clear()
        self.counters.connects += 1
        self.accepted = accepted
        self._handle_event(Event.TcpConnectionConfirmed if accepted else Event.Tcp_CR_Acked, now)

    def connection_failed(self, now: float, why: str) -> None:
        """The dialled connection did not come up, or the one that was up is gone."""
        self._handle_event(Event.TcpConnectionFails, now, why=why)

    def receive_data(self, data: bytes, now: float) -> None:
        """Whatever the octets are, the answer is an event or a NOTIFICATION, never an exception.

        Octets of a connection that is given up are dropped.
        """
        if self._local is None:
            return
        self.counters.bytes_in += len(data)
        self._frames.receive(data)
        frames = self._frames
        while frames is self._frames:  # a session that ended has thrown its buffer away
            try:
                frame = next(iter(frames), None)
                if frame is None:
                    return
                self.counters.received(frame.type)
                message = messages.decode(frame, asn4=self._asn4, internal=self._internal)
            except RemoteError as error:
                self._refuse(error, now)
                return
            self._receive(message, now)

    def set_routes(self, routes: Collection[Route]) -> None:
        """The whole desired set. Raises LocalError where two routes are for one prefix."""
        self.rib.set_desired(routes)

    def write_blocked(self, now: float) -> None:
        """Take note that what was written waits: perhaps the peer does not read (RFC 9687 section 4)."""
        if self.negotiated is not None:
            self._timers.start_send_hold(now, self.negotiated)

    def write_resumed(self) -> None:
        """Take note that the peer has taken some of it."""
        self._timers.stop(Event.SendHoldTimer_Expires)

    # ---- outputs ----

    def data_to_send(self, max_bytes: int = 65536) -> bytes:
        """Octets to write now: what is due, and when that is out UPDATEs of ``max_bytes``.

        Empty: nothing to say.

        Our KEEPALIVE lets the peer go on, so it does not wait until routes have been packed.
        """
        due = bool(self._outbox)
        while not due and self.state is State.ESTABLISHED and len(self._outbox) < max_bytes:
            message = self.rib.take()
            if message is None:
                break
            if isinstance(message, Update):
                self.counters.count_sent(message)
            self._send(message)
        data = bytes(self._outbox)
        self._outbox.clear()
        self.counters.bytes_out += len(data)
        return data

    def next_event(self) -> SessionEvent | None:
        return self._events.popleft() if self._events else None

    def timer(self) -> float | None:
        return self._timers.next()

    def handle_timer(self, now: float, *, waiting: bool = False) -> None:
        """Everything that is due, the earliest first.

        ``waiting``: the peer has dialled meanwhile. After the rest its connection is served, and none is made
        beside it: to a peer that follows RFC 4724 section 5 a second one means that we have restarted.
        """
        while (event := self._timers.pop_due(now)) is not None:
            if event is Event.IdleHoldTimer_Expires and (waiting or self._timers.passive):
                self.start_passive(now)
            else:
                self._handle_event(event, now, why=EXPIRED.get(event, ""))

    # ---- to look at ----

    @property
    def connection(self) -> bool:
        """Return whether TCP is up."""
        return self._local is not None

    def may_be_replaced(self, now: float) -> bool:
        """Return whether a new connection of the peer's means that this one is lost (RFC 4724 section 5)."""
        restart = self.negotiated.graceful_restart if self.negotiated is not None else None
        young = now - self._established_at < RESTART_TAKES
        return restart is not None and bool(restart.families) and not young

    @property
    def last_error(self) -> str:
        return self.memory.last_error

    @property
    def last_error_at(self) -> float | None:
        return self.memory.last_error_at

    @property
    def busy(self) -> bool:
        """Return whether the peer has still to be told something."""
        return self.state is State.ESTABLISHED and self.rib.busy

    @property
    def next_attempt(self) -> float | None:
        """Return when the next connection is tried, where none is up."""
        return self._timers.next_attempt

    # ---- what the peer says ----

    @property
    def _asn4(self) -> bool:
        return self.negotiated is None or self.negotiated.asn4

    @property
    def _internal(self) -> bool | None:
        return None if self.negotiated is None else self.negotiated.internal

    def _receive(self, message: Message, now: float) -> None:
        match message:
            case Open():
                self._receive_open(message, now)
            case Keepalive():
                self._handle_event(Event.KeepAliveMsg, now, message, why="KEEPALIVE")
            case Update():
                self._handle_event(Event.UpdateMsg, now, message, why="UPDATE")
            case RouteRefresh():
                self._handle_event(Event.RouteRefreshMsg, now, message, why="ROUTE-REFRESH")
            case Notification(code, subcode):
                version = (code, subcode) == (ErrorCode.OPEN, 1)
                event = Event.NotifMsgVerErr if version else Event.NotifMsg
                self._handle_event(event, now, message, why=f"the peer ended the session: {message}")

    def _receive_open(self, message: Open, now: float) -> None:
        delayed = self._delayed(Event.BGPOpen)
        if self.state is State.OPEN_SENT or delayed:
            self.remote_open = message
            try:
                self.negotiated = negotiation.negotiate(self.settings, self._open(), message)
            except RemoteError as error:
                self._refuse(error, now)
                return
            # We have offered it, whatever the peer offers (RFC 8654 section 4).
            self._frames.max_length = EXTENDED_MAX_LENGTH
            if self._yields(self, message, now):
                self.close_collision(now)
                return
        event = Event.BGPOpen_with_DelayOpenTimer_running if delayed else Event.BGPOpen
        self._handle_event(event, now, message, why="OPEN")

    def _refuse(self, error: RemoteError, now: float) -> None:
        """Answer what was wrong with what the peer sent."""
        answer = Notification(error.code, error.subcode, error.data)
        self._handle_event(ERROR_EVENTS[error.code], now, answer, why=f"we ended the session: {error}")

    # ---- transitions ----

    def _handle_event(
        self, event: Event, now: float, message: Message | None = None, *, why: str = ""
    ) -> None:
        """Change the state and do what the table says.

        ``message``: the one received, or the NOTIFICATION that an event of our own sends. ``why``: the error
        in words, where the event ends the session.
        """
        old = self.state
        self.state, actions = transition(old, event, delayed=self._delayed(event))
        bad = event is not Event.OpenCollisionDump and not _BAD_NEWS.isdisjoint(actions)
        if bad:
            self._note_error(old, event, why, now)
        for action in actions:
            self._perform(action, event, message, old, now)
        if self.state is not old:
            self._events.append(StateChanged(old, self.state, self.last_error if bad else ""))

    def _delayed(self, event: Event) -> bool:
        """RFC 4271 section 8.2.2: whether DelayOpen is set where TCP comes up, or else its timer runs."""
        if event in TCP_UP:
            return self.settings.delay_open_time > 0
        return self._timers.at(Event.DelayOpenTimer_Expires) is not None

    def _note_error(self, old: State, event: Event, why: str, now: float) -> None:
        if Action.NOTIFY_FSM_ERROR in transition(old, event)[1]:
            why = f"we ended the session: {why or event.name} in {old.value} is not expected"
        self.memory.last_error = why or event.name
        self.memory.last_error_at = now

    def _perform(  # noqa: PLR0912 - one arm for each action
        self, action: Action, event: Event, message: Message | None, old: State, now: float
    ) -> None:
        match action:
            case Action.CONNECT:
                self._events.append(Connect())
            case Action.DISCONNECT:
                self._events.append(Disconnect())
            case Action.SEND_OPEN:
                self._send(self._open())
            case Action.SEND_KEEPALIVE:
                self._send_keepalive(old)
            case Action.NOTIFY_CEASE | Action.NOTIFY_RECEIVED_ERROR:
                assert isinstance(message, Notification)
                self._send(message)
            case Action.NOTIFY_HOLD_TIMER | Action.NOTIFY_SEND_HOLD_TIMER:
                self._send(HOLD_TIMER_NOTIFICATIONS[action])
            case Action.NOTIFY_FSM_ERROR:
                self._send(Notification(ErrorCode.FSM, FSM_SUBCODES[old]))
            case Action.RELEASE:
                self._release(event, old, now)
            case Action.COUNT_RETRY:
                self.counters.retries += 1
            case Action.CLEAR_RETRIES:
                self.counters.retries = 0
            case Action.SEND_ROUTES:
                self._established(now)
            case Action.PROCESS_UPDATE:
                assert isinstance(message, Update)
                self.counters.count_received(message)
            case Action.RESEND_ROUTES:
                assert isinstance(message, RouteRefresh)
                self._resend_routes(message)
            case _:
                self._timers.do(action, now, old, self.negotiated)

    # ---- actions ----

    def _send(self, message: Message) -> None:
        max_length = self.negotiated.max_length if self.negotiated else MAX_LENGTH
        frame = messages.encode(message, asn4=self._asn4, max_length=max_length)
        self._outbox += frame
        self.counters.sent(type_of(frame))

    def _open(self) -> Open:
        assert self._local is not None
        settings = replace(self.settings, restarting=self.memory.restarting)
        self.local_open = negotiation.make_open(settings, self._local)
        return self.local_open

    def _send_keepalive(self, old: State) -> None:
        """Send a KEEPALIVE, unless octets that say as much wait to be written."""
        if not self._outbox or old is not State.ESTABLISHED:
            self._send(Keepalive())

    def _established(self, now: float) -> None:
        assert self.negotiated is not None and self._local is not None
        self._backoff.established(now)
        self._established_at = now
        self.counters.established += 1
        export = Export.of(self.settings, self.negotiated, self._local, self._next_hops)
        self.rib.open(export, restarting=self.memory.restarting)
        self.memory.restarting = False

    def _release(self, event: Event, old: State, now: float) -> None:
        if event is not Event.OpenCollisionDump:
            self._backoff.ended(old, now)
        self._timers.clear()
        self._frames = FrameBuffer()
        self.negotiated = None
        self._local = None
        if old is State.ESTABLISHED:
            self.rib.close()

    def _resend_routes(self, refresh: RouteRefresh) -> None:
        """The marks of RFC 7313 are about a refresh of the peer's own, and we keep nothing of it."""
        if refresh.family is not None and refresh.subtype == RefreshMark.REQUEST:
            self.rib.resend(refresh.family)


_BAD_NEWS = frozenset((Action.START_IDLE_HOLD, Action.COUNT_RETRY))
