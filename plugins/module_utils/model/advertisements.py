# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Advertisements: which pools are announced to which peers, from which nodes, with which attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from .communities import CommunityValue, LargeCommunity, community_text, is_alias, parse_community
from .fields import Fields
from .pools import Pool, selects_pool
from .reasons import Reason
from .selectors import Selector, any_matches, disjoint, read_selectors

Nodes = Sequence[Mapping[str, str]]  # the labels of nodes
# As many as FRR's `set as-path prepend last-as` takes.
MAX_PREPEND = 10


@dataclass(frozen=True)
class BGPAdvertisement:
    """An advertisement as it is in force; an empty tuple of names or selectors means all of them."""

    name: str
    aggregation_length: int = 32
    aggregation_length_v6: int = 128
    local_pref: int | None = None  # None: not said; sent on iBGP only
    communities: frozenset[int] = frozenset()  # RFC 1997: the two 16-bit halves as one number
    large_communities: frozenset[LargeCommunity] = frozenset()  # RFC 8092
    aliases: tuple[str, ...] = ()  # names of communities; none is left in a configuration
    pools: tuple[str, ...] = ()
    pool_selectors: tuple[Selector, ...] = ()
    peers: tuple[str, ...] = ()
    node_selectors: tuple[Selector, ...] = ()
    service_selectors: tuple[Selector, ...] = ()
    med: int | None = None  # MULTI_EXIT_DISC; None: not sent
    prepend: int = 0  # how many times more than once our AS stands in the path, on eBGP
    weighted: bool = False  # by the number of the node's endpoints, see `vipcast.speaker.decide`
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)

    def selects_pool(self, pool: Pool) -> bool:
        """Return whether it selects this pool: by name, by labels, or because it selects no pools at all."""
        return selects_pool(pool, self.pools, self.pool_selectors)

    def selects_node(self, labels: Mapping[str, str]) -> bool:
        """Return whether a node with these labels announces."""
        return not self.node_selectors or any_matches(self.node_selectors, labels)

    def selects_service(self, labels: Mapping[str, str]) -> bool:
        """Return whether a service with these labels is announced."""
        return not self.service_selectors or any_matches(self.service_selectors, labels)

    def selects_peer(self, name: str) -> bool:
        """Return whether it goes to the peer of this name."""
        return not self.peers or name in self.peers

    def resolved(self, known: Mapping[str, CommunityValue]) -> BGPAdvertisement:
        """Return it with communities in place of their names.

        ``KeyError`` has a name that nothing defines.
        """
        values = {known[alias] for alias in self.aliases}
        return replace(
            self,
            communities=self.communities | {each for each in values if isinstance(each, int)},
            large_communities=self.large_communities | {each for each in values if not isinstance(each, int)},
            aliases=(),
        )

    def community_texts(self) -> list[str]:
        """All communities as they are written in a configuration, the names apart."""
        large = [community_text(each) for each in sorted(self.large_communities)]
        return [community_text(each) for each in sorted(self.communities)] + large

    def aggregation(self, version: int) -> int:
        """Length of the prefixes that are announced for a family (4 or 6)."""
        return self.aggregation_length if version == 4 else self.aggregation_length_v6

    def conflicts(self, other: BGPAdvertisement, pool: Pool, nodes: Nodes | None = None) -> bool:
        """Return whether one prefix would go to one peer from one node with two different local preferences.

        ``nodes`` are the labels of the nodes that there are; where they are not known there may be any.
        Advertisements for certain services only are compared when it is known which services those are.
        """
        if self.service_selectors or other.service_selectors or self.difference(other) is None:
            return False
        if all(self.aggregation(family) != other.aggregation(family) for family in pool.families):
            return False
        if self.peers and other.peers and not set(self.peers) & set(other.peers):
            return False
        if disjoint(self.node_selectors, other.node_selectors):
            return False
        return nodes is None or any(self.selects_node(each) and other.selects_node(each) for each in nodes)

    def difference(self, other: BGPAdvertisement) -> str | None:
        """The first field that is not the same, of those that a route has only one value of."""
        single = (
            ("localPref", self.local_pref, other.local_pref),
            ("med", self.med, other.med),
            ("asPathPrepend", self.prepend, other.prepend),
        )
        return next((name for name, mine, theirs in single if mine != theirs), None)

    def too_wide_for(self, pool: Pool) -> str | None:
        """Return what is wrong if an aggregate would cover addresses beside the pool's, or None.

        The widest prefix of each of the pool's entries is what an aggregate may be at most.
        """
        for entry in pool.ranges:
            shortest = min(network.prefixlen for network in entry.networks)
            length = self.aggregation(entry.version)
            if length < shortest:
                return f"/{length} is wider than {entry} of pool {pool.name}; use /{shortest} or longer"
        return None

    def content(self) -> tuple[object, ...]:
        """Everything but the name: two of the same content are one too many."""
        return (
            self.aggregation_length,
            self.aggregation_length_v6,
            self.local_pref,
            self.communities,
            self.large_communities,
            frozenset(self.pools),
            frozenset(self.pool_selectors),
            frozenset(self.peers),
            frozenset(self.node_selectors),
            frozenset(self.service_selectors),
            self.weighted,
            self.med,
            self.prepend,
        )


