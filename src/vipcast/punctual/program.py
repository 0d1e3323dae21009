# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that keeps time, from its flags to its exit status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vipcast import __version__
from vipcast.daemon.address import BadAddressError
from vipcast.daemon.log import Log, configure
from vipcast.net.lines import USERS, ProtocolError
from vipcast.punctual.loop import Loop
from vipcast.punctual.priority import hurry
from vipcast.punctual.succession import HEIR_SECONDS, InCharge, serve_in_turn

__all__ = ["ORPHAN_SECONDS", "Limits", "Options", "run"]

# What a client wanted counts for so long after it has gone: longer than routers keep routes for one.
ORPHAN_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Options:
    """The flags; each program has its own ``health_address``."""

    namespace: str = "metallb-system"
    log_level: str = "info"
    health_address: str = ""
    orphan_seconds: float = ORPHAN_SECONDS
    client_user: int | None = None  # who may say what is wanted besides root and our own user


@dataclass(frozen=True, slots=True)
class Limits:
    """What the process is given. Seconds, and the ``priority`` that the kernel gave."""

    orphan: float
    priority: str = "ordinary"
    heir: float = HEIR_SECONDS


def run(name: str, options: Options, begin: Callable[[Loop, Limits], InCharge], log: Log) -> int:
    """Run until SIGTERM; the exit status. ``begin`` as `serve_in_turn` has it."""
    configure(options.log_level)
    USERS.update([] if options.client_user is None else [options.client_user])
    loop, priority = Loop(), hurry()
    limits = Limits(options.orphan_seconds, priority)
    log.info("started", program=name, version=__version__, namespace=options.namespace, priority=priority)
    try:
        serve_in_turn(loop, lambda: begin(loop, limits), log)
    except (BadAddressError, ProtocolError, OSError) as error:
        log.error("failed", why=str(error))
        return 2
    finally:
        loop.close()
    log.info("stopped")
    return 0
