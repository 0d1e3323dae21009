# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pools: the addresses that services may get, and which services may have them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from .addresses import AddressRange, IPAddress, IPNetwork, is_buggy, parse_range
from .fields import Fields
from .intervals import Intervals
from .problems import Report
from .reasons import Reason
from .selectors import Selector, any_matches, read_selectors
from .special import special_in, words
from .texts import echo


@dataclass(frozen=True)
class ServiceAllocation:
    """The services that a pool is for.

    Without namespaces and selectors it is for all, and only the priority counts.
    """

    priority: int = 0  # lower is tried first, but 0 (not set) last
    namespaces: tuple[str, ...] = ()
    namespace_selectors: tuple[Selector, ...] = ()
    service_selectors: tuple[Selector, ...] = ()

    @property
    def for_all(self) -> bool:
        """Tell whether the pool is for all services, so that only the priority counts."""
        return not (self.namespaces or self.namespace_selectors or self.service_selectors)

    def allows(self, namespace: str, namespace_labels: Mapping[str, str], labels: Mapping[str, str]) -> bool:
        """Namespace side and service side must both be met, where they are set."""
        return self._namespace(namespace, namespace_labels) and self._service(labels)

    def _namespace(self, namespace: str, labels: Mapping[str, str]) -> bool:
        if not self.namespaces and not self.namespace_selectors:
            return True
        return namespace in self.namespaces or any_matches(self.namespace_selectors, labels)

    def _service(self, labels: Mapping[str, str]) -> bool:
        return not self.service_selectors or any_matches(self.service_selectors, labels)


@dataclass(frozen=True)
class Pool:
    """A pool as it is in force."""

    name: str
    ranges: tuple[AddressRange, ...]
    auto_assign: bool = True
    avoid_buggy_ips: bool = False
    service_allocation: ServiceAllocation | None = None
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def networks(self) -> tuple[IPNetwork, ...]:
        """All prefixes of the pool, in the order of its ranges."""
        return tuple(network for item in self.ranges for network in item.networks)

    @cached_property
    def families(self) -> frozenset[int]:
        """4, 6 or both."""
        return frozenset(item.version for item in self.ranges)

    @property
    def priority(self) -> tuple[int, int, str]:
        """The order in which pools are tried: pools for certain services first, by priority with 0 last.

        Then by name.
        """
        if self.service_allocation is None:
            return (1, 0, self.name)
        priority = self.service_allocation.priority
        return (0, priority or 2**31, self.name)

    def __contains__(self, address: object) -> bool:
        """Return whether the address is in one of the ranges.

        That it may be avoided is another question (``avoids``).
        """
        if not isinstance(address, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
            return False
        return self._sorted.at(address) is not None

    @cached_property
    def _sorted(self) -> Intervals[AddressRange]:
        return Intervals((item, item) for item in self.ranges)

    def avoids(self, address: IPAddress) -> bool:
        """Return whether the pool never gives this address away."""
        return self.avoid_buggy_ips and is_buggy(address)

    def size(self, version: int) -> int:
        """Return how many addresses of a family it can give away."""
        return self._sizes[version]

    @cached_property
    def _sizes(self) -> dict[int, int]:
        found = {4: 0, 6: 0}
        for item in self.ranges:
            found[item.version] += item.size - (item.buggy if self.avoid_buggy_ips else 0)
        return found

    def addresses(self) -> Iterator[IPAddress]:
        """Lazily, the addresses it can give away, in order."""
        return (address for item in self.ranges for address in item if not self.avoids(address))

    def overlap(self, other: Pool) -> tuple[AddressRange, AddressRange] | None:
        """The first two ranges that share an address, or None."""
        met = ((mine, next(other._sorted.meeting(mine), None)) for mine in self.ranges)
        return next(((mine, theirs) for mine, theirs in met if theirs is not None), None)


def selects_pool(pool: Pool, names: tuple[str, ...], selectors: tuple[Selector, ...]) -> bool:
    """Return whether an advertisement with these names and selectors is about the pool.

    With neither it is.
    """
    if not names and not selectors:
        return True
    return pool.name in names or any_matches(selectors, pool.labels)


def read_pool(name: str, namespace: str, labels: Mapping[str, str], spec: Fields) -> Pool:
    """A pool from ``spec`` of an IPAddressPool.

    It is worth something only if the report has refused nothing.
    """
    pool = Pool(
        name=name,
        namespace=namespace,
        labels=labels,
        ranges=_read_ranges(spec, spec.report),
        auto_assign=spec.boolean("autoAssign", True),
        avoid_buggy_ips=spec.boolean("avoidBuggyIPs", False),
        service_allocation=_read_allocation(spec),
    )
    spec.done()
    return pool


def _read_ranges(spec: Fields, report: Report) -> tuple[AddressRange, ...]:
    ranges: list[AddressRange] = []
    taken: Intervals[AddressRange] = Intervals()
    for path, text in spec.items("addresses"):
        try:
            found = parse_range(text if isinstance(text, str) else echo(text))
        except ValueError as error:
            report.refuse(path, Reason.BAD_ADDRESS, str(error))
            continue
        ranges.append(found)
        if not _is_refused(path, found, taken, report):
            taken.add(found, found)
    if not ranges and not report.refused:
        spec.missing("addresses", "a list such as [10.9.0.0/16] or [10.31.8.100-10.31.8.200]")
    return tuple(ranges)


def _is_refused(path: str, found: AddressRange, taken: Intervals[AddressRange], report: Report) -> bool:
    """Report what is wrong with the range, and tell whether it overlaps another one of the pool.

    A range that overlaps another one or has unusable addresses is refused; a doubtful one can be used.
    """
    other, special = next(taken.meeting(found), None), special_in(found)
    if other is not None:
        message = f"{found} overlaps {other} of the same pool; remove one of them"
        report.refuse(path, Reason.OVERLAPPING_ADDRESSES, message)
    if special is not None:
        judge = report.doubt if special.usable else report.refuse
        judge(path, Reason.UNUSABLE_ADDRESSES, words(found, special))
    return other is not None


def _read_allocation(spec: Fields) -> ServiceAllocation | None:
    fields = spec.mapping("serviceAllocation")
    if fields is None:
        return None
    allocation = ServiceAllocation(
        priority=fields.integer("priority", 0, 2**31 - 1) or 0,
        namespaces=fields.strings("namespaces"),
        namespace_selectors=read_selectors(fields, "namespaceSelectors"),
        service_selectors=read_selectors(fields, "serviceSelectors"),
    )
    fields.done()
    return allocation


__all__ = ["Pool", "ServiceAllocation", "read_pool", "selects_pool"]
