# SPDX-License-Identifier: GPL-3.0-or-later
"""The speaker's metrics: MetalLB's names, so that existing dashboards and alerts work, and a few more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from vipcast.daemon.metrics import Registry
from vipcast.k8s import Key, Recorder
from vipcast.model.configuration import Configuration
from vipcast.net.bfd import BfdStatus
from vipcast.net.peering import Peering
from vipcast.speaker.bgp.session_metrics import SessionMetrics
from vipcast.speaker.decide import Decision
from vipcast.speaker.layer2.metrics import Layer2Metrics
from vipcast.speaker.layer2.verdicts import Layer2Verdict
from vipcast.speaker.reporting.publisher import Publisher

__all__ = ["SpeakerMetrics"]

_Layer2 = Mapping[Key, tuple[Layer2Verdict, ...]]


class SpeakerMetrics:
    """Filled from what is known when somebody asks."""

    def __init__(self, registry: Registry) -> None:
        gauge, counter = registry.gauge, registry.counter
        self._sessions = SessionMetrics(registry)
        self.layer2 = Layer2Metrics(registry)
        labels = ("service", "protocol", "node", "ip")
        self._service = gauge("metallb_speaker_announced", "Services announced from this node.", labels)
        text = "Addresses of services that this node does not announce, by reason."
        self._refused = gauge("vipcast_speaker_not_announced", text, ("reason",))
        self._client_updates = counter("metallb_k8s_client_updates_total", "Changes of objects processed.")
        text = "Decisions that could not be carried out."
        self._errors = counter("metallb_k8s_client_update_errors_total", text)
        self._loaded = gauge("metallb_k8s_client_config_loaded_bool", "1 once the configuration was read.")
        text = "1 if an object is in force as it was before, because it is bad as it is now."
        self._stale = gauge("metallb_k8s_client_config_stale_bool", text)
        self._events = counter(
            "vipcast_events_total", "Events on objects, by what became of them.", ("result",)
        )
        text = "Writes of the objects in which this node says what it does."
        self._reports = counter("vipcast_report_writes_total", text, ("result",))
        text = "Objects that may not say yet what they should."
        self._waiting = gauge("vipcast_reports_waiting", text)
        self._drain = gauge("vipcast_speaker_drain", "1 for the phase that a drain is in.", ("phase",))

    def failed(self) -> None:
        """A decision could not be carried out for some peer."""
        self._errors.inc()

    def sessions(self, peerings: Iterable[Peering], bfd: Mapping[str, BfdStatus]) -> None:
        """Update the metrics of every session; `bfd` by the peer's name."""
        peerings = list(peerings)
        self._sessions.bgp((peering.settings, peering.status()) for peering in peerings)
        self._sessions.bfd((peering.settings for peering in peerings), bfd)

    def services(self, decision: Decision, layer2: _Layer2, node: str) -> None:
        """Update the metrics of announced services, and the count of those that are not."""
        for metric in (self._service, self._refused, self._drain):
            metric.clear()
        if decision.drain:
            self._drain.set(1, phase=decision.drain.phase.value)
        refused: Counter[str] = Counter()
        for protocol, verdicts in (("bgp", decision.verdicts), ("layer2", layer2)):
            for (namespace, name), every in verdicts.items():
                for each in every:
                    if each.reason:
                        refused[each.reason.value] += 1
                        continue
                    service, ip = f"{namespace}/{name}", str(each.address)
                    self._service.set(1, service=service, protocol=protocol, node=node, ip=ip)
        for reason, count in refused.items():
            self._refused.set(count, reason=reason)

    def client(self, updates: int, configuration: Configuration, loaded: bool, recorder: Recorder) -> None:
        """Update the metrics of the speaker's client of the API."""
        self._client_updates.set(updates)
        self._loaded.set(loaded)
        self._stale.set(bool(configuration.stale))
        self._events.set(recorder.sent, result="sent")
        self._events.set(recorder.dropped, result="dropped")

    def reports(self, publisher: Publisher) -> None:
        """Update the metrics of the status objects of this node."""
        self._waiting.set(len(publisher))
        self._reports.set(publisher.written, result="written")
        self._reports.set(publisher.failures, result="failed")
