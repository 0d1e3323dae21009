# SPDX-License-Identifier: GPL-3.0-or-later
"""The main loop of a speaker: cached objects of the API -> `decide` -> sessions, status and Events.

    informers, Secrets, drain ──inputs changed──> a moment's pause ──> parse, decide ──> Sessions.want
                                                                            │
    sessions, BFD, layer 2 ───status changed────> a moment's pause ─────────┴──> Events, objects, log

What a session becomes changes no decision, so that a router that flaps costs a report and no more.

The API server may go away: then nothing changes, and everything goes on being announced.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address

from vipcast.daemon.log import log_for
from vipcast.daemon.options import DATA_PLANE_NONE, Options
from vipcast.daemon.run import Daemon, run
from vipcast.k8s import Informer, Json, Key, Recorder
from vipcast.model.addresses import IPAddress
from vipcast.model.advertisements import Nodes
from vipcast.model.configuration import Configuration
from vipcast.model.legacy_objects import parse_both
from vipcast.model.peers import Peer
from vipcast.net.listener import Listener
from vipcast.net.status import PeerStatus
from vipcast.speaker.bgp.bfd_manager import BfdManager
from vipcast.speaker.bgp.passwords import STILL_READING, Passwords
from vipcast.speaker.bgp.session_status import PeerView, views
from vipcast.speaker.bgp.sessions import CeaseReason, Sessions
from vipcast.speaker.bgp.settings import BAD_SETTINGS, SessionsWanted, node_router_id, sessions_wanted
from vipcast.speaker.cache import Cache, Part
from vipcast.speaker.data_plane_watch import DataPlaneWatch
from vipcast.speaker.decide import Decision, Snapshot, Verdict, decide
from vipcast.speaker.drain import Drain
from vipcast.speaker.drain_follower import DrainFollower
from vipcast.speaker.layer2.manager import Layer2Manager
from vipcast.speaker.layer2.reception_reporter import HearingReporter
from vipcast.speaker.layer2.reporter import Layer2Reporter
from vipcast.speaker.layer2.status import layer2_section, layer2_services
from vipcast.speaker.layer2.verdicts import Layer2Verdict
from vipcast.speaker.metrics import SpeakerMetrics
from vipcast.speaker.replacement import is_replaced
from vipcast.speaker.reporting.publisher import Publisher
from vipcast.speaker.reporting.reporter import (
    BfdReporter,
    DrainReporter,
    ProblemReporter,
    SessionReporter,
    VerdictReporter,
)
from vipcast.speaker.reporting.status import Clock, document, phase_of, sent_prefixes, sent_to

__all__ = ["main", "speak"]

# Changes come in bursts (a Service and its EndpointSlice, a rollout): one decision for what comes together.
# Where deciding takes long (thousands of services), pauses are longer: most of the time is left for BGP.
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.02, 0.1
SHUTDOWN_SECONDS = 1.0  # for Events that are still to be sent when we end

_log = log_for("speaker")


class Speaker:
    """The speaker of one node."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon, self._options = daemon, daemon.options
        self._wake = asyncio.Event()
        self._undecided = True  # an input is another one than the last decision was made of
        self.cache = Cache(daemon.client, daemon.options, self._inputs_changed)
        self.configuration = Configuration()
        self.decision = Decision()
        self._sessions_wanted = SessionsWanted()
        self._layer2_told: dict[Key, tuple[Layer2Verdict, ...]] = {}
        self._loaded = False
        self._judged_for: Nodes | None = None  # the nodes that the configuration was read for
        self._alarm: asyncio.TimerHandle | None = None
        self._drain = DrainFollower(self._inputs_changed)
        self._router_id: IPv4Address | None = None
        port = self._options.bgp_listen
        # Who is dialled may dial as well: a router that comes back doesn't have to wait for us.
        self._listener = Listener(port, always=True, met=_say_stranger) if port is not None else None
        self.sessions = Sessions(
            spawn=self._spawn_ending, notify=self._status_changed, listener=self._listener
        )
        self._bfd = BfdManager(
            self._options.namespace,
            spawn=daemon.spawn,
            peerings=lambda: self.sessions.peerings,
            on_change=self._status_changed,
        )
        self.layer2 = Layer2Manager(
            daemon.client,
            self._options,
            spawn=self._spawn_ending,
            on_input=self._inputs_changed,
            on_status=self._status_changed,
        )
        self._data_plane = DataPlaneWatch(self._options.data_plane_health, on_change=self._inputs_changed)
        self._passwords = Passwords(
            daemon.client, self._options.namespace, spawn=daemon.spawn, on_change=self._inputs_changed
        )
        self._register_metrics_and_status()

    def _register_metrics_and_status(self) -> None:
        node, daemon = self._options.node_name, self._daemon
        self.recorder = Recorder(daemon.client, "vipcast-speaker", node)
        find = self.cache.service_items.items.get
        self._verdicts = VerdictReporter[Verdict](
            self.recorder, node, find, details=lambda verdict: {"peers": verdict.peers}
        )
        self._layer2_verdicts = VerdictReporter[Layer2Verdict](self.recorder, node, find, protocol="layer2")
        self._layer2_reporter = Layer2Reporter(
            self.recorder, node, find, preempt=self._options.layer2.preempts
        )
        self._hearing = HearingReporter(self.recorder, node, self.layer2.cache.node_item)
        self._problems = ProblemReporter()
        self._sessions_reporter = SessionReporter(self.recorder, node, self._find_peer)
        self._bfd_reporter = BfdReporter(self.recorder, node, self._find_peer)
        self._drain_reporter = DrainReporter(self.recorder, self.cache.node_item)
        self.publisher = Publisher(daemon.client, node, self._options.namespace)
        self._metrics = SpeakerMetrics(daemon.registry)
        daemon.registry.before_scrape(self._measure)
        daemon.readiness = lambda: self.cache.missing
        daemon.status = self.status

    async def run(self) -> None:
        """Run until the daemon is to stop."""
        self._daemon.spawn("events", self.recorder.run())
        for informer in self.cache.informers:
            self._daemon.spawn(informer.resource.plural, informer.run())
        self._daemon.spawn("reports", self.publisher.run())
        self._daemon.spawn("decisions", self._decide_for_ever())
        if self._options.data_plane_health != DATA_PLANE_NONE:
            self._daemon.spawn("data plane", self._data_plane.run())
        self._spawn_ending("first decision", self._decide_when_read())
        await self._daemon.stopping.wait()
        # A node that is drained may be switched off: then nobody comes after us.
        preserve = self.decision.drain is None and await is_replaced(self._daemon.client, self._options)
        kept = await self.sessions.close(
            f"vipcast on {self._options.node_name} is stopping", preserve=preserve
        )
        self._bfd.leave(kept)
        self._publish(self._statuses())
        await asyncio.gather(self.recorder.flush(SHUTDOWN_SECONDS), self.publisher.flush(SHUTDOWN_SECONDS))

    async def _decide_when_read(self) -> None:
        """A collection without objects is read without a change: nothing else says that it was."""
        await asyncio.gather(*(self._tell_when_read(informer) for informer in self.cache.informers))

    async def _tell_when_read(self, informer: Informer) -> None:
        await informer.synced.wait()
        self.cache.configuration_changed = True
        self._inputs_changed()

    def _inputs_changed(self) -> None:
        self._undecided = True
        self._wake.set()

    def _status_changed(self) -> None:
        self._wake.set()

    async def _decide_for_ever(self) -> None:
        loop, took = asyncio.get_running_loop(), 0.0
        while True:
            await self._wake.wait()
            await asyncio.sleep(min(LONGEST_PAUSE_SECONDS, max(PAUSE_SECONDS, 2 * took)))
            self._wake.clear()
            started = loop.time()
            if self.cache.lacks(Part.ALL) is None and not self._daemon.stopping.is_set():
                if self._undecided:
                    self._decide()
                self._want_bfd()
                self._report()
            took = loop.time() - started

    def _decide(self) -> None:
        self._undecided = False
        if self.cache.configuration_changed or self._nodes() != self._judged_for:
            self._read_configuration()
        snapshot = self._snapshot(self._drain.update(self.cache.node))
        if snapshot.node and self._router_id is None:  # another one later would be another speaker
            self._router_id = node_router_id(snapshot.node, snapshot.node_name)
        self.decision = self._decided(snapshot)
        if self.cache.lacks(Part.LAYER2) is None:
            self.layer2.want(snapshot)
        self._passwords.need(frozenset(_secrets(self.decision.sessions)))
        self._want_sessions()

    def _want_sessions(self) -> None:
        """Set the sessions, their settings and routes."""
        running = {name: peering.settings for name, peering in self.sessions.peerings.items()}
        self._sessions_wanted = sessions_wanted(
            self.decision.sessions, self._passwords.get, running, self._options.node_name, self._router_id
        )
        for reason, _message in self._sessions_wanted.refused.values():
            if reason == BAD_SETTINGS:
                self._metrics.failed()
        drained = CeaseReason(f"node {self._options.node_name} is drained") if self.decision.drain else None
        self.sessions.want(self._sessions_wanted.settings, self.decision.routes, cease=drained)

    def _want_bfd(self) -> None:
        """Set the BFD sessions. They depend on statuses too: who is closing, where an unnumbered peer is."""
        if self.cache.lacks(Part.BFD) is None and self.cache.lacks(Part.BGP) is None:
            self._bfd.want(
                self.decision.sessions,
                self._sessions_wanted.settings,
                self.configuration,
                closing=self.sessions.closing,
            )

    def _decided(self, snapshot: Snapshot) -> Decision:
        """Return the decision, without its part for BGP while something of that was not read yet.

        It then has no sessions and no routes, and says nothing of them.
        """
        decision = decide(snapshot)
        if self.cache.lacks(Part.BGP) is None:
            return decision
        return replace(decision, peers=(), routes={}, verdicts={})

    def _read_configuration(self) -> None:
        self.cache.configuration_changed, self._judged_for = False, self._nodes()
        self.configuration = parse_both(
            self.cache.configuration_objects(),
            self.cache.legacy.conversion,
            previous=self.configuration,
            namespace=self._options.namespace,
            nodes=self._judged_for,
        )
        self._loaded = True
        self._problems.update(self.configuration.problems)

    def _nodes(self) -> Nodes | None:
        """Return the nodes, by labels, whose advertisements may be in each other's way here.

        That is this node alone; None while it is not known.
        """
        return None if self.cache.node is None else (self.cache.node.labels,)

    def _snapshot(self, drain: Drain | None) -> Snapshot:
        return Snapshot(
            node_name=self._options.node_name,
            node=self.cache.node,
            services=self.cache.services,
            endpoints=self.cache.endpoints,
            configuration=self.configuration,
            lb_class=self._options.lb_class,
            ignore_exclude=self._options.ignore_exclude_lb,
            drain=drain,
            data_plane=self._data_plane.problem,
            layer2_read=self.cache.lacks(Part.LAYER2) is None,
        )

    @property
    def refused(self) -> Mapping[str, tuple[str, str]]:
        """Return by peer what is wrong with its session: reason, message."""
        return self._sessions_wanted.refused

    def _report(self) -> None:
        loop = asyncio.get_running_loop()
        refused = {name: why for name, why in self.refused.items() if why[0] != STILL_READING}
        statuses = self._statuses()
        self._sessions_reporter.update(statuses, refused)
        self._bfd_reporter.update(self._bfd.statuses(), self._bfd.problems())
        self._drain_reporter.update(self.decision.drain)
        prefixes = sent_prefixes(statuses)
        self._layer2_told = self.layer2.verdicts()
        self._layer2_reporter.update(
            self._layer2_told, self.layer2.moves(), self.layer2.problems(), loop.time()
        )
        alarms = (
            self._hearing.update(self.layer2.status(), loop.time()),
            self._verdicts.update(
                self.decision.verdicts, loop.time(), sent=lambda each: bool(sent_to(each, prefixes))
            ),
            self._layer2_verdicts.update(self._layer2_told, loop.time()),
        )
        again = min((each for each in alarms if each is not None), default=None)
        if self._alarm:
            self._alarm.cancel()
        self._alarm = loop.call_at(again, self._status_changed) if again is not None else None
        self._publish(statuses)

    def _publish(self, statuses: Mapping[str, PeerStatus]) -> None:
        """Say it in the API's objects too."""
        phase = phase_of(self.decision.drain)
        known = self.layer2.known and self.cache.lacks(Part.LAYER2) is None
        bgp = self.cache.lacks(Part.BGP) is None
        self.publisher.publish(
            self.cache.node_uid,
            self._views(statuses) if bgp else None,
            self.decision.verdicts if bgp else None,
            phase,
            self._layer2_told if known else None,
        )

    def _views(self, statuses: Mapping[str, PeerStatus]) -> list[PeerView]:
        return views(
            self.decision.peers,
            statuses,
            self.refused,
            bfd=self._bfd.statuses(),
            bfd_problems=self._bfd.problems(),
        )

    def _statuses(self) -> dict[str, PeerStatus]:
        return {name: peering.status() for name, peering in self.sessions.peerings.items()}

    def status(self) -> Json:
        """Return the status document."""
        return document(
            self._options.node_name,
            decision=self.decision,
            views=self._views(self._statuses()),
            configuration=self.configuration,
            informers=(*self.cache.informers, *self.layer2.informers),
            reports=self.publisher.status(),
            clock=Clock(asyncio.get_running_loop().time(), time.time()),
            drain=phase_of(self.decision.drain),
            strangers=self._listener.strangers if self._listener else {},
            **self._layer2_status(),
        )

    def _layer2_status(self) -> Json:
        if not self.layer2.needed:
            return {}
        watch = self.layer2
        return {
            "layer2": layer2_section(watch.status(), watch.problems(), connected=watch.connected),
            "layer2_services": layer2_services(watch.decision, watch.verdicts()),
        }

    def _measure(self) -> None:
        self._metrics.sessions(self.sessions.peerings.values(), self._bfd.statuses())
        self._metrics.reports(self.publisher)
        self._metrics.services(self.decision, self._layer2_told, self._options.node_name)
        self._metrics.layer2.update(
            self.layer2.status(), self._layer2_reporter, connected=self.layer2.connected
        )
        self._metrics.client(self.cache.updates, self.configuration, self._loaded, self.recorder)

    def _find_peer(self, name: str) -> Json | None:
        return self.cache.peers.items.get((self._options.namespace, name))

    def _spawn_ending(self, name: str, work: object) -> asyncio.Task[None]:
        return self._daemon.spawn(name, work, lasting=False)  # type: ignore[arg-type]


def _say_stranger(address: IPAddress) -> None:
    """Once for each: whoever is configured to dial us does it for ever."""
    _log.warning("connection_refused", address=str(address), why="no BGPPeer of this node has this address")


def _secrets(peers: tuple[Peer, ...]) -> Iterator[str]:
    """Yield the secrets of the peers that are to have a session: what is not needed is not read."""
    return (peer.password_secret for peer in peers if peer.password_secret)


async def speak(daemon: Daemon) -> None:
    """The program that `vipcast.daemon.run` runs."""
    await Speaker(daemon).run()


def main(options: Options) -> int:
    """Run a speaker until SIGTERM; the exit status."""
    return run("speaker", options, speak)
