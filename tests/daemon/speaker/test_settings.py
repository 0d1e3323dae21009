# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how a BGPPeer becomes a session's settings, and which changes a router may take for a restart."""

from __future__ import annotations

from dataclasses import fields, replace
from ipaddress import IPv4Address, ip_address
from typing import Any

import pytest
from daemon.speaker.snapshots import configuration, peer
from hypothesis import example, given
from hypothesis import strategies as st

from vipcast.bgp.negotiation import make_open
from vipcast.bgp.wire import Family
from vipcast.model.configuration import parse
from vipcast.net.settings import PeerSettings
from vipcast.speaker.bgp.settings import node_router_id, peer_settings, same_router
from vipcast.speaker.kube_types import Node


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


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (("10.0.0.5", "10.0.0.6"), "10.0.0.5"),
        (("2001:db8::5", "10.0.0.6"), "10.0.0.6"),
        (("2001:db8::5",), "64.37.239.133"),
        ((), "64.37.239.133"),
    ],
)
def test_a_node_has_one_bgp_identifier(addresses: tuple[str, ...], expected: str) -> None:
    """RFC 6286 section 2.1: the first IPv4 InternalIP, or a number made of the name, for every peer."""
    node = Node("node1", addresses=tuple(ip_address(each) for each in addresses))
    found = node_router_id(node, "node1")
    assert str(found) == expected
    for where in ("10.31.254.251", "fd31::1"):
        [one] = configuration(peer(address=where)).peers
        made = peer_settings(one, None, "node1", found).session()
        for local in ("10.1.0.5", "2001:db8::7"):
            assert make_open(made, ip_address(local)).router_id == found


def test_a_peer_may_be_told_another_identifier() -> None:
    [one] = configuration(peer(routerID="10.0.0.9")).peers
    assert str(peer_settings(one, None, "n1", IPv4Address("10.0.0.5")).router_id) == "10.0.0.9"


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


# ---- one rule for what a session accepts: the model's is never the laxer one ----

_DURATIONS = st.one_of(
    st.sampled_from(["", "0", "0s", "1s", "2s", "3s", "65535s", "65536s", "4500ms", "999ms", "2500ms", "1h"]),
    st.builds("{}{}".format, st.integers(0, 70_000), st.sampled_from(["s", "ms", "m"])),
    st.integers(300, 320).map(lambda digits: "9" * digits + "s"),
)
_ASNS = st.sampled_from([0, 1, 23456, 64512, 64513, 65535, 65536, 2**32 - 1, 2**32])
_PLACES = st.sampled_from([
    {"peerAddress": "192.0.2.1"},
    {"peerAddress": "fd00::1"},
    {"peerAddress": "fe80::1%eth1"},
    {"peerAddress": "", "interface": "eth1"},
    {"peerAddress": "", "interface": "x" * 15},
    {"peerAddress": "", "interface": "ü" * 15},
])  # fmt: skip
_FIELDS: dict[str, Any] = {
    "myASN": _ASNS,
    "localASN": _ASNS,
    "holdTime": _DURATIONS,
    "keepaliveTime": _DURATIONS,
    "connectTime": _DURATIONS,
    "gracefulRestartTime": _DURATIONS,
    "enableGracefulRestart": st.booleans(),
    "peerPort": st.integers(-1, 65536),
    "sourceAddress": st.sampled_from(["", "192.0.2.9", "fd00::9", "fe80::9"]),
    "routerID": st.sampled_from(["", "0.0.0.0", "10.0.0.1", "fd00::1"]),
    "vrf": st.sampled_from(["", "red", "x" * 15, "x" * 16, "ü" * 15]),
    "ttlSecurityHops": st.integers(0, 255),
    "ebgpMultiHop": st.booleans(),
    "passive": st.booleans(),
    "dualStackAddressFamily": st.booleans(),
    "password": st.sampled_from(["", "x" * 80, "x" * 81, "ü" * 41]),
}


@given(
    spec=st.fixed_dictionaries({}, optional=_FIELDS),
    number=st.one_of(
        _ASNS.map(lambda asn: {"peerASN": asn}),
        st.sampled_from(["internal", "external"]).map(lambda kind: {"peerASN": None, "dynamicASN": kind}),
    ),
    place=_PLACES,
)
@example(spec={"holdTime": "4500ms"}, number={}, place={})
@example(spec={"vrf": "ü" * 15}, number={}, place={})
@example(spec={}, number={}, place={"peerAddress": "", "interface": "ü" * 15})
@example(spec={"sourceAddress": "192.0.2.9"}, number={}, place={"peerAddress": "", "interface": "eth1"})
def test_every_peer_that_is_in_force_makes_a_session(
    spec: dict[str, Any], number: dict[str, Any], place: dict[str, Any]
) -> None:
    for one in parse([peer(**spec, **number, **place)]).peers:
        peer_settings(one, one.password, "n1")
