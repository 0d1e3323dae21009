# SPDX-License-Identifier: GPL-3.0-or-later
"""From a BGPPeer as it is in force to what a session is made of."""

from __future__ import annotations

from vipcast.model.peers import Peer
from vipcast.net.settings import PeerSettings

__all__ = ["UnsupportedPeerError", "peer_settings"]


class UnsupportedPeerError(Exception):
    """A peer with which the only session that we can make would be a wrong one."""


def peer_settings(peer: Peer, password: str | None, node_name: str) -> PeerSettings:
    """The settings; `password` is the peer's or its Secret's.

    Raises LocalError for what cannot work, and UnsupportedPeerError.
    """
    if peer.unsupported or peer.address is None or peer.remote_asn is None:
        raise UnsupportedPeerError(
            f"{', '.join(peer.unsupported)}: not supported yet, so there is no session"
        )
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
