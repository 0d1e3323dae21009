# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The speaker's side of BFD: says which sessions there should be, hears what became of them.

The sessions are in a process of their own (`vipcast bfd`), which goes on when this one ends: a router that
sees BFD with the control-plane-independent bit tells a restart of the BGP program from the death of the node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from vipcast.bfd.fsm import BfdState, Diagnostic
from vipcast.bfd.settings import BadSettingsError, BfdCounters, BfdSettings, BfdStatus
from vipcast.model.defaults import NAMESPACE
from vipcast.net import bfd_protocol as protocol
from vipcast.net.ipc import PROTOCOL, Json, ProtocolError
from vipcast.net.ipc_client import IpcClient

__all__ = [
    "BadSettingsError",
    "BfdClient",
    "BfdCounters",
    "BfdSettings",
    "BfdState",
    "BfdStatus",
    "Diagnostic",
]

_NOT_THERE = "the BFD process (vipcast bfd) does not answer on this node: {}"


class BfdClient(IpcClient):
    """Sessions by name. ``on_change`` is called in the event loop when ``statuses`` (more than its counters),
    ``connected`` or ``problem`` have changed. While the process is away the last statuses stay: nobody knows
    better.
    """

    def __init__(self, on_change: Callable[[], None], *, namespace: str = NAMESPACE) -> None:
        name = protocol.control_name(namespace)
        super().__init__(on_change, name=name, away=_NOT_THERE, limit=protocol.MAX_LINE)
        self._wanted: dict[str, BfdSettings] | None = None  # until we know, what is there goes on
        self._statuses: dict[str, BfdStatus] = {}

    def want(self, sessions: Mapping[str, BfdSettings]) -> None:
        """The whole set; the process finds the difference, and takes down what is no longer in it."""
        if dict(sessions) != self._wanted:
            self._wanted = dict(sessions)
            self._tell()

    def statuses(self) -> Mapping[str, BfdStatus]:
        """Return the statuses of wanted sessions that the agent has said something about."""
        return {name: status for name, status in self._statuses.items() if name in (self._wanted or {})}

    @property
    def wanted(self) -> Mapping[str, BfdSettings]:
        """Return what was asked for last."""
        return self._wanted or {}

    def _tell(self) -> None:
        if self._wanted is not None:
            want = {name: protocol.write_settings(settings) for name, settings in self._wanted.items()}
            self._send({"want": want, "versions": PROTOCOL})

    def _hear(self, message: Json) -> None:
        sessions = message.get("sessions", {})
        if not isinstance(sessions, dict):
            raise ProtocolError("sessions that are no object")
        statuses = {name: protocol.read_status(status) for name, status in sessions.items()}
        news = _without_counters(statuses) != _without_counters(self._statuses)
        self._statuses = statuses
        if news:
            self._on_change()


def _without_counters(statuses: Mapping[str, BfdStatus]) -> dict[str, BfdStatus]:
    return {name: replace(status, counters=BfdCounters()) for name, status in statuses.items()}
