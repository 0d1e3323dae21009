# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does somebody else have an address? Asked before it is first claimed (RFC 5227 section 2.1, RFC 4862).

    detector = DuplicateAddressDetector(DadSettings(), random)
    detector.set_interfaces({"eth0": mac}, now)     # all that are up
    detector.begin(address, now, interfaces)        # the responder watches it meanwhile
    detector.heard(name, foreign, now)              # what `Responder.take_foreign` has given on an interface
    detector.end(address)                           # claimed after all, or not wanted any more
    detector.timer(), detector.handle_timer(now)    # as `Announcer`
    detector.verdicts()                             # Clear: nobody answered; Duplicate: asked again later

A probe of another (RFC 5227 section 2.1.1) is no answer: it may be another speaker, in the same doubt. Were
both to step back, as the RFC has it for hosts, nobody would own the address. So the one with the lower MAC
goes on, and the other begins again, later: then it hears the announcement of the first, or nobody. Hosts that
follow the RFC step back from our probes. One who probes without end is a holder, too.

For IPv6 the address's solicited-node group has to be joined before (RFC 4862 section 5.4.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from vipcast.layer2 import arp, ndp
from vipcast.layer2.frames import Mac
from vipcast.layer2.responder import Foreign, How
from vipcast.layer2.timer_queue import TimerQueue
from vipcast.layer2.token_bucket import TokenBucket
from vipcast.model.addresses import IPAddress

MOST_DEFERRALS = 3


@dataclass(frozen=True, slots=True)
class DadSettings:
    """Seconds, by the names of RFC 5227 section 1.1. Shorter than its constants: 0.3 s instead of 5 to 7.

    ``retry``: until an address that was in use is asked for again, doubled each time up to ``retry_max``.
    """

    probe_wait: float = 0.0
    probe_num: int = 3
    probe_min: float = 0.1
    probe_max: float = 0.1
    announce_wait: float = 0.1
    retry: float = 10.0
    retry_max: float = 60.0  # RATE_LIMIT_INTERVAL
    frames_per_millisecond: float = 40.0


RFC_5227 = DadSettings(probe_wait=1.0, probe_min=1.0, probe_max=2.0, announce_wait=2.0)


@dataclass(frozen=True, slots=True)
class Clear:
    address: IPAddress


@dataclass(frozen=True, slots=True)
class Duplicate:
    address: IPAddress
    mac: Mac


@dataclass(slots=True)
class _Inquiry:
    interfaces: frozenset[str] | None
    probes: int = 0  # sent in this round
    deferrals: int = 0
    failures: int = 0
    resting: bool = False  # somebody has it: until it is asked for again


