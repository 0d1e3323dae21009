# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state machine of RFC 4271 section 8, as a table: (state, event) -> (next state, actions).

Read it with section 8.2.2 beside it: one block for each state, one row for each event, in the RFC's order,
and the block's "any other event" last. Every pair is in the table. Where section 8.2.2 asks about DelayOpen,
the other answer is in ``DELAYED``. Nothing happens here; ``session`` carries the actions out.

What differs from section 8.2.2, and why:

- A passive session never dials: its ConnectRetryTimer does not run, so event 9 does not come in Active.
- A NOTIFICATION is never answered by one, in OpenSent neither (section 6.4: nothing is reported back).
- A header error in Established is answered by its own NOTIFICATION (section 6.1), not by an FSM error.
- A second OPEN on one connection is an FSM error (RFC 6608 section 3): collisions are between connections.
- Peer oscillation damping (section 8.1.1) is always on: START_IDLE_HOLD starts the IdleHoldTimer, and its
  expiry in Idle is the automatic start. A failed attempt to connect starts it too.
"""

from __future__ import annotations

from enum import Enum, IntEnum, auto

from vipcast.bgp.error_codes import ErrorCode, FsmError


class State(Enum):
    IDLE = "Idle"
    CONNECT = "Connect"
    ACTIVE = "Active"
    OPEN_SENT = "OpenSent"
    OPEN_CONFIRM = "OpenConfirm"
    ESTABLISHED = "Established"


class Event(IntEnum):
    """RFC 4271 sections 8.1.2 to 8.1.5 with the RFC's numbers and names; 29 is RFC 9687's."""

    ManualStart = 1
    ManualStop = 2
    AutomaticStart = 3
    ManualStart_with_PassiveTcpEstablishment = 4
    AutomaticStart_with_PassiveTcpEstablishment = 5
    AutomaticStart_with_DampPeerOscillations = 6
    AutomaticStart_with_DampPeerOscillations_and_PassiveTcpEstablishment = 7
    AutomaticStop = 8
    ConnectRetryTimer_Expires = 9
    HoldTimer_Expires = 10
    KeepaliveTimer_Expires = 11
    DelayOpenTimer_Expires = 12
    IdleHoldTimer_Expires = 13
    TcpConnection_Valid = 14
    Tcp_CR_Invalid = 15
    Tcp_CR_Acked = 16
    TcpConnectionConfirmed = 17
    TcpConnectionFails = 18
    BGPOpen = 19
    BGPOpen_with_DelayOpenTimer_running = 20
    BGPHeaderErr = 21
    BGPOpenMsgErr = 22
    OpenCollisionDump = 23
    NotifMsgVerErr = 24
    NotifMsg = 25
    KeepAliveMsg = 26
    UpdateMsg = 27
    UpdateMsgErr = 28
    SendHoldTimer_Expires = 29
    RouteRefreshMsg = 30
    """Ours: RFC 2918 came without an event."""
    RouteRefreshMsgErr = 31
    """Ours: RFC 7313 section 5."""


class Action(Enum):
    """The actions of a session on a transition, in the order of the row."""

    CONNECT = auto()
    DISCONNECT = auto()
    SEND_OPEN = auto()
    SEND_KEEPALIVE = auto()
    NOTIFY_CEASE = auto()
    NOTIFY_HOLD_TIMER = auto()
    NOTIFY_SEND_HOLD_TIMER = auto()
    NOTIFY_FSM_ERROR = auto()
    NOTIFY_RECEIVED_ERROR = auto()
    START_CONNECT_RETRY = auto()
    STOP_CONNECT_RETRY = auto()
    START_DELAY_OPEN = auto()
    STOP_DELAY_OPEN = auto()
    START_LARGE_HOLD = auto()
    RESTART_HOLD = auto()
    RESTART_KEEPALIVE = auto()
    RELEASE = auto()
    """Forget what belongs to the connection: timers, buffers, what was negotiated, what was sent."""
    COUNT_RETRY = auto()
    CLEAR_RETRIES = auto()
    START_IDLE_HOLD = auto()
    STOP_IDLE_HOLD = auto()
    SEND_ROUTES = auto()
    PROCESS_UPDATE = auto()
    RESEND_ROUTES = auto()


Transition = tuple[State, tuple[Action, ...]]

_STARTS = (
    Event.ManualStart,
    Event.AutomaticStart,
    Event.ManualStart_with_PassiveTcpEstablishment,
    Event.AutomaticStart_with_PassiveTcpEstablishment,
    Event.AutomaticStart_with_DampPeerOscillations,
    Event.AutomaticStart_with_DampPeerOscillations_and_PassiveTcpEstablishment,
)
# Another connection than this session's: judged by whoever owns both (section 6.8).
_OTHER_CONNECTION = (Event.TcpConnection_Valid, Event.Tcp_CR_Invalid)
_SECOND_CONNECTION = (*_OTHER_CONNECTION, Event.Tcp_CR_Acked, Event.TcpConnectionConfirmed)
TCP_UP = (Event.Tcp_CR_Acked, Event.TcpConnectionConfirmed)
_MESSAGE_ERRORS = (Event.BGPHeaderErr, Event.BGPOpenMsgErr)

_A = Action
_STOP = (_A.STOP_CONNECT_RETRY, _A.RELEASE, _A.DISCONNECT, _A.CLEAR_RETRIES, _A.STOP_IDLE_HOLD)
_FAIL = (_A.STOP_CONNECT_RETRY, _A.RELEASE, _A.DISCONNECT, _A.COUNT_RETRY, _A.START_IDLE_HOLD)
_DIAL = (_A.START_CONNECT_RETRY, _A.CONNECT)
_FRESH = (_A.CLEAR_RETRIES, _A.STOP_IDLE_HOLD)
_OPEN = (_A.STOP_CONNECT_RETRY, _A.STOP_DELAY_OPEN, _A.SEND_OPEN, _A.START_LARGE_HOLD)
_ANSWER_OPEN = (
    _A.STOP_CONNECT_RETRY,
    _A.STOP_DELAY_OPEN,
    _A.SEND_OPEN,
    _A.SEND_KEEPALIVE,
    _A.RESTART_HOLD,
    _A.RESTART_KEEPALIVE,
)


def _rows(events: tuple[Event, ...], state: State, *actions: Action) -> dict[Event, Transition]:
    return dict.fromkeys(events, (state, actions))


def _ignored(state: State, *events: Event) -> dict[Event, Transition]:
    return _rows(events, state)


_IDLE: dict[Event, Transition] = {
    **_rows((Event.ManualStart, Event.AutomaticStart), State.CONNECT, *_FRESH, *_DIAL),
    **_rows(
        (
            Event.ManualStart_with_PassiveTcpEstablishment,
            Event.AutomaticStart_with_PassiveTcpEstablishment,
        ),
        State.ACTIVE,
        *_FRESH,
        _A.START_CONNECT_RETRY,
    ),
    Event.AutomaticStart_with_DampPeerOscillations: (State.CONNECT, (_A.STOP_IDLE_HOLD, *_DIAL)),
    Event.AutomaticStart_with_DampPeerOscillations_and_PassiveTcpEstablishment: (
        State.ACTIVE,
        (_A.STOP_IDLE_HOLD, _A.START_CONNECT_RETRY),
    ),
    Event.IdleHoldTimer_Expires: (State.CONNECT, _DIAL),
    Event.ManualStop: (State.IDLE, (_A.STOP_IDLE_HOLD,)),
}
_IDLE_OTHER: Transition = (State.IDLE, ())

_CONNECT: dict[Event, Transition] = {
    **_ignored(State.CONNECT, *_STARTS, *_OTHER_CONNECTION),
    Event.ManualStop: (State.IDLE, _STOP),
    Event.ConnectRetryTimer_Expires: (
        State.CONNECT,
        (_A.DISCONNECT, _A.COUNT_RETRY, _A.STOP_DELAY_OPEN, *_DIAL),
    ),
    Event.DelayOpenTimer_Expires: (State.OPEN_SENT, _OPEN),
    **_rows(TCP_UP, State.OPEN_SENT, *_OPEN),
    Event.TcpConnectionFails: (State.IDLE, _FAIL),
    Event.BGPOpen_with_DelayOpenTimer_running: (State.OPEN_CONFIRM, _ANSWER_OPEN),
    **_rows((*_MESSAGE_ERRORS, Event.NotifMsgVerErr), State.IDLE, *_FAIL),
}
_CONNECT_OTHER: Transition = (State.IDLE, _FAIL)

_ACTIVE: dict[Event, Transition] = {
    **_ignored(State.ACTIVE, *_STARTS, *_OTHER_CONNECTION),
    Event.ManualStop: (State.IDLE, _STOP),
    Event.ConnectRetryTimer_Expires: (State.CONNECT, _DIAL),
    Event.DelayOpenTimer_Expires: (State.OPEN_SENT, _OPEN),
    **_rows(TCP_UP, State.OPEN_SENT, *_OPEN),
    Event.TcpConnectionFails: (State.IDLE, _FAIL),
    Event.BGPOpen_with_DelayOpenTimer_running: (State.OPEN_CONFIRM, _ANSWER_OPEN),
    **_rows((*_MESSAGE_ERRORS, Event.NotifMsgVerErr), State.IDLE, *_FAIL),
}
_ACTIVE_OTHER: Transition = (State.IDLE, _FAIL)

_ENDS: dict[Event, Transition] = {  # the same in OpenSent, OpenConfirm and Established
    Event.ManualStop: (State.IDLE, (_A.NOTIFY_CEASE, *_STOP)),
    Event.AutomaticStop: (State.IDLE, (_A.NOTIFY_CEASE, *_FAIL)),
    Event.HoldTimer_Expires: (State.IDLE, (_A.NOTIFY_HOLD_TIMER, *_FAIL)),
    **_rows(_MESSAGE_ERRORS, State.IDLE, _A.NOTIFY_RECEIVED_ERROR, *_FAIL),
    Event.OpenCollisionDump: (State.IDLE, (_A.NOTIFY_CEASE, *_FAIL)),
    Event.NotifMsgVerErr: (State.IDLE, _FAIL),
    Event.NotifMsg: (State.IDLE, _FAIL),
}
_FSM_ERROR: Transition = (State.IDLE, (_A.NOTIFY_FSM_ERROR, *_FAIL))

_OPEN_SENT: dict[Event, Transition] = {
    **_ignored(State.OPEN_SENT, *_STARTS, *_SECOND_CONNECTION),
    **_ENDS,
    Event.TcpConnectionFails: (
        State.ACTIVE,
        (_A.RELEASE, _A.DISCONNECT, _A.COUNT_RETRY, _A.START_CONNECT_RETRY),
    ),
    Event.BGPOpen: (
        State.OPEN_CONFIRM,
        (_A.STOP_CONNECT_RETRY, _A.SEND_KEEPALIVE, _A.RESTART_HOLD, _A.RESTART_KEEPALIVE),
    ),
}

_OPEN_CONFIRM: dict[Event, Transition] = {
    **_ignored(State.OPEN_CONFIRM, *_STARTS, *_SECOND_CONNECTION),
    **_ENDS,
    Event.KeepaliveTimer_Expires: (State.OPEN_CONFIRM, (_A.SEND_KEEPALIVE, _A.RESTART_KEEPALIVE)),
    Event.TcpConnectionFails: (State.IDLE, _FAIL),
    Event.KeepAliveMsg: (State.ESTABLISHED, (_A.RESTART_HOLD, _A.SEND_ROUTES)),
}

_ESTABLISHED: dict[Event, Transition] = {
    **_ignored(State.ESTABLISHED, *_STARTS, *_SECOND_CONNECTION),
    **_ENDS,
    Event.KeepaliveTimer_Expires: (State.ESTABLISHED, (_A.SEND_KEEPALIVE, _A.RESTART_KEEPALIVE)),
    Event.TcpConnectionFails: (State.IDLE, _FAIL),
    Event.KeepAliveMsg: (State.ESTABLISHED, (_A.RESTART_HOLD,)),
    Event.UpdateMsg: (State.ESTABLISHED, (_A.PROCESS_UPDATE, _A.RESTART_HOLD)),
    Event.UpdateMsgErr: (State.IDLE, (_A.NOTIFY_RECEIVED_ERROR, *_FAIL)),
    # RFC 9687 section 4: the notification is sent if it can be, which is not likely.
    Event.SendHoldTimer_Expires: (State.IDLE, (_A.NOTIFY_SEND_HOLD_TIMER, *_FAIL)),
    # It leaves the hold timer alone: only KEEPALIVE and UPDATE restart it (section 4.4, 6.5).
    Event.RouteRefreshMsg: (State.ESTABLISHED, (_A.RESEND_ROUTES,)),
    Event.RouteRefreshMsgErr: (State.IDLE, (_A.NOTIFY_RECEIVED_ERROR, *_FAIL)),
}

_BLOCKS: dict[State, tuple[dict[Event, Transition], Transition]] = {
    State.IDLE: (_IDLE, _IDLE_OTHER),
    State.CONNECT: (_CONNECT, _CONNECT_OTHER),
    State.ACTIVE: (_ACTIVE, _ACTIVE_OTHER),
    State.OPEN_SENT: (_OPEN_SENT, _FSM_ERROR),
    State.OPEN_CONFIRM: (_OPEN_CONFIRM, _FSM_ERROR),
    State.ESTABLISHED: (_ESTABLISHED, _FSM_ERROR),
}

TABLE: dict[tuple[State, Event], Transition] = {
    (state, event): rows.get(event, other) for state, (rows, other) in _BLOCKS.items() for event in Event
}


_WAIT_TO_OPEN = (_A.STOP_CONNECT_RETRY, _A.START_DELAY_OPEN)
# A peer of another version that says so before our OPEN is no reason to count and to back off more.
_LEAVE = (_A.STOP_CONNECT_RETRY, _A.RELEASE, _A.DISCONNECT, _A.START_IDLE_HOLD)

DELAYED: dict[tuple[State, Event], Transition] = {
    **{(state, event): (state, _WAIT_TO_OPEN) for state in (State.CONNECT, State.ACTIVE) for event in TCP_UP},
    (State.CONNECT, Event.TcpConnectionFails): (
        State.ACTIVE,
        (_A.RELEASE, _A.DISCONNECT, _A.START_CONNECT_RETRY),
    ),
    (State.CONNECT, Event.NotifMsgVerErr): (State.IDLE, _LEAVE),
    (State.ACTIVE, Event.NotifMsgVerErr): (State.IDLE, _LEAVE),
}
"""What differs where the DelayOpen attribute is set (events 16 and 17) or its timer runs (18 and 24)."""


def transition(state: State, event: Event, *, delayed: bool = False) -> Transition:
    """``delayed``: DelayOpen is set, or its timer runs: whichever section 8.2.2 asks for."""
    usual = TABLE[state, event]
    return DELAYED.get((state, event), usual) if delayed else usual


ERROR_EVENTS = {
    ErrorCode.HEADER: Event.BGPHeaderErr,
    ErrorCode.OPEN: Event.BGPOpenMsgErr,
    ErrorCode.UPDATE: Event.UpdateMsgErr,
    ErrorCode.ROUTE_REFRESH: Event.RouteRefreshMsgErr,
}
"""Which event it is that the peer sent something wrong, by the code of its answer."""

FSM_SUBCODES = {
    State.OPEN_SENT: FsmError.IN_OPEN_SENT,
    State.OPEN_CONFIRM: FsmError.IN_OPEN_CONFIRM,
    State.ESTABLISHED: FsmError.IN_ESTABLISHED,
}
"""RFC 6608 section 3."""
