# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of sessions, made from the BGPPeers in force."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Literal, cast

from vipcast.bgp.errors import LocalError
from vipcast.bgp.negotiation import checksum_router_id
from vipcast.bgp.wire import Family
from vipcast.model.peers import Peer
from vipcast.net.settings import PeerSettings
from vipcast.speaker.bgp.passwords import UnusableSecretError
from vipcast.speaker.kube_types import Node

__all__ = [
    "BAD_SETTINGS",
    "SessionsWanted",
    "node_router_id",
    "peer_settings",
    "same_router",
    "sessions_wanted",
]

BAD_SETTINGS = "badSettings"  # the reason of a peer that can have no session on this node
# Returns the password of a Secret, and what is wrong with the Secret if it is an older one. Raises
# UnusableSecretError where there is none.
PasswordOf = Callable[[str], tuple[str, UnusableSecretError | None]]

_FAMILIES = {4: Family.IPV4_UNICAST, 6: Family.IPV6_UNICAST}


def node_router_id(node: Node | None, node_name: str) -> IPv4Address:
    """Return the BGP Identifier of a node: its first IPv4 InternalIP, or else a number made of its name.

    RFC 4271 section 4.2 and RFC 6286 section 2.1: it is the speaker's, and the same for every peer.
    """
    addresses = node.addresses if node else ()
    found = (each for each in addresses if isinstance(each, IPv4Address) and int(each))
    return next(found, None) or checksum_router_id(node_name.encode())


def peer_settings(
    peer: Peer, password: str | None, node_name: str, router_id: IPv4Address | None = None
) -> PeerSettings:
    """Return the settings. `password` is the peer's or its Secret's, `router_id` the node's, for peers that
    are not told of another one.

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
        router_id=peer.router_id or router_id,
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


@dataclass(frozen=True, slots=True)
class SessionsWanted:
    """The settings of all sessions, and by peer what is wrong: a reason and a message."""

    settings: tuple[PeerSettings, ...] = ()
    refused: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def sessions_wanted(
    peers: Iterable[Peer],
    password_of: PasswordOf,
    running: Mapping[str, PeerSettings],
    node_name: str,
    router_id: IPv4Address | None,
) -> SessionsWanted:
    """Return the settings of every peer that can have a session; the others are refused by name.

    A session that runs goes on as it is where what is asked for now can not be.
    """
    settings: list[PeerSettings] = []
    refused: dict[str, tuple[str, str]] = {}
    for peer in peers:
        try:
            password, older = _password(peer, password_of)
            if older is not None:
                refused[peer.name] = older.reason, f"{older}; the session keeps the password it had"
            settings.append(peer_settings(peer, password, node_name, router_id))
        except (UnusableSecretError, LocalError) as error:
            reason = error.reason if isinstance(error, UnusableSecretError) else BAD_SETTINGS
            old = running.get(peer.name)
            refused[peer.name] = reason, f"{error}; the session goes on as it was" if old else str(error)
            settings += [old] if old else []
    return SessionsWanted(tuple(settings), refused)


def _password(peer: Peer, password_of: PasswordOf) -> tuple[str | None, UnusableSecretError | None]:
    if peer.password_secret is None:
        return peer.password, None
    return password_of(peer.password_secret)


def same_router(old: PeerSettings, new: PeerSettings) -> bool:
    """Return whether a router that kept the routes of the old session (RFC 4724) gets them again in the new.

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
