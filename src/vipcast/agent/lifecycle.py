# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The turns of processes: one takes over from the one before it, or begins; serves; hands over, or ends.

┌─> take over, or begin ─> AgentServer.serve ─┬─ told to end: over
└── the successor ends or leaves <── quiet <──┘
                                    └─ told to end: over
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from vipcast.agent.loop import Loop
from vipcast.agent.server import AgentServer, Ending
from vipcast.daemon.log import Log

__all__ = ["run_until_stopped"]


def run_until_stopped(loop: Loop, begin: Callable[[], AgentServer | None], log: Log) -> None:
    """Serve whenever it is our turn, until we are told to end. Raises what ``begin`` raises.

    Where ``begin`` returns None we were told to end meanwhile.
    """
    quiet: list[socket.socket | None] = []  # who is not to wake while somebody after us is in server
    while not loop.signals:
        server = begin()
        if server is None:
            return
        ending = server.serve()
        successor = server.successor
        quiet.append(server.predecessor)
        server.close()
        if ending is Ending.HANDED_OVER and successor is not None:
            _stay_quiet(loop, successor, log)


def _stay_quiet(loop: Loop, successor: socket.socket, log: Log) -> None:
    """Stay quiet until the successor leaves or is gone, or we are told to end."""
    log.info("handed_over")
    successor.setblocking(True)
    over = False

    def heard(_now: float) -> None:
        nonlocal over
        over = True

    loop.read(successor, heard)
    while not over and not loop.signals:
        loop.run_once(None)
    loop.unregister(successor)
    successor.close()
    if over:
        log.info("successor_gone")
