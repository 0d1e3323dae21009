# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals in words: which pool, which service, and what would help."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..model.addresses import IPAddress
from ..model.pools import Pool
from ..model.reasons import RefusalReason
from ..model.texts import MAX_NAME, cut, echo, listed
from .request import Holder, Refusal, Request

_FAMILY = {(4,): "IPv4", (6,): "IPv6", (4, 6): "IPv4 and IPv6"}


def _families(families: Iterable[int]) -> str:
    return _FAMILY.get(tuple(sorted(families)), "no known")


def _names(pools: Iterable[Pool]) -> str:
    return listed([pool.name for pool in pools])


def _text(addresses: Iterable[IPAddress]) -> str:
    return listed([str(address) for address in addresses])


def no_pools() -> Refusal:
    """Explain that nobody has declared a pool, or that none is in force."""
    message = "no IPAddressPool is in force; create one, or see what is wrong with yours"
    return Refusal(RefusalReason.NO_POOLS, message)


def pool_not_found(name: str, known: Sequence[str]) -> Refusal:
    """The pool that is asked for is not there."""
    message = f"there is no pool {echo(name)} in force; the pools are {listed(known)}"
    return Refusal(RefusalReason.POOL_NOT_FOUND, message, cut(name, MAX_NAME))


def no_candidates(request: Request, pools: Sequence[Pool]) -> Refusal:
    """There are pools, and none may be used."""
    if request.pool is not None:
        return not_allowed(request, next(pool for pool in pools if pool.name == request.pool))
    if any(pool.auto_assign for pool in pools):
        service = "/".join(request.holder)
        message = f"no pool's serviceAllocation allows service {service} (pools: {_names(pools)})"
        return Refusal(RefusalReason.POOL_NOT_ALLOWED, message)
    message = (
        f"every pool has autoAssign: false ({_names(pools)}); ask for one with the annotation "
        "metallb.io/address-pool"
    )
    return Refusal(RefusalReason.NO_AUTOMATIC_POOL, message)


def not_allowed(request: Request, pool: Pool) -> Refusal:
    """The pool is for other services."""
    message = f"serviceAllocation of pool {pool.name} does not allow service {'/'.join(request.holder)}"
    return Refusal(RefusalReason.POOL_NOT_ALLOWED, message, pool.name)


def exhausted(request: Request, pools: Sequence[Pool]) -> Refusal:
    """No free address, or none of the family.

    The message has the pools' sizes and not how many are held just now: it stays true, and the same after
    a restart, as long as the pools are the same.
    """
    either = not request.require_all
    wanted = sorted(set(request.families))
    enough = 1 if either else len(wanted)
    fit = [pool for pool in pools if len(pool.families.intersection(wanted)) >= enough]
    if not fit:
        text = (" or " if either else " and ").join(f"IPv{family}" for family in wanted)
        message = f"no pool has {text} addresses (pools tried: {_names(pools)})"
        return Refusal(RefusalReason.NO_POOL_OF_FAMILY, message, request.pool)
    if len(wanted) == 1:
        held = listed(_full(pool, wanted[0]) for pool in fit)
        message = f"no free {_families(wanted)} address in pool {held}; enlarge a pool or delete a service"
    else:
        sizes = listed(f"{pool.name} ({pool.size(4)} IPv4, {pool.size(6)} IPv6)" for pool in fit)
        what = "a free IPv4 or IPv6 address" if either else "both a free IPv4 and a free IPv6 address"
        message = f"no pool has {what}: {sizes}; enlarge one or delete a service"
    return Refusal(RefusalReason.POOL_EXHAUSTED, message, fit[0].name if len(fit) == 1 else None)


def _full(pool: Pool, family: int) -> str:
    size = pool.size(family)
    return f"{pool.name} ({size} of {size} in use)"


def not_in_any_pool(address: IPAddress, pools: Sequence[Pool]) -> Refusal:
    """An address that nobody gives away."""
    message = f"{address} is in no pool (pools: {_names(pools)}); ask for another address or enlarge a pool"
    return Refusal(RefusalReason.ADDRESS_NOT_IN_ANY_POOL, message)


def not_in_pool(address: IPAddress, pool: Pool, wanted: str) -> Refusal:
    """Address and pool are both asked for and don't agree."""
    other = cut(wanted, MAX_NAME)
    message = f"{address} is in pool {pool.name}, and the service asks for pool {other}; change one of them"
    return Refusal(RefusalReason.ADDRESS_NOT_IN_POOL, message, wanted)


def avoided(address: IPAddress, pool: Pool) -> Refusal:
    """avoidBuggyIPs holds for explicit requests too."""
    message = f"{address} ends in .0 or .255, and pool {pool.name} has avoidBuggyIPs; ask for another address"
    return Refusal(RefusalReason.ADDRESS_AVOIDED, message, pool.name)


def in_use(address: IPAddress, request: Request, holder: Holder, why: str | None) -> Refusal:
    """Refuse an address that another service has; without `why` the address is leaving that one."""
    name = _service(holder, request)
    if why is None:
        message = f"{address} is still shown by {name}; it is free when that shows it no more"
        return Refusal(RefusalReason.ADDRESS_IN_USE, message, held_by=holder)
    if not request.sharing.key:
        help_ = "ask for another, or give both the same annotation metallb.io/allow-shared-ip"
        return Refusal(RefusalReason.ADDRESS_IN_USE, f"{address} is held by {name}; {help_}", held_by=holder)
    message = f"{address} is held by {name} and can not be shared with it: {why}"
    return Refusal(RefusalReason.SHARING_NOT_ALLOWED, message, held_by=holder)


def _service(holder: Holder, request: Request) -> str:
    """Return the words for another service, without its name if it is of another namespace.

    Whoever may read a service may perhaps not read the services of other namespaces.
    """
    own = holder[0] == request.holder[0]
    return f"service {'/'.join(holder)}" if own else "a service of another namespace"


def two_pools(addresses: Iterable[IPAddress], names: Sequence[str]) -> Refusal:
    """All addresses of a service are of one pool."""
    message = f"{_text(addresses)} are of the pools {listed(names)}; ask for addresses of one pool"
    return Refusal(RefusalReason.ADDRESSES_OF_TWO_POOLS, message)


def other_addresses(request: Request, addresses: Iterable[IPAddress]) -> Refusal:
    """Return what it has is not what it asks for."""
    message = f"the service asks for {_text(request.addresses)}, not {_text(addresses)}"
    return Refusal(RefusalReason.CONFLICTING_REQUESTS, message)


def wrong_family(request: Request, addresses: Iterable[IPAddress]) -> Refusal:
    """An IPv6 address for an IPv4 service, or one where two are needed."""
    message = f"the service is of {_families(request.families)}, and it asks for {_text(addresses)}"
    return Refusal(RefusalReason.WRONG_FAMILY, f"{message}; ask for one address of each of its families")
