# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast bfd`: takes over from the process before it, or begins anew; hands over, or says goodbye."""

from __future__ import annotations

from dataclasses import dataclass

from vipcast.bfdd import estate as estates
from vipcast.bfdd.charge import Charge
from vipcast.bfdd.estate import Estate
from vipcast.daemon.log import log_for
from vipcast.net import bfd_protocol as protocol
from vipcast.net.lines import line
from vipcast.punctual import control, health, program
from vipcast.punctual.loop import Loop
from vipcast.punctual.priority import freeze

__all__ = ["Options", "main"]

_log = log_for("bfd")


@dataclass(frozen=True, slots=True)
class Options(program.Options):
    """The flags."""

    health_address: str = "127.0.0.1:17473"


def main(options: Options) -> int:
    """Run until SIGTERM; the exit status."""
    return program.run("bfd", options, lambda loop, limits: _begin(loop, options, limits), _log)


def _begin(loop: Loop, options: Options, limits: program.Limits) -> Charge:
    name = protocol.control_name(options.namespace)
    predecessor = control.connect(name)
    if predecessor is None:
        estate = Estate(control=control.listen(name), health=health.listen(options.health_address))
    else:
        estate = estates.ask(predecessor)
    charge = Charge(loop, limits, estate, predecessor)
    if predecessor is not None:
        predecessor.sendall(line({"taken": 1}))
        _log.info("taken_over", sessions=len(estate.sessions), up=charge.up())
    freeze()
    return charge
