# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process in charge: sessions, clients, probes; and how it ends.

serve() ──> Ending.STOPPED     it was told to end, and every peer knows (AdminDown, RFC 5880 section 6.8.16)
        ──> Ending.HANDED_OVER an heir has everything; what is left is the connection to it
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

from vipcast import __version__
from vipcast.bfd.fsm import BfdState
from vipcast.bfd.session import StateChanged
from vipcast.bfd.settings import BfdSettings
from vipcast.bfdd import estate as estates
from vipcast.bfdd.entry import Entry
from vipcast.bfdd.estate import Estate, HeirSession
from vipcast.bfdd.table import Table
from vipcast.bfdd.wants import Identity, Wants, identity
from vipcast.daemon.log import log_for
from vipcast.net import bfd_protocol as protocol
from vipcast.net import bfd_sockets as sockets
from vipcast.net.lines import Json
from vipcast.punctual import handover
from vipcast.punctual.channel import Channel
from vipcast.punctual.control import Control
from vipcast.punctual.health import Health
from vipcast.punctual.loop import Loop
from vipcast.punctual.program import Limits
from vipcast.punctual.succession import Ending, offer

# Counters are told so often; changes at once, but not one by one where many come together.
REPORT_SECONDS = 2.0
BURST_SECONDS = 0.02
# Peers that don't answer get so long to hear that we have gone.
FAREWELL_SECONDS = 4.0

_log = log_for("bfd")


