# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever has a timer and says frames, in virtual time."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from support.bounds import at_most

from vipcast.layer2 import arp, ndp
from vipcast.model.addresses import IPAddress


class Driven(Protocol):
    def timer(self) -> float | None: ...
    def handle_timer(self, now: float) -> list[tuple[str, bytes]]: ...


class Said(NamedTuple):
    at: float
    interface: str
    frame: arp.ArpFrame | ndp.Solicitation | ndp.Advertisement

    @property
    def address(self) -> IPAddress:
        return self.frame.target


def run(driven: Driven, until: float, start: float = 0.0, late: float = 0.0) -> list[Said]:
    """All that is said, each time ``late`` seconds after the timer asked for it."""
    said: list[Said] = []
    now = start
    more = at_most()
    while more() and (at := driven.timer()) is not None and max(now, at + late) <= until:
        now = max(now, at + late)
        frames = driven.handle_timer(now)
        said += [Said(now, name, decoded(frame)) for name, frame in frames]
    return said


def decoded(frame: bytes) -> arp.ArpFrame | ndp.Solicitation | ndp.Advertisement:
    return arp.decode(frame) if frame[12:14] == b"\x08\x06" else ndp.decode(frame)
