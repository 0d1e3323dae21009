# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a BFD process hands to its heir: sessions and sockets, so that no peer notices."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields

from vipcast.bfd.fsm import BfdState, Diagnostic
from vipcast.bfd.session import Variables
from vipcast.bfd.settings import BfdSettings
from vipcast.net import bfd_protocol as protocol
from vipcast.net.bfd_sockets import ReceiverKey
from vipcast.net.lines import Json, ProtocolError
from vipcast.punctual import handover

VERSION = 1
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
    return handover.write(
        _sockets(estate), {"sessions": [_write_session(session) for session in estate.sessions]}
    )


def _sockets(estate: Estate) -> Iterator[tuple[Json, socket.socket]]:
    for key, sock in estate.receivers.items():
        yield {"receiver": asdict(key)}, sock
    for name in ("control", "health"):
        if (listener := getattr(estate, name)) is not None:
            yield {name: 1}, listener
    for session in estate.sessions:
        if session.sender is not None:
            yield {"sender": session.variables.local_discriminator}, session.sender


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
    handed = handover.ask(connection, VERSION)
    estate = Estate()
    senders: dict[int, socket.socket] = {}
    try:
        for role, sock in handed.sockets:
            _place(estate, senders, role, sock)
        estate.sessions = [_read_session(written) for written in handed.records["sessions"]]
    except (KeyError, TypeError, ValueError) as error:
        handed.release()
        raise ProtocolError(f"the hand-over failed: {error!r}") from error
    for session in estate.sessions:
        session.sender = senders.pop(session.variables.local_discriminator, None)
    return estate


def _place(estate: Estate, senders: dict[int, socket.socket], role: Json, sock: socket.socket) -> None:
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
