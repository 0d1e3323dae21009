# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The detection of address conflicts: another host answers for one of ours, and it is no change of owners.

    watch.claimed(address, now); watch.released(address)
    watch.heard(foreign, now)                       # what `Responder.take_foreign` has given
    watch.timer(); watch.handle_timer(now)          # alarms: the address is to be defended
    watch.macs(address, now)                        # for the status

An owner that hands over hears the next one's announcement, maybe before it knows of its claim; the next one
may hear a last answer of the former. So a foreign MAC counts where the address is still ours a second later,
and what comes in the first second of a claim does not.
"""

from __future__ import annotations

from dataclasses import dataclass

from vipcast.layer2.announcer import DEFEND_INTERVAL
from vipcast.layer2.frames import Mac
from vipcast.layer2.responder import MOST_FOREIGN, Foreign
from vipcast.layer2.timer_queue import TimerQueue
from vipcast.model.addresses import IPAddress

# Seconds: see the module; and for how long the status shows a MAC that is not heard any more.
GRACE, REMEMBERED = 1.0, 300.0

_Key = tuple[IPAddress, Mac]


@dataclass(frozen=True, slots=True)
class AddressConflict:
    """``times``: 1 for the first one of this MAC for this address; at most one in ten seconds."""

    foreign: Foreign
    times: int


@dataclass(slots=True)
class _Suspect:
    foreign: Foreign
    last_heard: float
    last_alarm: float = float("-inf")
    times: int = 0


class ConflictDetector:
    """See the module. Every suspect is on the timer queue: to be judged, or to be forgotten."""

    def __init__(self) -> None:
        self._since: dict[IPAddress, float] = {}
        self._suspects: dict[IPAddress, dict[Mac, _Suspect]] = {}
        self._timers: TimerQueue[_Key] = TimerQueue()

    def claimed(self, address: IPAddress, now: float) -> None:
        self._since[address] = now

    def released(self, address: IPAddress) -> None:
        self._since.pop(address, None)
        for mac in self._suspects.pop(address, ()):
            self._timers.drop((address, mac))

    def heard(self, foreign: Foreign, now: float) -> None:
        address, mac = key = foreign.address, foreign.mac
        since = self._since.get(address)
        if since is None or now < since + GRACE:
            return
        suspect = self._suspects.get(address, {}).get(mac)
        if suspect is None:
            if len(self._timers) >= MOST_FOREIGN:
                return
            suspect = self._suspects.setdefault(address, {})[mac] = _Suspect(foreign, now)
        suspect.foreign, suspect.last_heard = foreign, now
        at = max(now, suspect.last_alarm + DEFEND_INTERVAL) if suspect.times else now + GRACE
        if (due := self._timers.due(key)) is None or at < due:
            self._timers.put(key, at)

    def timer(self) -> float | None:
        return self._timers.next

    def handle_timer(self, now: float) -> list[AddressConflict]:
        alarms = []
        while (key := self._timers.take(now)) is not None:
            suspect = self._suspects[key[0]][key[1]]
            if suspect.last_heard > suspect.last_alarm:
                suspect.times, suspect.last_alarm = suspect.times + 1, now
                alarms.append(AddressConflict(suspect.foreign, suspect.times))
            if now < suspect.last_heard + REMEMBERED:
                self._timers.put(key, suspect.last_heard + REMEMBERED)
            else:
                self._forget(key)
        return alarms

    def macs(self, address: IPAddress) -> tuple[Mac, ...]:
        """Return those that an alarm was about and that were heard lately."""
        return tuple(mac for mac, suspect in self._suspects.get(address, {}).items() if suspect.times)

    def _forget(self, key: _Key) -> None:
        address, mac = key
        del self._suspects[address][mac]
        if not self._suspects[address]:
            del self._suspects[address]
