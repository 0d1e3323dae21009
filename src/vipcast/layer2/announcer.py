# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says on the segments which addresses are here: at once, some times more, and then now and again.

    announcer = Announcer(AnnouncerSettings())
    announcer.set_interfaces({"eth0": mac}, now)    # all that are up; a new one, or a new MAC: all anew
    announcer.claim(address, now, interfaces)       # None: on all of them; claimed again, it begins anew
    announcer.release(address)
    announcer.timer()                               # when `handle_timer` has something to say, or None
    announcer.handle_timer(now)                     # [(interface, frame), ...], to be sent now

Caches that have the previous owner are corrected by the first one (RFC 5227 section 3, RFC 4861 section
7.2.6); the repeats are for frames that get lost and for ports that a switch has not opened yet, the refresh
is for switches and routers that forget. Times are seconds of any monotonic clock.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import Any
from zlib import crc32

from vipcast.layer2 import arp, ndp
from vipcast.layer2.frames import Mac, mac_text
from vipcast.layer2.pace import Pace
from vipcast.layer2.wants import Address

# RFC 5227 section 2.4: nobody defends an address more often (section 1.1, DEFEND_INTERVAL).
DEFEND_INTERVAL = 10.0

_Key = tuple[str, Address]


@dataclass(frozen=True, slots=True)
class AnnouncerSettings:
    """``repeats``: seconds after the first. ``refresh``: every so many seconds, 0: never.

    ``frames_per_millisecond``: a node that takes 2,000 addresses over has said so after 100 ms, and its
    sockets have room meanwhile.
    """

    repeats: tuple[float, ...] = (0.1, 0.3, 1.0, 2.0, 4.0)
    refresh: float = 60.0
    frames_per_millisecond: float = 40.0


@dataclass(slots=True)
class _Plan:
    """``step``: how often it was said. ``number``: of the entry in a queue that counts; others are stale."""

    number: int
    step: int
    due: float


