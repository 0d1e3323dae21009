# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out why nobody is heard: have all others gone, or is it this node that hears nothing?

The kernel's counters tell: as soon as an interface has received any frame it is the others. So that there is
one, the gateway and the other nodes are asked by ARP. Where there is no gateway nobody may be there to
answer, and after a second it is taken for the others.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address

from vipcast.layer2 import arp
from vipcast.layer2_agent.segments import Segments
from vipcast.membership import Membership
from vipcast.net.connected_networks import gateways
from vipcast.net.receive_counters import received

__all__ = ["ReceptionCheck"]

LOOK_SECONDS, ASK_SECONDS, GIVE_UP_SECONDS = 0.02, 0.2, 1.0
_MOST_ASKED = 16


class ReceptionCheck:
    """``others``: addresses of the other nodes, to be asked for."""

    def __init__(self, segments: Segments, members: Membership, now: float) -> None:
        self.others: tuple[IPv4Address, ...] = ()
        self._segments, self._members = segments, members
        self._since: float | None = None  # nobody has been heard
        self._look_at = self._ask_at = 0.0
        self._before = 0
        members.traffic(False, now)

    @property
    def asks(self) -> bool:
        """Return whether it was asking when it was looked at last."""
        return self._since is not None

    def timer(self) -> float | None:
        if not self._members.deaf:
            return None
        return self._look_at if self._since is not None else 0.0

    def work(self, now: float) -> None:
        if not self._members.deaf:
            self._since = None
        elif self._since is None:
            self._since = self._ask_at = now
            self._before = received(self._segments.by_name)
            self._members.traffic(False, now)
            self._go_on(now)
        elif now >= self._look_at:
            count = received(self._segments.by_name)
            gave_up = now >= self._since + GIVE_UP_SECONDS and not gateways()
            self._members.traffic(count != self._before or gave_up, now, gone=gave_up)
            self._before = count
            self._go_on(now)

    def _go_on(self, now: float) -> None:
        self._look_at = now + LOOK_SECONDS
        if now >= self._ask_at:
            self._ask_at = now + ASK_SECONDS
            for name, segment in self._segments.by_name.items():
                asked = (*gateways().get(name, ()), *self.others)[:_MOST_ASKED]
                _send(name, (arp.probe(segment.link.mac, address) for address in asked))


def _send(interface: str, frames: Iterable[bytes]) -> None:
    """Send the frames by a socket that receives nothing.

    An error is ignored: where nothing can be sent nobody is heard either.
    """
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock,
    ):
        sock.bind((interface, 0))
        for frame in frames:
            sock.send(frame)
