# SPDX-License-Identifier: GPL-3.0-or-later
"""The speaker's metrics: MetalLB's names, so that existing dashboards and alerts work, and a few more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from vipcast.bgp.framing import MessageType
from vipcast.daemon.metrics import Registry
from vipcast.k8s import Recorder
from vipcast.model.configuration import Configuration
from vipcast.net.peering import Peering
from vipcast.speaker.decide import Decision

__all__ = ["SpeakerMetrics"]


class SpeakerMetrics:
    """Filled from what is known when somebody asks."""

    def __init__(self, registry: Registry) -> None:
        gauge, counter, peer = registry.gauge, registry.counter, ("peer",)
        self._up = gauge("metallb_bgp_session_up", "BGP session state (1 is up, 0 is down).", peer)
        self._updates = counter("metallb_bgp_updates_total", "BGP UPDATE messages sent.", peer)
        self._announced = gauge("metallb_bgp_announced_prefixes_total", "Prefixes announced now.", peer)
        self._pending = gauge(
            "metallb_bgp_pending_prefixes_total", "Prefixes that should be announced.", peer
        )
        self._established = counter("vipcast_bgp_established_total", "Times the session came up.", peer)
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

    def failed(self) -> None:
        """A decision could not be carried out for some peer."""
        self._errors.inc()

    def sessions(self, peerings: Mapping[str, Peering]) -> None:
        """One series per session; the label is MetalLB's, address and port."""
        for metric in (self._up, self._updates, self._announced, self._pending, self._established):
            metric.clear()
        for peering in peerings.values():
            status, settings = peering.status(), peering.settings
            peer = settings.endpoint
            self._up.set(status.established, peer=peer)
            self._updates.set(status.counters.messages_out[MessageType.UPDATE], peer=peer)
            self._announced.set(len(status.announced), peer=peer)
            self._pending.set(len(status.pending) + len(status.withheld), peer=peer)
            self._established.set(status.counters.established, peer=peer)

    def services(self, decision: Decision, node: str) -> None:
        """What is announced, and a count of what is not."""
        self._service.clear()
        self._refused.clear()
        verdicts = [(key, each) for key, every in decision.verdicts.items() for each in every]
        for (namespace, name), verdict in verdicts:
            if verdict.announced:
                service = f"{namespace}/{name}"
                self._service.set(1, service=service, protocol="bgp", node=node, ip=str(verdict.address))
        for reason, count in Counter(each.reason for _key, each in verdicts if each.reason).items():
            self._refused.set(count, reason=reason.value)

    def client(self, updates: int, configuration: Configuration, loaded: bool, recorder: Recorder) -> None:
        """How the speaker stands with the API."""
        self._client_updates.set(updates)
        self._loaded.set(loaded)
        self._stale.set(bool(configuration.stale))
        self._events.set(recorder.sent, result="sent")
        self._events.set(recorder.dropped, result="dropped")
