# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast layer2`: takes over from the process before it, or begins anew; hands over, or leaves."""

from __future__ import annotations

from dataclasses import dataclass

from vipcast import __version__
from vipcast.daemon.address import BadAddressError
from vipcast.daemon.log import configure, log_for
from vipcast.layer2d import estate as estates
from vipcast.layer2d.charge import Charge, Limits
from vipcast.layer2d.demands import ORPHAN_SECONDS
from vipcast.layer2d.estate import Estate
from vipcast.net import layer2_protocol as protocol
from vipcast.net import packet_sockets
from vipcast.net.lines import USERS, ProtocolError, line
from vipcast.punctual import control, health
from vipcast.punctual.loop import Loop
from vipcast.punctual.priority import freeze, hurry
from vipcast.punctual.succession import serve_in_turn

__all__ = ["Options", "main"]

_log = log_for("layer2")


@dataclass(frozen=True, slots=True)
class Options:
    """The flags."""

    namespace: str = "metallb-system"
    log_level: str = "info"
    health_address: str = "127.0.0.1:17474"
    orphan_seconds: float = ORPHAN_SECONDS
    client_user: int | None = None  # who may say what is wanted besides root and our own user


def main(options: Options) -> int:
    """Run until SIGTERM; the exit status."""
    configure(options.log_level)
    USERS.update([] if options.client_user is None else [options.client_user])
    loop, priority = Loop(), hurry()
    _log.info(
        "started", program="layer2", version=__version__, namespace=options.namespace, priority=priority
    )
    try:
        packet_sockets.check()  # or this node would take addresses that it cannot answer for
        serve_in_turn(loop, lambda: _begin(loop, options, priority), _log)
    except (BadAddressError, ProtocolError, OSError) as error:
        _log.error("failed", why=str(error))
        return 2
    finally:
        loop.close()
    _log.info("stopped")
    return 0


def _begin(loop: Loop, options: Options, priority: str) -> Charge:
    name = protocol.control_name(options.namespace)
    predecessor = control.connect(name)
    if predecessor is None:
        estate = Estate(control=control.listen(name), health=health.listen(options.health_address))
    else:
        estate = estates.ask(predecessor)
    charge = Charge(loop, Limits(options.orphan_seconds, priority), estate, predecessor)
    freeze()
    if predecessor is not None:
        predecessor.sendall(line({"taken": 1}))
        _log.info("taken_over", answering=charge.answering())
    return charge
