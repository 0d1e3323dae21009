# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules by which a service has its address, in words; `explain` says why it has none."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from ..model.pools import Pool
from ..model.texts import echo, listed
from .allocator import Allocator
from .request import Allocation, Request
from .service import OLD_PREFIX, PREFIX

__all__ = ["Rule", "rule_of"]

Json = Mapping[str, Any]


class Rule(Enum):
    """The rule of the allocator that decided; the order is that in which they are tried."""

    KEPT = "Kept"
    REQUESTED_ADDRESS = "RequestedAddress"
    REQUESTED_POOL = "RequestedPool"
    PINNED_POOL = "PinnedPool"  # serviceAllocation
    AUTOMATIC_POOL = "AutomaticPool"


def rule_of(item: Json, request: Request, found: Allocation, allocator: Allocator) -> tuple[Rule, str]:
    """The rule by which the service was given these addresses, and a sentence."""
    pool = next(pool for pool in allocator.pools if pool.name == found.pool)
    if request.addresses:
        return Rule.REQUESTED_ADDRESS, f"asked for by {_asked_by(item)}{_shared(request, found, allocator)}"
    place = f"first free address of pool {pool.name}"
    shared = _shared(request, found, allocator)
    if shared:
        place = f"of pool {pool.name}{shared}"
    text = place + _missing(request, found)
    if request.pool is not None:
        return Rule.REQUESTED_POOL, f"{text}; asked for by the annotation {_annotation(item, 'address-pool')}"
    text += _tried_before(pool, request, allocator)
    allocation = pool.service_allocation
    if allocation is None:
        return Rule.AUTOMATIC_POOL, text
    priority = f"priority {allocation.priority}" if allocation.priority else "no priority: last of its kind"
    return Rule.PINNED_POOL, f"{text}; its serviceAllocation allows the service ({priority})"


def _asked_by(item: Json) -> str:
    if (item.get("spec") or {}).get("loadBalancerIP"):
        return "spec.loadBalancerIP"
    return f"the annotation {_annotation(item, 'loadBalancerIPs')}"


def _annotation(item: Json, name: str) -> str:
    annotations = item["metadata"].get("annotations") or {}
    return (PREFIX if annotations.get(PREFIX + name) else OLD_PREFIX) + name


def _shared(request: Request, found: Allocation, allocator: Allocator) -> str:
    others = sorted(
        {
            "/".join(holder)
            for address in found.addresses
            for holder in allocator.book.holders(address)
            if holder != request.holder
        }
    )
    return f", shared with {listed(others)} (key {echo(request.sharing.key)})" if others else ""


def _missing(request: Request, found: Allocation) -> str:
    missing = set(request.families) - {address.version for address in found.addresses}
    if not missing:
        return ""
    return f"; PreferDualStack, but the pool has no free IPv{missing.pop()} address"


def _tried_before(pool: Pool, request: Request, allocator: Allocator) -> str:
    """The pools that come first in the order and had nothing."""
    names = []
    for other in allocator.candidates(request):
        if other.name == pool.name:
            break
        lacking = sorted(set(request.families) - other.families)
        why = f"no IPv{lacking[0]}" if lacking else _how_full(other, request, allocator)
        names.append(f"{other.name} ({why})")
    return f"; tried before: {listed(names)}" if names else ""


def _how_full(pool: Pool, request: Request, allocator: Allocator) -> str:
    free = min(allocator.usage(pool.name, family)[1] for family in request.families)
    return "no address was free then" if free else "full"
