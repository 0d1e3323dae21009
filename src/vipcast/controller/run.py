# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the controller: copies always, a term of leading whenever the Lease is ours.

             ┌─> copies ──changes──> leader ──writes──> API server
API server ──┤                         ^
             └─> Lease ──> candidate ──┘ (while it leads)
"""

from __future__ import annotations

import asyncio
import gc

from vipcast.controller.conditions import counters
from vipcast.controller.copies import Copies
from vipcast.controller.lead import Leader
from vipcast.controller.metrics import LEASE_NAME, Metrics
from vipcast.daemon.options import Options
from vipcast.daemon.run import Daemon
from vipcast.daemon.run import run as run_daemon
from vipcast.k8s.lease import Candidate, Term
from vipcast.model.configuration import Configuration

__all__ = ["Controller", "main"]

# For what is under way when the end comes; a part of the daemon's time to close.
DRAIN_SECONDS = 1.5
# New objects until Python looks for garbage in cycles (its default: 700). Ten thousand services are a million
# that are none: to look at them again and again takes longer than to read them, and 0.2 s at a time.
GARBAGE = (50_000, 20, 10)


def main(options: Options) -> int:
    """Run until a signal; the process's exit status."""
    gc.set_threshold(*GARBAGE)
    return run_daemon("controller", options, program)


async def program(daemon: Daemon) -> None:
    """The controller as a daemon's program."""
    await Controller(daemon).run()


class Controller:
    """One replica; `run` returns when the daemon is stopping."""

    def __init__(self, daemon: Daemon) -> None:
        self.leader: Leader | None = None
        self._daemon = daemon
        self._metrics = Metrics(daemon.registry)
        self._copies = Copies(daemon.client, daemon.options, self._metrics)
        self._candidate = Candidate(daemon.client, daemon.options.namespace, LEASE_NAME)
        daemon.readiness = self._readiness
        daemon.status = self._status
        daemon.registry.before_scrape(self._measure)

    async def run(self) -> None:
        """Until the daemon is stopping; then the lead is handed over."""
        self._daemon.spawn("lease", self._candidate.run(self._lead))
        self._daemon.spawn("copies", self._follow())
        await self._daemon.stopping.wait()
        if self.leader is not None:
            await self.leader.drain(DRAIN_SECONDS)
        await self._candidate.resign()

    async def _follow(self) -> None:
        """A lead that is free is taken first: what is read after that need not be read again."""
        await self._candidate.settled.wait()
        async with asyncio.TaskGroup() as parts:
            for informer in self._copies.informers:
                parts.create_task(informer.run())
            parts.create_task(self._copies.follow_configuration())

    async def _lead(self, term: Term) -> None:
        release = self._daemon.options.release_node_ports
        self.leader = Leader(term, self._copies, self._metrics, release_node_ports=release)
        try:
            await self.leader.run()
        finally:
            self.leader = None

    # -- what others may know --------------------------------------------------------------------------------

    def _readiness(self) -> str | None:
        """A standby is ready when it could take over."""
        if not self._candidate.settled.is_set():
            return f"waiting for the Lease {LEASE_NAME}: {self._candidate.problem or 'not read yet'}"
        return self._copies.missing or (None if self._copies.known.is_set() else self._copies.lost)

    def _measure(self) -> None:
        decider = self.leader.decider if self.leader is not None else None
        self._metrics.collect(decider, self._copies.configuration, leads=self._candidate.leads())

    def _status(self) -> object:
        configuration = self._copies.configuration or Configuration()
        return {
            "lead": self._lead_status(),
            **self._decisions(self.leader, configuration),
            "problems": [str(problem) for problem in configuration.problems],
            "informers": {
                each.resource.plural: each.problem for each in self._copies.informers if each.problem
            },
        }

    def _lead_status(self) -> dict[str, object]:
        candidate, leader = self._candidate, self.leader
        return {
            "leading": candidate.leads(),
            "started": leader is not None and leader.started,
            "identity": candidate.identity,
            "leader": candidate.leader,
            "since": candidate.since,
            "problem": candidate.problem,
        }

    def _decisions(self, leader: Leader | None, configuration: Configuration) -> dict[str, object]:
        """What the leader has decided; a standby decides nothing."""
        if leader is None:
            return {"pools": {}, "services": {}}
        decider = leader.decider
        return {
            "pools": {pool.name: counters(decider.allocator, pool.name) for pool in configuration.pools},
            "services": {
                "allocated": len(decider.allocator.book.allocations),
                "waiting": len(decider.waiting),
                "unwritten": leader.unwritten,
                "objectsUnwritten": len(leader.statuses),
            },
        }
