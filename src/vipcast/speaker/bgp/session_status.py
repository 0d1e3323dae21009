# SPDX-License-Identifier: GPL-3.0-or-later
"""All that is known of a peer, as plain data: what /status and the BGPSessionState have in common.

Bounded: prefixes are counted here, not listed. Nothing in it changes while nothing happens, so what it is
written to need not be written again. Times are RFC 3339, durations seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import nsmallest
from ipaddress import IPv6Network
from types import MappingProxyType

from vipcast.bgp.capabilities import Capability, FourOctetAsn, GracefulRestart, Multiprotocol
from vipcast.bgp.export import Withheld
from vipcast.bgp.route import Route
from vipcast.bgp.wire import Family
from vipcast.k8s import Json
from vipcast.model.peers import Peer
from vipcast.net.bfd import BfdStatus
from vipcast.net.status import PeerStatus

__all__ = ["NO_SESSION", "UNKNOWN", "PeerView", "session_status", "views", "when"]

NO_SESSION = "NotStarted"
UNKNOWN = "Unknown"  # the BFD process has not said anything yet
WITHHELD_SHOWN = 10
# A router's words (RFC 9003) have 255 octets at most; ours are a line.
MAX_WORDS = 1024


@dataclass(frozen=True, slots=True)
class PeerView:
    """A peer of this node and its sessions, as they are."""

    peer: Peer
    status: PeerStatus | None = None  # None: no session
    refused: tuple[str, str] | None = None  # reason and message: why there is none, or none as it should be
    bfd: BfdStatus | None = None
    bfd_problem: str | None = None  # why there is no BFD


def views(
    peers: Iterable[Peer],
    statuses: Mapping[str, PeerStatus],
    refused: Mapping[str, tuple[str, str]],
    *,
    bfd: Mapping[str, BfdStatus] = MappingProxyType({}),
    bfd_problems: Mapping[str, str] = MappingProxyType({}),
) -> list[PeerView]:
    """One per peer; all but `peers` are by the peer's name."""
    return [
        PeerView(
            peer,
            statuses.get(peer.name),
            refused.get(peer.name),
            bfd.get(peer.name),
            bfd_problems.get(peer.name),
        )
        for peer in peers
    ]


def session_status(view: PeerView) -> Json:
    """Return what is so; what is not known, or is not there, is left out."""
    peer, status = view.peer, view.status
    entry: Json = {
        "name": peer.name,
        "address": str(peer.address or peer.interface),
        "vrf": peer.vrf or "",
        "port": peer.port,
        "localASN": peer.shown_asn or peer.local_asn,
        "peerASN": peer.remote_asn or (_told_asn(status) if status else None),
        "state": status.state.value if status else NO_SESSION,
        "timers": _timers(peer, status),
        "bfd": _bfd(view),
        "gracefulRestart": _restart(view),
    }
    if view.refused:
        entry |= {"reason": view.refused[0], "message": view.refused[1][:MAX_WORDS]}
    if status:
        entry |= _session(status)
    return _known(entry)


