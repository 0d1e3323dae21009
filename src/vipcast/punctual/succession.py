# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who serves when: a process takes over from the one before it, or begins anew; serves; hands over, or ends.

┌─> take over, or begin ─> InCharge.serve ─┬─ told to end: over
└── the heir ends or leaves <── quiet <────┘
                                    └─ told to end: over
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from vipcast.daemon.log import Log
from vipcast.net.lines import line
from vipcast.punctual.loop import Loop

__all__ = ["HEIR_SECONDS", "Ending", "InCharge", "offer", "serve_in_turn"]

# An heir may be starting when we are told to end.
HEIR_SECONDS = 2.0


class Ending(Enum):
    STOPPED = auto()  # it was told to end, and whom it concerns knows
    HANDED_OVER = auto()  # an heir has everything; what is left is the connection to it


class InCharge(Protocol):
    """A process while it serves. ``heir`` is set where it has handed over."""

    heir: socket.socket | None

    def serve(self) -> Ending: ...

    def close(self) -> None: ...


def serve_in_turn(loop: Loop, begin: Callable[[], InCharge], log: Log) -> None:
    """Until we are told to end. Raises what ``begin`` raises."""
    while not loop.signals:
        charge = begin()
        ending = charge.serve()
        heir = charge.heir
        charge.close()
        if ending is Ending.HANDED_OVER and heir is not None:
            _stay_quiet(loop, heir, log)


def offer(predecessor: socket.socket | None, log: Log) -> None:
    """We end: the process before us, if it is still there, may take over again."""
    try:
        if predecessor is not None:
            predecessor.sendall(line({"leaving": 1}))
    except OSError:
        log.info("predecessor_gone")


def _stay_quiet(loop: Loop, heir: socket.socket, log: Log) -> None:
    """Until the heir leaves or is gone, or we are told to end."""
    log.info("handed_over")
    heir.setblocking(True)
    over = False

    def heard(_now: float) -> None:
        nonlocal over
        over = True

    loop.read(heir, heard)
    while not over and not loop.signals:
        loop.turn(None)
    loop.forget(heir)
    heir.close()
    if over:
        log.info("heir_gone")
