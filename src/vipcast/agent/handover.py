# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hand-over from one process to the next: no packet is lost, and nobody outside notices.

    successor                                        process in charge
      {"take_over": 1, "versions": [1, 2]}  ---->  the least version, for release 0.1.0, and all of them
      <------------------  {"version": 2}, the greatest in common; nothing where that is 1
      <------------------  {"sockets": [...]} with the sockets themselves (SCM_RIGHTS), in pieces
      <------------------  {WORD: [...]}, the records of that name, in pieces
      <------------------  {"end": 1}
      {"taken": 1}  ---------------------------->  it closes its own copies and is quiet
      <------------------  {"go": 1} from version 2 on, or {"error": ...}: it was too late
      <------------------  it stays connected: when the successor ends in turn, it knows
      {"leaving": 1}  -------------------------->  the successor was told to end: take over again

Until "taken", the one in charge goes on as before; whatever goes wrong with the successor, nothing has
happened. Where there is no version in common, or what comes cannot be used, the successor waits until the
other has gone. What is not known here of words and sockets is left out: a version that is in common makes it
dispensable. CLOCK_MONOTONIC is one for all processes of a machine, so times go over as they are.
"""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vipcast import versions as ranges
from vipcast.net.ipc import Json, ProtocolError, line, read_line
from vipcast.versions import Versions

__all__ = [
    "SUPPORTED",
    "TIMEOUT",
    "UNUSABLE",
    "CannotTakeOverError",
    "Handed",
    "HandoverState",
    "PredecessorGoneError",
    "ask",
    "choose",
    "confirm",
    "write",
]

# What comes of reading what is not what it should be.
UNUSABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
SUPPORTED = Versions(1, 2)
_FIRST = 1  # release 0.1.0

TIMEOUT = 5.0
_PIECE = 64  # sockets, or records, of a message; the kernel takes 253 sockets at most
_READ = 65536
_LONGEST = 64 << 20  # octets of a line: the members' part of 20,000 addresses takes 3 MiB


class CannotTakeOverError(ProtocolError):
    """The process in charge and this one do not understand each other: trying again would be of no use."""


class PredecessorGoneError(ProtocolError):
    """The process in charge has ended meanwhile, or has gone on without us."""


@dataclass(slots=True)
class Handed:
    """Everything that is handed over: sockets, each with what it is for, and records by their word.

    ``version``: the version of the protocol in which it was written.
    """

    version: int = _FIRST
    sockets: list[tuple[Json, socket.socket]] = field(default_factory=list)
    records: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))

    def release(self) -> None:
        """Close our copies."""
        for _role, sock in self.sockets:
            sock.close()


@dataclass(slots=True)
class HandoverState:
    """The part of the state that all agents hand over: their listening sockets; ``handed`` as it came."""

    control: socket.socket | None = None
    health: socket.socket | None = None
    handed: Handed = field(default_factory=Handed)

    def close(self) -> None:
        """Close our copies of all sockets."""
        self.handed.release()
        for listener in (self.control, self.health):
            if listener is not None:
                listener.close()


def write(
    version: int, sockets: Iterable[tuple[Json, socket.socket]], records: Mapping[str, list[Any]]
) -> Iterator[tuple[bytes, list[int]]]:
    """Yield the messages, each with the descriptors that go with it."""
    if version > _FIRST:
        yield line({"version": version}), []
    for piece in _pieces(list(sockets)):
        yield line({"sockets": [role for role, _sock in piece]}), [sock.fileno() for _role, sock in piece]
    for word, all_of_it in records.items():
        for some in _pieces(all_of_it):
            yield line({word: some}), []
    yield line({"end": 1}), []


def _pieces(things: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(things), _PIECE):
        yield things[start : start + _PIECE]


def choose(asked: Json) -> int:
    """Return the version in which a successor is answered.

    Raises ProtocolError where there is none in common.
    """
    try:
        first = asked.get("take_over")
        theirs = ranges.read(asked.get("versions", [first, first]))
    except ValueError as error:
        raise ProtocolError(f"take_over: {error}") from error
    version = SUPPORTED.common(theirs)
    if version is None:
        raise ProtocolError(f"this process hands over by {SUPPORTED} of the protocol, not by {theirs}")
    return version


def ask(connection: socket.socket) -> Handed:
    """Return everything of the process on the other side, which keeps it all whatever happens.

    Raises CannotTakeOverError, PredecessorGoneError, ProtocolError.
    """
    connection.settimeout(TIMEOUT)
    reader, handed = _Reader(connection), Handed()
    try:
        connection.sendall(line({"take_over": SUPPORTED.least, "versions": SUPPORTED}))
        _read_all(reader, handed)
    except BaseException as error:
        handed.release()
        for sock in reader.sockets:
            sock.close()
        raise _explain(error) from error
    for _role, sock in handed.sockets:
        sock.setblocking(False)
    return handed


def _read_all(reader: _Reader, handed: Handed) -> None:
    while "end" not in (message := reader.next()):
        if "error" in message:
            raise CannotTakeOverError(str(message["error"]))
        handed.version = message.pop("version", handed.version)
        for role in message.pop("sockets", ()):
            handed.sockets.append((role, reader.sockets.pop(0)))
        for word, records in message.items():
            if isinstance(records, list):
                handed.records[word] += records
    if handed.version not in range(SUPPORTED.least, SUPPORTED.most + 1):
        raise CannotTakeOverError(f"handed over by version {handed.version!r}: {SUPPORTED} would be right")


def confirm(connection: socket.socket, handed: Handed) -> None:
    """Say that we have everything; from version 2 on, wait for the word to go.

    Raises PredecessorGoneError where the other one goes on, or has gone; ProtocolError where it says nothing.
    """
    connection.settimeout(TIMEOUT)
    try:
        connection.sendall(line({"taken": 1}))
        said = _wait_for_go(_Reader(connection)) if handed.version > _FIRST else {}
    except ConnectionError as error:
        raise PredecessorGoneError(f"the process in charge is not there any more: {error}") from error
    except OSError as error:
        raise ProtocolError(f"the process in charge does not answer: {error}") from error
    if "error" in said:
        raise PredecessorGoneError(str(said["error"]))


def _wait_for_go(reader: _Reader) -> Json:
    """Return the word to go on, or the error; what else a client is told is not for us."""
    while not {"go", "error"} & (said := reader.next()).keys():
        pass
    return said


def _explain(error: BaseException) -> BaseException:
    """Return the error in terms of the hand-over: what it means for the process that takes over."""
    kinds: dict[type[BaseException], type[ProtocolError]] = {
        CannotTakeOverError: CannotTakeOverError,
        ConnectionError: PredecessorGoneError,
        OSError: ProtocolError,
        TypeError: CannotTakeOverError,
        IndexError: CannotTakeOverError,
        ValueError: CannotTakeOverError,
    }
    kind = next((kind for cause, kind in kinds.items() if isinstance(error, cause)), None)
    if kind is None:
        return error
    return kind(str(error) if isinstance(error, ProtocolError) else f"the hand-over failed: {error!r}")


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
                raise ConnectionResetError("the process in charge closed the connection")
            self._data += data
            if len(self._data) > _LONGEST:
                raise ValueError(f"a line of more than {_LONGEST} octets")
        written, _newline, self._data = self._data.partition(b"\n")
        return read_line(written)
