# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The speaker's side of BFD: says which sessions there should be, hears what became of them.

The sessions are in a process of their own (`vipcast bfd`), which goes on when this one ends: a router that
sees BFD with the control-plane-independent bit tells a restart of the BGP program from the death of the node.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace

from vipcast.bfd.fsm import BfdState, Diagnostic
from vipcast.bfd.settings import BadSettingsError, BfdCounters, BfdSettings, BfdStatus
from vipcast.net import bfd_protocol as protocol

__all__ = [
    "BadSettingsError",
    "BfdClient",
    "BfdCounters",
    "BfdSettings",
    "BfdState",
    "BfdStatus",
    "Diagnostic",
]

_RETRY = 0.5  # seconds between attempts to reach the process
_NOT_THERE = "the BFD process (vipcast bfd) does not answer on this node: {}"


class BfdClient:
    """Sessions by name. ``on_change`` is called in the event loop when ``statuses`` (more than its counters),
    ``connected`` or ``problem`` have changed. While the process is away the last statuses stay: nobody knows
    better.
    """

    def __init__(self, on_change: Callable[[], None], *, namespace: str = "metallb-system") -> None:
        self.connected = False
        self.problem: str | None = None
        self._name = protocol.control_name(namespace)
        self._on_change = on_change
        self._wanted: dict[str, BfdSettings] | None = None  # until we know, what is there goes on
        self._statuses: dict[str, BfdStatus] = {}
        self._writer: asyncio.StreamWriter | None = None

    def want(self, sessions: Mapping[str, BfdSettings]) -> None:
        """The whole set; the process finds the difference, and takes down what is no longer in it."""
        if dict(sessions) != self._wanted:
            self._wanted = dict(sessions)
            self._tell()

    def statuses(self) -> Mapping[str, BfdStatus]:
        """Of the wanted sessions that the process has said something about."""
        return {name: status for name, status in self._statuses.items() if name in (self._wanted or {})}

    @property
    def wanted(self) -> Mapping[str, BfdSettings]:
        """What was asked for last."""
        return self._wanted or {}

    async def run(self) -> None:
        """Until cancelled; connects again by itself."""
        while True:
            try:
                await self._converse()
            except (OSError, protocol.ProtocolError) as error:
                self._lost(error)
            await asyncio.sleep(_RETRY)

    async def _converse(self) -> None:
        reader, writer = await asyncio.open_unix_connection(
            sock=await self._connect(), limit=protocol.MAX_LINE
        )
        self._writer = writer
        try:
            self._found()
            while data := await self._read(reader):
                self._hear(protocol.read_line(data))
            raise ConnectionResetError("it closed the connection")
        finally:
            self._writer = None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, self._name)
            if not protocol.may_speak(sock):
                raise PermissionError("another user's program answers in its place")
        except BaseException:
            sock.close()
            raise
        return sock

    @staticmethod
    async def _read(reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.readline()
        except ValueError as error:
            raise protocol.ProtocolError(f"a line of more than {protocol.MAX_LINE} octets") from error

    def _found(self) -> None:
        self.connected, self.problem = True, None
        self._tell()
        self._on_change()

    def _lost(self, error: Exception) -> None:
        problem = _NOT_THERE.format(getattr(error, "strerror", None) or error)
        changed = self.connected or problem != self.problem
        self.connected, self.problem = False, problem
        if changed:
            self._on_change()

    def _tell(self) -> None:
        if self._writer is not None and self._wanted is not None:
            want = {name: protocol.write_settings(settings) for name, settings in self._wanted.items()}
            self._writer.write(protocol.line({"want": want}))

    def _hear(self, message: protocol.Json) -> None:
        sessions = message.get("sessions", {})
        if not isinstance(sessions, dict):
            raise protocol.ProtocolError("sessions that are no object")
        statuses = {name: protocol.read_status(status) for name, status in sessions.items()}
        news = _without_counters(statuses) != _without_counters(self._statuses)
        self._statuses = statuses
        if news:
            self._on_change()


def _without_counters(statuses: Mapping[str, BfdStatus]) -> dict[str, BfdStatus]:
    return {name: replace(status, counters=BfdCounters()) for name, status in statuses.items()}
