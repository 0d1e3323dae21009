# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of sessions. Names, labels and meanings are those of MetalLB with FRR; `vipcast_` are ours beside.

The label `peer` is address and port for BGP, the address alone for BFD; `vrf` is ``default`` where there is
none. All that MetalLB's native mode has is a part of this, without the label `vrf`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from vipcast.bgp.framing import MessageType
from vipcast.daemon.metrics import Metric, Registry
from vipcast.net.bfd import BfdStatus
from vipcast.net.settings import PeerSettings
from vipcast.net.status import PeerStatus

__all__ = ["SessionMetrics"]

S = TypeVar("S")
_LABELS = ("peer", "vrf")
_Bgp = Callable[[PeerStatus], float]
_Bfd = Callable[[BfdStatus], float]


def _sent(kind: MessageType) -> _Bgp:
    return lambda status: status.counters.messages_out[kind]


def _received(kind: MessageType) -> _Bgp:
    return lambda status: status.counters.messages_in[kind]


_BGP_GAUGES: dict[str, tuple[str, _Bgp]] = {
    "metallb_bgp_session_up": (
        "BGP session state (1 is up, 0 is down).",
        lambda status: status.established,
    ),
    "metallb_bgp_announced_prefixes_total": (
        "Prefixes that are announced on the session.",
        lambda status: len(status.announced),
    ),
    "metallb_bgp_pending_prefixes_total": (
        "Prefixes that should be announced on the session and are not.",
        lambda status: len(status.pending) + len(status.withheld),
    ),
    "vipcast_bgp_withheld_prefixes": (
        "Those of the pending prefixes that cannot be sent on the session.",
        lambda status: len(status.withheld),
    ),
}
_BGP_COUNTERS: dict[str, tuple[str, _Bgp]] = {
    "metallb_bgp_opens_sent": ("OPEN messages sent.", _sent(MessageType.OPEN)),
    "metallb_bgp_opens_received": ("OPEN messages received.", _received(MessageType.OPEN)),
    "metallb_bgp_notifications_sent": ("NOTIFICATION messages sent.", _sent(MessageType.NOTIFICATION)),
    "vipcast_bgp_notifications_received": (
        "NOTIFICATION messages received.",
        _received(MessageType.NOTIFICATION),
    ),
    "metallb_bgp_updates_total": ("UPDATE messages sent.", _sent(MessageType.UPDATE)),
    "metallb_bgp_updates_total_received": ("UPDATE messages received.", _received(MessageType.UPDATE)),
    "metallb_bgp_keepalives_sent": ("KEEPALIVE messages sent.", _sent(MessageType.KEEPALIVE)),
    "metallb_bgp_keepalives_received": ("KEEPALIVE messages received.", _received(MessageType.KEEPALIVE)),
    "metallb_bgp_route_refresh_sent": ("ROUTE-REFRESH messages sent.", _sent(MessageType.ROUTE_REFRESH)),
    "metallb_bgp_total_sent": (
        "BGP messages sent.",
        lambda status: sum(status.counters.messages_out.values()),
    ),
    "metallb_bgp_total_received": (
        "BGP messages received.",
        lambda status: sum(status.counters.messages_in.values()),
    ),
    "vipcast_bgp_established_total": (
        "Times the session came up.",
        lambda status: status.counters.established,
    ),
    "vipcast_bgp_received_prefixes_total": (
        "Prefixes heard from the peer; they are counted and ignored.",
        lambda status: status.counters.prefixes_received,
    ),
}
_BFD_GAUGES: dict[str, tuple[str, _Bfd]] = {
    "metallb_bfd_session_up": ("BFD session state (1 is up, 0 is down).", lambda status: status.up),
    "vipcast_bfd_detection_time_seconds": (
        "Silence after which the peer counts as lost.",
        lambda status: status.detection_time or 0.0,
    ),
}
_BFD_COUNTERS: dict[str, tuple[str, _Bfd]] = {
    "metallb_bfd_control_packet_input": (
        "BFD control packets received.",
        lambda status: status.counters.packets_in,
    ),
    "metallb_bfd_control_packet_output": (
        "BFD control packets sent.",
        lambda status: status.counters.packets_out,
    ),
    "metallb_bfd_echo_packet_input": ("BFD echo packets received.", lambda status: status.counters.echo_in),
    "metallb_bfd_echo_packet_output": ("BFD echo packets sent.", lambda status: status.counters.echo_out),
    "metallb_bfd_session_up_events": (
        "Times the BFD session came up.",
        lambda status: status.counters.up_events,
    ),
    "metallb_bfd_session_down_events": (
        "Times the BFD session went down.",
        lambda status: status.counters.down_events,
    ),
    "metallb_bfd_zebra_notifications": (
        "Times BGP was told that the BFD session came up or went down.",
        lambda status: status.counters.up_events + status.counters.down_events,
    ),
}


class SessionMetrics:
    """Filled from what is known when somebody asks: a peer that is gone is not exposed any more."""

    def __init__(self, registry: Registry) -> None:
        self._bgp = [
            *_metrics(registry.gauge, _BGP_GAUGES),
            *_metrics(registry.counter, _BGP_COUNTERS),
        ]
        self._bfd = [
            *_metrics(registry.gauge, _BFD_GAUGES),
            *_metrics(registry.counter, _BFD_COUNTERS),
        ]
        text = "BFD packets received and not taken, by reason."
        self._dropped = registry.counter("vipcast_bfd_packets_dropped_total", text, (*_LABELS, "reason"))

    def bgp(self, sessions: Iterable[tuple[PeerSettings, PeerStatus]]) -> None:
        """One series per session."""
        _clear(self._bgp)
        for settings, status in sessions:
            for metric, read in self._bgp:
                metric.set(read(status), peer=settings.endpoint, vrf=_vrf(settings))

    def bfd(self, sessions: Iterable[PeerSettings], statuses: Mapping[str, BfdStatus]) -> None:
        """One series per session that has BFD; `statuses` by the peer's name."""
        _clear(self._bfd)
        self._dropped.clear()
        for settings in sessions:
            status = statuses.get(settings.name)
            if status is None:
                continue
            labels = {"peer": str(settings.address or settings.interface), "vrf": _vrf(settings)}
            for metric, read in self._bfd:
                metric.set(read(status), **labels)
            for reason, count in status.counters.dropped.items():
                self._dropped.set(count, reason=reason, **labels)


def _metrics(
    make: Callable[[str, str, tuple[str, ...]], Metric], table: Mapping[str, tuple[str, Callable[[S], float]]]
) -> list[tuple[Metric, Callable[[S], float]]]:
    return [(make(name, text, _LABELS), read) for name, (text, read) in table.items()]


def _clear(metrics: Iterable[tuple[Metric, object]]) -> None:
    for metric, _read in metrics:
        metric.clear()


def _vrf(settings: PeerSettings) -> str:
    return settings.vrf or "default"
