# SPDX-License-Identifier: GPL-3.0-or-later
"""The Secrets that keep the passwords of peers: a BGPPeer names its Secret and shows no password. Pure.

**PRIVATE** to the collection. A peer is a dictionary of the options of the module bgp_peer. Who may read
BGPPeers sees every field of them, and rights to read Secrets are given apart (Kubernetes, "Good practices for
Kubernetes Secrets").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .values import DeclarationError, Place, Refusal

# What MetalLB and this load balancer read: the key `password` of a Secret of this type.
TYPE = "kubernetes.io/basic-auth"
KEY = "password"
SUFFIX = "-password"

Peer = Mapping[str, Any]


def secret_name(peer: Peer) -> str:
    """Return the name of the Secret with the peer's password: what is said, else made of the peer's name."""
    said = (peer.get("password_secret") or {}).get("name")
    return str(said or peer["name"] + SUFFIX)


def naming(peer: Peer) -> dict[str, Any]:
    """Return the peer as it is applied: with the name of its Secret in the place of the password."""
    if not peer.get("password"):
        return dict(peer)
    shown = {key: value for key, value in peer.items() if key != "password"}
    return {**shown, "password_secret": {**(peer.get("password_secret") or {}), "name": secret_name(peer)}}


def telling(peer: Peer) -> dict[str, Any]:
    """Return the peer as the speaker knows it with its Secret read, for whoever judges the password."""
    if not peer.get("password"):
        return dict(peer)
    return {key: value for key, value in peer.items() if key != "password_secret"}


def passwords(peers: Iterable[Peer], variable: str) -> dict[str, str]:
    """Return each Secret's password by the Secret's name. Raises DeclarationError where one has two."""
    found: dict[str, str] = {}
    for peer in peers:
        if not peer.get("password"):
            continue
        name = secret_name(peer)
        if found.setdefault(name, peer["password"]) != peer["password"]:
            why = (
                f"peer {peer['name']} has another password than the one that Secret {name} keeps for a peer "
                "before it; password_secret names another Secret"
            )
            raise DeclarationError(Refusal.CONFLICT, Place(variable), why)
    return found


def secrets(names: Iterable[str], namespace: str) -> list[dict[str, Any]]:
    """Return the manifests of these Secrets, without their texts."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "type": TYPE,
        }
        for name in names
    ]
