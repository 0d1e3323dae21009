# SPDX-License-Identifier: GPL-3.0-or-later
"""Test which BFD sessions the peers ask for, and which losses are told."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from daemon.speaker.snapshots import configuration, peer

from vipcast.model.bfd import BfdProfile
from vipcast.net.bfd import BfdSettings, BfdState, BfdStatus, Diagnostic
from vipcast.net.connected_networks import on_link
from vipcast.speaker.bgp.bfd_sessions import Losses, bfd_sessions
from vipcast.speaker.bgp.settings import peer_settings

FAST = BfdProfile("fast", receive_interval=0.1, transmit_interval=0.2, detect_multiplier=4, minimum_ttl=250)
ECHO = replace(FAST, echo_mode=True, echo_interval=0.03)


def wanted(
    profile: BfdProfile, *, near: bool = True, learnt: str | None = None, **fields: Any
) -> BfdSettings:
    """The only session, of a peer with these fields."""
    [one] = configuration(peer(**fields)).peers
    settings = peer_settings(one, None, "n1")

    def address(_settings: object) -> Any:
        return settings.address or (ip_address(learnt) if learnt else None)

    found, problems = bfd_sessions({"tor": profile}, [settings], address, lambda _address: near)
    assert not problems
    return found["tor"]


def test_a_session_has_what_the_profile_says_and_what_the_peer_does() -> None:
    assert wanted(FAST, sourceAddress="10.31.8.1", vrf="red") == BfdSettings(
        peer=ip_address("10.31.254.251"),
        local=ip_address("10.31.8.1"),
        transmit_interval=0.2,
        receive_interval=0.1,
        detect_multiplier=4,
        minimum_ttl=250,
        vrf="red",
    )


@pytest.mark.parametrize(
    ("fields", "near", "multihop"),
    [
        ({}, False, False),  # eBGP is one hop unless it may be more
        ({"ebgpMultiHop": True}, True, True),
        ({"ttlSecurityHops": 1}, True, True),
        ({"ttlSecurityHops": 1, "peerASN": 64513}, True, False),
        ({"peerASN": 64513}, True, False),
        ({"peerASN": 64513}, False, True),
        ({"peerASN": 64513, "vrf": "red"}, False, False),
    ],
)
def test_one_hop_or_several_is_what_the_router_makes_of_it(
    fields: dict[str, Any], near: bool, multihop: bool
) -> None:
    assert wanted(FAST, near=near, **fields).multihop is multihop


@pytest.mark.parametrize(
    ("fields", "interval"),
    [({}, 0.03), ({"ebgpMultiHop": True}, None), ({"address": "fd31::1"}, None)],
)
def test_echo_packets_go_to_ipv4_neighbors_only(fields: dict[str, Any], interval: float | None) -> None:
    assert wanted(ECHO, **fields).echo_interval == interval


def test_over_an_interface_there_is_a_session_when_the_router_is_known() -> None:
    found = wanted(FAST, learnt="fe80::1", address="", interface="eth1")
    assert (found.peer, found.interface, found.multihop) == (ip_address("fe80::1"), "eth1", False)
    [one] = configuration(peer(address="", interface="eth1")).peers
    settings = peer_settings(one, None, "n1")
    assert bfd_sessions({"tor": FAST}, [settings], lambda _: None, lambda _: True) == ({}, {})


def test_a_peer_without_a_profile_has_no_bfd() -> None:
    [one] = configuration(peer()).peers
    settings = peer_settings(one, None, "n1")
    assert bfd_sessions({}, [settings], lambda each: each.address, lambda _: True) == ({}, {})


# -- losses --------------------------------------------------------------------------------------------------

UP = BfdStatus(BfdState.UP)
LOST = BfdStatus(BfdState.DOWN, diagnostic=Diagnostic.DETECTION_TIME_EXPIRED, went_down=1)


def test_each_loss_is_told_once() -> None:
    losses = Losses()
    assert losses.take({"tor": UP}) == {}
    assert losses.take({"tor": LOST}) == {"tor": "BFD: nothing was heard for the detection time"}
    assert losses.take({"tor": LOST}) == {}
    assert list(losses.take({"tor": replace(LOST, went_down=2)})) == ["tor"]


def test_a_loss_that_was_over_before_anybody_looked_is_told_too() -> None:
    losses = Losses()
    losses.take({"tor": UP})
    assert list(losses.take({"tor": replace(UP, went_down=1)})) == ["tor"]


def test_what_was_lost_before_this_speaker_came_is_not_its_own() -> None:
    losses = Losses()
    assert losses.take({"tor": replace(UP, went_down=7)}) == {}
    assert list(losses.take({"tor": replace(UP, went_down=8)})) == ["tor"]


def test_a_bfd_process_that_counts_from_nothing_has_lost_nothing() -> None:
    losses = Losses()
    losses.take({"tor": replace(UP, went_down=7)})
    assert losses.take({"tor": UP}) == {}
    assert list(losses.take({"tor": LOST})) == ["tor"]


# -- the kernel's table --------------------------------------------------------------------------------------

IPV4 = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000000A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t0005000A\t0200000A\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
_ZERO = "0" * 32
IPV6 = f"""\
fd310000000000000000000000000000 40 {_ZERO} 00 {_ZERO} 00000100 00000001 00000000 00000001     eth0
fd310000000000010000000000000000 40 {_ZERO} 00 fd310000000000000000000000000001 00000400 1 0 00000003     eth0
{_ZERO} 00 {_ZERO} 00 {_ZERO} ffffffff 00000001 00000000 00200200       lo
"""


@pytest.mark.parametrize(
    ("address", "near"),
    [
        ("10.0.0.1", True),
        ("10.0.5.1", False),  # a longer prefix, by way of a router
        ("192.0.2.1", False),
        ("127.0.0.1", True),
        ("fd31::2", True),
        ("fd31:0:0:1::2", False),
        ("2001:db8::1", False),
        ("fe80::1", True),
    ],
)
def test_the_most_specific_route_says_whether_a_router_is_near(
    tmp_path: Path, address: str, near: bool
) -> None:
    (tmp_path / "route").write_text(IPV4)
    (tmp_path / "ipv6_route").write_text(IPV6)
    assert on_link(ip_address(address), tmp_path) is near


def test_where_ipv6_is_off_nothing_is_near(tmp_path: Path) -> None:
    assert not on_link(ip_address("2001:db8::1"), tmp_path)
