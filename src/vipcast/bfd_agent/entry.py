# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One session with its socket: what the table keeps of each."""

from __future__ import annotations

import errno
import random
import socket
import time
from collections import Counter
from dataclasses import replace

from vipcast.bfd.fsm import BfdState
from vipcast.bfd.packet import Drop
from vipcast.bfd.session import Session, StateChanged, Variables
from vipcast.bfd.settings import BfdSettings, BfdStatus
from vipcast.net import bfd_sockets as sockets
from vipcast.net.bfd_filter import Expected

# Until a socket that could not be made, or that went bad, is tried again.
RETRY_SECONDS = 1.0
# What a connected socket hears of packets sent before; the next one may arrive.
_PASSING = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EAGAIN, errno.ENOBUFS, errno.EPERM})


class Entry:
    """A session. ``armed`` is what the table's clock was last told. ``interfaces``: where the session is (RFC
    5881 section 3), indices; None: anywhere.
    """

    def __init__(
        self,
        settings: BfdSettings,
        variables: Variables,
        now: float,
        *,
        sender: socket.socket | None = None,
        since_wall: float | None = None,
    ) -> None:
        self.session = Session(settings, variables, now, jitter=random.random)
        self.sender = sender
        self.since_wall = time.time() if since_wall is None else since_wall
        self.problem: str | None = None  # of sending
        self.receiver_problem: str | None = None
        self.echo_problem: str | None = None
        self.dropped: Counter[str] = Counter()
        self.armed: float | None = None
        self.interfaces = sockets.interfaces(settings)
        self._retry_at = 0.0

    @property
    def settings(self) -> BfdSettings:
        return self.session.settings

    @property
    def discriminator(self) -> int:
        return self.session.variables.local_discriminator

    def look(self) -> bool:
        """Ask the kernel where the session is; whether that is elsewhere than before."""
        before, self.interfaces = self.interfaces, sockets.interfaces(self.settings)
        return self.interfaces != before

    @property
    def expected(self) -> Expected:
        settings = self.settings
        # Of a packet of a VRF the filter sees the VRF's own device, to which the socket is bound.
        interfaces = None if settings.vrf else self.interfaces
        return Expected(self.discriminator, sockets.unscoped(settings.peer), interfaces, settings.least_ttl)

    def drop(self, reason: Drop) -> None:
        self.dropped[reason.value] += 1

    def flush(self, now: float) -> list[StateChanged]:
        """Send what there is to send; what happened."""
        for packet in self.session.packets_to_send():
            self._send(packet, now)
        changes = []
        while (change := self.session.next_event()) is not None:
            self.since_wall = time.time()
            changes.append(change)
        return changes

    def status(self) -> BfdStatus:
        status = self.session.status(self.since_wall)
        counters = replace(status.counters, dropped=dict(self.dropped))
        problem = self.receiver_problem or self.problem or self.echo_problem
        return replace(status, problem=problem, counters=counters)

    def close(self) -> None:
        if self.sender is not None:
            self.sender.close()
            self.sender = None

    def _send(self, packet: bytes, now: float) -> None:
        try:
            if self.sender is None:
                if now < self._retry_at:
                    return
                self.sender = sockets.open_sender(self.settings)
            self.sender.send(packet)
            self.problem = None
        except OSError as error:
            self._failed(error, packet, now)

    def _failed(self, error: OSError, packet: bytes, now: float) -> None:
        if error.errno == errno.ECONNREFUSED and self.sender is not None:
            # That was the answer to the packet before; this one was not sent.
            try:
                self.sender.send(packet)
            except OSError:
                pass
            else:
                return
        if self.session.variables.state is not BfdState.UP or error.errno not in _PASSING:
            self.problem = sockets.explain(error, self.settings)
        if error.errno not in _PASSING:
            self._retry_at = now + RETRY_SECONDS
            self.close()
