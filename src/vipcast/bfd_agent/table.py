# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All sessions of the node: which one a packet belongs to, and when which one has to be looked at."""

from __future__ import annotations

import contextlib
import heapq
import secrets
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from vipcast.bfd.fsm import BfdState
from vipcast.bfd.packet import ControlPacket, Drop, decode
from vipcast.bfd.session import StateChanged, Variables
from vipcast.bfd.settings import BfdSettings
from vipcast.bfd_agent.client_requests import Identity
from vipcast.bfd_agent.echo import EchoPort
from vipcast.bfd_agent.entry import RETRY_SECONDS, Entry
from vipcast.net import bfd_sockets as sockets
from vipcast.net.bfd_filter import Expected, control_filter, detach
from vipcast.net.bfd_sockets import Datagram, ReceiverKey
from vipcast.net.devices import device_is_gone
from vipcast.net.packet_sockets import attach_filter

# A session is bound to the interface of the route to its peer, and routes change: so often the kernel is
# asked, for so many sessions at once. One that is Up takes its packets by their discriminator meanwhile.
LOOK_SECONDS, LOOK_AT = 0.25, 16
# A successor that has not taken over by then will not.
SUCCESSOR_SECONDS = 10.0

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
        self._receivers_at = self._look_at = self._filter_at = 0.0
        self._to_look_at: list[Identity] = []
        self._filters: dict[ReceiverKey, frozenset[Expected]] = {}

    # ---- which sessions ----

    def want(self, wanted: Mapping[Identity, BfdSettings], now: float) -> None:
        """The whole set. What is not in it is taken down, and forgotten when its peer knows."""
        for known, settings in wanted.items():
            entry = self.entries.get(known)
            if entry is None:
                self.add(known, Entry(settings, Variables(self._new_discriminator()), now))
                continue
            entry.session.change(settings, now)
            # What another process was taking down when it handed over is wanted again, too.
            if known in self._leaving or entry.session.variables.state is BfdState.ADMIN_DOWN:
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
        self._filters.clear()

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
        drop = _misplaced(entry, key, datagram) or entry.session.receive(packet, now)
        if drop is not None:
            entry.drop(drop)
        self._after(known, entry, now)

    def echoes_returned(self, returned: Iterable[tuple[int, int]]) -> None:
        """Take echo packets that have come back: discriminators and numbers."""
        for discriminator, number in returned:
            known = self._by_discriminator.get(discriminator)
            if known is not None:
                self.entries[known].session.echo_returned(number)

    def _find(self, key: ReceiverKey, packet: ControlPacket, datagram: Datagram) -> Identity | None:
        if packet.your_discriminator:
            return self._by_discriminator.get(packet.your_discriminator)
        for known, entry in self.entries.items():
            here = entry.interfaces is None or datagram.interface in entry.interfaces
            if here and _misplaced(entry, key, datagram) in (None, Drop.BAD_TTL):
                return known
        return None

    # ---- time ----

    def timer(self) -> float | None:
        due = [self._look_at] if self.entries else []
        return min((*due, *(at for at, _discriminator in self._clock[:1])), default=None)

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
        if self.entries and now >= self._look_at:
            self._look(now)

    def _look(self, now: float) -> None:
        """Look after what may change without anybody's telling: ports that are taken, devices, and routes."""
        self._look_at = now + LOOK_SECONDS
        gone = [key for key, receiver in self.receivers.items() if key.vrf and device_is_gone(receiver)]
        for key in gone:
            self._drop(key)
        missing = any(entry.receiver_problem for entry in self.entries.values())
        if gone or (missing and now >= self._receivers_at):
            self._need_receivers(now)
        if not self._to_look_at:
            self._to_look_at = list(self.entries)
        some, self._to_look_at = self._to_look_at[:LOOK_AT], self._to_look_at[LOOK_AT:]
        moved = [entry.look() for known in some if (entry := self.entries.get(known)) is not None]
        if any(moved) or (not self._filters and now >= self._filter_at):
            self._filter()

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
            self._drop(key)
        for entry in self.entries.values():
            self._need_receiver(entry)
        self._filter()
        self.echo.need([entry for entry in self.entries.values() if entry.settings.may_echo])

    def _drop(self, key: ReceiverKey) -> None:
        receiver = self.receivers.pop(key)
        self._unwatch(receiver)
        receiver.close()
        self._filters.pop(key, None)

    def _filter(self) -> None:
        """Have the kernel drop what belongs to no session. A filter that it does not take is done without."""
        for key, receiver in self.receivers.items():
            expected = frozenset(
                entry.expected
                for entry in self.entries.values()
                if sockets.receiver_key(entry.settings) == key
            )
            if self._filters.get(key) != expected:
                self._filters[key] = expected
                with contextlib.suppress(OSError):
                    attach_filter(receiver, control_filter(key.version, expected))

    def unfilter(self, now: float) -> None:
        """Let everything pass: another process, which has sessions of its own, takes the sockets over."""
        self._filter_at = now + SUCCESSOR_SECONDS
        for receiver in self.receivers.values():
            detach(receiver)
        self._filters.clear()

    def dropped_packets(self) -> dict[str, int]:
        """Return how many packets belonged to no session, by reason."""
        found = dict(self.dropped)
        if in_kernel := sum(sockets.dropped(receiver) for receiver in self.receivers.values()):
            found[Drop.IN_THE_KERNEL.value] = in_kernel
        return found

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


def _misplaced(entry: Entry, key: ReceiverKey, datagram: Datagram) -> Drop | None:
    """Return why a packet is not of its session although it names it; RFC 5881 section 3. A router may send
    by another interface than we do: only where one is set has it to be that one.
    """
    settings = entry.settings
    if sockets.receiver_key(settings) != key or datagram.source != sockets.unscoped(settings.peer):
        return Drop.WRONG_SENDER
    if settings.interface and datagram.interface not in (entry.interfaces or (datagram.interface,)):
        return Drop.WRONG_SENDER
    return Drop.BAD_TTL if datagram.ttl < settings.least_ttl else None
