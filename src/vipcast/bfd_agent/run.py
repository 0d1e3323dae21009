# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast bfd`: takes over from the process before it, or begins anew; hands over, or says AdminDown."""

from __future__ import annotations

from dataclasses import dataclass

from vipcast.agent import program
from vipcast.agent.limits import Limits
from vipcast.agent.loop import Loop
from vipcast.agent.server import AgentServer
from vipcast.agent.takeover import Agent, take_over
from vipcast.bfd_agent.handover_state import BfdHandoverState, ask
from vipcast.bfd_agent.server import BfdServer
from vipcast.daemon.log import log_for
from vipcast.model.defaults import BFD_HEALTH_PORT
from vipcast.net import bfd_protocol as protocol

__all__ = ["Options", "main"]

_log = log_for("bfd")


@dataclass(frozen=True, slots=True)
class Options(program.Options):
    """The flags."""

    health_address: str = f"127.0.0.1:{BFD_HEALTH_PORT}"


def main(options: Options) -> int:
    """Run until SIGTERM; return the exit status."""

    def begin(loop: Loop, limits: Limits) -> AgentServer | None:
        agent = Agent(
            protocol.control_name(options.namespace),
            options.health_address,
            BfdHandoverState,
            ask,
            lambda state, predecessor: BfdServer(loop, limits, state, predecessor),
            _log,
        )
        return take_over(loop, agent)

    return program.run("bfd", options, begin, _log)
