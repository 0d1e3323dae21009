# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the report about routers: what was found, beside what was expected where that is known.

**PRIVATE** to the collection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .expectations import Session
from .observations import FoundRoute, FoundRouter

_EXPECTED = {True: "Established", False: "none", None: "unknown"}


def session_row(session: Session, routers: Sequence[FoundRouter]) -> dict[str, Any]:
    """Return a session as expected and as found."""
    router = next(one for one in routers if one.host == session.router)
    seen = router.sessions.get(session.address)
    return {
        "router": session.router,
        "node": session.node,
        "address": session.address,
        "expected": _EXPECTED[session.up],
        "why": session.why,
        "found": seen.state if seen else ("unknown" if router.error else "not configured"),
        "uptime": seen.uptime if seen else None,
        "prefixes": seen.prefixes if seen else None,
        "bfd": seen.bfd if seen else None,
        "detection_time": seen.detection if seen else None,
        "hint": seen.hint if seen else "",
    }


def hops_of(seen: FoundRoute | None, layer: str) -> list[str] | None:
    """Return the next hops in a layer; None where the router cannot say."""
    hops = seen.hops[layer] if seen else frozenset()
    return None if hops is None else sorted(hops)


def hash_policies(routers: Sequence[FoundRouter]) -> dict[str, dict[str, int | None]]:
    """Return how each router's kernel chooses among next hops, by IP version."""
    return {one.host: {f"ipv{v}": value for v, value in one.hash_policy.items()} for one in routers}
