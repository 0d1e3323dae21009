# SPDX-License-Identifier: GPL-3.0-or-later
"""The meeting of a speaker and any router, and what is asked of the router then."""

from __future__ import annotations

from ipaddress import ip_network

from daemon.interop.network import eventually
from daemon.interop.peers import Path, Peer, Setup
from daemon.interop.speaker import peer as peer_settings

from vipcast.bgp.route import Route
from vipcast.net.settings import PeerSettings

VIP, VIP2, VIP6 = ip_network("10.9.0.1/32"), ip_network("10.9.0.2/32"), ip_network("fd00::1/128")
COMMUNITIES = frozenset({64512 << 16 | 7, 64512 << 16 | 3})


def ours(setup: Setup, **values: object) -> PeerSettings:
    """The speaker's side of ``setup``."""
    given = {
        "remote_asn": setup.asn,
        "local_asn": setup.remote_asn,
        "hold_time": setup.hold_time,
        "password": setup.password,
        "node_name": "node1",
        **values,
    }
    if setup.over == "link-local":
        return peer_settings(None, interface="eth0", **given)
    return peer_settings(setup.router, **given)


def started(peer: Peer, **values: object) -> Setup:
    """Start the router as a `Setup` of these values says."""
    setup = Setup(**values)  # type: ignore[arg-type]
    peer.start(setup)
    return setup


def has(peer: Peer, route: Route, **wanted: object) -> Path:
    """The router's only path for a route, as soon as it is as wanted."""

    def right() -> bool:
        found = peer.paths(str(route.prefix))
        return len(found) == 1 and all(getattr(found[0], name) == value for name, value in wanted.items())

    try:
        eventually(right, "")
    except AssertionError:
        raise AssertionError(f"{route.prefix} with {wanted}: {peer.paths(str(route.prefix))}") from None
    return peer.paths(str(route.prefix))[0]


def lost(peer: Peer, route: Route, seconds: float = 10) -> None:
    """The router has no path for it any more."""
    eventually(lambda: not peer.paths(str(route.prefix)), f"{route.prefix} gone", seconds)
