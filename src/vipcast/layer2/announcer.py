# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says on the segments which addresses are here: at once, some times more, and then now and again.

    announcer = Announcer(AnnouncerSettings())
    announcer.set_interfaces({"eth0": mac}, now)    # all that are up; a new one, or a new MAC: all anew
    announcer.claim(address, now, interfaces)       # None: on all of them; claimed again, it begins anew
    announcer.place(address, now, interfaces)       # on these instead
    announcer.release(address)
    announcer.timer()                               # when `handle_timer` has something to say, or None
    announcer.handle_timer(now)                     # [(interface, frame), ...], to be sent now

Caches that have the previous owner are corrected by the first one (RFC 5227 section 3, RFC 4861 section
7.2.6); the repeats are for frames that get lost and for ports that a switch has not opened yet, the refresh
is for switches and routers that forget. Times are seconds of any monotonic clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import Any
from zlib import crc32

from vipcast.layer2 import arp, ndp
from vipcast.layer2.api import ANNOUNCE_RATE
from vipcast.layer2.frames import Mac, mac_text
from vipcast.layer2.timer_queue import TimerQueue
from vipcast.layer2.token_bucket import TokenBucket
from vipcast.model.addresses import IPAddress

# RFC 5227 section 2.4: nobody defends an address more often (section 1.1, DEFEND_INTERVAL).
DEFEND_INTERVAL = 10.0
# Refreshes of one tick go out together: a process that wakes for each of many addresses never sleeps.
TICK = 0.5

_Key = tuple[str, IPAddress]


@dataclass(frozen=True, slots=True)
class AnnouncerSettings:
    """``repeats``: seconds after the first. ``refresh``: every so many seconds, 0: never.

    ``frames_per_millisecond``: what sockets have room for. ``frames_per_second``: what routers and switches
    take for a flood is less than that; as many go out at once after a silence
    (docs/design/0017-layer2.md has the sources).
    """

    repeats: tuple[float, ...] = (0.1, 0.3, 1.0, 2.0, 4.0)
    refresh: float = 60.0
    frames_per_millisecond: float = 40.0
    frames_per_second: float = ANNOUNCE_RATE


