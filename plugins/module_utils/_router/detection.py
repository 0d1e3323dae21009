# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The failure detection of a router: BFD as it is negotiated, and graceful restart.

Pure functions over C(show bfd peers json) and C(show bgp neighbors json); the shapes were recorded from FRR
8.4.4.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import groups
from .settings import Settings

Json = dict[str, Any]


def bfd_peers(text: str) -> dict[str, Json]:
    """BFD sessions by the peer's address. A daemon that is not there prints a sentence: no sessions."""
    try:
        found = json.loads(text[text.index("[") :])
    except ValueError:
        return {}
    return {str(one["peer"]): one for one in found if isinstance(one, dict) and "peer" in one}


def of_session(settings: Settings, address: str, detail: Json, peers: Mapping[str, Json]) -> Json:
    """C(bfd) and C(graceful_restart) of a neighbor, as C(bgp_router_info) returns them."""
    return {"bfd": _bfd(settings, address, peers.get(address)), "graceful_restart": _restart(detail)}


def _bfd(settings: Settings, address: str, peer: Json | None) -> Json | None:
    """Return the facts of BFD, or None where the router does not ask the neighbor by BFD."""
    names = {address, groups.group_of(settings, address)}
    if peer is None and not any(("neighbor", name, "bfd") in settings for name in names):
        return None
    ignored = any(("neighbor", name, "bfd check-control-plane-failure") in settings for name in names)
    if peer is None:
        return {"state": "missing", "detection_time": None, "ignored_in_restart": ignored, "diagnostic": ""}
    return {
        "state": str(peer.get("status", "")),
        "detection_time": _detection_time(peer),
        "transmit_interval": _agreed(peer, "transmit-interval", "remote-receive-interval"),
        "receive_interval": _agreed(peer, "receive-interval", "remote-transmit-interval"),
        "ignored_in_restart": ignored,
        "diagnostic": str(peer.get("diagnostic", "")),
    }


def _detection_time(peer: Json) -> float | None:
    """Seconds, in asynchronous mode (RFC 5880, 6.8.4): the neighbor's multiplier, its agreed interval."""
    if peer.get("status") != "up":
        return None
    interval = _agreed(peer, "receive-interval", "remote-transmit-interval")
    return int(peer.get("remote-detect-multiplier", 0)) * interval / 1000


def _agreed(peer: Json, own: str, remote: str) -> int:
    """Milliseconds of one direction: whoever is slower decides (RFC 5880, 6.8.7)."""
    return max(int(peer.get(own, 0)), int(peer.get(remote, 0)))


def _restart(detail: Json) -> Json | None:
    """Return the facts of graceful restart, or None where routes of a neighbor that restarts are not kept.

    Both the neighbor says that it comes back with its routes, for at least one family, and the router helps
    (RFC 4724, 4.2). FRR marks a mode that it inherits with C(*).
    """
    about = detail.get("gracefulRestartInfo")
    if not isinstance(about, dict) or about.get("remoteGrMode") != "Restart":
        return None
    if str(about.get("localGrMode", "")).rstrip("*") not in ("Helper", "Restart"):
        return None
    families = (detail.get("neighborCapabilities") or {}).get("addressFamiliesByPeer")
    kept = sorted(families) if isinstance(families, dict) else []
    seconds = int((about.get("timers") or {}).get("receivedRestartTimer", 0))
    return {"restart_time": seconds, "families": kept} if kept else None
