# SPDX-License-Identifier: GPL-3.0-or-later
"""Five routers that others wrote, behind one interface."""

from __future__ import annotations

from daemon.interop.peers.base import Path, Peer, Setup
from daemon.interop.peers.bird import Bird
from daemon.interop.peers.exabgp import ExaBgp
from daemon.interop.peers.frr import Frr
from daemon.interop.peers.gobgp import GoBgp
from daemon.interop.peers.openbgpd import OpenBgpd

__all__ = ["PEERS", "Path", "Peer", "Setup"]

PEERS: dict[str, type[Peer]] = {peer.name: peer for peer in (Frr, Bird, GoBgp, ExaBgp, OpenBgpd)}
