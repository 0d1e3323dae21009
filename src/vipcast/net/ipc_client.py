# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The speaker's side of a process on its node (`vipcast bfd`, `vipcast layer2`): connected, or trying."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from vipcast.net.ipc import Json, ProtocolError, check, is_trusted_peer, line, read_line

__all__ = ["IpcClient"]

_RETRY = 0.5  # seconds between attempts to reach the process


class IpcClient:
    """``on_change`` is called in the event loop when ``connected`` or ``problem`` have changed.

    ``name``: the control socket's; ``away``: what is said while it does not answer, with {} for the reason;
    ``limit``: octets of a line. A class of it says what is told (``_tell``) and heard (``_hear``).
    """

    def __init__(self, on_change: Callable[[], None], *, name: str, away: str, limit: int) -> None:
        self.connected = False
        self.problem: str | None = None
        self._name, self._away, self._limit = name, away, limit
        self._on_change = on_change
        self._writer: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        """Run until cancelled, and connect again whenever the connection is lost."""
        while True:
            try:
                await self._converse()
            except (OSError, ProtocolError) as error:
                self._lost(error)
            await asyncio.sleep(_RETRY)

    def _tell(self) -> None:
        """Everything that is wanted, to a process that knows nothing of us yet."""
        raise NotImplementedError

    def _hear(self, message: Json) -> None:
        """Raises ProtocolError."""
        raise NotImplementedError

    def _send(self, message: Json) -> None:
        if self._writer is not None:
            self._writer.write(line(message))

    async def _converse(self) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=await self._connect(), limit=self._limit)
        self._writer = writer
        try:
            self._found()
            while data := await self._read(reader):
                message = read_line(data)
                check(message)
                self._hear(message)
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
            if not is_trusted_peer(sock):
                raise PermissionError("another user's program answers in its place")
        except BaseException:
            sock.close()
            raise
        return sock

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.readline()
        except ValueError as error:
            raise ProtocolError(f"a line of more than {self._limit} octets") from error

    def _found(self) -> None:
        self.connected, self.problem = True, None
        self._tell()
        self._on_change()

    def _lost(self, error: Exception) -> None:
        problem = self._away.format(getattr(error, "strerror", None) or error)
        changed = self.connected or problem != self.problem
        self.connected, self.problem = False, problem
        if changed:
            self._on_change()
