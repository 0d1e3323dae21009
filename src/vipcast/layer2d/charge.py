# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process in charge: clients, the node as a member, probes; and how it ends.

serve() ──> Ending.STOPPED     it was told to end, and others answer for its addresses, or nobody can
        ──> Ending.HANDED_OVER an heir has everything; what is left is the connection to it
"""

from __future__ import annotations

import socket
import time
from dataclasses import asdict

from vipcast import __version__
from vipcast.daemon.log import log_for
from vipcast.layer2.wants import Layer2Wants
from vipcast.layer2d import estate as estates
from vipcast.layer2d.demands import Demands
from vipcast.layer2d.estate import Estate
from vipcast.layer2d.freeze import Freeze
from vipcast.layer2d.herald import Herald
from vipcast.layer2d.node import Node
from vipcast.layer2d.report import Report
from vipcast.layer2d.segments import Segments
from vipcast.net import layer2_protocol as protocol
from vipcast.net.lines import Json
from vipcast.punctual import handover
from vipcast.punctual.channel import Channel
from vipcast.punctual.control import Control
from vipcast.punctual.health import Health
from vipcast.punctual.loop import Loop
from vipcast.punctual.program import Limits
from vipcast.punctual.succession import Ending, offer

# Others get so long to take our addresses.
FAREWELL_SECONDS = 4.0
# While others take over: so often it is looked whether they have.
_LOOK_SECONDS = 0.02

_log = log_for("layer2")


class Charge:
    """``predecessor``: the connection to the process that we took over from."""

    def __init__(self, loop: Loop, limits: Limits, estate: Estate, predecessor: socket.socket | None) -> None:
        assert estate.control is not None
        self.heir: socket.socket | None = None
        self._loop, self._limits = loop, limits
        self._demands = Demands(limits.orphan)
        self._member: _Member | None = None  # from the first wants on
        self._segments = Segments(loop, self._interfaces_changed)
        words = {
            "want": self._want,
            "change": self._change,
            "take_over": self._hand_over,
            "taken": self._taken,
        }
        self._control = Control(loop, estate.control, words, self._gone, limit=protocol.MAX_LINE, log=_log)
        self._health = (
            Health(loop, estate.health, ready=self._ready, status=self._status) if estate.health else None
        )
        self._predecessor = predecessor
        self._freeze = Freeze()
        self._leave_at: float | None = None
        self._end_at: float | None = None
        if estate.wants is not None:
            self._inherit(estate, estate.wants, time.monotonic())

    # ---- the loop ----

    def serve(self) -> Ending:
        while True:
            until, self._loop.stirred = self._until(), False
            now = self._loop.turn(until)
            # Of answers nothing follows: the next one is given as soon as it is asked for.
            while not self._loop.stirred and until is not None and now < until:
                now = self._loop.turn(until)
            if self._member is not None:
                self._member.work(now)
            if self._demands.expire(now):
                _log.warning("orphaned", seconds=self._limits.orphan)
                self._follow(now)
            if self._freeze.over(now):
                self._thaw("the heir does not say that it has taken over")
            if self.heir is not None:
                return Ending.HANDED_OVER
            if self._loop.signals and self._leave(now):
                return Ending.STOPPED

    def close(self) -> None:
        if self._member is not None:
            self._member.node.close()
        self._segments.close()
        self._control.close()
        for part in (self._health, self._predecessor):
            if part is not None:
                part.close()

    def _until(self) -> float | None:
        leave = self._leave_at
        if self._end_at is not None:
            leave = min(self._end_at, time.monotonic() + _LOOK_SECONDS)
        member = None if self._member is None else self._member.timer()
        times = (member, self._demands.until, self._freeze.until, leave)
        return min((at for at in times if at is not None), default=None)

    def _interfaces_changed(self) -> None:
        if self._member is not None:
            self._member.node.holdings.interfaces_changed(time.monotonic())

    # ---- clients ----

    def _want(self, channel: Channel, written: object) -> None:
        self._demands.want(channel, written)
        self._follow(time.monotonic())
        assert self._member is not None
        self._member.herald.wants_all(channel)

    def _change(self, channel: Channel, written: object) -> None:
        self._demands.change(channel, written)
        self._follow(time.monotonic())

    def _gone(self, channel: Channel) -> None:
        self._demands.gone(channel, time.monotonic())
        if self._member is not None:
            self._member.herald.gone(channel)
        if self._freeze.heir is channel:
            self._thaw("the heir has gone")

    def _follow(self, now: float) -> None:
        wants = self._demands.effective
        if wants is None:
            return
        if self._member is None:
            self._member = _Member(Node(self._loop, self._segments, wants, now), self._segments)
        self._member.node.set_wants(wants, now)

    # ---- probes ----

    def _ready(self) -> str | None:
        return "stopping" if self._loop.signals else None

    def _status(self) -> Json:
        said = self._demands.said
        status = {
            "priority": self._limits.priority,
            "node": None if said is None else said.node,
            "clients": self._demands.clients,
            "orphaned": self._demands.orphaned,
            "settings": None if said is None else asdict(said.settings),
            **({} if self._member is None else self._member.status()),
        }
        return {"program": "layer2", "version": __version__, "status": status}

    # ---- the end ----

    def _leave(self, now: float) -> bool:
        """Whether it is time to go. First an heir may come, then others take over."""
        if self._leave_at is None:
            self._leave_at = now + self._limits.heir
            offer(self._predecessor, _log)
        if self._freeze.heir is not None:
            return False
        if self._end_at is None and now >= self._leave_at:
            self._end_at = now + FAREWELL_SECONDS
            if self._member is not None:
                self._member.node.leave(now)
        left = self._member is None or self._member.node.members.left
        return self._end_at is not None and (left or now >= self._end_at)

    def _hand_over(self, channel: Channel, version: object) -> None:
        handover.check(version, estates.VERSION)
        now, said = time.monotonic(), self._demands.said
        parts = demands = None
        if self._member is not None and said is not None:
            self._member.node.freeze()
            demands = estates.write_demands(said, self._demands.deadline(now), self._demands.orphaned)
            parts = self._member.node, self._segments
        self._freeze.begin(channel, now)
        health = self._health.listener if self._health else None
        for data, descriptors in estates.write(self._control.listener, health, demands, parts):
            channel.send(data, descriptors)

    def _taken(self, channel: Channel, _said: object) -> None:
        self._control.release(channel)
        self._loop.forget(channel.sock)
        self.heir = channel.sock

    def _thaw(self, why: str) -> None:
        _log.warning("not_taken_over", why=why)
        self._freeze = Freeze()
        if self._member is not None:
            self._member.node.thaw()

    def _inherit(self, estate: Estate, wants: Layer2Wants, now: float) -> None:
        self._demands.adopt(wants, estate.until, estate.orphaned)
        node = Node(self._loop, self._segments, wants, now)
        for index, inherited in estate.segments.items():
            self._segments.adopt(index, inherited)
        node.adopt(estate.heartbeats, estate.members, now)
        node.holdings.restore(estate.holdings, now)
        self._member = _Member(node, self._segments)
        self._follow(now)
        self._segments.leave_others()

    def answering(self) -> int:
        return 0 if self._member is None else len(self._member.node.holdings.answering)


class _Member:
    """What there is from the first wants on."""

    def __init__(self, node: Node, segments: Segments) -> None:
        self.node = node
        self._report = Report(segments, node, time.time() - time.monotonic())
        self.herald = Herald(node, self._report)

    def timer(self) -> float | None:
        times = (self.node.timer(), self.herald.timer())
        return min((at for at in times if at is not None), default=None)

    def work(self, now: float) -> None:
        self.node.holdings.look(now)
        if (at := self.node.timer()) is not None and at <= now:
            self.node.handle_timer(now)
        if (at := self.herald.timer()) is not None and at <= now:
            self.herald.tell(now)

    def status(self) -> Json:
        self._report.look(counters=True)
        return protocol.write_status(self._report.status)
