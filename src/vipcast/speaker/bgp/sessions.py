# SPDX-License-Identifier: GPL-3.0-or-later
"""The sessions that run: what is wanted goes in whole, and only what differs is touched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from vipcast.bgp.error_codes import Cease
from vipcast.bgp.route import Route
from vipcast.daemon.log import log_for
from vipcast.net.listener import Listener
from vipcast.net.peering import Peering, PeerSettings
from vipcast.speaker.bgp.settings import same_router

__all__ = ["CeaseReason", "Sessions"]

_log = log_for("speaker")
_Spawn = Callable[[str, Coroutine[Any, Any, None]], asyncio.Task[None]]


@dataclass(frozen=True, slots=True)
class CeaseReason:
    """The message and subcode of the CEASE at the end of a session (RFC 9003)."""

    message: str
    subcode: Cease = Cease.ADMINISTRATIVE_SHUTDOWN


REMOVED = CeaseReason("the peer was removed", Cease.PEER_DECONFIGURED)


@dataclass(slots=True)
class _Session:
    peering: Peering
    task: asyncio.Task[None]


class Sessions:
    """One `Peering` per peer that is wanted. `listener`: where routers may connect to us."""

    def __init__(
        self, *, spawn: _Spawn, notify: Callable[[], None], listener: Listener | None = None
    ) -> None:
        self._spawn, self._notify, self._listener = spawn, notify, listener
        self._running: dict[str, _Session] = {}
        self._closing: dict[asyncio.Task[None], str] = {}

    @property
    def peerings(self) -> Mapping[str, Peering]:
        """The peerings by the name of the peer."""
        return {name: session.peering for name, session in self._running.items()}

    @property
    def closing(self) -> frozenset[str]:
        """The peers that are being told that it is over; `notify` is called when one has been."""
        return frozenset(self._closing.values())

    def want(
        self,
        settings: Iterable[PeerSettings],
        routes: Mapping[str, frozenset[Route]],
        *,
        cease: CeaseReason | None = None,
    ) -> None:
        """Set the sessions and their routes. A session whose settings are as they were is not disturbed.

        `cease` is said where a session ends, unless it is because the peer was removed.
        """
        wanted = {each.name: each for each in settings}
        for name in self._running.keys() - wanted.keys():
            self._stop(name, cease or REMOVED)
        for name, each in wanted.items():
            self._start(name, each)
            self._running[name].peering.set_routes(routes.get(name, frozenset()))

    async def close(self, message: str, *, preserve: bool) -> frozenset[str]:
        """End all sessions, saying why (RFC 9003); the peers that were asked to keep the routes (RFC 4724).

        `preserve`: whether somebody comes after us who announces them again.
        """
        running = {name: session.peering for name, session in self._running.items()}
        kept = {name for name, each in running.items() if preserve and each.settings.restart_time is not None}
        await asyncio.gather(*(each.close(message, preserve=name in kept) for name, each in running.items()))
        return frozenset(kept)

    def _start(self, name: str, settings: PeerSettings) -> None:
        old = self._running.get(name)
        if old and (old.peering.settings == settings or _takes_password(old.peering, settings)):
            return
        _log.info("session_restarted" if old else "session_started", peer=name, address=settings.place)
        peering = Peering(settings, notify=self._notify, listener=self._listener)
        self._running[name] = _Session(peering, self._spawn(f"peer {name}", _replace(old, peering)))

    def _stop(self, name: str, cease: CeaseReason) -> None:
        _log.info("session_removed", peer=name, why=cease.message)
        session = self._running.pop(name)
        closing = session.peering.close(cease.message, subcode=cease.subcode)
        task = self._spawn(f"closing of peer {name}", closing)
        self._closing[task] = name
        task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        del self._closing[task]
        self._notify()


def _takes_password(peering: Peering, settings: PeerSettings) -> bool:
    """Return whether nothing but the password is new, and the session goes on with that one."""
    password = settings.password
    if password is None or settings != replace(peering.settings, password=password):
        return False
    taken = peering.set_password(password)
    _log.info("password_changed", peer=settings.name, session="goes on" if taken else "begins anew")
    return taken


async def _replace(old: _Session | None, new: Peering) -> None:
    """First the end of the old session: a router takes one from each neighbor."""
    if old:
        preserve = same_router(old.peering.settings, new.settings)
        message, subcode = "the peer's settings changed", Cease.CONFIGURATION_CHANGE
        await old.peering.close(message, subcode=subcode, preserve=preserve)
        await asyncio.wait({old.task})
    await new.run()
