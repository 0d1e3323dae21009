# SPDX-License-Identifier: GPL-3.0-or-later
"""From a BGPPeer as it is in force to what a session is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast

from vipcast.bgp.wire import Family
from vipcast.model.peers import Peer
from vipcast.net.settings import PeerSettings

__all__ = ["peer_settings", "same_router"]

_FAMILIES = {4: Family.IPV4_UNICAST, 6: Family.IPV6_UNICAST}


def peer_settings(peer: Peer, password: str | None, node_name: str) -> PeerSettings:
    """The settings; `password` is the peer's or its Secret's.

    Raises LocalError for what cannot work.
    """
    return PeerSettings(
        name=peer.name,
        address=peer.address,
        port=peer.port,
        local_asn=peer.local_asn,
        remote_asn=peer.remote_asn,
        hold_time=peer.timers.hold,
        keepalive_time=peer.timers.keepalive,
        connect_time=peer.timers.connect,
        router_id=peer.router_id,
        source_address=peer.source_address,
        password=password,
        multihop=peer.multihop,
        node_name=node_name,
        interface=peer.interface,
        dynamic_asn=cast(Literal["internal", "external"] | None, peer.dynamic_asn),
        shown_asn=peer.shown_asn,
        vrf=peer.vrf,
        passive=peer.passive,
        ttl_security_hops=peer.ttl_security_hops,
        restart_time=peer.restart_time if peer.graceful_restart else None,
        families=frozenset(_FAMILIES[version] for version in peer.families),
    )


def same_router(old: PeerSettings, new: PeerSettings) -> bool:
    """Whether a router that keeps the routes of the old session (RFC 4724) gets them back in the new one.

    A new password or other timers make a new connection and leave us who we were.
    """
    if old.restart_time is None or new.restart_time is None:
        return False
    return new == replace(
        old,
        password=new.password,
        hold_time=new.hold_time,
        keepalive_time=new.keepalive_time,
        connect_time=new.connect_time,
        restart_time=new.restart_time,
        multihop=new.multihop,
        ttl_security_hops=new.ttl_security_hops,
        passive=new.passive,
    )
