# SPDX-License-Identifier: GPL-3.0-or-later
"""BGP sessions as a table: of one speaker's status, and of the BGPSessionStates of a cluster."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from vipcast.cli.table import table

__all__ = ["age", "details", "sessions"]

_Json = dict[str, Any]
# The order is that of `cilium bgp peers`.
_HEADS: tuple[str, ...] = (
    *("PEER", "LOCAL AS", "PEER AS", "ADDRESS", "STATE", "SINCE", "BFD"),
    *("FAMILY", "RECEIVED", "ADVERTISED", "PENDING"),
)
_NOTHING = "-"
_WIDTH = 110


def sessions(peers: Sequence[_Json], now: datetime, *, nodes: bool = False) -> Iterator[str]:
    """A row for each family of each session, and below what is wrong. `nodes`: say of which node each is."""
    rows = [((peer["node"],) if nodes else ()) + row for peer in peers for row in _rows(peer, now)]
    yield from table((("NODE",) if nodes else ()) + _HEADS, rows)
    for peer in peers:
        yield from _notes(peer, f"{peer['node']} {peer['name']}" if nodes else peer["name"])


def _rows(peer: _Json, now: datetime) -> Iterator[tuple[str, ...]]:
    address = peer["address"] if peer["port"] == 179 else f"{peer['address']} port {peer['port']}"
    numbers = (str(peer["localASN"]), str(peer.get("peerASN") or _NOTHING))
    bfd = (peer.get("bfd") or {}).get("state", _NOTHING)
    about = (peer["name"], *numbers, address, peer["state"], age(peer.get("since"), now), bfd)
    received = str((peer.get("prefixes") or {}).get("received", _NOTHING))
    families = peer.get("families") or [{"family": _NOTHING}]
    for number, each in enumerate(families):
        pending = each.get("pending", 0) + each.get("withheld", 0)
        counts = (
            each["family"],
            _NOTHING if number else received,
            str(each.get("announced", 0)),
            str(pending),
        )
        yield (*about, *counts)


def _notes(peer: _Json, name: str) -> Iterator[str]:
    if peer.get("message"):
        yield f"  {name}: {peer['reason']}: {peer['message']}"
    if peer.get("problem"):
        yield f"  {name}: {peer['problem']}"
    if peer["state"] != "Established":
        yield from (f"  {name}: {words}" for words in _errors(peer))
    withheld = peer.get("withheld") or {}
    for prefix, why in withheld.items() if isinstance(withheld, dict) else _pairs(withheld):
        yield f"  {name}: {prefix} not sent: {why}"
    bfd = peer.get("bfd") or {}
    if bfd.get("problem"):
        yield f"  {name}: BFD: {bfd['problem']}"
    elif bfd.get("state") == "Down" and bfd.get("diagnostic"):
        yield f"  {name}: BFD: {bfd['diagnostic']}"
    if peer.get("drain"):
        yield f"  {name}: the node is leaving: {peer['drain']}"


def _errors(peer: _Json) -> list[str]:
    """Return what ended the last session that was up, and what has failed since; often that is one thing."""
    told = (("lost", "lostAt"), ("lastError", "lastErrorAt"))
    return list(dict.fromkeys(f"{peer[what]} ({peer[when]})" for what, when in told if peer.get(what)))


def _pairs(withheld: Sequence[_Json]) -> Iterator[tuple[str, str]]:
    return ((each["prefix"], each["message"]) for each in withheld)


def details(peer: _Json) -> Iterator[str]:
    """Yield what else is known of a session, a line for each subject."""
    subjects = {
        "address": _ends(peer),
        "timers": _timers(peer),
        "we offer": ", ".join((peer.get("capabilities") or {}).get("local") or ()),
        "it offers": ", ".join((peer.get("capabilities") or {}).get("peer") or ()),
        "graceful restart": _restart(peer),
        "BFD": _bfd(peer),
        "messages": _messages(peer),
        "next attempt": peer.get("nextAttemptAt") or "",
        "last errors": "; ".join(_errors(peer)),
    }
    yield peer["name"]
    for subject, words in subjects.items():
        if words:
            yield textwrap.fill(
                words,
                _WIDTH,
                initial_indent=f"  {subject + ':':<18}",
                subsequent_indent=" " * 20,
                break_on_hyphens=False,
            )


def _ends(peer: _Json) -> str:
    ours = peer.get("localAddress")
    if not ours:
        return ""
    there = peer.get("peerAddress") or peer["address"]
    via = f" in VRF {peer['vrf']}" if peer.get("vrf") else ""
    return f"{ours} ({_router_id(peer, 'local')}) to {there} ({_router_id(peer, 'peer')}){via}"


def _router_id(peer: _Json, side: str) -> str:
    return f"router id {peer.get(f'{side}RouterID') or 'not known'}"


def _timers(peer: _Json) -> str:
    timers = peer.get("timers") or {}
    wanted, found = timers.get("configured") or {}, timers.get("negotiated")
    words = "hold {hold:g} s, keepalive {keepalive:g} s"
    configured = f"{words}, connect {{connect:g}} s".format(**wanted) if wanted else ""
    return f"{words.format(**found)} (configured: {configured})" if found else f"configured: {configured}"


def _restart(peer: _Json) -> str:
    restart = peer.get("gracefulRestart")
    if not restart:
        return ""
    if restart["negotiated"]:
        return f"negotiated, the router keeps our routes for {restart['configured']} s"
    return "configured, and not negotiated on this session"


def _bfd(peer: _Json) -> str:
    bfd = peer.get("bfd")
    if not bfd:
        return ""
    detection = f", lost after {bfd['detectionTime'] * 1000:g} ms" if bfd.get("detectionTime") else ""
    lost = f", went down {_times(bfd['wentDown'])}" if bfd.get("wentDown") else ""
    router = f", the router says {bfd['peerState']}" if bfd.get("peerState") else ""
    return f"{bfd.get('state', 'Unknown')}{router}{detection}{lost}"


def _messages(peer: _Json) -> str:
    messages = peer.get("messages")
    if not messages:
        return ""
    times = f"; the session came up {_times(peer['established'])}" if peer.get("established") else ""
    return f"{messages['received']} received, {messages['sent']} sent{times}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def age(since: str | None, now: datetime) -> str:
    """``00:12:03`` or ``5d04h``, as routers show it."""
    if not since:
        return _NOTHING
    seconds = max(0, int((now - datetime.fromisoformat(since)).total_seconds()))
    hours, rest = divmod(seconds, 3600)
    if hours >= 24:
        return f"{hours // 24}d{hours % 24:02}h"
    return f"{hours:02}:{rest // 60:02}:{rest % 60:02}"
