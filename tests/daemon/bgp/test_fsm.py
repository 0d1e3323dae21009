# SPDX-License-Identifier: GPL-3.0-or-later
"""The table against RFC 4271 section 8.2.2."""

from __future__ import annotations

from itertools import product

import pytest

from vipcast.bgp.fsm import DELAYED, TABLE, Action, Event, State, transition

LETTERS = {
    "I": State.IDLE,
    "C": State.CONNECT,
    "A": State.ACTIVE,
    "S": State.OPEN_SENT,
    "O": State.OPEN_CONFIRM,
    "E": State.ESTABLISHED,
}
# Read from section 8.2.2: a row for each state, a letter for each event: 1 to 28, RFC 9687's 29, our two.
#            1234567 890123 4567 8 9012345678 901
NEXT_STATE = {
    "I": "CICAACA IIIIIC IIII I IIIIIIIIII III",
    "C": "CICCCCC ICIISI CCSS I IOIIIIIIII III",
    "A": "AIAAAAA ICIISI AASS I IOIIIIIIII III",
    "S": "SISSSSS IIIIII SSSS A OIIIIIIIII III",
    "O": "OIOOOOO IIIOII OOOO I IIIIIIIEII III",
    "E": "EIEEEEE IIIEII EEEE I IIIIIIIEEI IEI",
}
CONNECTED = (State.OPEN_SENT, State.OPEN_CONFIRM, State.ESTABLISHED)
NOTIFIES = {
    Action.NOTIFY_CEASE,
    Action.NOTIFY_HOLD_TIMER,
    Action.NOTIFY_SEND_HOLD_TIMER,
    Action.NOTIFY_FSM_ERROR,
    Action.NOTIFY_RECEIVED_ERROR,
}


def test_the_events_have_the_rfcs_numbers() -> None:
    assert [event.value for event in Event] == list(range(1, 32))
    assert Event.Tcp_CR_Acked == 16
    assert Event.UpdateMsgErr == 28


def test_every_pair_is_in_the_table() -> None:
    assert set(TABLE) == set(product(State, Event))


@pytest.mark.parametrize(("letter", "event"), list(product(LETTERS, Event)))
def test_the_next_state_is_the_rfcs(letter: str, event: Event) -> None:
    expected = LETTERS[NEXT_STATE[letter].replace(" ", "")[event - 1]]
    assert transition(LETTERS[letter], event)[0] is expected


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_what_holds_for_every_pair(state: State, event: Event) -> None:
    after, actions = transition(state, event)
    assert len(set(actions)) == len(actions)
    if state is not State.IDLE and after is State.IDLE:
        assert {Action.RELEASE, Action.DISCONNECT, Action.STOP_CONNECT_RETRY} <= set(actions)
        # It comes back by itself, unless a person stopped it.
        assert (Action.START_IDLE_HOLD in actions) != (event is Event.ManualStop)
    if state not in CONNECTED:
        assert not NOTIFIES & set(actions), "nobody is there to be notified"
    assert (Action.CONNECT in actions) == (
        after is State.CONNECT and (state is not State.CONNECT or event is Event.ConnectRetryTimer_Expires)
    )
    assert (Action.SEND_OPEN in actions) == (after in CONNECTED and state not in CONNECTED)
    assert (Action.SEND_ROUTES in actions) == (after is State.ESTABLISHED and state is not State.ESTABLISHED)
    if after is state and Action.CONNECT not in actions:
        assert Action.RELEASE not in actions


def test_with_delay_open_the_questions_of_section_8_2_2_are_answered_otherwise() -> None:
    """It asks where TCP comes up or fails and where a version error comes, in Connect and Active."""
    c, a = State.CONNECT, State.ACTIVE
    assert {pair: after for pair, (after, _actions) in DELAYED.items()} == {
        (c, Event.Tcp_CR_Acked): c,
        (c, Event.TcpConnectionConfirmed): c,
        (c, Event.TcpConnectionFails): a,
        (c, Event.NotifMsgVerErr): State.IDLE,
        (a, Event.Tcp_CR_Acked): a,
        (a, Event.TcpConnectionConfirmed): a,
        (a, Event.NotifMsgVerErr): State.IDLE,
    }
    for state, event in product(State, Event):
        if (state, event) not in DELAYED:
            assert transition(state, event, delayed=True) == transition(state, event)
        else:
            actions = transition(state, event, delayed=True)[1]
            assert (Action.START_DELAY_OPEN in actions) == event.name.startswith(("Tcp_", "TcpConnectionC"))
            assert Action.COUNT_RETRY not in actions


@pytest.mark.parametrize("state", CONNECTED)
def test_who_is_told_what_when_a_session_ends(state: State) -> None:
    """Sections 6.1 to 6.7; a NOTIFICATION, a lost connection and a version error are not answered."""
    expected = {
        Event.ManualStop: Action.NOTIFY_CEASE,
        Event.AutomaticStop: Action.NOTIFY_CEASE,
        Event.OpenCollisionDump: Action.NOTIFY_CEASE,
        Event.HoldTimer_Expires: Action.NOTIFY_HOLD_TIMER,
        Event.BGPHeaderErr: Action.NOTIFY_RECEIVED_ERROR,
        Event.BGPOpenMsgErr: Action.NOTIFY_RECEIVED_ERROR,
        Event.NotifMsg: None,
        Event.NotifMsgVerErr: None,
        Event.TcpConnectionFails: None,
    }
    if state is State.ESTABLISHED:
        expected[Event.UpdateMsgErr] = Action.NOTIFY_RECEIVED_ERROR
        expected[Event.RouteRefreshMsgErr] = Action.NOTIFY_RECEIVED_ERROR
        expected[Event.SendHoldTimer_Expires] = Action.NOTIFY_SEND_HOLD_TIMER
    for event in Event:
        after, actions = transition(state, event)
        told = (set(actions) & NOTIFIES) or {None}
        if after in (State.IDLE, State.ACTIVE):
            assert told == {expected.get(event, Action.NOTIFY_FSM_ERROR)}, event.name
        else:
            assert told == {None}, event.name
