# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The start of a process: it takes over from the one in charge, waits until that has gone, or begins anew.

┌─> connect ─┬─ somebody is there: take over ─┬─ done: in charge
│            │                                ├─ it has gone, or was faster: soon again ──┐
│            │                                └─ we do not understand each other: wait ───┤
│            └─ nobody: begin anew, in charge                                             │
└─────────────────────────────────────────────────────────────────────────────────────────┘

A DaemonSet replaces the old process only when the new one is ready. So a process that cannot take over is
ready, and the old one, told to end, has its addresses taken over by other nodes first.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from vipcast.agent import control, handover, health
from vipcast.agent.handover import CannotTakeOverError, HandoverState, PredecessorGoneError
from vipcast.agent.health import Health
from vipcast.agent.loop import Loop
from vipcast.agent.scheduling import freeze_gc
from vipcast.agent.server import AgentServer
from vipcast.daemon.address import BadAddressError
from vipcast.daemon.log import Log

__all__ = ["Agent", "take_over"]

_S = TypeVar("_S", bound=HandoverState)

_TIMES = 20
_RETRY_SECONDS = 0.1
# Another user's program has our name, and goes at some time.
_STRANGER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Agent(Generic[_S]):
    """One agent of a node. ``name``: of its control socket; ``health_address``: where probes are answered.

    ``state``: makes an empty state; ``ask``: gets that of the process in charge by a connection to it;
    ``serve``: makes the server from a state and the connection to the process before, if there was one.
    """

    name: str
    health_address: str
    state: Callable[..., _S]
    ask: Callable[[socket.socket], _S]
    serve: Callable[[_S, socket.socket | None], AgentServer]
    log: Log

    def begin(self, predecessor: socket.socket | None) -> AgentServer:
        """Return the server in charge. Raises ProtocolError, OSError, BadAddressError."""
        if predecessor is None:
            listeners = {"control": control.listen(self.name), "health": health.listen(self.health_address)}
            server = self.serve(self.state(**listeners), None)
            freeze_gc()
            return server
        state = self.ask(predecessor)
        try:
            state.health = health.move(state.health, self.health_address)
            return self._confirm(self.serve(state, predecessor), state, predecessor)
        except BaseException:
            state.close()
            raise

    def _confirm(self, server: AgentServer, state: _S, predecessor: socket.socket) -> AgentServer:
        freeze_gc()  # before it is in charge, since it takes a while
        try:
            handover.confirm(predecessor, state.handed)
        except BaseException:
            server.close()
            raise
        server.go()
        self.log.info("taken_over", **server.summary())
        return server


def take_over(loop: Loop, agent: Agent[_S]) -> AgentServer | None:
    """Take over or begin anew; return None where we were told to end meanwhile.

    Raises ProtocolError, OSError, BadAddressError.
    """
    left, strange, log = _TIMES, False, agent.log
    while not loop.signals:
        try:
            return _attempt(agent)
        except control.UntrustedPeerError as error:
            if not strange:
                log.error("control_socket_taken", why=str(error))
            strange = True
            _pause(loop, _STRANGER_SECONDS)
        except CannotTakeOverError as error:
            log.warning(
                "cannot_take_over", why=str(error), then="waits until the process in charge has ended"
            )
            _wait(loop, agent.name, agent.health_address)
            log.info("process_in_charge_gone")
        except (PredecessorGoneError, OSError, BadAddressError) as error:
            left -= 1
            if left <= 0:
                raise
            log.info("tries_again", why=str(error))
            _pause(loop, _RETRY_SECONDS)
    return None


def _attempt(agent: Agent[_S]) -> AgentServer:
    connection = control.connect(agent.name)
    try:
        return agent.begin(connection)
    except BaseException:
        if connection is not None:
            connection.close()
        raise


def _wait(loop: Loop, name: str, health_address: str) -> None:
    """Wait until the process in charge has gone, or we are told to end.

    Whoever probes us meanwhile is answered: by that process, or by us where our address is another one.
    """
    connection = control.connect(name)
    if connection is None:
        return
    probes = _answer_probes(loop, health_address)
    connection.setblocking(False)
    over = False

    def read(_now: float) -> None:
        nonlocal over
        with contextlib.suppress(BlockingIOError, InterruptedError):
            over = _ended(connection)

    loop.read(connection, read)
    while not over and not loop.signals:
        loop.run_once(None)
    loop.unregister(connection)
    connection.close()
    if probes is not None:
        probes.close()


def _ended(connection: socket.socket) -> bool:
    try:
        return not connection.recv(65536)
    except ConnectionError:
        return True


def _answer_probes(loop: Loop, address: str) -> Health | None:
    with contextlib.suppress(BadAddressError):
        if (listener := health.listen(address)) is not None:
            status = {"status": {"problems": ["waits until the process in charge has ended"]}}
            return Health(loop, listener, ready=lambda: None, status=lambda: status)
    return None


def _pause(loop: Loop, seconds: float) -> None:
    """Wait for so many seconds, or until we are told to end."""
    end = time.monotonic() + seconds
    while not loop.signals and time.monotonic() < end:
        loop.run_once(end)
