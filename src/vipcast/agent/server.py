# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server of an agent while it is in charge: clients, probes, the hand-over, and the end.

serve() ──> Ending.STOPPED     it was told to end, and whom it concerns knows
        ──> Ending.HANDED_OVER a successor has everything; what is left is the connection to it

A subclass has the agent's own work: what it does between two waits, what it hands over, and how it leaves.
"""

from __future__ import annotations

import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from enum import Enum, auto

from vipcast import __version__
from vipcast.agent import handover
from vipcast.agent.channel import Channel
from vipcast.agent.control import Control, Handlers
from vipcast.agent.handover import HandoverState
from vipcast.agent.health import Health
from vipcast.agent.limits import Limits
from vipcast.agent.loop import Loop
from vipcast.agent.pending_handover import PENDING_SECONDS, PendingHandover
from vipcast.daemon.log import Log
from vipcast.net.ipc import Json, line

__all__ = ["AgentServer", "Ending"]

# Others get so long to take note that we leave.
SHUTDOWN_SECONDS = 4.0
# While we leave: so often it is looked whether they have.
_LOOK_SECONDS = 0.02


class Ending(Enum):
    STOPPED = auto()  # it was told to end, and whom it concerns knows
    HANDED_OVER = auto()  # a successor has everything; what is left is the connection to it


class AgentServer(ABC):
    """``predecessor``: the connection to the process that it took over from; ``successor``: to the next one.

    ``program``: its name in the status; ``handlers``: of the clients' messages; ``limit``: octets of a line.
    """

    def __init__(
        self,
        loop: Loop,
        limits: Limits,
        state: HandoverState,
        predecessor: socket.socket | None,
        *,
        program: str,
        handlers: Handlers,
        limit: int,
        log: Log,
    ) -> None:
        assert state.control is not None
        self.predecessor = predecessor
        self.successor: socket.socket | None = None
        self._loop, self._limits, self._program, self._log = loop, limits, program, log
        self._pending = PendingHandover()
        self._leave_at: float | None = None
        self._end_at: float | None = None
        handlers = {**handlers, "take_over": self._hand_over, "taken": self._taken}
        self._control = Control(loop, state.control, handlers, self._client_gone, limit=limit, log=log)
        self._health = (
            Health(loop, state.health, ready=self._ready, status=self._status) if state.health else None
        )

    # ---- what a subclass has ----

    @abstractmethod
    def _work(self, now: float) -> None:
        """Do what is due, after each wait."""

    @abstractmethod
    def _times(self) -> Iterable[float | None]:
        """Return the times at which there is work."""

    @abstractmethod
    def _gone(self, channel: Channel, now: float) -> None:
        """Take note that a client has gone."""

    @abstractmethod
    def _start_leaving(self, now: float) -> None:
        """Tell whom it concerns that this process ends and has no successor."""

    @abstractmethod
    def _has_left(self) -> bool:
        """Return whether all of them know."""

    @abstractmethod
    def _write_state(self, version: int, now: float) -> Iterator[tuple[bytes, list[int]]]:
        """Yield the messages for a successor, each with the descriptors that go with it."""

    @abstractmethod
    def _resume(self, now: float) -> None:
        """Act, from the start on or again after a hand-over that came to nothing."""

    @abstractmethod
    def _own_status(self) -> Json:
        """Return the agent's part of the status document."""

    @abstractmethod
    def summary(self) -> Json:
        """Return the fields of the log line that says what was taken over."""

    def go(self) -> None:
        """Begin to act: no other process is in charge any more."""
        self._resume(time.monotonic())

    def _wait(self, until: float | None) -> float:
        """Wait for events, at most until then; return the time."""
        return self._loop.run_once(until)

    def _patience(self) -> float:
        """Return for how many seconds nobody notices that this process is silent."""
        return PENDING_SECONDS

    # ---- the loop ----

    def serve(self) -> Ending:
        """Serve until the end."""
        while True:
            now = self._wait(self._until())
            self._work(now)
            if self._pending.over(now):
                self._abort_handover("the successor does not say that it has taken over", now)
            if self.successor is not None:
                return Ending.HANDED_OVER
            if self._loop.signals and self._leave(now):
                return Ending.STOPPED

    def close(self) -> None:
        """Close everything, but keep the connection to the process before us where we have handed over.

        That process goes on being quiet for as long as the connection is open.
        """
        self._control.close()
        for part in (self._health, self.predecessor if self.successor is None else None):
            if part is not None:
                part.close()

    def _until(self) -> float | None:
        leave = self._leave_at
        if self._end_at is not None:
            leave = min(self._end_at, time.monotonic() + _LOOK_SECONDS)
        times = (*self._times(), self._pending.until, leave)
        return min((at for at in times if at is not None), default=None)

    def _client_gone(self, channel: Channel) -> None:
        now = time.monotonic()
        self._gone(channel, now)
        if self._pending.successor is channel:
            self._abort_handover("the successor has gone", now)

    # ---- probes ----

    def _ready(self) -> str | None:
        return "stopping" if self._loop.signals else None

    def _status(self) -> Json:
        status = {"priority": self._limits.priority, **self._own_status()}
        return {"program": self._program, "version": __version__, "status": status}

    # ---- the end ----

    def _leave(self, now: float) -> bool:
        """Return whether it is time to go. First a successor may come, then whom it concerns is told."""
        if self._leave_at is None:
            self._leave_at = now + self._limits.successor
            self._offer_handover()
        if self._pending.successor is not None:
            return False
        if self._end_at is None and now >= self._leave_at:
            self._end_at = now + SHUTDOWN_SECONDS
            self._start_leaving(now)
        return self._end_at is not None and (self._has_left() or now >= self._end_at)

    def _offer_handover(self) -> None:
        """Say that we end: the process before us, if it is still there, may take over again."""
        try:
            if self.predecessor is not None:
                self.predecessor.sendall(line({"leaving": 1}))
        except OSError:
            self._log.info("predecessor_gone")

    def _hand_over(self, channel: Channel, asked: Json) -> None:
        version, now = handover.choose(asked), time.monotonic()
        self._pending.begin(channel, version, now, self._patience())
        for data, descriptors in self._write_state(version, now):
            channel.send(data, descriptors)

    def _taken(self, channel: Channel, _said: object) -> None:
        self._pending.take(channel, time.monotonic())
        self._control.detach(channel)
        self._loop.unregister(channel.sock)
        self.successor = channel.sock

    def _abort_handover(self, why: str, now: float) -> None:
        self._log.warning("not_taken_over", why=why)
        self._pending.end()
        self._resume(now)
