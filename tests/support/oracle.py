# SPDX-License-Identifier: GPL-3.0-or-later
"""Work out who may have which address in the slow and obvious way, from the objects as they are written.

It shares no code with what it judges: every address of every pool is looked at, one after the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import Any

Json = dict[str, Any]
Holder = tuple[str, str]
ANNOTATIONS = ("metallb.io/", "metallb.universe.tf/")


@dataclass(frozen=True)
class Wish:
    """The wishes of a service. Two services with equal terms that clash nowhere may share an address."""

    holder: Holder
    families: tuple[int, ...]
    either: bool  # one family will do
    addresses: tuple[str, ...]
    pool: str | None
    key: str | None
    pods: str
    ports: frozenset[tuple[str, int]]
    labels: tuple[tuple[str, str], ...]
    team: str | None  # a label of the namespace

    def shares_with(self, other: Wish) -> bool:
        same = (self.key, self.pods) == (other.key, other.pods)
        return bool(self.key) and same and not self.ports & other.ports


def wish_of(item: Json, namespace: Mapping[str, str], *, wishes: bool = True) -> Wish | None:
    """Return the wish of a service; None where it gets nothing.

    That is so where it is no load balancer or contradicts itself.

    Without `wishes` the addresses and the pool that it asks for don't count.
    """
    spec, metadata = item["spec"], item["metadata"]
    if spec["type"] != "LoadBalancer":
        return None
    policy = spec.get("ipFamilyPolicy", "SingleStack")
    cluster = spec["clusterIPs"] if policy != "SingleStack" else spec["clusterIPs"][:1]
    said = {
        name: _annotation(metadata, name) for name in ("loadBalancerIPs", "address-pool", "allow-shared-ip")
    }
    if wishes and spec.get("loadBalancerIP") and said["loadBalancerIPs"]:
        return None
    asked = (spec.get("loadBalancerIP") or said["loadBalancerIPs"]) if wishes else None
    addresses = tuple(str(each).strip() for each in asked.split(",")) if asked else ()
    if not all(_is_address(text) for text in addresses):
        return None
    if policy == "RequireDualStack" and len(cluster) < 2:
        return None
    local = spec.get("externalTrafficPolicy") == "Local"
    return Wish(
        holder=(metadata["namespace"], metadata["name"]),
        families=tuple(ip_address(text).version for text in cluster),
        either=policy == "PreferDualStack",
        addresses=addresses,
        pool=said["address-pool"] if wishes else None,
        key=said["allow-shared-ip"],
        pods=str(spec.get("selector")) if local else "",
        ports=frozenset((port.get("protocol", "TCP"), port["port"]) for port in spec["ports"]),
        labels=tuple(sorted(metadata["labels"].items())),
        team=namespace.get("team"),
    )


def _annotation(metadata: Json, name: str) -> str | None:
    return next(
        (
            metadata["annotations"].get(prefix + name)
            for prefix in ANNOTATIONS
            if metadata["annotations"].get(prefix + name)
        ),
        None,
    )


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


class Oracle:
    """Judges for one set of pools, given as ``{name: spec}``."""

    def __init__(self, pools: Mapping[str, Json]) -> None:
        self.pools = pools

    @cached_property
    def _addresses(self) -> dict[str, list[str]]:
        """Return what each pool may give away, in order."""
        found = {}
        for name, spec in self.pools.items():
            every = itertools.chain.from_iterable(_expand(text) for text in spec["addresses"])
            avoid = spec.get("avoidBuggyIPs", False)
            found[name] = [text for text in every if not (avoid and text.endswith((".0", ".255")))]
        return found

    def pools_for(self, wish: Wish, *, named: bool) -> list[str]:
        """The pools that the service may have addresses of; `named`: those too that are never automatic."""
        found = []
        for name, spec in self.pools.items():
            if (wish.pool or name) != name or not _allows(spec.get("serviceAllocation"), wish):
                continue
            if named or wish.pool or spec.get("autoAssign", True):
                found.append((_rank(spec), name))
        return [name for _rank_, name in sorted(found)]

    def choose(self, wish: Wish, taken: Mapping[str, Iterable[Wish | None]]) -> tuple[str, ...] | None:
        """Return what a service without an address gets.

        `taken`: who has an address; None there: nobody joins.
        """
        families = sorted(wish.families)
        if wish.addresses:
            pools = [name for name in self.pools_for(wish, named=True) if self._all_in(wish.addresses, name)]
            fits = sorted(ip_address(text).version for text in wish.addresses) == families
            usable = all(self._usable(wish, text, taken) for text in wish.addresses)
            return _ordered(wish.addresses) if pools and fits and usable else None
        for wanted in [families, *([family] for family in wish.families)] if wish.either else [families]:
            for pool in self.pools_for(wish, named=False):
                found = [self._first(wish, pool, family, taken) for family in wanted]
                if all(found):
                    return tuple(text for text in found if text)
        return None

    def other_family(self, wish: Wish, has: str, taken: Mapping[str, Iterable[Wish | None]]) -> str | None:
        """The address of the other family that a service could have beside the one that it has."""
        [pool] = [name for name, texts in self._addresses.items() if has in texts]
        other = 10 - ip_address(has).version
        return self._first(wish, pool, other, taken) if other in wish.families and wish.either else None

    def allowed(self, wish: Wish, shown: tuple[str, ...]) -> bool:
        """Tell whether the service may have exactly these, whoever else has them."""
        families = [ip_address(text).version for text in shown]
        if families != sorted(set(families)) or not set(families) <= set(wish.families):
            return False
        if len(families) < len(wish.families) and (not wish.either or wish.addresses):
            return False
        if wish.addresses and _ordered(wish.addresses) != shown:
            return False
        return any(self._all_in(shown, pool) for pool in self.pools_for(wish, named=True))

    def _all_in(self, texts: Iterable[str], pool: str) -> bool:
        return set(map(_canonical, texts)) <= set(self._addresses[pool])

    def _first(
        self, wish: Wish, pool: str, family: int, taken: Mapping[str, Iterable[Wish | None]]
    ) -> str | None:
        of_family = (text for text in self._addresses[pool] if (":" in text) == (family == 6))
        return next((text for text in of_family if self._usable(wish, text, taken)), None)

    def _usable(self, wish: Wish, text: str, taken: Mapping[str, Iterable[Wish | None]]) -> bool:
        return all(other is not None and wish.shares_with(other) for other in taken.get(_canonical(text), ()))


def _canonical(text: str) -> str:
    return str(ip_address(text))


def _ordered(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(map(_canonical, texts), key=lambda text: ":" in text))


def _expand(text: str) -> list[str]:
    if "/" in text:
        return [str(address) for address in ip_network(text)]
    first, last = map(ip_address, text.split("-"))
    return [str(type(first)(number)) for number in range(int(first), int(last) + 1)]


def _rank(spec: Json) -> tuple[bool, float]:
    allocation = spec.get("serviceAllocation")
    return (allocation is None, (allocation or {}).get("priority") or float("inf"))


def _allows(allocation: Json | None, wish: Wish) -> bool:
    if allocation is None:
        return True
    teams = [each["matchLabels"]["team"] for each in allocation.get("namespaceSelectors", ())]
    names = allocation.get("namespaces", ())
    apps = [each["matchLabels"]["app"] for each in allocation.get("serviceSelectors", ())]
    namespace = wish.holder[0] in names or wish.team in teams or not (names or teams)
    return namespace and (dict(wish.labels).get("app") in apps or not apps)