def when(wall: float | None) -> str | None:
    """Seconds since 1970 as the API writes a time."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if wall else None


def _session(status: PeerStatus) -> Json:
    counters = status.counters
    return {
        # Down is down: a session that is tried every ten seconds is not down since the last try.
        "since": when(status.since_wall if status.established else status.lost_wall),
        "lastError": status.last_error[:MAX_WORDS] or None,
        "lastErrorAt": when(status.last_error_wall),
        "lost": status.lost[:MAX_WORDS] or None,
        "lostAt": when(status.lost_wall) if status.lost else None,
        "problem": status.problem or None,
        "localAddress": _text(status.local_address),
        "peerAddress": _text(status.remote_address),
        "localRouterID": _text(status.local_router_id),
        "peerRouterID": _text(status.remote_router_id),
        "capabilities": {
            "local": [str(each) for each in status.local_capabilities],
            "peer": [str(each) for each in status.remote_capabilities],
        },
        "established": counters.established,
        "prefixes": {**_counts(status), "received": counters.prefixes_received},
        "families": _families(status),
        "withheld": [
            {"prefix": str(route.prefix), "message": why.value}
            for route, why in nsmallest(WITHHELD_SHOWN, status.withheld.items(), key=_order)
        ],
    }


def _told_asn(status: PeerStatus) -> int | None:
    """Return where any is right, the one that the peer said last."""
    return next((each.asn for each in status.remote_capabilities if isinstance(each, FourOctetAsn)), None)


def _order(pair: tuple[Route, Withheld]) -> tuple[int, int, int]:
    """The same first ten each time, in whichever order they were asked for."""
    prefix = pair[0].prefix
    return prefix.version, int(prefix.network_address), prefix.prefixlen


def _timers(peer: Peer, status: PeerStatus | None) -> Json:
    wanted = peer.timers
    timers = {
        "configured": {
            "hold": _number(wanted.hold),
            "keepalive": _number(wanted.keepalive),
            "connect": _number(wanted.connect),
        }
    }
    if status and status.hold_time is not None and status.keepalive_time is not None:
        timers["negotiated"] = {
            "hold": _number(status.hold_time),
            "keepalive": _number(status.keepalive_time),
        }
    return timers


def _counts(status: PeerStatus) -> dict[str, int]:
    return {
        "announced": len(status.announced),
        "pending": len(status.pending),
        "withheld": len(status.withheld),
    }


def _families(status: PeerStatus) -> list[Json]:
    """Return those that both sides offered, and those that routes wait for."""
    parts = {"announced": status.announced, "pending": status.pending, "withheld": status.withheld}
    counts = {name: _by_family(routes) for name, routes in parts.items()}
    both = _offered(status.local_capabilities) & _offered(status.remote_capabilities)
    return [
        {"family": family.words, **{name: found[family] for name, found in counts.items()}}
        for family in Family
        if (status.established and family in both) or any(found[family] for found in counts.values())
    ]


def _offered(capabilities: Iterable[Capability]) -> frozenset[Family]:
    return frozenset(each.family for each in capabilities if isinstance(each, Multiprotocol))


def _by_family(routes: Collection[Route]) -> dict[Family, int]:
    """Counted after every decision, and there may be ten thousands."""
    six = sum(isinstance(route.prefix, IPv6Network) for route in routes)
    return {Family.IPV4_UNICAST: len(routes) - six, Family.IPV6_UNICAST: six}


def _restart(view: PeerView) -> Json | None:
    if not view.peer.graceful_restart:
        return None
    status = view.status
    both = bool(
        status
        and status.established
        and _has_restart(status.local_capabilities)
        and _has_restart(status.remote_capabilities)
    )
    return {"configured": view.peer.restart_time, "negotiated": both}


def _has_restart(capabilities: tuple[Capability, ...]) -> bool:
    return any(isinstance(each, GracefulRestart) for each in capabilities)


def _bfd(view: PeerView) -> Json | None:
    if view.peer.bfd_profile is None:
        return None
    if view.bfd is None:
        return _known({"state": UNKNOWN, "problem": view.bfd_problem})
    status = view.bfd
    return _known(
        {
            "state": str(status.state),
            "since": when(status.since_wall),
            "diagnostic": str(status.diagnostic) if status.diagnostic else None,
            "peerState": str(status.remote_state),
            "detectionTime": None if status.detection_time is None else _number(status.detection_time),
            "wentDown": status.went_down,
            "problem": status.problem or view.bfd_problem,
        }
    )


def _number(seconds: float) -> float:
    """Return a number as JSON reads it back: 9, not 9.0; and no more digits than a timer has."""
    return int(seconds) if seconds == int(seconds) else round(seconds, 6)


def _text(value: object) -> str | None:
    return str(value) if value is not None else None


def _known(entry: Json) -> Json:
    return {name: value for name, value in entry.items() if value is not None}
