# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast layer2`: takes over from the process before it, or begins anew; hands over, or leaves."""

from __future__ import annotations

from dataclasses import dataclass

from vipcast.daemon.log import log_for
from vipcast.layer2d import estate as estates
from vipcast.layer2d.charge import Charge
from vipcast.layer2d.estate import Estate
from vipcast.net import layer2_protocol as protocol
from vipcast.net import packet_sockets
from vipcast.net.lines import line
from vipcast.punctual import control, health, program
from vipcast.punctual.loop import Loop
from vipcast.punctual.priority import freeze

__all__ = ["Options", "main"]

_log = log_for("layer2")


@dataclass(frozen=True, slots=True)
class Options(program.Options):
    """The flags."""

    health_address: str = "127.0.0.1:17474"


def main(options: Options) -> int:
    """Run until SIGTERM; the exit status."""
    return program.run("layer2", options, lambda loop, limits: _begin(loop, options, limits), _log)


def _begin(loop: Loop, options: Options, limits: program.Limits) -> Charge:
    packet_sockets.check()  # or this node would take addresses that it cannot answer for
    name = protocol.control_name(options.namespace)
    predecessor = control.connect(name)
    if predecessor is None:
        estate = Estate(control=control.listen(name), health=health.listen(options.health_address))
    else:
        estate = estates.ask(predecessor)
    charge = Charge(loop, limits, estate, predecessor)
    freeze()
    if predecessor is not None:
        predecessor.sendall(line({"taken": 1}))
        _log.info("taken_over", answering=charge.answering())
    return charge
