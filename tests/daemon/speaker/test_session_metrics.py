# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and labels are those that dashboards for MetalLB with FRR ask for."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from daemon.speaker.peer_statuses import status

from vipcast.bfd.fsm import BfdState
from vipcast.bfd.settings import BfdCounters
from vipcast.bgp.counters import Counters
from vipcast.bgp.framing import MessageType
from vipcast.daemon.metrics import Registry
from vipcast.net.bfd import BfdStatus
from vipcast.net.settings import PeerSettings
from vipcast.speaker.bgp.session_metrics import SessionMetrics

SETTINGS = PeerSettings(
    name="tor", address=ipaddress.ip_address("10.31.254.251"), port=179, local_asn=64513, remote_asn=64512
)
COUNTERS = Counters(established=2, prefixes_received=9)
for number, kind in enumerate(MessageType, 1):
    COUNTERS.messages_out[kind], COUNTERS.messages_in[kind] = number, 10 * number
BFD = BfdStatus(
    BfdState.UP,
    detection_time=0.3,
    counters=BfdCounters(100, 200, 3, 4, 5, 6, {"wrong TTL": 7}),
)
# As MetalLB's page on metrics has them (native and FRR mode), with what each should be here.
BGP_NAMES = {
    "session_up": 1, "announced_prefixes_total": 1, "pending_prefixes_total": 1, "opens_sent": 1,
    "opens_received": 10, "updates_total": 2, "updates_total_received": 20, "notifications_sent": 3,
    "keepalives_sent": 4, "keepalives_received": 40, "route_refresh_sent": 5, "total_sent": 15,
    "total_received": 150,
}  # fmt: skip
BFD_NAMES = {
    "session_up": 1, "control_packet_input": 100, "control_packet_output": 200, "echo_packet_input": 3,
    "echo_packet_output": 4, "session_up_events": 5, "session_down_events": 6, "zebra_notifications": 11,
}  # fmt: skip


def exposed(settings: PeerSettings = SETTINGS) -> list[str]:
    registry = Registry()
    metrics = SessionMetrics(registry)
    metrics.bgp([(settings, status(counters=COUNTERS))])
    metrics.bfd([settings], {"tor": BFD})
    return registry.render().splitlines()


def test_bgp_has_the_names_the_labels_and_the_meanings() -> None:
    lines = exposed()
    for name, value in BGP_NAMES.items():
        assert f'metallb_bgp_{name}{{peer="10.31.254.251:179",vrf="default"}} {value}' in lines
    assert 'vipcast_bgp_received_prefixes_total{peer="10.31.254.251:179",vrf="default"} 9' in lines


def test_bfd_has_the_address_alone_as_its_peer() -> None:
    lines = exposed()
    for name, value in BFD_NAMES.items():
        assert f'metallb_bfd_{name}{{peer="10.31.254.251",vrf="default"}} {value}' in lines
    labels = 'peer="10.31.254.251",vrf="default"'
    assert f"vipcast_bfd_detection_time_seconds{{{labels}}} 0.3" in lines
    assert f'vipcast_bfd_packets_dropped_total{{{labels},reason="wrong TTL"}} 7' in lines


@pytest.mark.parametrize(
    ("settings", "bgp", "bfd"),
    [
        (
            replace(SETTINGS, vrf="red"),
            'peer="10.31.254.251:179",vrf="red"',
            'peer="10.31.254.251",vrf="red"',
        ),
        (
            replace(SETTINGS, address=ipaddress.ip_address("fd00::1")),
            'peer="[fd00::1]:179",vrf="default"',
            'peer="fd00::1",vrf="default"',
        ),
        (
            replace(SETTINGS, address=None, interface="eth0"),
            'peer="eth0:179",vrf="default"',
            'peer="eth0",vrf="default"',
        ),
    ],
)
def test_every_kind_of_peer_has_a_label(settings: PeerSettings, bgp: str, bfd: str) -> None:
    lines = exposed(settings)
    assert f"metallb_bgp_session_up{{{bgp}}} 1" in lines
    assert f"metallb_bfd_session_up{{{bfd}}} 1" in lines


def test_a_peer_that_is_gone_is_exposed_no_more() -> None:
    registry = Registry()
    metrics = SessionMetrics(registry)
    metrics.bgp([(SETTINGS, status())])
    metrics.bfd([SETTINGS], {"tor": BFD})
    metrics.bgp([])
    metrics.bfd([], {"tor": BFD})
    assert "10.31.254.251" not in registry.render()


def test_a_peer_without_bfd_has_no_series_of_it() -> None:
    registry = Registry()
    SessionMetrics(registry).bfd([SETTINGS], {})
    assert "10.31.254.251" not in registry.render()
