# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each client has been told already, and when there is more to tell."""

from __future__ import annotations

from vipcast.layer2.wants import Layer2Status
from vipcast.layer2d.node import Node
from vipcast.layer2d.report import Report
from vipcast.net import layer2_protocol as protocol
from vipcast.net.lines import Json, line
from vipcast.punctual.channel import Channel

__all__ = ["Herald"]

# Counters are told so often; changes soon, but not one by one where many come together.
REPORT_SECONDS = 5.0
BURST_SECONDS = 0.02


class Herald:
    """``clients``: those who have said what they want. Moves wait until somebody is there who hears them."""

    def __init__(self, node: Node, report: Report) -> None:
        self.clients: dict[Channel, Layer2Status | None] = {}  # with what it was told
        self._node, self._report = node, report
        self._at = self._counted_at = 0.0

    def wants_all(self, channel: Channel) -> None:
        self.clients[channel] = None

    def gone(self, channel: Channel) -> None:
        self.clients.pop(channel, None)

    def timer(self) -> float | None:
        if not self.clients:
            return None
        return self._at + (BURST_SECONDS if self._has_news else REPORT_SECONDS)

    @property
    def _has_news(self) -> bool:
        holdings = self._node.holdings
        return bool(self._node.news or holdings.touched or holdings.moves) or None in self.clients.values()

    def tell(self, now: float) -> None:
        self._at = now
        counters = None in self.clients.values() or now >= self._counted_at + REPORT_SECONDS
        if counters:
            self._counted_at = now
        self._node.news = False
        self._report.look(counters=counters)
        moves = [protocol.write_move(move) for move in self._node.holdings.moves]
        self._node.holdings.moves.clear()
        for channel, told in list(self.clients.items()):
            message = self._message(told, moves)
            self.clients[channel] = self._report.status
            if message:
                channel.send(line(message))

    def _message(self, told: Layer2Status | None, moves: list[Json]) -> Json:
        status = self._report.status
        message: Json = {"moves": moves} if moves else {}
        if told is None:
            message["status"] = protocol.write_status(status)
        elif change := protocol.write_status_change(told, status):
            message["change"] = change
        return message
