# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A peer, and the sessions with it: one, or for a moment two, where both sides have dialled.

RFC 4271 section 8.2.1 has a state machine for each connection; section 6.8 says which connection stays. All
of it is here:

- A session that has ended while the other goes on is dropped. So the last one, whoever dialled for it, is the
  one that rests, backs off and dials again.
- An OPEN that comes on one of two connections decides: the one dialled by the side with the higher router id
  stays; with equal ids (RFC 6286 section 2.3) that of the higher AS. The other connection counts in OpenSent
  too, which section 6.8 allows where the peer is known: here it is known by its address.
- An Established session stays whatever comes, unless the peer has announced that it restarts gracefully:
  then a new connection is its way of saying that the old one is gone (RFC 4724 section 5). The peer reads our
  connections so, too: after a rest we do not dial where one of its own waits.

A driver reads ``sessions`` after each call, and serves them as ``session`` says; a session that is no longer
among them has its last octets and events, and nothing after them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import Enum
from types import MappingProxyType

from vipcast.bgp.error_codes import Cease, ErrorCode
from vipcast.bgp.fsm import State
from vipcast.bgp.messages import Notification, Open, encode
from vipcast.bgp.negotiation import SessionSettings
from vipcast.bgp.peer_state import PeerState
from vipcast.bgp.route import Route
from vipcast.bgp.session import Session
from vipcast.bgp.wire import Family
from vipcast.model.addresses import IPAddress

# A peer that comes back at once is welcome; one that has failed more often in a row waits as we do.
_FORGIVEN = 1

_OPENING = (State.OPEN_SENT, State.OPEN_CONFIRM)
_ORDER = {state: number for number, state in enumerate(State)}


class Refusal(Enum):
    """The reason why a connection that the peer has made is not accepted now."""

    STOPPED = "this session is administratively down"
    LATER = "it has failed too often in a row: the connection waits until the back-off is over"
    BUSY = "too many connections of this peer's have not gone yet"
    ESTABLISHED = "there is an established session with this peer"


class PeerSessions:
    """``passive``: never dial. ``jitter`` as in `Session`."""

    def __init__(
        self,
        settings: SessionSettings,
        *,
        passive: bool = False,
        jitter: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self.settings = settings
        self.memory = PeerState.of(settings, jitter)
        self._passive = passive
        self.sessions: list[Session] = [self._session()]

    def _session(self) -> Session:
        return Session(self.settings, memory=self.memory, passive=self._passive, yields=self._yields)

    @property
    def current(self) -> Session:
        """The one that has come furthest."""
        return max(self.sessions, key=lambda session: _ORDER[session.state])

    # ---- inputs ----

    def start(self, now: float) -> None:
        self.current.start(now)

    def set_routes(self, routes: Collection[Route]) -> None:
        """Set what the peer should have, whichever session carries it; see `Session.set_routes`."""
        self.current.set_routes(routes)

    def stop(
        self,
        now: float,
        message: str = "",
        *,
        subcode: Cease = Cease.ADMINISTRATIVE_SHUTDOWN,
        preserve: bool = False,
    ) -> None:
        """End all and stay in Idle; see `Session.stop`."""
        for session in self.sessions:
            session.stop(now, message, subcode=subcode, preserve=preserve)
        self.settle(now)

    def reset(self, now: float, subcode: Cease, why: str) -> None:
        """End all for a reason of our own, and come back; see `Session.reset`."""
        for session in self.sessions:
            session.reset(now, subcode, why)
        self.settle(now)

    def retry_now(self, now: float) -> None:
        """The peer can be reached now: dial at once, unless it has failed too often."""
        if not self._passive and self.refusal(now) is None:
            self.current.retry_now(now)
            self.settle(now)

    def accept(
        self, now: float, local: IPAddress, next_hops: Mapping[Family, IPAddress] = MappingProxyType({})
    ) -> Session | Refusal:
        """The peer has dialled: the session that serves its connection. Arguments as `Session.connected`."""
        if (refusal := self.refusal(now)) is not None:
            return refusal
        self._make_room(now)
        session = self._session()
        self.sessions.append(session)
        session.start_passive(now)
        session.connected(now, local, next_hops, accepted=True)
        self.settle(now)
        return session

    def refusal(self, now: float) -> Refusal | None:
        """Return what ``accept`` would say now."""
        session = self.current
        if session.state is State.IDLE and session.timer() is None:
            return Refusal.STOPPED
        if session.state is State.IDLE and self.memory.backoff.failures > _FORGIVEN:
            return Refusal.LATER
        if session.state is State.ESTABLISHED and not session.may_be_replaced(now):
            return Refusal.ESTABLISHED
        return None

    def handle_timer(self, now: float, *, waiting: bool = False) -> None:
        """Do what is due. ``waiting``: a connection of the peer's was refused with LATER; see `Session`."""
        for session in tuple(self.sessions):
            session.handle_timer(now, waiting=waiting)
        self.settle(now)

    def settle(self, now: float) -> None:
        """Settle collisions and finished sessions.

        Call it after each input that was given to a session itself.
        """
        if self.current.state is State.ESTABLISHED:
            self._dump(now, *(session for session in self.sessions if session is not self.current))
        while len(self.sessions) > 1 and (ended := self._ended()) is not None:
            self.sessions.remove(ended)

    def timer(self) -> float | None:
        timers = (session.timer() for session in self.sessions)
        return min((at for at in timers if at is not None), default=None)

    # ---- collisions ----

    def _make_room(self, now: float) -> None:
        """A peer that dials anew has no more use for what it dialled before."""
        current = self.current
        if current.state is State.ESTABLISHED:
            current.connection_failed(now, "the peer has restarted: it opened a new connection")
        self._dump(now, *(session for session in self.sessions if session.accepted and session.connection))

    def _yields(self, session: Session, theirs: Open, now: float) -> bool:
        """Return whether ``session``, on which ``theirs`` has come, is the one to go."""
        other = next((other for other in self.sessions if other is not session), None)
        if other is None or other.state not in (*_OPENING, State.ESTABLISHED):
            return False
        if other.state is State.ESTABLISHED or session.accepted is self._prefers_dialled(session, theirs):
            return True
        self._dump(now, other)
        return False

    def _prefers_dialled(self, session: Session, theirs: Open) -> bool:
        assert session.local_open is not None
        ours = session.local_open.router_id, self.settings.speaking_asn
        return ours > (theirs.router_id, theirs.asn)

    def _dump(self, now: float, *sessions: Session) -> None:
        for session in sessions:
            if session.state is not State.IDLE:
                session.close_collision(now)

    def _ended(self) -> Session | None:
        """One of several that holds no connection and seeks none."""
        ended = (s for s in self.sessions if s.state in (State.IDLE, State.ACTIVE) and not s.connection)
        return next(ended, None)


_REFUSED_BY = {
    Refusal.STOPPED: Cease.CONNECTION_REJECTED,
    Refusal.BUSY: Cease.OUT_OF_RESOURCES,
    Refusal.ESTABLISHED: Cease.COLLISION,
}


def refusal_message(refusal: Refusal | None = None) -> bytes:
    """Return what a peer is told whose connection is not taken (RFC 4486 section 4).

    None: it is no peer of ours.
    """
    subcode = Cease.CONNECTION_REJECTED if refusal is None else _REFUSED_BY[refusal]
    return encode(Notification(ErrorCode.CEASE, subcode))
