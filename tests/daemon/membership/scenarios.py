# SPDX-License-Identifier: GPL-3.0-or-later
"""A segment to begin with, and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from daemon.membership.simulation import Segment, addresses, want

from vipcast import election
from vipcast.model.addresses import IPAddress

THREE = ("node-a", "node-b", "node-c")
ALL = addresses(30)
ONE = ALL[0]
# A dead node's addresses are answered elsewhere within 500 ms, and a healed split has one owner in a second.
FAILOVER, HEALED = 0.5, 1.0


def segment(
    names: tuple[str, ...] = THREE, profile: str = "default", seed: int = 1, **options: Any
) -> Segment:
    made = Segment(names, profile, seed=seed, cable=options.pop("cable", None))
    made.want({address: want(address, names) for address in ALL})
    made.start(**options)
    made.run(2.0)
    return made


def first(address: IPAddress, names: tuple[str, ...] = THREE) -> str:
    return election.order(str(address), names)[0]


def all_owned(segment: Segment, where: tuple[str, ...] | None = None) -> bool:
    """Assert that exactly one of those in ``where`` answers."""
    for address in ALL:
        owners = [name for name in segment.owners(address) if where is None or name in where]
        if len(owners) != 1:
            return False
    return True


def of(segment: Segment, owner: str) -> list[IPAddress]:
    return [address for address in ALL if segment.owners(address) == [owner]]


def without_a_gap(made: Segment, action: Callable[[], None], seconds: float = 2.0) -> None:
    """Assert that at every moment somebody answers for every address."""
    gaps = []
    made.watch = lambda: gaps.extend(address for address in ALL if not made.owners(address))
    action()
    made.run(seconds)
    made.watch = None
    assert gaps == []
