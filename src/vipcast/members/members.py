# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node's part in it: packets, wants and the time in; packets, events and the next timer out.

The driver's loop: give ``receive`` every packet that has come, and only then call ``handle_timer`` when
``timer()`` is reached; after each, send ``output()`` and look at ``events()``. Times are seconds of any
monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from vipcast.layer2.wants import AddressWant
from vipcast.members.words import Address, Claim, Drop, Endpoint, Event, Member, Profile


class Members:
    """``random``: unpredictable 64-bit numbers (``secrets.randbits(64)``).

    ``epoch``: the wall clock minus the clock of ``now``.
    """

    def __init__(
        self,
        name: str,
        profile: Profile,
        now: float,
        *,
        random: Callable[[], int],
        epoch: float = 0.0,
        keys: Sequence[bytes] = (),
    ) -> None:
        raise NotImplementedError

    preempt: bool

    # ---- wants; the whole set each time ----

    def set_peers(self, peers: Mapping[str, Sequence[Endpoint]], now: float) -> None:
        """The nodes that may run the program; the first endpoint that fits is used. Ours is ignored."""
        raise NotImplementedError

    def set_wants(self, addresses: Mapping[Address, AddressWant], now: float) -> None:
        raise NotImplementedError

    def set_unable(self, addresses: Iterable[Address], now: float) -> None:
        """What this node cannot answer for now: no interface, or a foreign duplicate. The whole set."""
        raise NotImplementedError

    def set_keys(self, keys: Sequence[bytes], now: float) -> None:
        """The first one signs, each is believed. Without one nothing is sent, believed or owned."""
        raise NotImplementedError

    def set_profile(self, profile: Profile, now: float) -> None:
        raise NotImplementedError

    # ---- packets and time ----

    def receive(self, data: bytes, source: Endpoint, now: float) -> Drop | None:
        raise NotImplementedError

    def handle_timer(self, now: float) -> None:
        raise NotImplementedError

    def timer(self) -> float | None:
        raise NotImplementedError

    def output(self) -> list[tuple[Endpoint, bytes]]:
        """Takes what is to be sent."""
        raise NotImplementedError

    def events(self) -> list[Event]:
        """Takes what has happened."""
        raise NotImplementedError

    # ---- the end ----

    def leave(self, now: float) -> None:
        """No heir: asks to be relieved of everything. ``left``: nothing is held, and the others know."""
        raise NotImplementedError

    @property
    def left(self) -> bool:
        raise NotImplementedError

    def export(self) -> dict[str, Any]:
        """For the next process of this node: JSON. After it, nothing may be sent by this one."""
        raise NotImplementedError

    def restore(self, estate: Mapping[str, Any], now: float) -> None:
        """Once, before anything else: goes on where `export` ended. ValueError for what is none."""
        raise NotImplementedError

    # ---- what is ----

    @property
    def settled(self) -> bool:
        """Has heard everyone who is there, so that it may claim; the status WAITING is for before."""
        raise NotImplementedError

    @property
    def claims(self) -> Mapping[Address, Claim]:
        """Of every address that somebody owns, wanted here or not."""
        raise NotImplementedError

    @property
    def held(self) -> frozenset[Address]:
        """What this node is to answer for, now."""
        raise NotImplementedError

    @property
    def members(self) -> Mapping[str, Member]:
        """The others, and this node."""
        raise NotImplementedError

    @property
    def dropped(self) -> Mapping[Drop, int]:
        raise NotImplementedError

    @property
    def packets(self) -> tuple[int, int]:
        """Received and believed, sent."""
        raise NotImplementedError
