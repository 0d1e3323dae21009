# SPDX-License-Identifier: GPL-3.0-or-later
"""The speaker's BFD: asks the BFD process for sessions, and ends what ran over a path that is lost.

A speaker without a BFD process beside it goes on: then the hold timer alone finds a dead router, and that is
said by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from vipcast.daemon.log import log_for
from vipcast.model.addresses import IPAddress
from vipcast.model.configuration import Configuration
from vipcast.model.peers import Peer
from vipcast.net.bfd import BfdClient, BfdStatus
from vipcast.net.connected_networks import on_link as ask_on_link
from vipcast.net.peering import Peering, PeerSettings
from vipcast.speaker.absence_timer import AbsenceTimer
from vipcast.speaker.bgp.bfd_sessions import Losses, bfd_sessions

__all__ = ["BfdManager"]

LINKS_SECONDS = 10.0

_log = log_for("speaker")
_Spawn = Callable[[str, Coroutine[Any, Any, None]], asyncio.Task[None]]


class BfdManager:
    """The sessions that are asked for. `on_change` is called when there is something new to say of one."""

    def __init__(
        self,
        namespace: str,
        *,
        spawn: _Spawn,
        peerings: Callable[[], Mapping[str, Peering]],
        on_change: Callable[[], None],
    ) -> None:
        self._client = BfdClient(self._changed, namespace=namespace)
        self._spawn, self._peerings, self._on_change = spawn, peerings, on_change
        self._task: asyncio.Task[None] | None = None
        self._losses = Losses()
        self._impossible: dict[str, str] = {}
        self._wanted: frozenset[str] = frozenset()
        self._absence = AbsenceTimer(on_change)
        self._links: dict[IPAddress, tuple[float, bool]] = {}  # when it was asked, and the answer

    def want(
        self,
        peers: Iterable[Peer],
        settings: Iterable[PeerSettings],
        configuration: Configuration,
        *,
        closing: frozenset[str] = frozenset(),
    ) -> None:
        """A session for every peer that has a profile and can have one.

        Those of the peers that are `closing` stay as they are: a router is to hear of the end of BGP first,
        then of that of BFD.
        """
        known = {profile.name: profile for profile in configuration.bfd_profiles}
        profiles = {peer.name: known[peer.bfd_profile] for peer in peers if peer.bfd_profile in known}
        sessions, self._impossible = bfd_sessions(profiles, settings, self._address, self._on_link)
        sessions = {name: each for name, each in self._client.wanted.items() if name in closing} | sessions
        self._wanted = frozenset(sessions)
        if sessions and self._task is None:
            self._task = self._spawn("bfd", self._client.run())
        self._client.want(sessions)
        self._look_for_process()

    def leave(self, preserved: frozenset[str]) -> None:
        """Leave at the end: the agent keeps these sessions up for a while, and takes down the others."""
        self._client.want({name: each for name, each in self._client.wanted.items() if name in preserved})

    def statuses(self) -> Mapping[str, BfdStatus]:
        """Return the statuses by the peer's name."""
        return self._client.statuses()

    def problems(self) -> dict[str, str]:
        """Peers without the BFD that they should have, and why; `statuses` has what the process says."""
        found = dict(self._impossible)
        if self._absence.absent and self._client.problem:
            message = f"{self._client.problem}; only the hold timer finds a dead router"
            found |= dict.fromkeys(self._wanted, message)
        return found

    def _address(self, settings: PeerSettings) -> IPAddress | None:
        """Return the peer's address; for a peer on an interface it is that of the session."""
        if settings.address is not None:
            return settings.address
        peering = self._peerings().get(settings.name)
        return peering.status().remote_address if peering else None

    def _on_link(self, address: IPAddress) -> bool:
        """Decisions come many times a second, and the kernel's table may be long."""
        now = asyncio.get_running_loop().time()
        asked, answer = self._links.get(address, (now, False))
        if address not in self._links or now - asked > LINKS_SECONDS:
            self._links[address] = now, (answer := ask_on_link(address))
        return answer

    def _changed(self) -> None:
        """End the BGP session at once, and not with the next decision: packets are being lost."""
        peerings = self._peerings()
        for name, why in self._losses.take(self._client.statuses()).items():
            _log.warning("bfd_down", peer=name, why=why)
            if name in peerings:
                peerings[name].bfd_down(why)
        self._look_for_process()
        self._on_change()

    def _look_for_process(self) -> None:
        self._absence.update(missed=not self._client.connected and bool(self._wanted))
