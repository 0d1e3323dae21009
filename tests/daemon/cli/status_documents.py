# SPDX-License-Identifier: GPL-3.0-or-later
"""Status documents of a speaker, as its health port serves them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


PREFIXES = {"announced": 2, "pending": 0, "withheld": 0, "received": 7}


FAMILIES = [
    {"family": "IPv4 unicast", "announced": 1, "pending": 0, "withheld": 0},
    {"family": "IPv6 unicast", "announced": 1, "pending": 0, "withheld": 2},
]


TIMERS = {"configured": {"hold": 9, "keepalive": 3, "connect": 10}, "negotiated": {"hold": 6, "keepalive": 2}}


UP = {
    "name": "tor-1", "address": "10.31.254.251", "port": 179, "localASN": 64513, "peerASN": 64512,
    "state": "Established", "since": "2026-01-02T11:47:57Z", "timers": TIMERS, "lastError": "old news",
    "lastErrorAt": "2026-01-02T11:00:00Z", "prefixes": PREFIXES, "families": FAMILIES, "withheld": {},
    "bfd": {"state": "Up", "peerState": "Up", "detectionTime": 0.3, "wentDown": 2}, "established": 3,
    "localAddress": "10.31.254.1", "localRouterID": "10.31.254.1", "peerRouterID": "10.0.0.1",
    "capabilities": {"local": ["IPv4 unicast", "route refresh"], "peer": ["IPv4 unicast"]},
    "gracefulRestart": {"configured": 120, "negotiated": True}, "messages": {"received": 241, "sent": 243},
}  # fmt: skip


DOWN = {
    "name": "tor-2", "lost": "the peer ended the session: Cease", "lostAt": "2026-01-02T10:59:00Z",
    "address": "10.31.254.251", "port": 1790, "localASN": 64513, "peerASN": 64512,
    "state": "Active", "since": "2025-12-28T10:00:00Z", "lastError": "no route to host",
    "lastErrorAt": "2026-01-02T11:00:00Z", "prefixes": {**PREFIXES, "received": 0}, "withheld": {},
    "families": [{"family": "IPv4 unicast", "announced": 0, "pending": 1, "withheld": 0}],
    "bfd": {"state": "Down", "diagnostic": "nothing was heard for the detection time"},
}  # fmt: skip


def document(**parts: Any) -> dict[str, Any]:
    empty = {
        "node": "n1",
        "peers": [],
        "services": [],
        "configuration": {"problems": [], "stale": []},
        "copies": [],
        "reports": {"problem": None},
    }
    return {"program": "speaker", "version": "0.1.0", "status": {**empty, **parts}}
