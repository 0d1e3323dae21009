# SPDX-License-Identifier: GPL-3.0-or-later
"""From a BGPPeer as it is in force to what a session is made of."""

from __future__ import annotations

from vipcast.model.peers import Peer
from vipcast.net.settings import PeerSettings

__all__ = ["peer_settings"]


def peer_settings(peer: Peer, password: str | None, node_name: str) -> PeerSettings:
    """The settings; `password` is the peer's or its Secret's. Raises LocalError for what cannot work."""
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
    )
