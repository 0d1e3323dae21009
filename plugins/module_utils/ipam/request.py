# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request of a service, and the two answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..model.addresses import IPAddress
from ..model.reasons import RefusalReason
from ..model.texts import cut, plain

__all__ = ["Allocation", "Holder", "Refusal", "Request", "Sharing"]

Holder = tuple[str, str]  # (namespace, name) of a service


@dataclass(frozen=True)
class Sharing:
    """The terms on which a service shares its address; an empty key means not at all.

    `backend` is empty where any node may answer, otherwise it says which pods do: traffic for one address
    must reach the same ones whatever the port. `scope` is the namespace that sharing is limited to, or empty.
    """

    key: str = ""
    backend: str = ""
    ports: frozenset[tuple[str, int]] = frozenset()  # (protocol, port)
    scope: str = ""

    @property
    def terms(self) -> tuple[str, ...]:
        """Return what has to be equal on both sides: the key, the backend and the scope."""
        return (self.key, self.backend, self.scope)

    def refusal(self, other: Sharing) -> str | None:
        """Return why these two can not have one address, or None if they can.

        The text names no key: only the owner of a key may tell it to others.
        """
        if not self.key or not other.key:
            return "only one of them has the annotation metallb.io/allow-shared-ip"
        if self.key != other.key:
            return "their sharing keys differ"
        if self.scope != other.scope:
            return "sharing is limited to a namespace here, and they are of two"
        if self.backend != other.backend:
            return "with externalTrafficPolicy Local both need the same policy and the same pods"
        clash = sorted(self.ports & other.ports)
        if clash:
            return f"both use port {clash[0][1]}/{clash[0][0]}"
        return None


@dataclass(frozen=True)
class Request:
    """The request of a service."""

    holder: Holder
    families: tuple[int, ...]  # 4, 6 or both; the first one is what counts if only one can be had
    require_all: bool = True  # False: one family is better than none (PreferDualStack)
    addresses: tuple[IPAddress, ...] = ()  # asked for explicitly
    pool: str | None = None  # asked for explicitly
    sharing: Sharing = Sharing()
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    namespace_labels: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def without_wishes(self) -> Request:
        """Return what it needs: the request without the addresses and the pool that it asks for by name."""
        return replace(self, addresses=(), pool=None)


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

    def __post_init__(self) -> None:
        """Keep the message short, whatever the service asks for."""
        object.__setattr__(self, "message", cut(plain(cut(self.message))))
