# SPDX-License-Identifier: GPL-3.0-or-later
"""From a BGPPeer to a session's settings, and which changes a router may take for a restart."""

from __future__ import annotations

from dataclasses import fields, replace
from ipaddress import ip_address
from typing import Any

import pytest
from daemon.speaker.worlds import configuration, peer

from vipcast.bgp.wire import Family
from vipcast.net.settings import PeerSettings
from vipcast.speaker.settings import peer_settings, same_router


def settings(**spec: Any) -> PeerSettings:
    [one] = configuration(peer(**spec)).peers
    return peer_settings(one, "secret", "n1")


def test_every_setting_comes_from_the_peer() -> None:
    found = settings(
        peerPort=1179, sourceAddress="10.31.8.1", routerID="10.0.0.9", localASN=64999, vrf="red",
        passive=True, holdTime="30s", keepaliveTime="5s", connectTime="7s", enableGracefulRestart=True,
        gracefulRestartTime="60s", ttlSecurityHops=3, dualStackAddressFamily=True,
    )  # fmt: skip
    assert found == PeerSettings(
        name="tor", address=ip_address("10.31.254.251"), port=1179, local_asn=64513, remote_asn=64512,
        hold_time=30, keepalive_time=5, connect_time=7, router_id=ip_address("10.0.0.9"),
        source_address=ip_address("10.31.8.1"), password="secret", node_name="n1", shown_asn=64999, vrf="red",
        passive=True, ttl_security_hops=3, restart_time=60, families=frozenset(Family),
    )  # fmt: skip


def test_a_session_over_an_interface_takes_any_number_of_a_kind() -> None:
    found = settings(address="", peerASN=None, interface="eth1", dynamicASN="internal")
    assert (found.address, found.interface, found.remote_asn, found.dynamic_asn) == (
        None, "eth1", None, "internal",
    )  # fmt: skip
    assert found.internal


def test_a_session_carries_the_family_of_its_address() -> None:
    assert settings().families == {Family.IPV4_UNICAST}
    assert settings(address="fd31::1").families == {Family.IPV6_UNICAST}


def test_without_graceful_restart_there_is_no_restart_time() -> None:
    assert settings().restart_time is None
    assert settings(enableGracefulRestart=True).restart_time == 120


RESTARTING = settings(enableGracefulRestart=True)
# What may differ in the session that comes after; everything else makes us somebody else to the router.
STILL_US = {
    "password": "other",
    "hold_time": 30,
    "keepalive_time": 4,
    "connect_time": 3,
    "restart_time": 60,
    "multihop": True,
    "ttl_security_hops": 2,
    "passive": True,
}
SOMEBODY_ELSE = {
    "name": "x",
    "address": ip_address("10.31.254.250"),
    "port": 1179,
    "local_asn": 65000,
    "remote_asn": 65001,
    "router_id": ip_address("10.0.0.9"),
    "source_address": ip_address("10.31.8.1"),
    "node_name": "n2",
    "interface": "eth1",
    "shown_asn": 65002,
    "vrf": "red",
    "families": frozenset(Family),
}


@pytest.mark.parametrize("name", STILL_US)
def test_a_change_that_leaves_us_who_we_were_is_a_restart(name: str) -> None:
    assert same_router(RESTARTING, replace(RESTARTING, **{name: STILL_US[name]}))


@pytest.mark.parametrize("name", SOMEBODY_ELSE)
def test_a_change_that_makes_us_somebody_else_is_an_end(name: str) -> None:
    assert not same_router(RESTARTING, replace(RESTARTING, **{name: SOMEBODY_ELSE[name]}))


def test_every_setting_is_one_or_the_other() -> None:
    both = {each.name for each in fields(PeerSettings)} - {"dynamic_asn"}  # goes with remote_asn
    assert both == STILL_US.keys() | SOMEBODY_ELSE.keys()


def test_without_graceful_restart_every_change_is_an_end() -> None:
    assert not same_router(settings(), replace(settings(), password="other"))
    assert not same_router(RESTARTING, replace(RESTARTING, restart_time=None))
