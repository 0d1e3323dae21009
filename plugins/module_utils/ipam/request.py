# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service asks for, and the two answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..model.addresses import IPAddress
from ..model.reasons import RefusalReason

__all__ = ["Allocation", "Holder", "Refusal", "Request", "Sharing"]

Holder = tuple[str, str]  # (namespace, name) of a service


@dataclass(frozen=True)
class Sharing:
    """On which terms a service shares its address; an empty key means not at all.

    `backend` is empty where any node may answer, otherwise it says which pods do: traffic for one address
    must reach the same ones whatever the port.
    """

    key: str = ""
    backend: str = ""
    ports: frozenset[tuple[str, int]] = frozenset()  # (protocol, port)

    def refusal(self, other: Sharing) -> str | None:
        """Why these two can not have one address, or None."""
        if not self.key or not other.key:
            return "only one of them has the annotation metallb.io/allow-shared-ip"
        if self.key != other.key:
            return f"their sharing keys differ ({self.key!r} and {other.key!r})"
        if self.backend != other.backend:
            return "with externalTrafficPolicy Local both need the same policy and the same pods"
        clash = sorted(self.ports & other.ports)
        if clash:
            return f"both use port {clash[0][1]}/{clash[0][0]}"
        return None


@dataclass(frozen=True)
class Request:
    """What a service asks for."""

    holder: Holder
    families: tuple[int, ...]  # 4, 6 or both; the first one is what counts if only one can be had
    require_all: bool = True  # False: one family is better than none (PreferDualStack)
    addresses: tuple[IPAddress, ...] = ()  # asked for explicitly
    pool: str | None = None  # asked for explicitly
    sharing: Sharing = Sharing()
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    namespace_labels: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Allocation:
    """The addresses, IPv4 first, and the pool that they are all from."""

    addresses: tuple[IPAddress, ...]
    pool: str


@dataclass(frozen=True)
class Refusal:
    """No address: why in one word, and in a sentence with what would help."""

    reason: RefusalReason
    message: str
    pool: str | None = None
    held_by: Holder | None = None
