# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sessions that there should be: those of clients, and for a time those of clients that have gone.

A client that goes (a BGP program that is restarted, or that crashed) leaves its sessions behind. They go on
until they are wanted again or their time is over: routers see the node alive while nobody speaks BGP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from vipcast.agent.limits import ORPHAN_SECONDS
from vipcast.bfd.settings import BfdSettings
from vipcast.model.addresses import IPAddress

# A new client may not know all its peers at once: for so long, what it has not asked for yet goes on too.
SETTLE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Identity:
    """The key of a session: RFC 5880 section 6.3 has one session for a pair of systems and a path."""

    peer: IPAddress
    local: IPAddress | None
    interface: str | None
    multihop: bool
    vrf: str | None


def identity(settings: BfdSettings) -> Identity:
    return Identity(settings.peer, settings.local, settings.interface, settings.multihop, settings.vrf)


@dataclass(slots=True)
class ClientRequests:
    """Clients are whatever can be a key. Times are of the monotonic clock."""

    orphan_seconds: float = ORPHAN_SECONDS
    clients: dict[object, dict[str, BfdSettings]] = field(default_factory=dict)
    orphans: dict[Identity, tuple[BfdSettings, float]] = field(default_factory=dict)

    def want(self, client: object, sessions: Mapping[str, BfdSettings], now: float) -> None:
        """The client's whole set."""
        first = self.clients.pop(client, None) is None
        self.clients[client] = dict(sessions)
        for known in {identity(settings) for settings in sessions.values()}:
            self.orphans.pop(known, None)
        if first:
            for known, (settings, until) in self.orphans.items():
                self.orphans[known] = settings, min(until, now + SETTLE_SECONDS)

    def gone(self, client: object, now: float) -> None:
        for settings in self.clients.pop(client, {}).values():
            self.orphans[identity(settings)] = settings, now + self.orphan_seconds

    def adopt(self, settings: BfdSettings, until: float) -> None:
        """A session of another process, until somebody asks for it."""
        self.orphans[identity(settings)] = settings, until

    def expire(self, now: float) -> bool:
        """Return whether somebody's time was over."""
        over = [known for known, (_settings, until) in self.orphans.items() if now >= until]
        for known in over:
            del self.orphans[known]
        return bool(over)

    def timer(self) -> float | None:
        return min((until for _settings, until in self.orphans.values()), default=None)

    def sessions(self) -> dict[Identity, BfdSettings]:
        """Return where two want one session and disagree, the one that spoke last is followed."""
        wanted = {known: settings for known, (settings, _until) in self.orphans.items()}
        for named in self.clients.values():
            wanted |= {identity(settings): settings for settings in named.values()}
        return wanted

    def untils(self, now: float) -> Iterator[tuple[Identity, float]]:
        """Yield each session with the time until which it goes on without a client, for a successor."""
        for known in self.sessions():
            orphan = self.orphans.get(known)
            yield known, orphan[1] if orphan else now + self.orphan_seconds
