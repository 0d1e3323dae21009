# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state that a BFD agent hands to its successor: sessions and sockets, so that no peer notices."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields

from vipcast.agent import handover
from vipcast.agent.handover import UNUSABLE, CannotTakeOverError, Handed, HandoverState
from vipcast.bfd.fsm import BfdState, Diagnostic
from vipcast.bfd.session import Variables
from vipcast.bfd.settings import BfdSettings
from vipcast.net import bfd_protocol as protocol
from vipcast.net.bfd_sockets import ReceiverKey
from vipcast.net.ipc import Json

_RECEIVER = {field.name for field in fields(ReceiverKey)}
_VARIABLES = frozenset(field.name for field in fields(Variables))


@dataclass(slots=True)
class SessionState:
    """A session as it goes over; ``sender`` as long as it has one."""

    settings: BfdSettings
    variables: Variables
    since_wall: float
    until: float
    counters: tuple[int, int] = (0, 0)
    sender: socket.socket | None = None


@dataclass(slots=True)
class BfdHandoverState(HandoverState):
    """Everything that goes over."""

    sessions: list[SessionState] = field(default_factory=list)
    receivers: dict[ReceiverKey, socket.socket] = field(default_factory=dict)


def write(state: BfdHandoverState, version: int) -> Iterator[tuple[bytes, list[int]]]:
    """Messages, each with the sockets that go with it."""
    sessions = [_write_session(session) for session in state.sessions]
    return handover.write(version, _sockets(state), {"sessions": sessions})


def _sockets(state: BfdHandoverState) -> Iterator[tuple[Json, socket.socket]]:
    for key, sock in state.receivers.items():
        yield {"receiver": asdict(key)}, sock
    for name in ("control", "health"):
        if (listener := getattr(state, name)) is not None:
            yield {name: 1}, listener
    for session in state.sessions:
        if session.sender is not None:
            yield {"sender": session.variables.local_discriminator}, session.sender


def _write_session(session: SessionState) -> Json:
    return {
        "settings": protocol.write_settings(session.settings),
        "variables": asdict(session.variables),
        "since_wall": session.since_wall,
        "until": session.until,
        "counters": session.counters,
    }


def ask(connection: socket.socket) -> BfdHandoverState:
    """The state of whoever is on the other side. Raises what `handover.ask` raises."""
    return read(handover.ask(connection))


def read(handed: Handed) -> BfdHandoverState:
    """Raises CannotTakeOverError, after closing all of it."""
    state = BfdHandoverState(handed=handed)
    senders: dict[int, socket.socket] = {}
    try:
        for role, sock in handed.sockets:
            _place(state, senders, role, sock)
        state.sessions = [_read_session(written) for written in handed.records["sessions"]]
    except UNUSABLE as error:
        handed.release()
        raise CannotTakeOverError(f"the hand-over failed: {error!r}") from error
    for session in state.sessions:
        session.sender = senders.pop(session.variables.local_discriminator, None)
    return state


def _place(
    state: BfdHandoverState, senders: dict[int, socket.socket], role: Json, sock: socket.socket
) -> None:
    if "receiver" in role and role["receiver"].keys() == _RECEIVER:  # or it is of a kind that is not known
        state.receivers[ReceiverKey(**role["receiver"])] = sock
    elif "sender" in role:
        senders[role["sender"]] = sock
    elif "control" in role:
        state.control = sock
    elif "health" in role:
        state.health = sock
    else:
        sock.close()


def _read_session(written: Json) -> SessionState:
    known = {name: value for name, value in written["variables"].items() if name in _VARIABLES}
    variables = Variables(**known)
    variables.state, variables.remote_state = BfdState(variables.state), BfdState(variables.remote_state)
    variables.diagnostic = Diagnostic.read(variables.diagnostic)
    variables.remote_diagnostic = Diagnostic.read(variables.remote_diagnostic)
    packets_in, packets_out = written["counters"]
    return SessionState(
        settings=protocol.read_settings(written["settings"]),
        variables=variables,
        since_wall=float(written["since_wall"]),
        until=float(written["until"]),
        counters=(packets_in, packets_out),
    )
