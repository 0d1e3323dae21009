# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How one BFD process takes over from another: no packet is lost, and no peer notices.

    heir                                        process in charge
      {"take_over": VERSION}  ------------------>
      <------------------  {"sockets": [...]} with the sockets themselves (SCM_RIGHTS), in pieces
      <------------------  {"sessions": [...]}, in pieces
      <------------------  {"end": 1}
      {"taken": 1}  ---------------------------->  it closes its own copies and is quiet
      <------------------  it stays connected: when the heir ends in turn, it knows
      {"leaving": 1}  -------------------------->  the heir was told to end: take over again

Until "taken", the one in charge goes on as before; whatever goes wrong with the heir, nothing has happened.
CLOCK_MONOTONIC is one for all processes of a machine, so times go over as they are.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from vipcast.bfd.fsm import BfdState, Diagnostic
from vipcast.bfd.session import Variables
from vipcast.bfd.settings import BfdSettings
from vipcast.net import bfd_protocol as protocol
from vipcast.net.bfd_protocol import Json, ProtocolError
from vipcast.net.bfd_sockets import ReceiverKey

VERSION = 1
TIMEOUT = 5.0
_PIECE = 64  # sockets, or sessions, of a message; the kernel takes 253 sockets at most
_READ = 65536
_VARIABLES = frozenset(field.name for field in fields(Variables))


@dataclass(slots=True)
class HeirSession:
    """A session as it goes over; ``sender`` as long as it has one."""

    settings: BfdSettings
    variables: Variables
    since_wall: float
    until: float
    counters: tuple[int, int] = (0, 0)
    sender: socket.socket | None = None


@dataclass(slots=True)
class Estate:
    """Everything that goes over."""

    sessions: list[HeirSession] = field(default_factory=list)
    receivers: dict[ReceiverKey, socket.socket] = field(default_factory=dict)
    control: socket.socket | None = None
    health: socket.socket | None = None


def write(estate: Estate) -> Iterator[tuple[bytes, list[int]]]:
    """Messages, each with the sockets that go with it."""
    sockets = list(_sockets(estate))
    for piece in _pieces(sockets):
        yield (
            protocol.line({"sockets": [role for role, _sock in piece]}),
            [sock.fileno() for _role, sock in piece],
        )
    for sessions in _pieces([_write_session(session) for session in estate.sessions]):
        yield protocol.line({"sessions": sessions}), []
    yield protocol.line({"end": 1}), []


def _sockets(estate: Estate) -> Iterator[tuple[Json, socket.socket]]:
    for key, sock in estate.receivers.items():
        yield {"receiver": asdict(key)}, sock
    for name in ("control", "health"):
        if (listener := getattr(estate, name)) is not None:
            yield {name: 1}, listener
    for session in estate.sessions:
        if session.sender is not None:
            yield {"sender": session.variables.local_discriminator}, session.sender


def _pieces(things: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(things), _PIECE):
        yield things[start : start + _PIECE]


def _write_session(session: HeirSession) -> Json:
    return {
        "settings": protocol.write_settings(session.settings),
        "variables": asdict(session.variables),
        "since_wall": session.since_wall,
        "until": session.until,
        "counters": session.counters,
    }


def ask(connection: socket.socket) -> Estate:
    """The estate of whoever is on the other side. Raises OSError or ProtocolError: it keeps everything."""
    connection.settimeout(TIMEOUT)
    connection.sendall(protocol.line({"take_over": VERSION}))
    reader = _Reader(connection)
    estate = Estate()
    senders: dict[int, socket.socket] = {}
    try:
        while "end" not in (message := reader.next()):
            if "error" in message:
                raise ProtocolError(str(message["error"]))
            for role in message.get("sockets", ()):
                _place(estate, senders, role, reader.sockets.pop(0))
            estate.sessions += [_read_session(written) for written in message.get("sessions", ())]
    except (OSError, KeyError, TypeError, IndexError, ValueError) as error:
        release(estate, *senders.values(), *reader.sockets)
        raise ProtocolError(f"the hand-over failed: {error!r}") from error
    for session in estate.sessions:
        session.sender = senders.pop(session.variables.local_discriminator, None)
    return estate


def release(estate: Estate, *others: socket.socket) -> None:
    """Close our copies."""
    known = [*estate.receivers.values(), estate.control, estate.health, *(s.sender for s in estate.sessions)]
    for sock in (*known, *others):
        if sock is not None:
            sock.close()


def _place(estate: Estate, senders: dict[int, socket.socket], role: Json, sock: socket.socket) -> None:
    sock.setblocking(False)
    if "receiver" in role:
        estate.receivers[ReceiverKey(**role["receiver"])] = sock
    elif "sender" in role:
        senders[role["sender"]] = sock
    elif "control" in role:
        estate.control = sock
    elif "health" in role:
        estate.health = sock
    else:
        sock.close()


def _read_session(written: Json) -> HeirSession:
    known = {name: value for name, value in written["variables"].items() if name in _VARIABLES}
    variables = Variables(**known)
    variables.state, variables.remote_state = BfdState(variables.state), BfdState(variables.remote_state)
    variables.diagnostic = Diagnostic(variables.diagnostic)
    variables.remote_diagnostic = Diagnostic(variables.remote_diagnostic)
    packets_in, packets_out = written["counters"]
    return HeirSession(
        settings=protocol.read_settings(written["settings"]),
        variables=variables,
        since_wall=float(written["since_wall"]),
        until=float(written["until"]),
        counters=(packets_in, packets_out),
    )


class _Reader:
    """Lines, and the sockets that have come so far, in their order."""

    def __init__(self, connection: socket.socket) -> None:
        self.sockets: list[socket.socket] = []
        self._connection = connection
        self._data = b""

    def next(self) -> Json:
        while b"\n" not in self._data:
            data, numbers, _flags, _name = socket.recv_fds(self._connection, _READ, 2 * _PIECE)
            self.sockets += [socket.socket(fileno=number) for number in numbers]
            if not data:
                raise ProtocolError("the process in charge closed the connection")
            self._data += data
        written, _newline, self._data = self._data.partition(b"\n")
        return protocol.read_line(written)
