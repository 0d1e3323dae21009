# SPDX-License-Identifier: GPL-3.0-or-later
"""The worst case for a router's users when a node dies or its speaker restarts, from what is negotiated.

**PRIVATE** to the collection. The rules were measured on FRR (docs/design/0013-bfd.md):

* Silence of a node is noticed by BFD where that is up, otherwise by the hold timer.
* With graceful restart, routes of a session that ended without a word are kept for the restart time, so that
  a restart is not noticed; and neither is, for as long, a node that the hold timer declared dead.
* BFD ends that: its loss takes the routes at once, unless the router takes it for part of a restart.
* A node that dies while its speaker restarts costs the rest of the restart time: nobody looks at BFD then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .observations import FoundRouter, FoundSession


@dataclass(frozen=True)
class WorstCase:
    """The worst case of one session. Seconds; `dead` of None: for ever."""

    dead: float | None  # routes of a node that died are used for so long
    hidden: int | None  # a speaker's restart is hidden for so long; None: its routes go at once
    dead_in_restart: int | None  # routes of a node that died while its speaker restarted
    why: str


def worst_case(session: FoundSession) -> WorstCase:
    """Return the worst case of a session that is Established."""
    dead, why = _dead(session)
    return WorstCase(dead, session.kept, session.kept, f"{why}; {_restarts(session)}")


def _dead(session: FoundSession) -> tuple[float | None, str]:
    if session.detection is not None and not session.defeated:
        return session.detection, f"BFD notices silence after {session.detection:g} s"
    without = "there is no BFD" if session.bfd is None else f"BFD is {session.bfd}"
    if session.defeated:
        without = "graceful restart defeats BFD (check-control-plane-failure, FRR before 10.1)"
    if session.hold is None:
        return None, f"{without}, and no hold timer"
    kept = session.kept or 0
    after = f"the hold time is {session.hold} s" + (f", routes are kept {kept} s more" if kept else "")
    return float(session.hold + kept), f"{without}, {after}"


def _restarts(session: FoundSession) -> str:
    if session.kept is None:
        return "without graceful restart routes go with the session"
    return f"graceful restart keeps routes for {session.kept} s"


def rows(routers: Sequence[FoundRouter], names: dict[str, str]) -> list[dict[str, object]]:
    """One row for all sessions of a router that share a worst case; `names`: address to node."""
    found: dict[tuple[str, WorstCase], list[str]] = {}
    for router in routers:
        for address, session in router.sessions.items():
            if session.established and address in names:
                found.setdefault((router.host, worst_case(session)), []).append(names[address])
    return [
        {
            "router": host,
            "nodes": sorted(nodes),
            "dead_node": one.dead,
            "dead_in_restart": one.dead_in_restart,
            "restart_hidden": one.hidden,
            "why": one.why,
        }
        for (host, one), nodes in found.items()
    ]
