# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests of speakers: the last one that spoke is followed, also when it has gone.

A speaker that is restarted, or that crashed, leaves everything as it is. Only when nobody has come for a long
time this node asks the others to take its addresses over: then nobody follows the cluster here any more.
Until they have it goes on, and where nobody has a speaker that is for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vipcast.agent.limits import ORPHAN_SECONDS
from vipcast.layer2.api import Layer2Wants
from vipcast.net import layer2_protocol as protocol
from vipcast.net.ipc import ProtocolError

__all__ = ["ClientRequests"]


@dataclass(slots=True)
class ClientRequests:
    """Clients are whatever can be a key. Monotonic times. ``said``: None before the first one."""

    orphan_seconds: float = ORPHAN_SECONDS
    said: Layer2Wants | None = None
    until: float | None = None  # nobody is there: so long what was said counts
    orphaned: bool = False
    _clients: dict[object, Layer2Wants] = field(default_factory=dict)

    def want(self, client: object, written: object) -> protocol.Reading:
        """Read it in pieces; what is wanted already comes as it is. Raises ProtocolError."""
        nothing = Layer2Wants(node="")
        wants = yield from protocol.change_in_pieces(nothing, written, self.said)
        return self._follow(client, wants)

    def change(self, client: object, written: object) -> protocol.Reading:
        """Raises ProtocolError."""
        if client not in self._clients:
            raise ProtocolError("a change before everything was said")
        wants = yield from protocol.change_in_pieces(self._clients[client], written)
        return self._follow(client, wants)

    def gone(self, client: object, now: float) -> None:
        self._clients.pop(client, None)
        if not self._clients and self.said is not None and not self.orphaned:
            self.until = now + self.orphan_seconds

    def adopt(self, wants: Layer2Wants, until: float, orphaned: bool) -> None:
        """Take over the requests that another process followed, until a client says something."""
        self.said, self.until, self.orphaned = wants, until, orphaned

    def expire(self, now: float) -> bool:
        """Return whether the time of what was said is over now."""
        if self.until is None or now < self.until:
            return False
        self.until, self.orphaned = None, True
        return True

    def deadline(self, now: float) -> float:
        """Return the deadline for a process that takes over: its clients have to find it first."""
        return now + self.orphan_seconds if self.until is None else self.until

    @property
    def clients(self) -> int:
        return len(self._clients)

    def _follow(self, client: object, wants: Layer2Wants) -> Layer2Wants:
        if not wants.node:
            raise ProtocolError("wants without the node's name")
        if self.said is not None and wants.node != self.said.node:
            raise ProtocolError(f"this is node {self.said.node}, not {wants.node}")
        self._clients[client] = self.said = wants
        self.until, self.orphaned = None, False
        return wants
