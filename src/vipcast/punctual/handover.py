# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How one process takes over from another: no packet is lost, and nobody outside notices.

    heir                                        process in charge
      {"take_over": VERSION}  ------------------>
      <------------------  {"sockets": [...]} with the sockets themselves (SCM_RIGHTS), in pieces
      <------------------  {WORD: [...]}, the records of that name, in pieces
      <------------------  {"end": 1}
      {"taken": 1}  ---------------------------->  it closes its own copies and is quiet
      <------------------  it stays connected: when the heir ends in turn, it knows
      {"leaving": 1}  -------------------------->  the heir was told to end: take over again

Until "taken", the one in charge goes on as before; whatever goes wrong with the heir, nothing has happened.
CLOCK_MONOTONIC is one for all processes of a machine, so times go over as they are.
"""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vipcast.net.lines import Json, ProtocolError, line, read_line

__all__ = ["TIMEOUT", "Handed", "ask", "check", "write"]

TIMEOUT = 5.0
_PIECE = 64  # sockets, or records, of a message; the kernel takes 253 sockets at most
_READ = 65536


@dataclass(slots=True)
class Handed:
    """What goes over: sockets, each with what it is for, and records by their word."""

    sockets: list[tuple[Json, socket.socket]] = field(default_factory=list)
    records: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))

    def release(self) -> None:
        """Close our copies."""
        for _role, sock in self.sockets:
            sock.close()


def write(
    sockets: Iterable[tuple[Json, socket.socket]], records: Mapping[str, list[Any]]
) -> Iterator[tuple[bytes, list[int]]]:
    """Messages, each with the descriptors that go with it."""
    for piece in _pieces(list(sockets)):
        yield line({"sockets": [role for role, _sock in piece]}), [sock.fileno() for _role, sock in piece]
    for word, all_of_it in records.items():
        for some in _pieces(all_of_it):
            yield line({word: some}), []
    yield line({"end": 1}), []


def _pieces(things: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(things), _PIECE):
        yield things[start : start + _PIECE]


def check(asked: object, version: int) -> None:
    """Raises ProtocolError for an heir of another kind."""
    if asked != version:
        raise ProtocolError(f"this process hands over by version {version} of the protocol")


def ask(connection: socket.socket, version: int) -> Handed:
    """All of whoever is on the other side. Raises OSError or ProtocolError: it keeps everything."""
    connection.settimeout(TIMEOUT)
    connection.sendall(line({"take_over": version}))
    reader, handed = _Reader(connection), Handed()
    try:
        while "end" not in (message := reader.next()):
            if "error" in message:
                raise ProtocolError(str(message["error"]))
            for role in message.pop("sockets", ()):
                handed.sockets.append((role, reader.sockets.pop(0)))
            for word, records in message.items():
                handed.records[word] += records
    except (OSError, TypeError, IndexError, ValueError) as error:
        handed.release()
        for sock in reader.sockets:
            sock.close()
        raise ProtocolError(f"the hand-over failed: {error!r}") from error
    for _role, sock in handed.sockets:
        sock.setblocking(False)
    return handed


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
        return read_line(written)