class Announcer:
    """See the module. ``sent``: frames, by address that is claimed."""

    def __init__(self, settings: AnnouncerSettings | None = None) -> None:
        self.settings = settings or AnnouncerSettings()
        self.sent: dict[Address, int] = {}
        self._refresh = self.settings.refresh
        self._macs: dict[str, Mac] = {}
        self._claims: dict[Address, frozenset[str] | None] = {}
        self._defended: dict[Address, float] = {}
        self._plans: dict[_Key, _Plan] = {}
        self._numbers = itertools.count()
        # What has not been said at all goes before every repeat.
        self._first: deque[tuple[int, _Key]] = deque()
        self._later: list[tuple[float, int, _Key]] = []
        self._pace = Pace(self.settings.frames_per_millisecond * 1000)

    @property
    def claimed(self) -> Mapping[Address, frozenset[str] | None]:
        return self._claims

    # ---- what is wanted ----

    def set_interfaces(self, macs: Mapping[str, Mac], now: float) -> None:
        before, self._macs = self._macs, dict(macs)
        for key in [key for key in self._plans if key[0] not in macs]:
            del self._plans[key]
        for name, mac in macs.items():
            if before.get(name) != mac:
                for address, interfaces in self._claims.items():
                    if interfaces is None or name in interfaces:
                        self._begin((name, address), now)

    def claim(self, address: Address, now: float, interfaces: frozenset[str] | None = None) -> None:
        self._claims[address] = interfaces
        self.sent.setdefault(address, 0)
        for name in self._macs:
            if interfaces is None or name in interfaces:
                self._begin((name, address), now)
            else:
                self._plans.pop((name, address), None)

    def release(self, address: Address) -> None:
        self._claims.pop(address, None)
        self.sent.pop(address, None)
        self._defended.pop(address, None)
        for name in self._macs:
            self._plans.pop((name, address), None)

    def defend(self, address: Address, now: float) -> bool:
        """Another one says that he has it: say once that we do, if not in the last ten seconds.

        RFC 5227 section 2.4 (c): a VIP is not given up, whoever takes it.
        """
        if address not in self._claims or now < self._defended.get(address, -1e9) + DEFEND_INTERVAL:
            return False
        self._defended[address] = now
        for name in self._macs:
            plan = self._plans.get((name, address))
            if plan is not None and plan.step >= len(self.settings.repeats):
                self._begin((name, address), now, step=plan.step)
        return True

    def set_refresh(self, seconds: float, now: float) -> None:
        if seconds == self._refresh:
            return
        self._refresh = seconds
        for key, plan in self._plans.items():
            if plan.step > len(self.settings.repeats):
                self._plan_later(key, plan, self._first_refresh(key, now))

    # ---- the driver's ----

    def timer(self) -> float | None:
        """Never earlier than the pace allows."""
        self._drop_stale()
        if self._first:
            due = self._plans[self._first[0][1]].due
        elif self._later:
            due = self._later[0][0]
        else:
            return None
        return max(due, self._pace.ready_at)

    def handle_timer(self, now: float) -> list[tuple[str, bytes]]:
        """As many as the pace allows now, the most urgent first."""
        said: list[tuple[str, bytes]] = []
        self._pace.begin(now)
        while self._pace.allows and (key := self._take(now)) is not None:
            frames = self._frames(key)
            self._pace.spend(len(frames))
            self.sent[key[1]] += len(frames)
            said.extend((key[0], frame) for frame in frames)
            self._plan_next(key, now)
        return said

    def _frames(self, key: _Key) -> tuple[bytes, ...]:
        mac, address = self._macs[key[0]], key[1]
        if isinstance(address, IPv4Address):
            return arp.announcements(mac, address)
        return (ndp.announcement(mac, address),)

    # ---- plans ----

    def _begin(self, key: _Key, now: float, step: int = 0) -> None:
        number = next(self._numbers)
        self._plans[key] = _Plan(number, step, now)
        self._first.append((number, key))

    def _take(self, now: float) -> _Key | None:
        self._drop_stale()
        if self._first:
            return self._first.popleft()[1]
        if self._later and self._later[0][0] <= now:
            return heapq.heappop(self._later)[2]
        return None

    def _plan_next(self, key: _Key, now: float) -> None:
        plan, repeats = self._plans[key], self.settings.repeats
        said, plan.step = plan.step, plan.step + 1
        if said < len(repeats):
            self._plan_later(key, plan, now + repeats[said] - (repeats[said - 1] if said else 0.0))
        elif said == len(repeats) or plan.due + self._refresh <= now:
            self._plan_later(key, plan, self._first_refresh(key, now))
        else:
            self._plan_later(key, plan, plan.due + self._refresh)

    def _first_refresh(self, key: _Key, now: float) -> float:
        """Spread over the interval by address: what was claimed at once is not refreshed at once."""
        return now + self._refresh * (crc32(key[1].packed) / 2**32)

    def _plan_later(self, key: _Key, plan: _Plan, due: float) -> None:
        plan.number, plan.due = next(self._numbers), due
        if plan.step <= len(self.settings.repeats) or self._refresh > 0:
            heapq.heappush(self._later, (due, plan.number, key))

    def _drop_stale(self) -> None:
        while self._first and self._is_stale(*self._first[0]):
            self._first.popleft()
        while self._later and self._is_stale(*self._later[0][1:]):
            heapq.heappop(self._later)
        if len(self._later) > 2 * len(self._plans) + 64:
            self._later = [entry for entry in self._later if not self._is_stale(*entry[1:])]
            heapq.heapify(self._later)

    def _is_stale(self, number: int, key: _Key) -> bool:
        plan = self._plans.get(key)
        return plan is None or plan.number != number

    # ---- hand-over ----

    def export(self) -> dict[str, Any]:
        """For `restore` in the next process of this host, whose monotonic clock is the same; JSON."""
        claims = {str(address): names and sorted(names) for address, names in self._claims.items()}
        macs = {name: mac_text(mac) for name, mac in self._macs.items()}
        plans = [[name, str(address), plan.step, plan.due] for (name, address), plan in self._plans.items()]
        return {"claims": claims, "macs": macs, "plans": plans}

    def restore(self, exported: Mapping[str, Any], now: float) -> None:
        """After ``set_interfaces``: claims what the other had, and goes on where that stopped."""
        for written, names in exported["claims"].items():
            self.claim(ip_address(written), now, None if names is None else frozenset(names))
        for name, written, step, due in exported["plans"]:
            key = name, ip_address(written)
            same_mac = name in self._macs and mac_text(self._macs[name]) == exported["macs"].get(name)
            if step and same_mac and key in self._plans:
                self._plans[key].step = step
                self._plan_later(key, self._plans[key], due)
