# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the controller: cache always, a term of leading whenever the Lease is ours.

             ┌─> cache ──changes──> leader ──writes──> API server
API server ──┤                         ^
             └─> Lease ──> candidate ──┘ (while it leads)
"""

from __future__ import annotations

import asyncio
import gc

from vipcast.controller.cache import Cache
from vipcast.controller.conditions import counters
from vipcast.controller.leader import TOLD, Known, Leader
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
        self._cache = Cache(daemon.client, daemon.options, self._metrics)
        self._candidate = Candidate(daemon.client, daemon.options.namespace, LEASE_NAME)
        self._known: Known | None = None  # of our last term
        daemon.readiness = self._readiness
        daemon.remark = lambda: self._cache.absent
        daemon.status = self._status
        daemon.registry.before_scrape(self._measure)

    async def run(self) -> None:
        """Run until the daemon is stopping; then give up the Lease."""
        self._daemon.spawn("lease", self._candidate.run(self._lead))
        self._daemon.spawn("cache", self._follow())
        await self._daemon.stopping.wait()
        if self.leader is not None:
            await self.leader.drain(DRAIN_SECONDS)
        await self._candidate.resign()

    async def _follow(self) -> None:
        """A lead that is free is taken first: what is read after that need not be read again."""
        await self._candidate.settled.wait()
        async with asyncio.TaskGroup() as parts:
            for informer in self._cache.informers:
                parts.create_task(informer.run())
            parts.create_task(self._cache.follow_configuration())

    async def _lead(self, term: Term) -> None:
        release = self._daemon.options.release_node_ports
        # Where nobody led since our last term, and that one was settled, nothing has to be read again.
        known = self._known if term.own and self._known is not None and self._known.settled else None
        self.leader = Leader(term, self._cache, self._metrics, release_node_ports=release, known=known)
        self._known = self.leader.known
        try:
            await self.leader.run()
        finally:
            self.leader = None

    # -- what others may know --------------------------------------------------------------------------------

    def _readiness(self) -> str | None:
        """A standby is ready when it could take over."""
        if not self._candidate.settled.is_set():
            return f"waiting for the Lease {LEASE_NAME}: {self._candidate.problem or 'not read yet'}"
        if self._cache.missing:
            return self._cache.missing
        leader = self.leader
        if leader is not None and not leader.started:
            return f"takes over: {leader.doing}"
        return None if self._cache.known.is_set() else self._cache.lost

    def _measure(self) -> None:
        leader = self.leader
        decider = leader.decider if leader is not None else None
        self._metrics.set_aside.set(len(leader.known.quarantine) if leader is not None else 0)
        self._metrics.not_written.set(len(leader.write_errors) if leader is not None else 0)
        self._metrics.collect(decider, self._cache.configuration, leads=self._candidate.leads())

    def _status(self) -> object:
        configuration = self._cache.configuration or Configuration()
        return {
            "lead": self._lead_status(),
            **self._decisions(self.leader, configuration),
            "problems": [*(str(problem) for problem in configuration.problems), *self._write_errors()],
            "informers": {
                each.resource.plural: each.problem for each in self._cache.informers if each.problem
            },
        }

    def _write_errors(self) -> list[str]:
        """Return what of the cluster could not be read or written, some of it by name."""
        leader, absent = self.leader, self._cache.absent
        found = [absent] if absent else []
        if leader is not None:
            quarantine, refused = leader.known.quarantine, leader.write_errors
            found += [f"{name} is set aside: {why}" for name, why in quarantine.why(TOLD).items()]
            found += [f"{name} is not written: {why}" for name, why in refused.why(TOLD).items()]
        return found

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
        """Return what the leader has decided; a standby decides nothing."""
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
