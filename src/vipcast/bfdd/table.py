# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All sessions of the node: which one a packet belongs to, and when which one has to be looked at."""

from __future__ import annotations

import heapq
import secrets
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from vipcast.bfd.fsm import BfdState
from vipcast.bfd.packet import ControlPacket, Drop, decode
from vipcast.bfd.session import StateChanged, Variables
from vipcast.bfd.settings import BfdSettings
from vipcast.bfdd.echo import EchoPort
from vipcast.bfdd.entry import RETRY_SECONDS, Entry
from vipcast.bfdd.wants import Identity
from vipcast.net import bfd_sockets as sockets
from vipcast.net.bfd_sockets import Datagram, ReceiverKey

_Watch = Callable[[socket.socket], None]


class Table:
    """``watch`` and ``unwatch`` are told of sockets to read from, ``changed`` of what happened."""

    def __init__(
        self, *, watch: _Watch, unwatch: _Watch, changed: Callable[[Identity, Entry, StateChanged], None]
    ) -> None:
        self.entries: dict[Identity, Entry] = {}
        self.receivers: dict[ReceiverKey, socket.socket] = {}
        self.dropped: Counter[str] = Counter()  # packets that belong to no session
        self.echo = EchoPort(watch=watch, unwatch=unwatch)
        self._watch, self._unwatch, self._changed = watch, unwatch, changed
        self._by_discriminator: dict[int, Identity] = {}
        self._leaving: set[Identity] = set()
        self._clock: list[tuple[float, int]] = []  # a heap; entries that are not `armed` are old
        self._receivers_at = 0.0

    # ---- which sessions ----

    def want(self, wanted: Mapping[Identity, BfdSettings], now: float) -> None:
        """The whole set. What is not in it is taken down, and forgotten when its peer knows."""
        for known, settings in wanted.items():
            entry = self.entries.get(known)
            if entry is None:
                self.add(known, Entry(settings, Variables(self._new_discriminator()), now))
                continue
            entry.session.change(settings, now)
            if known in self._leaving:
                self._leaving.discard(known)
                entry.session.enable(now)
            self._after(known, entry, now)
        for known in self.entries.keys() - wanted.keys() - self._leaving:
            self._leave(known, now)
        self._need_receivers(now)

    def add(self, known: Identity, entry: Entry) -> None:
        self.entries[known] = entry
        self._by_discriminator[entry.discriminator] = known
        self._arm(entry)

    def _leave(self, known: Identity, now: float) -> None:
        entry = self.entries[known]
        self._leaving.add(known)
        entry.session.disable(now)
        self._after(known, entry, now)

    @property
    def finished(self) -> bool:
        """Every peer knows that we have gone."""
        return all(entry.session.finished for entry in self.entries.values())

    def close(self) -> None:
        self.echo.close()
        for entry in self.entries.values():
            entry.close()
        for receiver in self.receivers.values():
            self._unwatch(receiver)
            receiver.close()
        self.entries.clear()
        self.receivers.clear()

    # ---- packets ----

    def receive(self, key: ReceiverKey, datagram: Datagram, now: float) -> None:
        packet = decode(datagram.data)
        if isinstance(packet, Drop):
            self.dropped[packet.value] += 1
            return
        known = self._find(key, packet, datagram)
        if known is None:
            reason = Drop.UNKNOWN_DISCRIMINATOR if packet.your_discriminator else Drop.NO_SESSION
            self.dropped[reason.value] += 1
            return
        entry = self.entries[known]
        drop = _misplaced(entry.settings, key, datagram) or entry.session.receive(packet, now)
        if drop is not None:
            entry.drop(drop)
        self._after(known, entry, now)

    def echoes_returned(self, discriminators: Iterable[int], now: float) -> None:
        for discriminator in discriminators:
            known = self._by_discriminator.get(discriminator)
            if known is not None:
                self.entries[known].session.echo_returned(now)

    def _find(self, key: ReceiverKey, packet: ControlPacket, datagram: Datagram) -> Identity | None:
        if packet.your_discriminator:
            return self._by_discriminator.get(packet.your_discriminator)
        for known, entry in self.entries.items():
            if _misplaced(entry.settings, key, datagram) in (None, Drop.BAD_TTL):
                return known
        return None

    # ---- time ----

    def timer(self) -> float | None:
        return self._clock[0][0] if self._clock else None

    def handle_timers(self, now: float) -> None:
        while self._clock and self._clock[0][0] <= now:
            at, discriminator = heapq.heappop(self._clock)
            known = self._by_discriminator.get(discriminator)
            entry = self.entries[known] if known is not None else None
            if entry is None or known is None or entry.armed != at:
                continue
            entry.armed = None
            entry.session.handle_timer(now)
            self._after(known, entry, now)
        if any(entry.receiver_problem for entry in self.entries.values()) and now >= self._receivers_at:
            self._need_receivers(now)

    def _after(self, known: Identity, entry: Entry, now: float) -> None:
        for change in entry.flush(now):
            self._changed(known, entry, change)
        self.echo.send(entry)
        if known in self._leaving and entry.session.finished:
            self._forget(known)
        else:
            self._arm(entry)

    def _arm(self, entry: Entry) -> None:
        at = entry.session.timer()
        if at is not None and (entry.armed is None or at < entry.armed):
            entry.armed = at
            heapq.heappush(self._clock, (at, entry.discriminator))

    def _forget(self, known: Identity) -> None:
        self._leaving.discard(known)
        entry = self.entries.pop(known)
        del self._by_discriminator[entry.discriminator]
        entry.close()

    # ---- sockets ----

    def _need_receivers(self, now: float) -> None:
        """A port that is taken is asked for again: who has it may go."""
        self._receivers_at = now + RETRY_SECONDS
        needed = {sockets.receiver_key(entry.settings) for entry in self.entries.values()}
        for key in self.receivers.keys() - needed:
            receiver = self.receivers.pop(key)
            self._unwatch(receiver)
            receiver.close()
        for entry in self.entries.values():
            self._need_receiver(entry)
        self.echo.need([entry for entry in self.entries.values() if entry.settings.may_echo])

    def _need_receiver(self, entry: Entry) -> None:
        key = sockets.receiver_key(entry.settings)
        try:
            if key not in self.receivers:
                self.receivers[key] = sockets.open_receiver(key)
                self._watch(self.receivers[key])
            entry.receiver_problem = None
        except OSError as error:
            entry.receiver_problem = sockets.explain(error, entry.settings)

    def _new_discriminator(self) -> int:
        """Unpredictable: who cannot see our packets cannot make one that belongs to a session."""
        while not (number := secrets.randbits(32)) or number in self._by_discriminator:
            pass
        return number

    def count(self, state: BfdState) -> int:
        return sum(entry.session.variables.state is state for entry in self.entries.values())


def _misplaced(settings: BfdSettings, key: ReceiverKey, datagram: Datagram) -> Drop | None:
    """RFC 5881 section 3: a packet is of its session only where it comes the session's way."""
    if sockets.receiver_key(settings) != key or datagram.source != sockets.unscoped(settings.peer):
        return Drop.WRONG_SENDER
    if not settings.multihop and settings.interface and not sockets.is_interface(settings, datagram):
        return Drop.WRONG_SENDER
    return Drop.BAD_TTL if datagram.ttl < settings.least_ttl else None
