# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This node as a member: heartbeats in and out, and what follows of them."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Mapping
from typing import Any

from vipcast.daemon.log import log_for
from vipcast.layer2.wants import Address, Layer2Wants
from vipcast.layer2d.holdings import Holdings
from vipcast.layer2d.segments import Segments
from vipcast.members import PROFILES, ClaimChanged, MemberChanged, Members, Profile
from vipcast.net.heartbeat_port import HeartbeatPort
from vipcast.punctual.loop import Loop

__all__ = ["Node"]

# Until a port that is taken is asked for again.
_RETRY_SECONDS = 1.0
_log = log_for("layer2")


class Node:
    """``frozen``: an heir is taking over, and this one sends and hears nothing that belongs to it.

    ``news``: there is more to tell of the membership.
    """

    def __init__(self, loop: Loop, segments: Segments, wants: Layer2Wants, now: float) -> None:
        self.wants = Layer2Wants(wants.node, settings=wants.settings)
        self.port = HeartbeatPort(wants.settings.port)
        self.frozen = self.news = self._settled = False
        self._loop = loop
        self._segments = segments
        segments.exclude(wants.settings.excluded_interfaces)
        self._retry_at: float | None = None
        self._due = 0.0  # when the members were to be looked at, as was told last
        self._held: frozenset[Address] = frozenset()
        profile = _profile(wants)
        epoch = time.time() - now
        self.members = Members(
            wants.node, profile, now, random=lambda: secrets.randbits(64), epoch=epoch, keys=wants.keys
        )
        self.holdings = Holdings(segments, self.members)

    # ---- what is wanted ----

    def set_wants(self, wants: Layer2Wants, now: float) -> None:
        before, self.wants = self.wants, wants
        settings = wants.settings
        if settings.excluded_interfaces != before.settings.excluded_interfaces:
            self._segments.exclude(settings.excluded_interfaces)
        if settings.port != self.port.port:
            self._close_port()
            self.port = HeartbeatPort(settings.port)
        self._open_port(now)
        # First of all what is wanted: what an heir holds and nobody wants would be given up.
        self.members.set_wants(wants.addresses, now)
        self.members.preempt = settings.preempt
        self.members.set_profile(_profile(wants), now)
        self.members.set_keys(wants.keys, now)
        self.members.set_peers(
            {name: [(each, settings.port) for each in found] for name, found in wants.members.items()}, now
        )
        # As long as a dead one takes, for them and for us.
        self.holdings.set_wants(wants, 2 * self.members.profile.dead_after, now)
        self.flush(now)

    def adopt(self, sockets: Mapping[int, socket.socket], members: Mapping[str, Any], now: float) -> None:
        """Go on where another process ended. Raises ValueError for what is no member's."""
        self.port.sockets.update(sockets)
        for sock in sockets.values():
            self._listen(sock)
        self.members.restore(members, now)

    # ---- packets and time ----

    def timer(self) -> float | None:
        times = [self.holdings.timer()]
        if not self.frozen:
            self._due = self.members.timer()
            times += [self._due, self._retry_at]
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        if not self.frozen:
            self._judge(now)
        self.holdings.handle_timer(now)

    def _judge(self, now: float) -> None:
        at = self.members.timer()
        if at is not None and at <= now:
            # We may have been kept from running: whoever is alive has sent something meanwhile.
            self.receive_all(now)
            self.members.handle_timer(now)
            self.flush(now)
        if self._retry_at is not None and now >= self._retry_at:
            self._open_port(now)

    def receive_all(self, now: float) -> None:
        for sock in self.port.sockets.values():
            self._receive(sock, now)

    def _receive(self, sock: socket.socket, now: float) -> None:
        for data, source in self.port.receive(sock):
            self.members.receive(data, source, now)

    def flush(self, now: float) -> bool:
        """Do what was decided, then tell the others: who hears of our claim may stop answering.

        Whether there was anything to do.
        """
        moved = self.members.settled is not self._settled
        if moved:
            self._settled = self.news = True
        for event in self.members.events():
            if isinstance(event, ClaimChanged):
                self.holdings.claim_changed(event)
                moved = True
            else:
                self.news = True
                _tell(event)
                self.holdings.member_changed(event, now)
        moved = moved or self.members.held is not self._held
        if moved:
            self._held = self.members.held
            self.holdings.apply(now)
            self.holdings.handle_timer(now)
        for (address, port), data in self.members.output():
            self.port.send(data, address, port)
        return moved

    # ---- sockets ----

    def _open_port(self, now: float) -> None:
        for sock in self.port.open():
            self._listen(sock)
        self._retry_at = now + _RETRY_SECONDS if self.port.problem else None

    def _listen(self, sock: socket.socket) -> None:
        def read(now: float) -> None:
            """Of most heartbeats nothing follows but that somebody is still there."""
            self._receive(sock, now)
            if self.flush(now) or self.news or self.members.timer() < self._due:
                self._loop.stirred = True

        self._loop.read_quickly(sock, read)

    def freeze(self) -> None:
        """What comes from now on waits in the sockets: for the heir, or until `thaw`."""
        self.frozen = True
        for sock in self.port.sockets.values():
            self._loop.forget(sock)

    def thaw(self) -> None:
        self.frozen = False
        for sock in self.port.sockets.values():
            self._listen(sock)

    def leave(self, now: float) -> None:
        """Others are asked to take everything over; until they have, it is answered here."""
        self.members.leave(now)
        self.flush(now)

    def _close_port(self) -> None:
        for sock in self.port.sockets.values():
            self._loop.forget(sock)
        self.port.close()

    def close(self) -> None:
        self._close_port()


def _profile(wants: Layer2Wants) -> Profile:
    return PROFILES.get(wants.settings.profile, PROFILES["default"])


def _tell(event: MemberChanged) -> None:
    _log.info("member_changed", member=event.name, old=event.old.value, new=event.new.value, why=event.why)
