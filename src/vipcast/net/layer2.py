# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The speaker's side of layer 2: says which addresses are to have an owner, hears who it is.

The answers are given by a process of their own (`vipcast layer2`), which goes on when this one ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from vipcast.layer2.api import (
    AddressStatus,
    Layer2Status,
    Layer2Wants,
    MemberStatus,
    Move,
    Traffic,
)
from vipcast.model.addresses import IPAddress
from vipcast.model.defaults import NAMESPACE
from vipcast.net import layer2_protocol as protocol
from vipcast.net.ipc import PROTOCOL, Json
from vipcast.net.ipc_client import IpcClient

__all__ = ["Layer2Client"]

_NOT_THERE = "the layer-2 process (vipcast layer2) does not answer on this node: {}"
# Who takes no moves gets the last ones when he does.
_MOST_MOVES = 10_000


class Layer2Client(IpcClient):
    """``on_change`` is called in the event loop when ``status`` (more than its counters), ``connected`` or
    ``problem`` have changed, and when there are moves. While the process is away the last status stays:
    nobody knows better.
    """

    def __init__(self, on_change: Callable[[], None], *, namespace: str = NAMESPACE) -> None:
        name = protocol.control_name(namespace)
        super().__init__(on_change, name=name, away=_NOT_THERE, limit=protocol.MAX_LINE)
        self.status = Layer2Status()
        self._growing: Layer2Status | None = None  # while not all pieces of it have come
        self._wanted: Layer2Wants | None = None  # until we know, what is there goes on
        self._moves: deque[Move] = deque(maxlen=_MOST_MOVES)

    def want(self, wants: Layer2Wants) -> None:
        """Everything; only what became different goes over."""
        before, self._wanted = self._wanted, wants
        if before is None:
            self._tell()
        elif before is not wants and (change := protocol.write_change(before, wants)):
            self._send({"change": change})

    @property
    def wanted(self) -> Layer2Wants | None:
        """Return what was asked for last."""
        return self._wanted

    def statuses(self) -> Mapping[IPAddress, AddressStatus]:
        """Return the statuses of wanted addresses that the agent has said something about."""
        wanted = {} if self._wanted is None else self._wanted.addresses
        return {address: each for address, each in self.status.addresses.items() if address in wanted}

    def members(self) -> Mapping[str, MemberStatus]:
        return self.status.members

    def take_moves(self) -> list[Move]:
        """Return those since the last time, in their order."""
        moves = list(self._moves)
        self._moves.clear()
        return moves

    def _tell(self) -> None:
        self._growing = None
        if self._wanted is not None:
            want = {**protocol.write_wants(self._wanted), "pieces": True}
            self._send({"want": want, "versions": PROTOCOL})

    def _hear(self, message: Json) -> None:
        before = self.status, self.problem
        if "status" in message:
            self._growing, self.problem = protocol.read_status(message["status"]), None
        if "change" in message:
            self._growing = protocol.apply_status_change(self._growing or self.status, message["change"])
        # Moves and errors come in between, and end nothing.
        if self._growing is not None and not message.get("more") and message.keys() & {"status", "change"}:
            self.status, self._growing = self._growing, None
        if "moves" in message:
            self._moves += protocol.read_moves(message["moves"])
        if "error" in message:
            self.problem = f"the layer-2 process refuses: {message['error']}"
        if self._moves or _news(self.status, self.problem) != _news(*before):
            self._on_change()


def _news(status: Layer2Status, problem: str | None) -> tuple[Layer2Status, str | None]:
    """Return the status without what changes all the time."""
    members = {name: replace(each, round_trip=None) for name, each in status.members.items()}
    return replace(status, members=members, counters={}, traffic=Traffic()), problem
