# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The BFD agent while it is in charge: sessions, their packets, and clients that want them.

Where it ends without a successor every peer is told: AdminDown (RFC 5880 section 6.8.16).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator

from vipcast.agent.channel import Channel
from vipcast.agent.handover import UNUSABLE, CannotTakeOverError
from vipcast.agent.limits import Limits
from vipcast.agent.loop import Loop
from vipcast.agent.server import AgentServer
from vipcast.bfd.fsm import BfdState
from vipcast.bfd.session import StateChanged
from vipcast.bfd.settings import BfdSettings
from vipcast.bfd_agent import handover_state
from vipcast.bfd_agent.client_requests import ClientRequests, Identity, identity
from vipcast.bfd_agent.entry import Entry
from vipcast.bfd_agent.handover_state import BfdHandoverState, SessionState
from vipcast.bfd_agent.table import Table
from vipcast.daemon.log import log_for
from vipcast.net import bfd_protocol as protocol
from vipcast.net import bfd_sockets as sockets
from vipcast.net.ipc import PROTOCOL, Json

# Counters are told so often; changes at once, but not one by one where many come together.
REPORT_SECONDS = 2.0
BURST_SECONDS = 0.02

_log = log_for("bfd")


class BfdServer(AgentServer):
    """``predecessor``: the connection to the process that we took over from."""

    def __init__(
        self, loop: Loop, limits: Limits, state: BfdHandoverState, predecessor: socket.socket | None
    ) -> None:
        super().__init__(
            loop,
            limits,
            state,
            predecessor,
            program="bfd",
            handlers={"want": self._want},
            limit=protocol.MAX_LINE,
            log=_log,
        )
        self._requests = ClientRequests(limits.orphan)
        self._table = Table(watch=self._watch, unwatch=loop.unregister, changed=self._changed)
        self._told_at = 0.0
        self._dirty = False
        try:
            self._inherit(state, time.monotonic())
        except UNUSABLE as error:
            self.close()
            raise CannotTakeOverError(f"what was handed over is of no use: {error!r}") from error

    # ---- the loop ----

    def _work(self, now: float) -> None:
        if self._due(now):
            # We may have been kept from running: whoever is alive has sent something meanwhile.
            self._receive_all()
            self._table.handle_timers(now)
        if self._requests.expire(now):
            self._apply(now)
        self._report(now)

    def close(self) -> None:
        self._table.close()
        super().close()

    def _times(self) -> Iterable[float | None]:
        report = self._report_at if self._control.channels else None
        return self._table.timer(), self._requests.timer(), report

    def _due(self, now: float) -> bool:
        at = self._table.timer()
        return at is not None and at <= now

    def _watch(self, receiver: socket.socket) -> None:
        if receiver is self._table.echo.sock:
            self._loop.read(receiver, lambda _now: self._receive_echoes())
            return
        key = next(key for key, sock in self._table.receivers.items() if sock is receiver)
        self._loop.read(receiver, lambda _now: self._receive(key, receiver))

    def _receive(
        self, key: sockets.ReceiverKey, receiver: socket.socket, most: int = sockets.AT_ONCE
    ) -> None:
        """Each with the time after it was read. The time of waking may be from before a pause of ours:
        all that came during it would be as old, and nothing would be left to show that the peer is there.
        """
        for datagram in sockets.receive(receiver, most):
            self._table.receive(key, datagram, time.monotonic())

    def _receive_all(self) -> None:
        for key, receiver in list(self._table.receivers.items()):
            self._receive(key, receiver, sockets.AFTER_A_PAUSE)
        self._receive_echoes()

    def _receive_echoes(self) -> None:
        self._table.echoes_returned(self._table.echo.receive())

    # ---- clients ----

    def _want(self, channel: Channel, written: object) -> None:
        now = time.monotonic()
        self._requests.want(channel, protocol.read_want(written), now)
        self._apply(now)
        self._dirty = True

    def _gone(self, channel: Channel, now: float) -> None:
        self._requests.gone(channel, now)

    def _apply(self, now: float) -> None:
        """Have the sessions that are wanted; on our way out that is none, whoever wants something."""
        self._table.want({} if self._end_at is not None else self._requests.sessions(), now)

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
            named = self._requests.clients.get(channel, {})
            statuses = {name: status for name, settings in named.items() if (status := self._tell(settings))}
            self._control.broadcast({"sessions": statuses, "versions": PROTOCOL}, only=channel)

    def _tell(self, settings: BfdSettings) -> Json | None:
        """Return a session's status, or None when it was taken down: clients may still want it at our end."""
        entry = self._table.entries.get(identity(settings))
        return protocol.write_status(entry.status()) if entry is not None else None

    # ---- probes ----

    def _own_status(self) -> Json:
        names = {identity(s): name for named in self._requests.clients.values() for name, s in named.items()}
        return {
            "clients": len(self._requests.clients),
            "sessions": [_describe(names.get(known), entry) for known, entry in self._table.entries.items()],
            "dropped": self._table.dropped_packets(),
        }

    # ---- the end ----

    def _start_leaving(self, now: float) -> None:
        """Take all sessions down, so that every peer hears that we go."""
        self._apply(now)

    def _has_left(self) -> bool:
        return self._table.finished

    def _resume(self, now: float) -> None:
        """Do nothing: packets are taken all the time."""

    def _write_state(self, version: int, now: float) -> Iterator[tuple[bytes, list[int]]]:
        self._table.unfilter(now)
        state = BfdHandoverState(
            sessions=list(self._session_states(now)),
            receivers=self._table.receivers,
            control=self._control.listener,
            health=self._health.listener if self._health else None,
        )
        return handover_state.write(state, version)

    def _session_states(self, now: float) -> Iterator[SessionState]:
        for known, until in self._requests.untils(now):
            if (entry := self._table.entries.get(known)) is not None:
                session = entry.session
                yield SessionState(
                    settings=entry.settings,
                    variables=session.variables,
                    since_wall=entry.since_wall,
                    until=until,
                    counters=(session.packets_in, session.packets_out),
                    sender=entry.sender,
                )

    def _inherit(self, state: BfdHandoverState, now: float) -> None:
        for key, receiver in state.receivers.items():
            self._table.receivers[key] = receiver
            self._watch(receiver)
        for session in state.sessions:
            self._requests.adopt(session.settings, session.until)
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

    def summary(self) -> Json:
        return {"sessions": len(self._table.entries), "up": self._table.count(BfdState.UP)}


def _describe(name: str | None, entry: Entry) -> Json:
    """Describe a session for people: states and reasons in words."""
    status = entry.status()
    words = ("state", "diagnostic", "remote_state", "remote_diagnostic")
    return {
        "name": name,
        "settings": protocol.write_settings(entry.settings),
        **protocol.write_status(status),
        **{word: str(getattr(status, word)) for word in words},
    }
