# SPDX-License-Identifier: GPL-3.0-or-later
"""The BFD process's status as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from vipcast.cli.sessions import age
from vipcast.cli.table import table

__all__ = ["bfd_lines"]

_Json = dict[str, Any]
_HEADS = ("PEER", "STATE", "SINCE", "DETECTION", "WENT DOWN", "WHY")


def bfd_lines(document: _Json, now: datetime) -> Iterator[str]:
    status = document["status"]
    clients = status["clients"]
    told = (
        f"{clients} speaker{'' if clients == 1 else 's'}"
        if clients
        else "no speaker, sessions go on for a while"
    )
    yield f"BFD, vipcast {document['version']}, {status['priority']} priority, asked by {told}"
    yield ""
    if status["sessions"]:
        yield from table(_HEADS, [_row(session, now) for session in status["sessions"]])
    else:
        yield "There is no session: no BGPPeer of this node has a bfdProfile."
    for reason, count in sorted(status["dropped"].items()):
        yield f"{count} packets of nobody's session were dropped: {reason}"


def _row(session: _Json, now: datetime) -> tuple[str, ...]:
    patience = session["detection_time"]
    return (
        session["settings"]["peer"],
        session["state"],
        age(datetime.fromtimestamp(session["since_wall"], UTC).isoformat(), now),
        f"{1000 * patience:.0f} ms" if patience else "-",
        str(session["went_down"]),
        session["problem"] or ("" if session["state"] == "Up" else session["diagnostic"]),
    )
