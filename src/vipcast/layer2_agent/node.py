# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This node as a member: heartbeats in and out, and what follows of them."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from typing import Any

from vipcast.agent.loop import Loop
from vipcast.daemon.log import log_for
from vipcast.layer2.api import Layer2Wants
from vipcast.layer2_agent.heartbeat_ports import Ports
from vipcast.layer2_agent.owned_addresses import OwnedAddresses
from vipcast.layer2_agent.reception_check import ReceptionCheck
from vipcast.layer2_agent.segments import Segments
from vipcast.membership import PROFILES, AddressDoubted, ClaimChanged, MemberChanged, Membership, Profile
from vipcast.model.addresses import IPAddress
from vipcast.net.connected_networks import on_link
from vipcast.net.heartbeat_port import HeartbeatPort

__all__ = ["Node"]

# Until a port that is taken is asked for again.
_RETRY_SECONDS = 1.0
_ROUNDS = 3
# Members of this version of the format and later ones send with a TTL of 255.
_TTL_SINCE = 2
_log = log_for("layer2")


class Node:
    """``frozen``: a successor is taking over, and this one sends and hears nothing that belongs to it.

    ``news``: there is more to tell of the membership.
    """

    def __init__(self, loop: Loop, segments: Segments, wants: Layer2Wants, now: float) -> None:
        self.wants = Layer2Wants(wants.node, settings=wants.settings)
        self.ports = Ports(wants.settings.port)
        self.suspended = self.news = self._settled = False
        self._loop = loop
        self._segments = segments
        segments.set_rules(wants.settings.excluded_interfaces, wants.settings.allowed_interfaces)
        self._retry_at: float | None = None
        self._due = 0.0  # when the members were to be looked at, as was told last
        self._held: frozenset[IPAddress] = frozenset()
        self._room: int | None = None
        self._members_at: set[IPAddress] = set()
        self._on_link = False  # all of them
        profile = _profile(wants)
        epoch = time.time() - now
        self.members = Membership(
            wants.node, profile, now, random=lambda: secrets.randbits(64), epoch=epoch, keys=wants.keys
        )
        self.owned_addresses = OwnedAddresses(segments, self.members)
        self.hearing = ReceptionCheck(segments, self.members, now)

    # ---- what is wanted ----

    def set_wants(self, wants: Layer2Wants, now: float, *, orphaned: bool = False) -> None:
        """``orphaned``: whoever has said that has been gone for long."""
        before, self.wants = self.wants, wants
        settings = wants.settings
        rules = settings.excluded_interfaces, settings.allowed_interfaces
        if rules != (before.settings.excluded_interfaces, before.settings.allowed_interfaces):
            self._segments.set_rules(*rules)
        if settings.port != self.port.port:
            _log.info("port_changed", old=self.port.port, new=settings.port)
            self._close(self.ports.change(settings.port, now))
        self._open_port(now)
        if wants.members != before.members:
            self._find_members()
        with self.members.together(now):
            self._tell_members(wants, orphaned=orphaned, now=now)
        others = (each for name, found in wants.members.items() if name != wants.node for each in found)
        self.hearing.others = tuple(each for each in others if isinstance(each, IPv4Address))
        # As long as a dead one takes, for them and for us.
        self.owned_addresses.set_wants(wants, 2 * self.members.profile.dead_after, now)
        self.flush(now)

    def _tell_members(self, wants: Layer2Wants, *, orphaned: bool, now: float) -> None:
        """Tell who is there first of all: a successor that knew of nobody would say that it hears nobody."""
        members, settings = self.members, wants.settings
        members.set_peers(
            {name: [(each, settings.port) for each in found] for name, found in wants.members.items()}, now
        )
        members.set_profile(_profile(wants), now)
        members.set_keys(wants.keys, now)
        members.set_wants(wants.addresses, now)
        members.set_orphaned(orphaned, now)
        members.preempt = settings.preempts
        members.gentle = settings.rebalance == "gentle" and not settings.preempts

    @property
    def port(self) -> HeartbeatPort:
        return self.ports.port

    def _find_members(self) -> None:
        others = {name: some for name, some in self.wants.members.items() if name != self.wants.node}
        self._members_at = {address for some in others.values() for address in some}
        self._on_link = all(on_link(address) for address in self._members_at)
        self.ports.keep(self._members_at)

    def interfaces_changed(self, now: float) -> None:
        """Say at once what cannot be answered any more: another node can answer it."""
        self.owned_addresses.interfaces_changed(now)
        self._find_members()
        self.flush(now)

    def adopt(
        self,
        sockets: Mapping[int, socket.socket],
        former: Iterable[tuple[HeartbeatPort, float]],
        members: Mapping[str, Any],
        now: float,
    ) -> None:
        """Go on where another process ended. Raises ValueError for what is no member's."""
        self.port.adopt(sockets)
        self.ports.former = list(former)
        for port, sock in self.ports.sockets():
            self._listen(port, sock)
        self.members.restore(members, now)

    # ---- packets and time ----

    def timer(self) -> float | None:
        times = [self.owned_addresses.timer()]
        if not self.suspended:
            self._due = self.members.timer()
            times += [self._due, self._retry_at, self.ports.timer(), self.hearing.timer()]
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        if not self.suspended:
            self._judge(now)
        unable = self.owned_addresses.unable
        self.owned_addresses.handle_timer(now)
        if self.owned_addresses.unable is not unable:
            self.flush(now)

    def _judge(self, now: float) -> None:
        at = self.members.timer()
        if at is not None and at <= now:
            # We may have been kept from running: whoever is alive has sent something meanwhile.
            self.receive_all(now)
            self.members.handle_timer(now)
            self.flush(now)
            self.ports.take_from_link_only(self._on_link and self.members.all_understand(_TTL_SINCE))
        if self.members.deaf or self.hearing.asks:
            self.hearing.work(now)
            self.flush(now)
        if self._retry_at is not None and now >= self._retry_at:
            self._open_port(now)
        self._close(self.ports.expire(now))

    def receive_all(self, now: float) -> None:
        for port, sock in self.ports.sockets():
            self._receive(port, sock, now, everything=True)

    def catch_up(self, now: float) -> None:
        """Hear, after we were kept from running, whether it is still ours before anything is answered."""
        if not self.suspended:
            self.receive_all(now)
            self.flush(now)

    def _receive(self, port: HeartbeatPort, sock: socket.socket, now: float, *, everything: bool) -> None:
        for datagram in port.receive(sock, everything=everything):
            believed = self.members.packets[0]
            self.members.receive(*datagram, now)
            if self.members.packets[0] > believed:
                self.ports.heard(datagram, self._members_at)

    def flush(self, now: float) -> bool:
        """Do what was decided, then tell the others: who hears of our claim may stop answering.

        Return whether there was anything to do.
        """
        moved = self._follow(now)
        for _again in range(_ROUNDS):  # what was to be answered may not be possible
            if not self._follow(now):
                break
        if not self.suspended:  # a successor goes on with the numbers that the last packet had
            for (address, port), data in self.members.output():
                self.ports.send(data, address, port)
        return moved

    def _follow(self, now: float) -> bool:
        moved = self.members.settled is not self._settled
        if moved:
            self._settled = self.news = True
        for event in self.members.events():
            if isinstance(event, ClaimChanged):
                self.owned_addresses.claim_changed(event)
                moved = True
            elif isinstance(event, AddressDoubted):
                self.owned_addresses.say_again(event.address, now)
            else:
                self.news = True
                _tell(event)
                self.owned_addresses.member_changed(event, now)
        moved = moved or self.members.held is not self._held
        if moved:
            self._held = self.members.held
            self.owned_addresses.apply(now)
            self.owned_addresses.handle_timer(now)
        return moved

    # ---- sockets ----

    def _open_port(self, now: float) -> None:
        for sock in self.port.open():
            self._listen(self.port, sock)
        if self.port.room is not None and self.port.room != self._room:
            self._room = self.port.room
            _log.warning("small_buffer", octets=self._room, repair="sysctl net.core.rmem_max=1048576")
        self._retry_at = now + _RETRY_SECONDS if self.port.problem else None

    def _listen(self, port: HeartbeatPort, sock: socket.socket) -> None:
        def read(now: float) -> None:
            """Read what has come; most heartbeats say no more than that their sender is still there."""
            self._receive(port, sock, now, everything=False)
            if self.flush(now) or self.news or self.members.timer() < self._due:
                self._loop.had_event = True

        self._loop.read_quickly(sock, read)

    def suspend(self) -> None:
        """Let what comes from now on wait in the sockets: for the successor, or until `resume`."""
        self.suspended = True
        for _port, sock in self.ports.sockets():
            self._loop.unregister(sock)
        self.ports.take_everything()

    def resume(self, now: float) -> None:
        self.suspended = False
        for port, sock in self.ports.sockets():
            self._listen(port, sock)
        self.flush(now)

    def leave(self, now: float) -> None:
        """Ask others to take everything over; until they have, it is answered here."""
        self.members.leave(now)
        self.flush(now)

    def _close(self, sockets: Iterable[socket.socket]) -> None:
        for sock in sockets:
            self._loop.unregister(sock)
            sock.close()

    def close(self) -> None:
        for _port, sock in self.ports.sockets():
            self._loop.unregister(sock)
        self.ports.close()


def _profile(wants: Layer2Wants) -> Profile:
    return PROFILES.get(wants.settings.profile, PROFILES["default"])


def _tell(event: MemberChanged) -> None:
    _log.info("member_changed", member=event.name, old=event.old.value, new=event.new.value, why=event.why)
