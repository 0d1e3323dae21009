# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The version of the routing daemon, and which of its show commands are safe to run.

A read-only question can take a site down: C(show bgp neighbors graceful-restart json) aborts bgpd of FRR 8.4,
and C(show ip bgp neighbors ADDRESS prefix-counts) that of quagga 1.2. So a command is run only if it is on
the list here, from the version on in which it is known to work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import Reason, Refusal

# FRR's configure default since 2019; what it prints in "show version" is only a value that was given.
DEFAULT_MULTIPATH = 16
# What OpenWrt builds quagga for, and quagga's own default where it says how it was configured.
QUAGGA_MULTIPATH, QUAGGA_CONFIGURED = 8, 1

# Show commands by the first version known to answer them without harm. Arguments are addresses or prefixes.
_FRR = (
    (r"show version", (0, 0)),
    (r"show running-config", (0, 0)),
    (r"show daemons", (0, 0)),
    (r"show bgp summary json", (7, 0)),
    (r"show bgp ipv[46] unicast json", (7, 0)),
    (r"show bgp ipv[46] unicast [0-9a-f.:/]+ json", (7, 0)),
    (r"show bgp neighbors json", (7, 0)),
    (r"show bfd peers json", (7, 0)),
    (r"show bgp ipv[46] unicast neighbors [0-9a-f.:]+ prefix-counts json", (7, 0)),
    (r"show ip route bgp json", (7, 0)),
    (r"show ipv6 route bgp json", (7, 0)),
    (r"show ip route [0-9./]+ json", (7, 0)),
    (r"show ipv6 route [0-9a-f:/.]+ json", (7, 0)),
    (r"show bgp (ipv4|ipv6) unicast summary", (7, 0)),
)
_QUAGGA = (
    (r"show version", (0, 0)),
    (r"show running-config", (0, 0)),
    (r"show daemons", (0, 0)),
    (r"show ip bgp summary", (1, 2)),
    (r"show bgp ipv6 unicast summary", (1, 2)),
    (r"show ip bgp neighbors", (1, 2)),
    (r"show ip bgp neighbors [0-9a-f.:]+ received-routes", (1, 2)),
    (r"show bgp ipv6 neighbors [0-9a-f.:]+ received-routes", (1, 2)),
    (r"show ip bgp( [0-9./]+)?", (1, 2)),
    (r"show bgp ipv6 (unicast|[0-9a-f:/.]+)", (1, 2)),
    (r"show ip route (bgp|[0-9./]+)", (1, 2)),
    (r"show ipv6 route (bgp|[0-9a-f:/.]+)", (1, 2)),
)
_SAFE = {"FRRouting": _FRR, "Quagga": _QUAGGA}


@dataclass(frozen=True)
class Version:
    """C(name) is C(FRRouting) or C(Quagga); C(multipath) the largest number of next hops of a route."""

    name: str
    text: str
    numbers: tuple
    multipath: int

    def allows(self, command: str) -> bool:
        """Return whether C(command) is known to be harmless on this version."""
        table = _SAFE[self.name]
        return any(re.fullmatch(known, command) and self.numbers >= since for known, since in table)


def parse_version(output: str) -> Version:
    """Return what C(show version) says; Refusal when nothing in it is a routing daemon's name."""
    found = re.search(r"^(FRRouting|Quagga)\s+(\d+(?:\.\d+)*\S*)", output, re.MULTILINE)
    if not found:
        first = output.strip().splitlines()[:1] or ["nothing"]
        raise Refusal(Reason.NOT_FRR, f"'show version' names neither FRR nor quagga; it says: {first[0]}")
    numbers = tuple(int(number) for number in re.findall(r"\d+", found.group(2))[:3])
    return Version(found.group(1), found.group(2), numbers, _multipath(found.group(1), output))


def _multipath(name: str, output: str) -> int:
    given = re.search(r"--enable-multipath=(\d+)", output)
    if given:
        # 0 asks configure for the largest table there is.
        return int(given.group(1)) or 64
    if name == "FRRouting":
        return DEFAULT_MULTIPATH
    return QUAGGA_CONFIGURED if "configured with" in output else QUAGGA_MULTIPATH
