# SPDX-License-Identifier: GPL-3.0-or-later
"""A speaker that can be killed, and the router's kernel, watched."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from daemon.interop.network import Cable, run

VIP = "192.0.2.10/32"
# A speaker in a process of its own: SIGKILL leaves it no time for goodbyes.
_PROGRAM = f"""
import sys, time
from ipaddress import ip_network
from daemon.interop.network import run
from daemon.interop.speaker import Speaker, peer
from vipcast.bgp.route import Route
with Speaker(sys.argv[1], peer(restart_time=int(sys.argv[2]))) as speaker:
    speaker.set_routes(Route(ip_network("{VIP}")))
    time.sleep(600)
"""


def start_speaker(cable: Cable, restart_time: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", sys.executable, "-c", _PROGRAM, cable.node, str(restart_time)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )


def held(cable: Cable, seconds: float) -> bool:
    """Return whether the kernel of the router had the route all the time."""
    end = time.monotonic() + seconds
    while True:
        if not run("ip", "-n", cable.router, "route", "show", VIP).strip():
            return False
        if time.monotonic() >= end:
            return True
        time.sleep(0.02)
