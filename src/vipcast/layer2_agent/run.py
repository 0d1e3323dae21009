# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast layer2`: takes over from the process before it, or begins anew; hands over, or leaves."""

from __future__ import annotations

from dataclasses import dataclass

from vipcast.agent import program
from vipcast.agent.limits import Limits
from vipcast.agent.loop import Loop
from vipcast.agent.server import AgentServer
from vipcast.agent.takeover import Agent, take_over
from vipcast.daemon.log import log_for
from vipcast.layer2_agent.handover_state import Layer2HandoverState, ask
from vipcast.layer2_agent.server import Layer2Server
from vipcast.model.defaults import LAYER2_HEALTH_PORT
from vipcast.net import layer2_protocol as protocol
from vipcast.net import packet_sockets

__all__ = ["Options", "main"]

_log = log_for("layer2")


@dataclass(frozen=True, slots=True)
class Options(program.Options):
    """The flags."""

    health_address: str = f"127.0.0.1:{LAYER2_HEALTH_PORT}"


def main(options: Options) -> int:
    """Run until SIGTERM; return the exit status."""

    def begin(loop: Loop, limits: Limits) -> AgentServer | None:
        packet_sockets.check()  # or this node would take addresses that it cannot answer for
        agent = Agent(
            protocol.control_name(options.namespace),
            options.health_address,
            Layer2HandoverState,
            ask,
            lambda state, predecessor: Layer2Server(loop, limits, state, predecessor),
            _log,
        )
        return take_over(loop, agent)

    return program.run("layer2", options, begin, _log)
