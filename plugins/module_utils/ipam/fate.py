# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules for a running service's address when the service asks for something that it can not have.

A service keeps an address that works as long as it may have it: a slip in a request takes nothing away. It
is told (condition and Warning event), waits for what it asks for, and moves when that can be had. What it has
must still be right for it: of a pool in force that allows it, of its families, without a clash with others.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from ..model.reasons import RefusalReason

__all__ = ["TABLE", "Fate", "Row", "fate"]


class Fate(Enum):
    """The two things that can happen to the address."""

    KEEP = "keeps it"
    RELEASE = "loses it"


class Row(NamedTuple):
    """A row of the table: one kind of trouble, and what happens to the address because of it."""

    trouble: str
    fate: Fate
    metallb: str  # what MetalLB 0.16 does with a service that has an address


_CLEARS = "loses it, and waits"
_KEEPS = "keeps it"
TABLE: dict[RefusalReason, Row] = {
    RefusalReason.BAD_REQUEST: Row("an address that can not be read", Fate.KEEP, _KEEPS),
    RefusalReason.CONFLICTING_REQUESTS: Row("addresses asked for in two ways", Fate.KEEP, _KEEPS),
    RefusalReason.ADDRESS_NOT_IN_ANY_POOL: Row("an address of no pool", Fate.KEEP, _CLEARS),
    RefusalReason.ADDRESS_NOT_IN_POOL: Row("an address and another pool", Fate.KEEP, _CLEARS),
    RefusalReason.ADDRESSES_OF_TWO_POOLS: Row("addresses of two pools", Fate.KEEP, _CLEARS),
    RefusalReason.ADDRESS_AVOIDED: Row("an address that avoidBuggyIPs leaves out", Fate.KEEP, _CLEARS),
    RefusalReason.ADDRESS_IN_USE: Row("an address that another service has", Fate.KEEP, _CLEARS),
    RefusalReason.SHARING_NOT_ALLOWED: Row("an address that it can not share", Fate.KEEP, _CLEARS),
    RefusalReason.WRONG_FAMILY: Row("an address of another family", Fate.KEEP, _CLEARS),
    RefusalReason.POOL_NOT_FOUND: Row("a pool that is not there", Fate.KEEP, _CLEARS),
    RefusalReason.POOL_NOT_ALLOWED: Row("a pool that is for other services", Fate.KEEP, _CLEARS),
    RefusalReason.POOL_EXHAUSTED: Row("a pool that is full", Fate.KEEP, _CLEARS),
    RefusalReason.NO_POOL_OF_FAMILY: Row("a pool without its family", Fate.KEEP, _CLEARS),
    RefusalReason.NO_CLUSTER_IP: Row("no cluster IP, or one where two are required", Fate.RELEASE, _CLEARS),
}


def fate(reason: RefusalReason) -> Fate:
    """Return what a refusal for this reason does to an address that the service has and may have.

    A reason that is not in the table takes the address away. Where no pool is in force, or none is automatic,
    nothing was asked for, and nothing is to be had.
    """
    return TABLE[reason].fate if reason in TABLE else Fate.RELEASE
