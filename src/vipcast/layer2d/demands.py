# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What speakers want: the last one that spoke is followed, and goes on being followed when it has gone.

A speaker that is restarted, or that crashed, leaves everything as it is. Only when nobody has come for a long
time this node asks the others to take its addresses over: then nobody follows the cluster here any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from vipcast.layer2.wants import Address, AddressWant, Electorate, Layer2Wants
from vipcast.net import layer2_protocol as protocol
from vipcast.net.lines import ProtocolError
from vipcast.punctual.program import ORPHAN_SECONDS

__all__ = ["Demands"]


@dataclass(slots=True)
class Demands:
    """Clients are whatever can be a key. Monotonic times. ``said``: None before the first one."""

    orphan_seconds: float = ORPHAN_SECONDS
    said: Layer2Wants | None = None
    until: float | None = None  # nobody is there: so long what was said counts
    orphaned: bool = False
    _clients: dict[object, Layer2Wants] = field(default_factory=dict)

    def want(self, client: object, written: object) -> None:
        """Raises ProtocolError."""
        self._follow(client, protocol.read_wants(written))

    def change(self, client: object, written: object) -> None:
        """Raises ProtocolError."""
        if client not in self._clients:
            raise ProtocolError("a change before everything was said")
        self._follow(client, protocol.apply_change(self._clients[client], written))

    def gone(self, client: object, now: float) -> None:
        self._clients.pop(client, None)
        if not self._clients and self.said is not None and not self.orphaned:
            self.until = now + self.orphan_seconds

    def adopt(self, wants: Layer2Wants, until: float, orphaned: bool) -> None:
        """Those of another process, until somebody says something."""
        self.said, self.until, self.orphaned = wants, until, orphaned

    def expire(self, now: float) -> bool:
        """Whether the time of what was said is over now."""
        if self.until is None or now < self.until:
            return False
        self.until, self.orphaned = None, True
        return True

    def deadline(self, now: float) -> float:
        """For a process that takes over: its clients have to find it first."""
        return now + self.orphan_seconds if self.until is None else self.until

    @property
    def clients(self) -> int:
        return len(self._clients)

    @property
    def effective(self) -> Layer2Wants | None:
        """An orphan is nobody's candidate."""
        if self.said is None or not self.orphaned:
            return self.said
        return replace(self.said, addresses=_without(self.said.node, self.said.addresses))

    def _follow(self, client: object, wants: Layer2Wants) -> None:
        if not wants.node:
            raise ProtocolError("wants without the node's name")
        if self.said is not None and wants.node != self.said.node:
            raise ProtocolError(f"this is node {self.said.node}, not {wants.node}")
        self._clients[client] = self.said = wants
        self.until, self.orphaned = None, False


def _without(node: str, addresses: Mapping[Address, AddressWant]) -> dict[Address, AddressWant]:
    known: dict[Electorate, Any] = {}
    for want in addresses.values():
        if want.electorate not in known:
            known[want.electorate] = tuple((rank, nodes - {node}) for rank, nodes in want.electorate)
    return {address: replace(want, electorate=known[want.electorate]) for address, want in addresses.items()}