class Announcer:
    """See the module. ``sent``: frames, by address that is claimed."""

    def __init__(self, settings: AnnouncerSettings | None = None) -> None:
        self.settings = settings or AnnouncerSettings()
        self.sent: dict[IPAddress, int] = {}
        # The first time has two parts, for IPv4: while frames are scarce, all requests go before any reply.
        self._repeats = (0.0, *self.settings.repeats)
        self._refresh = self.settings.refresh
        self._macs: dict[str, Mac] = {}
        self._claims: dict[IPAddress, frozenset[str] | None] = {}
        self._defended: dict[IPAddress, float] = {}
        self._said: dict[_Key, int] = {}  # how often
        # What has not been said at all goes before every repeat.
        self._first: TimerQueue[_Key] = TimerQueue()
        self._later: TimerQueue[_Key] = TimerQueue()
        self._bucket = TokenBucket(self.settings.frames_per_millisecond * 1000)
        self._rate, self._bound = 0.0, TokenBucket(0.0)
        self.set_rate(self.settings.frames_per_second)

    @property
    def claimed(self) -> Mapping[IPAddress, frozenset[str] | None]:
        return self._claims

    # ---- what is wanted ----

    def set_interfaces(self, macs: Mapping[str, Mac], now: float) -> None:
        before, self._macs = self._macs, dict(macs)
        for key in [key for key in self._said if key[0] not in macs]:
            self._end(key)
        for name, mac in macs.items():
            if before.get(name) != mac:
                for address, interfaces in self._claims.items():
                    if interfaces is None or name in interfaces:
                        self._begin((name, address), now)

    def claim(self, address: IPAddress, now: float, interfaces: frozenset[str] | None = None) -> None:
        self._claims[address] = interfaces
        self.sent.setdefault(address, 0)
        for name in self._macs:
            if interfaces is None or name in interfaces:
                self._begin((name, address), now)
            else:
                self._end((name, address))

    def place(self, address: IPAddress, now: float, interfaces: frozenset[str]) -> None:
        """It is claimed on these from now on; where it was claimed before nothing is said anew."""
        self._claims[address] = interfaces
        for name in self._macs:
            key = name, address
            if name not in interfaces:
                self._end(key)
            elif key not in self._said:
                self._begin(key, now)

    def release(self, address: IPAddress) -> None:
        self._claims.pop(address, None)
        self.sent.pop(address, None)
        self._defended.pop(address, None)
        for name in self._macs:
            self._end((name, address))

    def defend(self, address: IPAddress, now: float) -> bool:
        """Another one says that he has it: say once that we do, if not in the last ten seconds.

        RFC 5227 section 2.4 (c): a VIP is not given up, whoever takes it. What is said often anyway suffices.
        """
        if address not in self._claims or now < self._defended.get(address, -1e9) + DEFEND_INTERVAL:
            return False
        self._defended[address] = now
        for key in ((name, address) for name in self._macs):
            if self._said.get(key, 0) > len(self._repeats):
                self._later.drop(key)
                self._first.put(key, now)
        return True

    def again(self, address: IPAddress, now: float) -> None:
        """Say it once more on all interfaces where it was said, as soon as may be."""
        for key in [(name, address) for name in self._macs if (name, address) in self._said]:
            self._later.drop(key)
            self._first.put(key, now)

    def set_rate(self, frames: float) -> None:
        """Send no more frames in a second, once as many as that have gone out at once."""
        if frames != self._rate:
            self._rate, self._bound = frames, TokenBucket(frames, blast=1.0)

    def set_refresh(self, seconds: float, now: float) -> None:
        if seconds == self._refresh:
            return
        self._refresh = seconds
        for key, said in self._said.items():
            if said > len(self._repeats):
                self._plan_refresh(key, self._spread(key, now))

    # ---- the driver's ----

    def timer(self) -> float | None:
        """Never earlier than the pace allows."""
        due = self._first.next if self._first else self._later.next
        return None if due is None else max(due, self._bucket.ready_at, self._bound.ready_at)

    def handle_timer(self, now: float) -> list[tuple[str, bytes]]:
        """Return as many frames as the token bucket allows now, the most urgent first."""
        frames: list[tuple[str, bytes]] = []
        self._bucket.begin(now)
        self._bound.begin(now)
        while self._bucket.allows and self._bound.allows and (found := self._take(now)) is not None:
            key, due = found
            said = self._frames(key)
            self._bucket.spend(len(said))
            self._bound.spend(len(said))
            self.sent[key[1]] += len(said)
            frames.extend((key[0], frame) for frame in said)
            self._plan_next(key, due, now)
        return frames

    def _take(self, now: float) -> tuple[_Key, float] | None:
        for timer_queue in (self._first, self._later):
            due = timer_queue.next
            if due is not None and (key := timer_queue.take(now)) is not None:
                return key, due
        return None

    def _frames(self, key: _Key) -> tuple[bytes, ...]:
        """The first time a request, which most equipment learns from; then the reply that belongs to it."""
        mac, address = self._macs[key[0]], key[1]
        said = self._said[key]
        if isinstance(address, IPv4Address):
            frames = arp.announcements(mac, address)
            return frames[said : said + 1] if said < len(frames) else frames
        return () if said == 1 else (ndp.announcement(mac, address),)

    # ---- plans ----

    def _begin(self, key: _Key, now: float) -> None:
        self._said[key] = 0
        self._later.drop(key)
        self._first.put(key, now)

    def _end(self, key: _Key) -> None:
        self._said.pop(key, None)
        self._first.drop(key)
        self._later.drop(key)

    def _plan_next(self, key: _Key, due: float, now: float) -> None:
        """Counted from when it was said, so that repeats that wait for others do not come all at once."""
        repeats, before = self._repeats, self._said[key]
        self._said[key] = before + 1
        if before < len(repeats):
            self._later.put(key, now + repeats[before] - (repeats[before - 1] if before else 0.0))
        elif before == len(repeats) or due + self._refresh <= now:
            self._plan_refresh(key, self._spread(key, now))
        else:
            self._plan_refresh(key, due + self._refresh)

    def _plan_refresh(self, key: _Key, due: float) -> None:
        if self._refresh > 0:
            tick = min(TICK, self._refresh / 20)
            self._later.put(key, math.ceil(due / tick) * tick)
        else:
            self._later.drop(key)

    def _spread(self, key: _Key, now: float) -> float:
        """Return the delay of an address within the interval, so that not all are refreshed at once."""
        return now + self._refresh * (crc32(key[1].packed) / 2**32)

    # ---- hand-over ----

    def export(self) -> dict[str, Any]:
        """Return JSON for `restore` in the next process of this host, whose monotonic clock is the same."""
        claims = {str(address): names and sorted(names) for address, names in self._claims.items()}
        macs = {name: mac_text(mac) for name, mac in self._macs.items()}
        plans = [[*self._written(key), said, self._later.due(key)] for key, said in self._said.items()]
        return {"claims": claims, "macs": macs, "plans": plans}

    def restore(self, exported: Mapping[str, Any], now: float) -> None:
        """Claim what the former process had and go on where it stopped; call ``set_interfaces`` before."""
        for written, names in exported["claims"].items():
            self.claim(ip_address(written), now, None if names is None else frozenset(names))
        kept = {name for name, mac in self._macs.items() if mac_text(mac) == exported["macs"].get(name)}
        for name, written, said, due in exported["plans"]:
            key = name, ip_address(written)
            if said and name in kept and key in self._said:
                self._continue(key, said, due)

    def _continue(self, key: _Key, said: int, due: float | None) -> None:
        self._said[key] = said
        self._first.drop(key)
        if due is not None:
            self._later.put(key, due)

    @staticmethod
    def _written(key: _Key) -> tuple[str, str]:
        return key[0], str(key[1])
