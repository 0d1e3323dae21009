# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that keeps time, from its flags to its exit status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vipcast import __version__
from vipcast.agent.lifecycle import run_until_stopped
from vipcast.agent.limits import ORPHAN_SECONDS, Limits
from vipcast.agent.loop import Loop
from vipcast.agent.scheduling import set_realtime_priority
from vipcast.agent.server import AgentServer
from vipcast.daemon.address import BadAddressError
from vipcast.daemon.log import Log, configure
from vipcast.model.defaults import NAMESPACE
from vipcast.net.ipc import USERS, ProtocolError

__all__ = ["Options", "run"]


@dataclass(frozen=True, slots=True)
class Options:
    """The flags; each program has its own ``health_address``."""

    namespace: str = NAMESPACE
    log_level: str = "info"
    health_address: str = ""
    orphan_seconds: float = ORPHAN_SECONDS
    client_user: int | None = None  # who may say what is wanted besides root and our own user


def run(name: str, options: Options, begin: Callable[[Loop, Limits], AgentServer | None], log: Log) -> int:
    """Run until SIGTERM; the exit status. ``begin`` as `run_until_stopped` has it."""
    configure(options.log_level)
    USERS.update([] if options.client_user is None else [options.client_user])
    loop, priority = Loop(), set_realtime_priority()
    limits = Limits(options.orphan_seconds, priority)
    log.info("started", program=name, version=__version__, namespace=options.namespace, priority=priority)
    try:
        run_until_stopped(loop, lambda: begin(loop, limits), log)
    except (BadAddressError, ProtocolError, OSError) as error:
        log.error("failed", why=str(error))
        return 2
    finally:
        loop.close()
    log.info("stopped")
    return 0
