# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The publisher of status changes: what each client was told, and when there is more to tell."""

from __future__ import annotations

from vipcast.agent.channel import Channel
from vipcast.layer2.api import Layer2Status
from vipcast.layer2_agent.node import Node
from vipcast.layer2_agent.status import StatusReport
from vipcast.net import layer2_protocol as protocol
from vipcast.net.ipc import PROTOCOL, Json, line

__all__ = ["StatusPublisher"]

# Counters are told so often; changes soon, but not one by one where many come together.
REPORT_SECONDS = 5.0
BURST_SECONDS = 0.02


class StatusPublisher:
    """``clients``: those who have said what they want. Moves wait until somebody is there who hears them."""

    def __init__(self, node: Node, report: StatusReport) -> None:
        self.clients: dict[Channel, Layer2Status | None] = {}  # with what it was told
        self._node, self._report = node, report
        self._at = self._counted_at = 0.0
        self._pieces: set[Channel] = set()  # those who take the first status in pieces, too
        self._waiting: set[Channel] = set()  # those who were told a piece, and wait for the next one
        self._rows: dict[Channel, protocol.Rows] = {}  # that they are to be told, of the status in `clients`

    def wants_all(self, channel: Channel, *, pieces: bool) -> None:
        self.clients[channel] = None
        self._waiting.discard(channel)
        self._rows.pop(channel, None)
        (self._pieces.add if pieces else self._pieces.discard)(channel)

    def gone(self, channel: Channel) -> None:
        self.clients.pop(channel, None)
        self._pieces.discard(channel)
        self._waiting.discard(channel)
        self._rows.pop(channel, None)

    def timer(self) -> float | None:
        if not self.clients:
            return None
        soon = self._at + BURST_SECONDS
        return soon if self._has_news else max(soon, self._counted_at + REPORT_SECONDS)

    @property
    def _has_news(self) -> bool:
        owned = self._node.owned_addresses
        news = self._node.news or owned.touched or owned.moves or self._waiting
        return bool(news) or None in self.clients.values()

    def publish(self, now: float) -> None:
        self._at = now
        # Of thousands of addresses the counters are work of their own: not together with a first status.
        busy = self._waiting or None in self.clients.values()
        counters = not busy and now >= self._counted_at + REPORT_SECONDS
        if counters:
            self._counted_at = now
        self._node.news = False
        self._report.look(counters=counters)
        moves = [protocol.write_move(move) for move in self._node.owned_addresses.moves]
        self._node.owned_addresses.moves.clear()
        for channel, told in list(self.clients.items()):
            if message := {**({"moves": moves} if moves else {}), **self._message(channel, told)}:
                channel.send(line(message))

    def _message(self, channel: Channel, told: Layer2Status | None) -> Json:
        """Return what a client is told, and take it down."""
        if told is None and channel not in self._pieces:
            return self._whole(channel)
        if rows := self._rows.pop(channel, []):
            assert told is not None
            return self._piece(channel, told, rows, {})
        status, before = self._report.status, told or Layer2Status()
        self.clients[channel] = status
        change = protocol.write_rest(before, status)
        return self._piece(channel, status, protocol.changed_rows(before, status), change, first=told is None)

    def _whole(self, channel: Channel) -> Json:
        """Wait until everything was looked at: such a client would take a part for all."""
        if self._report.more:
            return {}
        status = self.clients[channel] = self._report.status
        return {"status": protocol.write_status(status), "versions": PROTOCOL}

    def _piece(
        self, channel: Channel, status: Layer2Status, rows: protocol.Rows, rest: Json, *, first: bool = False
    ) -> Json:
        change = {**protocol.write_rows(status, rows[: protocol.PIECE]), **rest}
        if left := rows[protocol.PIECE :]:
            self._rows[channel] = left
        more, waited = bool(left) or self._report.more, channel in self._waiting
        (self._waiting.add if more else self._waiting.discard)(channel)
        marks: Json = {"more": True} if more else {}
        if first:
            return {"status": change, "versions": PROTOCOL, **marks}
        return {"change": change, **marks} if change or (waited and not more) else {}