class DuplicateAddressDetector:
    """See the module. ``random`` gives numbers from 0 to 1."""

    def __init__(
        self, settings: DadSettings | None = None, random: Callable[[], float] = lambda: 0.5
    ) -> None:
        self.settings = settings or DadSettings()
        self._random = random
        self._macs: dict[str, Mac] = {}
        self._inquiries: dict[IPAddress, _Inquiry] = {}
        self._timers: TimerQueue[IPAddress] = TimerQueue()
        self._verdicts: list[Clear | Duplicate] = []
        self._bucket = TokenBucket(self.settings.frames_per_millisecond * 1000)

    @property
    def asked(self) -> frozenset[IPAddress]:
        """Addresses under way, and those that wait to be asked for again."""
        return frozenset(self._inquiries)

    # ---- what is wanted ----

    def set_interfaces(self, macs: Mapping[str, Mac], now: float) -> None:
        """Set the interfaces; probing begins anew where those of an address have changed."""
        before, self._macs = self._macs, dict(macs)
        for address, inquiry in self._inquiries.items():
            if _shared(before, inquiry) != _shared(self._macs, inquiry):
                self._begin_round(address, now)

    def begin(self, address: IPAddress, now: float, interfaces: frozenset[str] | None = None) -> None:
        self._inquiries[address] = _Inquiry(interfaces)
        self._begin_round(address, now)

    def end(self, address: IPAddress) -> None:
        self._inquiries.pop(address, None)
        self._timers.drop(address)

    def heard(self, name: str, foreign: Foreign, now: float) -> None:
        """Process an answer or a probe of another, also before our first probe (RFC 5227 section 2.1.1)."""
        inquiry = self._inquiries.get(foreign.address)
        if inquiry is None or inquiry.resting or name not in _shared(self._macs, inquiry):
            return
        if foreign.how is not How.PROBE:
            self._fail(foreign, inquiry, now)
        elif foreign.mac < self._macs[name]:
            self._defer(foreign, inquiry, now)

    # ---- the driver's ----

    def timer(self) -> float | None:
        due = self._timers.next
        return None if due is None else max(due, self._bucket.ready_at)

    def handle_timer(self, now: float) -> list[tuple[str, bytes]]:
        frames: list[tuple[str, bytes]] = []
        self._bucket.begin(now)
        while self._bucket.allows and (address := self._timers.take(now)) is not None:
            probes = self._next_step(address, now)
            self._bucket.spend(len(probes))
            frames.extend(probes)
        return frames

    def verdicts(self) -> list[Clear | Duplicate]:
        taken, self._verdicts = self._verdicts, []
        return taken

    # ---- rounds ----

    def _begin_round(self, address: IPAddress, now: float) -> None:
        """Begin to probe; without an interface nothing can be asked."""
        inquiry = self._inquiries[address]
        inquiry.probes, inquiry.resting = 0, False
        if _shared(self._macs, inquiry):
            self._timers.put(address, now + self.settings.probe_wait * self._random())
        else:
            self._timers.drop(address)

    def _next_step(self, address: IPAddress, now: float) -> list[tuple[str, bytes]]:
        inquiry, settings = self._inquiries[address], self.settings
        if inquiry.probes >= settings.probe_num:
            del self._inquiries[address]
            self._verdicts.append(Clear(address))
            return []
        inquiry.resting = False
        inquiry.probes += 1
        pause = settings.probe_min + (settings.probe_max - settings.probe_min) * self._random()
        last = inquiry.probes == settings.probe_num
        self._timers.put(address, now + (settings.announce_wait if last else pause))
        return [(name, _probe(mac, address)) for name, mac in _shared(self._macs, inquiry).items()]

    def _defer(self, foreign: Foreign, inquiry: _Inquiry, now: float) -> None:
        """Begin again when the other must have announced. A round that waits for that goes on waiting."""
        if inquiry.probes == 0:
            return
        inquiry.deferrals += 1
        if inquiry.deferrals > MOST_DEFERRALS:
            self._fail(foreign, inquiry, now)
            return
        inquiry.probes = 0
        self._timers.put(foreign.address, now + 2 * self._longest())

    def _fail(self, foreign: Foreign, inquiry: _Inquiry, now: float) -> None:
        settings = self.settings
        pause = min(settings.retry_max, settings.retry * 2.0**inquiry.failures)
        inquiry.failures = min(inquiry.failures + 1, 16)
        inquiry.probes, inquiry.deferrals, inquiry.resting = 0, 0, True
        self._timers.put(foreign.address, now + pause)
        self._verdicts.append(Duplicate(foreign.address, foreign.mac))

    def _longest(self) -> float:
        settings = self.settings
        return settings.probe_wait + settings.probe_max * (settings.probe_num - 1) + settings.announce_wait


def _shared(macs: Mapping[str, Mac], inquiry: _Inquiry) -> dict[str, Mac]:
    names = inquiry.interfaces
    return {name: mac for name, mac in macs.items() if names is None or name in names}


def _probe(mac: Mac, address: IPAddress) -> bytes:
    return arp.probe(mac, address) if isinstance(address, IPv4Address) else ndp.probe(mac, address)
