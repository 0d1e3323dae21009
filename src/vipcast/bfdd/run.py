# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast bfd`: takes over from the process before it, or begins anew; serves; hands over, or says goodbye.

┌─> take over, or begin ─> Charge.serve ─┬─ told to end: 0
└── the heir ends or leaves <── quiet <──┘
                                  └─ told to end: 0
"""

from __future__ import annotations

import gc
import os
import socket
from dataclasses import dataclass

from vipcast import __version__
from vipcast.bfdd import control, handover, health
from vipcast.bfdd.charge import Charge, Ending, Limits
from vipcast.bfdd.handover import Estate
from vipcast.bfdd.loop import Loop
from vipcast.bfdd.wants import ORPHAN_SECONDS
from vipcast.daemon.address import BadAddressError
from vipcast.daemon.log import configure, log_for
from vipcast.net import bfd_protocol as protocol
from vipcast.net.bfd_protocol import ProtocolError

__all__ = ["Options", "main"]

# Above ordinary programs, below the kernel's own threads.
_PRIORITY = 10
_NICENESS = -20

_log = log_for("bfd")


@dataclass(frozen=True, slots=True)
class Options:
    """The flags."""

    namespace: str = "metallb-system"
    log_level: str = "info"
    health_address: str = "127.0.0.1:17473"
    orphan_seconds: float = ORPHAN_SECONDS
    client_user: int | None = None  # who may ask for sessions besides root and our own user


def main(options: Options) -> int:
    """Run until SIGTERM; the exit status."""
    configure(options.log_level)
    protocol.USERS.update([] if options.client_user is None else [options.client_user])
    loop, priority = Loop(), _hurry()
    _log.info("started", program="bfd", version=__version__, namespace=options.namespace, priority=priority)
    try:
        while not loop.signals:
            charge = _begin(loop, options, priority)
            ending = charge.serve()
            heir = charge.heir
            charge.close()
            if ending is Ending.HANDED_OVER and heir is not None:
                _stay_quiet(loop, heir)
    except (BadAddressError, ProtocolError, OSError) as error:
        _log.error("failed", why=str(error))
        return 2
    finally:
        loop.close()
    _log.info("stopped")
    return 0


def _hurry() -> str:
    """By CAP_SYS_NICE, so that a busy node delays no packet: the priority that we got."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(_PRIORITY))
    except OSError:  # not allowed, or a kernel that has none for control groups
        return _hurry_less()
    return "realtime"


def _hurry_less() -> str:
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    except OSError:
        return "ordinary"
    return "high"


def _begin(loop: Loop, options: Options, priority: str) -> Charge:
    name = protocol.control_name(options.namespace)
    predecessor = control.connect(name)
    if predecessor is None:
        estate = Estate(control=control.listen(name), health=health.listen(options.health_address))
    else:
        estate = handover.ask(predecessor)
    charge = Charge(loop, Limits(options.orphan_seconds, priority), estate, predecessor)
    if predecessor is not None:
        predecessor.sendall(protocol.line({"taken": 1}))
        _log.info("taken_over", sessions=len(estate.sessions), up=charge.up())
    # What is there now stays: the collector never has to look at it again, and its pauses are short.
    gc.collect()
    gc.freeze()
    return charge


def _stay_quiet(loop: Loop, heir: socket.socket) -> None:
    """Until the heir leaves or is gone, or we are told to end."""
    _log.info("handed_over")
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
        _log.info("heir_gone")