def read_bgp_advertisement(
    name: str, namespace: str, labels: Mapping[str, str], spec: Fields
) -> BGPAdvertisement:
    """An advertisement from ``spec`` of a BGPAdvertisement.

    An absent ``spec`` announces everything to everyone.
    """
    values, aliases = _read_communities(spec)
    found = BGPAdvertisement(
        name=name,
        namespace=namespace,
        labels=labels,
        aggregation_length=spec.integer("aggregationLength", 1, 32) or 32,
        aggregation_length_v6=spec.integer("aggregationLengthV6", 1, 128) or 128,
        local_pref=spec.integer("localPref", 0, 2**32 - 1),
        communities=frozenset(each for each in values if isinstance(each, int)),
        large_communities=frozenset(each for each in values if not isinstance(each, int)),
        aliases=aliases,
        pools=spec.strings("ipAddressPools"),
        pool_selectors=read_selectors(spec, "ipAddressPoolSelectors"),
        peers=spec.strings("peers"),
        node_selectors=read_selectors(spec, "nodeSelectors"),
        service_selectors=read_selectors(spec, "serviceSelectors"),
        weighted=spec.boolean("weightedByEndpoints"),
        med=spec.integer("med", 0, 2**32 - 1),
        prepend=spec.integer("asPathPrepend", 0, MAX_PREPEND) or 0,
    )
    spec.done()
    _refuse_selected_aggregates(found, spec)
    return found


def _refuse_selected_aggregates(found: BGPAdvertisement, spec: Fields) -> None:
    # An aggregate is announced for every service in it, so it can not be about some of them.
    if found.service_selectors and (found.aggregation_length, found.aggregation_length_v6) != (32, 128):
        message = "excludes an aggregation length other than /32 and /128; remove one of them"
        spec.report.refuse(spec.path("serviceSelectors"), Reason.EXCLUSIVE_FIELDS, message)


def _read_communities(spec: Fields) -> tuple[list[CommunityValue], tuple[str, ...]]:
    values: list[CommunityValue] = []
    aliases: list[str] = []
    for path, text in spec.items("communities"):
        if isinstance(text, str) and text and is_alias(text):
            aliases.append(text)
            continue
        try:
            values.append(parse_community(str(text)))
        except ValueError as error:
            # Announcing without the community could reach where the declaration wants it not to.
            spec.report.refuse(path, Reason.BAD_COMMUNITY, str(error))
    return values, tuple(aliases)


__all__ = ["BGPAdvertisement", "Nodes", "read_bgp_advertisement"]
