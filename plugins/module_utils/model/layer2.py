# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layer 2 advertisements: which pools are answered for by ARP and NDP, on which nodes and interfaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .fields import Fields
from .pools import Pool, selects_pool
from .selectors import Selector, any_matches, read_selector, read_selectors


@dataclass(frozen=True)
class PreferredNodes:
    """Nodes that should rather answer than others; the weights (1 to 100) of all that match add up."""

    weight: int
    selector: Selector


@dataclass(frozen=True)
class L2Advertisement:
    """An advertisement as it is in force; an empty tuple of names or selectors means all of them."""

    name: str
    pools: tuple[str, ...] = ()
    pool_selectors: tuple[Selector, ...] = ()
    node_selectors: tuple[Selector, ...] = ()
    interfaces: tuple[str, ...] = ()
    service_selectors: tuple[Selector, ...] = ()
    preferred_nodes: tuple[PreferredNodes, ...] = ()
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)

    def selects_pool(self, pool: Pool) -> bool:
        """Return whether it selects this pool: by name, by labels, or because it selects no pools at all."""
        return selects_pool(pool, self.pools, self.pool_selectors)

    def selects_node(self, labels: Mapping[str, str]) -> bool:
        """Return whether a node with these labels may answer."""
        return not self.node_selectors or any_matches(self.node_selectors, labels)

    def selects_service(self, labels: Mapping[str, str]) -> bool:
        """Return whether a service with these labels is answered for."""
        return not self.service_selectors or any_matches(self.service_selectors, labels)

    def preference(self, labels: Mapping[str, str]) -> int:
        """Return how much a node with these labels is preferred; 0 where it may not answer at all."""
        if not self.selects_node(labels):
            return 0
        return sum(each.weight for each in self.preferred_nodes if each.selector.matches(labels))


def read_l2_advertisement(
    name: str, namespace: str, labels: Mapping[str, str], spec: Fields
) -> L2Advertisement:
    """An advertisement from ``spec`` of an L2Advertisement.

    An absent ``spec`` is about every pool, node and interface.
    """
    found = L2Advertisement(
        name=name,
        namespace=namespace,
        labels=labels,
        pools=spec.strings("ipAddressPools"),
        pool_selectors=read_selectors(spec, "ipAddressPoolSelectors"),
        node_selectors=read_selectors(spec, "nodeSelectors"),
        interfaces=spec.interfaces("interfaces"),
        service_selectors=read_selectors(spec, "serviceSelectors"),
        preferred_nodes=_read_preferred(spec),
    )
    spec.done()
    return found


def _read_preferred(spec: Fields) -> tuple[PreferredNodes, ...]:
    found: list[PreferredNodes] = []
    for item in spec.mappings("preferredNodeSelectors"):
        weight, preference = item.integer("weight", 1, 100), item.mapping("preference")
        if weight is None and not item.has("weight"):
            item.missing("weight", "a number from 1 to 100")
        if preference is None and not item.has("preference"):
            item.missing("preference", "a label selector")
        item.done()
        if weight is not None and preference is not None:
            found.append(PreferredNodes(weight, read_selector(preference)))
    return tuple(found)


__all__ = ["L2Advertisement", "PreferredNodes", "read_l2_advertisement"]
