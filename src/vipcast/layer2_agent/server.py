# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layer 2 agent while it is in charge: clients, and the node as a member that answers for addresses.

Where it ends without a successor the other nodes take its addresses over first, or nobody can.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from vipcast.agent.channel import Channel
from vipcast.agent.handover import UNUSABLE, CannotTakeOverError
from vipcast.agent.limits import Limits
from vipcast.agent.loop import Loop
from vipcast.agent.pending_handover import PENDING_SECONDS
from vipcast.agent.server import AgentServer
from vipcast.daemon.log import log_for
from vipcast.layer2.api import Layer2Wants
from vipcast.layer2_agent import handover_state
from vipcast.layer2_agent.client_requests import ClientRequests
from vipcast.layer2_agent.handover_state import Layer2HandoverState
from vipcast.layer2_agent.node import Node
from vipcast.layer2_agent.segments import Segments
from vipcast.layer2_agent.status import StatusReport
from vipcast.layer2_agent.status_publisher import StatusPublisher
from vipcast.net import layer2_protocol as protocol
from vipcast.net.ipc import Json, ProtocolError

_log = log_for("layer2")


class Layer2Server(AgentServer):
    """``predecessor``: the connection to the process that we took over from."""

    def __init__(
        self, loop: Loop, limits: Limits, state: Layer2HandoverState, predecessor: socket.socket | None
    ) -> None:
        super().__init__(
            loop,
            limits,
            state,
            predecessor,
            program="layer2",
            handlers={"want": self._want, "change": self._change},
            limit=protocol.MAX_LINE,
            log=_log,
        )
        self._requests = ClientRequests(limits.orphan)
        self._member: _Member | None = None  # from the first wants on
        self._segments = Segments(loop, self._interfaces_changed)
        self._jobs: deque[_Job] = deque()
        loop.paused = self._paused
        if state.wants is not None:
            try:
                self._inherit(state, state.wants, time.monotonic())
            except UNUSABLE as error:
                self.close()
                raise CannotTakeOverError(f"what was handed over is of no use: {error!r}") from error

    # ---- the loop ----

    def _wait(self, until: float | None) -> float:
        self._loop.had_event = False
        now = super()._wait(until)
        # Of answers nothing follows: the next one is given as soon as it is asked for.
        while not self._loop.had_event and until is not None and now < until:
            now = super()._wait(until)
        return now

    def _work(self, now: float) -> None:
        if self._member is not None:
            self._member.work(now)
        if self._jobs:
            self._work_on_job()
        if self._requests.expire(now):
            _log.warning("orphaned", seconds=self._limits.orphan)
            self._follow(now)

    def close(self) -> None:
        if self._member is not None:
            self._member.node.close()
        self._segments.close()
        super().close()

    def _times(self) -> Iterable[float | None]:
        member = None if self._member is None else self._member.timer()
        return member, self._requests.until, time.monotonic() if self._jobs else None

    def _paused(self, now: float) -> None:
        if self._member is not None:
            self._member.node.catch_up(now)

    def _interfaces_changed(self) -> None:
        if self._member is not None:
            self._member.node.interfaces_changed(time.monotonic())

    # ---- clients ----

    def _want(self, channel: Channel, written: object) -> None:
        pieces = isinstance(written, dict) and written.get("pieces") is True
        self._read(_Job(channel, self._requests.want(channel, written), everything=True, pieces=pieces))

    def _change(self, channel: Channel, written: object) -> None:
        self._read(_Job(channel, self._requests.change(channel, written)))

    def _read(self, job: _Job) -> None:
        """Read it piece by piece, after what was said before. What is small is read at once."""
        self._jobs.append(job)
        if len(self._jobs) == 1:
            self._work_on_job()

    def _work_on_job(self) -> None:
        job = self._jobs[0]
        try:
            next(job.reading)
        except StopIteration:
            self._jobs.popleft()
            self._follow(time.monotonic())
            if self._member is not None and job.everything:  # or a successor takes over, and it comes to that
                self._member.publisher.wants_all(job.channel, pieces=job.pieces)
        except ProtocolError as error:
            self._jobs.popleft()
            self._control.refuse(job.channel, error)

    def _gone(self, channel: Channel, now: float) -> None:
        self._jobs = deque(job for job in self._jobs if job.channel is not channel)
        self._requests.gone(channel, now)
        if self._member is not None:
            self._member.publisher.gone(channel)

    def _follow(self, now: float) -> None:
        """Do what the clients want, but nothing while a successor takes over.

        It has been given what was decided before.
        """
        wants = self._requests.said
        if wants is None or self._pending.successor is not None:
            return
        if self._member is None:
            self._member = _Member(Node(self._loop, self._segments, wants, now), self._segments)
        self._member.node.set_wants(wants, now, orphaned=self._requests.orphaned)

    # ---- probes ----

    def _own_status(self) -> Json:
        said = self._requests.said
        return {
            "node": None if said is None else said.node,
            "clients": self._requests.clients,
            "orphaned": self._requests.orphaned,
            "settings": None if said is None else asdict(said.settings),
            **({} if self._member is None else self._member.status()),
        }

    # ---- the end ----

    def _start_leaving(self, now: float) -> None:
        """Ask the other nodes to take everything over."""
        if self._member is not None:
            self._member.node.leave(now)

    def _has_left(self) -> bool:
        return self._member is None or self._member.node.members.left

    def _write_state(self, version: int, now: float) -> Iterator[tuple[bytes, list[int]]]:
        parts = demands = None
        said = self._requests.said
        if self._member is not None and said is not None:
            self._member.node.suspend()
            demands = handover_state.write_demands(
                said, self._requests.deadline(now), self._requests.orphaned
            )
            parts = self._member.node, self._segments
        health = self._health.listener if self._health else None
        return handover_state.write(version, self._control.listener, health, demands, parts)

    def _patience(self) -> float:
        """Return for how many seconds nobody misses our heartbeats."""
        if self._member is None:
            return PENDING_SECONDS
        profile = self._member.node.members.profile
        return profile.dead_after - profile.heartbeat

    def _resume(self, now: float) -> None:
        if self._member is not None:
            self._member.node.resume(now)
        self._follow(now)

    def _inherit(self, state: Layer2HandoverState, wants: Layer2Wants, now: float) -> None:
        self._requests.adopt(wants, state.until, state.orphaned)
        node = Node(self._loop, self._segments, wants, now)
        node.suspended = True  # until this process is in charge
        for index, inherited in state.segments.items():
            self._segments.adopt(index, inherited)
        node.adopt(state.heartbeats, state.former.values(), state.members, now)
        node.owned_addresses.restore(state.owned_addresses, now)
        self._member = _Member(node, self._segments)
        self._follow(now)
        self._segments.leave_others()

    def summary(self) -> Json:
        answering = () if self._member is None else self._member.node.owned_addresses.answering
        return {"answering": len(answering)}


@dataclass(slots=True)
class _Job:
    """A client's message that is being read. ``pieces``: the client takes a status in pieces."""

    channel: Channel
    reading: protocol.Reading
    everything: bool = False
    pieces: bool = False


class _Member:
    """The parts that there are from the first wants on."""

    def __init__(self, node: Node, segments: Segments) -> None:
        self.node = node
        self._report = StatusReport(segments, node, time.time() - time.monotonic())
        self.publisher = StatusPublisher(node, self._report)

    def timer(self) -> float | None:
        times = (self.node.timer(), self.publisher.timer())
        return min((at for at in times if at is not None), default=None)

    def work(self, now: float) -> None:
        self.node.owned_addresses.look(now)
        if (at := self.node.timer()) is not None and at <= now:
            self.node.handle_timer(now)
        if (at := self.publisher.timer()) is not None and at <= now:
            self.publisher.publish(now)

    def status(self) -> Json:
        self._report.look(counters=True)
        while self._report.more:
            self._report.look(counters=False)
        return protocol.write_status(self._report.status)