class Charge:
    """``predecessor``: the connection to the process that we took over from."""

    def __init__(self, loop: Loop, limits: Limits, estate: Estate, predecessor: socket.socket | None) -> None:
        assert estate.control is not None
        self.heir: socket.socket | None = None
        self._loop, self._limits = loop, limits
        self._wants = Wants(limits.orphan)
        self._table = Table(watch=self._watch, unwatch=loop.forget, changed=self._changed)
        words = {"want": self._want, "take_over": self._hand_over, "taken": self._taken}
        self._control = Control(loop, estate.control, words, self._gone, limit=protocol.MAX_LINE, log=_log)
        self._health = (
            Health(loop, estate.health, ready=self._ready, status=self._status) if estate.health else None
        )
        self._predecessor = predecessor
        self._told_at = 0.0
        self._dirty = False
        self._leave_at: float | None = None
        self._end_at: float | None = None
        self._inherit(estate, time.monotonic())

    # ---- the loop ----

    def serve(self) -> Ending:
        while True:
            now = self._loop.turn(self._until())
            if self._due(now):
                # We may have been kept from running: whoever is alive has sent something meanwhile.
                self._receive_all()
                self._table.handle_timers(now)
            if self._wants.expire(now):
                self._apply(now)
            self._report(now)
            if self.heir is not None:
                return Ending.HANDED_OVER
            if self._loop.signals and self._leave(now):
                return Ending.STOPPED

    def close(self) -> None:
        self._table.close()
        self._control.close()
        for part in (self._health, self._predecessor):
            if part is not None:
                part.close()

    def _until(self) -> float | None:
        report = self._report_at if self._control.channels else None
        leave = (
            self._leave_at if self._end_at is None else min(self._end_at, time.monotonic() + BURST_SECONDS)
        )
        times = (self._table.timer(), self._wants.timer(), report, leave)
        return min((at for at in times if at is not None), default=None)

    def _due(self, now: float) -> bool:
        at = self._table.timer()
        return at is not None and at <= now

    def _watch(self, receiver: socket.socket) -> None:
        if receiver is self._table.echo.sock:
            self._loop.read(receiver, lambda _now: self._receive_echoes())
            return
        key = next(key for key, sock in self._table.receivers.items() if sock is receiver)
        self._loop.read(receiver, lambda _now: self._receive(key, receiver))

    def _receive(self, key: sockets.ReceiverKey, receiver: socket.socket) -> None:
        """Each with the time after it was read. The time of waking may be from before a pause of ours:
        all that came during it would be as old, and nothing would be left to show that the peer is there.
        """
        for datagram in sockets.receive_all(receiver):
            self._table.receive(key, datagram, time.monotonic())

    def _receive_all(self) -> None:
        for key, receiver in list(self._table.receivers.items()):
            self._receive(key, receiver)
        self._receive_echoes()

    def _receive_echoes(self) -> None:
        returned = self._table.echo.receive()
        self._table.echoes_returned(returned, time.monotonic())

    # ---- clients ----

    def _want(self, channel: Channel, written: object) -> None:
        now = time.monotonic()
        self._wants.want(channel, protocol.read_want(written), now)
        self._apply(now)
        self._dirty = True

    def _gone(self, channel: Channel) -> None:
        self._wants.gone(channel, time.monotonic())

    def _apply(self, now: float) -> None:
        self._table.want(self._wants.sessions(), now)

    def _changed(self, known: Identity, entry: Entry, change: StateChanged) -> None:
        self._dirty = True
        _log.info(
            "session_changed",
            peer=str(known.peer),
            **({"vrf": known.vrf} if known.vrf else {}),
            old=str(change.old),
            new=str(change.new),
            why=str(change.diagnostic),
            detection_time=entry.session.detection_time,
        )

    @property
    def _report_at(self) -> float:
        return self._told_at + (BURST_SECONDS if self._dirty else REPORT_SECONDS)

    def _report(self, now: float) -> None:
        if now < self._report_at or not self._control.channels:
            return
        self._dirty, self._told_at = False, now
        for channel in list(self._control.channels):
            named = self._wants.clients.get(channel, {})
            statuses = {name: status for name, settings in named.items() if (status := self._tell(settings))}
            self._control.tell({"sessions": statuses}, only=channel)

    def _tell(self, settings: BfdSettings) -> Json | None:
        """None when it has been taken down: at our end clients may still want what is gone."""
        entry = self._table.entries.get(identity(settings))
        return protocol.write_status(entry.status()) if entry is not None else None

    # ---- probes ----

    def _ready(self) -> str | None:
        return "stopping" if self._loop.signals else None

    def _status(self) -> Json:
        names = {identity(s): name for named in self._wants.clients.values() for name, s in named.items()}
        status = {
            "priority": self._limits.priority,
            "clients": len(self._wants.clients),
            "sessions": [_describe(names.get(known), entry) for known, entry in self._table.entries.items()],
            "dropped": self._table.dropped,
        }
        return {"program": "bfd", "version": __version__, "status": status}

    # ---- the end ----

    def _leave(self, now: float) -> bool:
        """Whether it is time to go. First an heir may come, then every peer hears that we go."""
        if self._leave_at is None:
            self._leave_at = now + self._limits.heir
            offer(self._predecessor, _log)
        if self._end_at is None and now >= self._leave_at:
            self._end_at = now + FAREWELL_SECONDS
            self._table.want({}, now)
        return self._end_at is not None and (self._table.finished or now >= self._end_at)

    def _hand_over(self, channel: Channel, version: object) -> None:
        handover.check(version, estates.VERSION)
        for data, descriptors in estates.write(self._estate()):
            channel.send(data, descriptors)

    def _estate(self) -> Estate:
        return Estate(
            sessions=list(self._heir_sessions()),
            receivers=self._table.receivers,
            control=self._control.listener,
            health=self._health.listener if self._health else None,
        )

    def _heir_sessions(self) -> Iterator[HeirSession]:
        for known, until in self._wants.untils(time.monotonic()):
            if (entry := self._table.entries.get(known)) is not None:
                session = entry.session
                yield HeirSession(
                    settings=entry.settings,
                    variables=session.variables,
                    since_wall=entry.since_wall,
                    until=until,
                    counters=(session.packets_in, session.packets_out),
                    sender=entry.sender,
                )

    def _taken(self, channel: Channel, _said: object) -> None:
        self._control.release(channel)
        self._loop.forget(channel.sock)
        self.heir = channel.sock

    def _inherit(self, estate: Estate, now: float) -> None:
        for key, receiver in estate.receivers.items():
            self._table.receivers[key] = receiver
            self._watch(receiver)
        for session in estate.sessions:
            self._wants.adopt(session.settings, session.until)
            entry = Entry(
                session.settings,
                session.variables,
                now,
                sender=session.sender,
                since_wall=session.since_wall,
            )
            entry.session.packets_in, entry.session.packets_out = session.counters
            self._table.add(identity(session.settings), entry)
        self._apply(now)

    def up(self) -> int:
        return self._table.count(BfdState.UP)


def _describe(name: str | None, entry: Entry) -> Json:
    """For people: states and reasons in words."""
    status = entry.status()
    words = ("state", "diagnostic", "remote_state", "remote_diagnostic")
    return {
        "name": name,
        "settings": protocol.write_settings(entry.settings),
        **protocol.write_status(status),
        **{word: str(getattr(status, word)) for word in words},
    }
