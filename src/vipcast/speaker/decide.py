# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision what a node announces by BGP, and why not the rest. Pure: a snapshot in, a decision out.

An address is announced by a node when
1. the service is ours: type LoadBalancer, and of our load balancer class;
2. the address lies in a pool of the configuration;
3. an advertisement of that pool selects the node;
4. the node's network is up, the node isn't labelled as excluded from load balancing nor drained, and its
   service proxy is not known to fail;
5. an endpoint of the address's family can serve: any, or with externalTrafficPolicy Local one on the node,
   which is ready where any node has a ready one;
6. an advertisement selects the service, and a peer, which selects the node and whose session carries that
   family.
The first rule that fails gives the refusal its name. The order is MetalLB's, so that the names mean the same.
Of addresses that are for layer 2 alone nothing is said here (`decide_layer2`).

Announced is the address cut to the aggregation length. One prefix from several advertisements or services is
one route (`merge`): communities add up; a different local preference, MED or length of the AS path is a
conflict, and the one that came first stays (within a service none does).

While the node is leaving (`drain`) everything is announced as before, with the routers asked to look for
another way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network

from vipcast.bgp.route import Prefix, Route
from vipcast.k8s import Key
from vipcast.model.addresses import IPAddress
from vipcast.model.advertisements import BGPAdvertisement
from vipcast.model.configuration import Configuration
from vipcast.model.peers import Peer
from vipcast.model.pools import Pool
from vipcast.model.texts import echo
from vipcast.speaker.bgp.merge import Conflict, RouteAttributes, Where, merge, route
from vipcast.speaker.drain import ANNOTATION, Drain
from vipcast.speaker.kube_types import Endpoint, Node, Service
from vipcast.speaker.reasons import NotAnnounced, NotWeighted
from vipcast.speaker.rules import (
    NO_ENDPOINTS,
    Refusal,
    able,
    attracting,
    node_reason,
    ours,
    pool_of,
)

__all__ = ["Decision", "Snapshot", "Verdict", "decide"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a decision depends on."""

    node_name: str
    node: Node | None  # None: the cluster has none of that name
    services: Mapping[Key, Service]
    endpoints: Mapping[Key, tuple[Endpoint, ...]]
    configuration: Configuration
    lb_class: str | None = None
    ignore_exclude: bool = False
    drain: Drain | None = None
    data_plane: str | None = None  # why packets would not be passed on, see `data_plane`
    nodes: Mapping[str, Node] = field(default_factory=dict)  # all that may answer at layer 2
    layer2_read: bool = True  # False: L2Advertisements were not read yet, so any address may be for layer 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one address of a service; `address` is None where the service has none."""

    address: IPAddress | None
    reason: NotAnnounced | None = None  # None: announced
    message: str = ""
    prefixes: tuple[Prefix, ...] = ()
    peers: tuple[str, ...] = ()
    unweighted: NotWeighted | None = None  # why a weight that is asked for is missing in some route

    @property
    def announced(self) -> bool:
        """Return whether the peers get it."""
        return self.reason is None

    @property
    def usual(self) -> bool:
        """Return whether there is nothing to warn of."""
        return self.reason is not None and self.reason.usual


@dataclass(frozen=True, slots=True)
class Decision:
    """The sessions that there should be, their routes, and a verdict for each address of our services."""

    peers: tuple[Peer, ...] = ()
    routes: Mapping[str, frozenset[Route]] = field(default_factory=dict)  # by the peer's name
    verdicts: Mapping[Key, tuple[Verdict, ...]] = field(default_factory=dict)
    drain: Drain | None = None

    @property
    def sessions(self) -> tuple[Peer, ...]:
        """The peers that there is to be a session with now: none at the end of a drain."""
        return () if self.drain and self.drain.ended else self.peers


_Wanted = dict[Where, RouteAttributes]
_Pairs = list[tuple[BGPAdvertisement, Peer]]


def decide(snapshot: Snapshot) -> Decision:
    """The whole decision; services are taken by namespace and name, so that luck has no part in it."""
    peers = _peers(snapshot)
    judge = _Evaluator(snapshot, peers)
    keys = sorted(ours(snapshot.services, snapshot.lb_class))
    verdicts = {key: judge.service(snapshot.services[key]) for key in keys}
    if lacking := judge.lacking():
        verdicts = {key: _unweighted(snapshot.services[key], each, lacking) for key, each in verdicts.items()}
    return Decision(peers, _routes(peers, judge.wanted, snapshot.drain), verdicts, snapshot.drain)


def _peers(snapshot: Snapshot) -> tuple[Peer, ...]:
    """Return who selects this node; nobody does while we don't know what the node is."""
    node = snapshot.node
    return tuple(peer for peer in snapshot.configuration.peers if node and peer.selects_node(node.labels))


def _routes(peers: tuple[Peer, ...], wanted: _Wanted, drain: Drain | None) -> dict[str, frozenset[Route]]:
    routes: dict[str, set[Route]] = {peer.name: set() for peer in peers}
    internal = {peer.name: peer.internal for peer in peers}
    leaving = drain is not None and drain.leaving
    for (peer, prefix), how in wanted.items():
        routes[peer].add(route(prefix, how, internal=internal[peer], leaving=leaving))
    return {name: frozenset(found) for name, found in routes.items()}


class _Evaluator:
    """One pass over the services; `wanted` grows."""

    def __init__(self, snapshot: Snapshot, peers: tuple[Peer, ...]) -> None:
        self._snapshot, self._peers = snapshot, peers
        self._node_reason = _node_reason(snapshot)
        self._here = _advertisements_here(snapshot)
        self.wanted: _Wanted = {}
        self.weighing = any(each.weighted for each in snapshot.configuration.advertisements)

    def service(self, service: Service) -> tuple[Verdict, ...]:
        """One verdict per address, and one for what is no address."""
        pools = [(each, pool_of(self._snapshot.configuration, each)) for each in service.addresses]
        verdicts = [
            self._address(service, address, pool.name if pool else None)
            for address, pool in pools
            if not self._for_layer2_alone(pool)
        ]
        for text in service.unusable:
            message = f"the service's status has {echo(text)}, which is no IP address"
            verdicts.append(Verdict(None, NotAnnounced.BAD_ADDRESS, message))
        if not pools and not verdicts:
            return (Verdict(None, NotAnnounced.NO_ADDRESS, "the service has no address yet"),)
        return tuple(verdicts)

    def _for_layer2_alone(self, pool: Pool | None) -> bool:
        """Return whether BGP says nothing of a pool's addresses; so too while it may turn out to be so."""
        configuration = self._snapshot.configuration
        if pool is None or configuration.advertisements_for(pool.name):
            return False
        return not self._snapshot.layer2_read or bool(configuration.layer2_advertisements_for(pool))

    def _address(self, service: Service, address: IPAddress, pool: str | None) -> Verdict:
        # Rules 2 and 3, 4, 5.
        refusal = self._pool_reason(pool) or self._node_reason or self._endpoint_reason(service, address)
        if refusal:
            return Verdict(address, *refusal)
        chosen = [each for each in self._here[pool or ""] if each.selects_service(service.labels)]
        if not chosen:
            message = f"no BGPAdvertisement of pool {pool} selects the service"
            return Verdict(address, NotAnnounced.NO_MATCHING_ADVERTISEMENT, message)
        return self._announce(service, address, chosen)

    def _pool_reason(self, pool: str | None) -> Refusal | None:
        if self._snapshot.node is None:  # then nothing is known of who selects it
            return self._node_reason
        if pool is None:
            return NotAnnounced.ADDRESS_NOT_IN_POOL, "no IPAddressPool has this address"
        if not self._snapshot.configuration.advertisements_for(pool):
            message = f"no BGPAdvertisement and no L2Advertisement is for pool {pool}"
            return NotAnnounced.NO_MATCHING_ADVERTISEMENT, message
        if not self._here[pool]:
            return NotAnnounced.NOT_OWNER, f"no BGPAdvertisement of pool {pool} selects this node"
        return None

    def _endpoint_reason(self, service: Service, address: IPAddress) -> Refusal | None:
        serving = able(self._snapshot.endpoints.get(service.key, ()), address.version)
        if not serving:
            return NO_ENDPOINTS
        if service.local and not self._has_one_of(attracting(serving)):
            ending = self._has_one_of(serving)
            return NotAnnounced.NO_LOCAL_ENDPOINTS, _LOCAL_BUT_ENDING if ending else _NOT_LOCAL
        return None

    def _has_one_of(self, endpoints: list[Endpoint]) -> bool:
        return any(each.node == self._snapshot.node_name for each in endpoints)

    def _announce(self, service: Service, address: IPAddress, chosen: list[BGPAdvertisement]) -> Verdict:
        """Rule 6, and what comes of it."""
        pairs = [(adv, peer) for adv in chosen for peer in self._peers if adv.selects_peer(peer.name)]
        if not pairs:
            message = "no BGPPeer that its advertisements name is for this node"
            return Verdict(address, NotAnnounced.NO_MATCHING_PEER, message)
        pairs = [pair for pair in pairs if address.version in pair[1].families]
        if not pairs:
            return Verdict(
                address, NotAnnounced.NO_PEER_OF_FAMILY, _NO_FAMILY.format(version=address.version)
            )
        return self._merge(address, pairs, self._endpoints(service, address))

    def _endpoints(self, service: Service, address: IPAddress) -> frozenset[str] | None:
        """Return the endpoints on this node that kube-proxy sends to: ready, or else serving ones."""
        if not (self.weighing and service.local):
            return None
        serving = able(self._snapshot.endpoints.get(service.key, ()), address.version)
        here = [each for each in serving if each.node == self._snapshot.node_name]
        return frozenset(each.address for each in [each for each in here if each.ready] or here)

    def _merge(self, address: IPAddress, pairs: _Pairs, endpoints: frozenset[str] | None) -> Verdict:
        mine: _Wanted = {}
        try:
            for advertisement, peer in pairs:
                where = peer.name, _prefix(address, advertisement)
                how = _how(advertisement, peer, endpoints)
                mine[where] = merge(where, how, mine.get(where, how))
            merged = {where: merge(where, how, self.wanted.get(where, how)) for where, how in mine.items()}
        except Conflict as conflict:
            return Verdict(address, NotAnnounced.CONFLICTING_ADVERTISEMENTS, str(conflict))
        self.wanted |= merged
        prefixes = tuple(sorted({prefix for _peer, prefix in mine}))
        return Verdict(address, prefixes=prefixes, peers=tuple(sorted({peer for peer, _prefix in mine})))

    def lacking(self) -> frozenset[Where]:
        """Routes without the weight that is asked for."""
        return frozenset(
            where for where, how in self.wanted.items() if how.weighted and how.endpoints is None
        )


def _unweighted(
    service: Service, verdicts: tuple[Verdict, ...], lacking: frozenset[Where]
) -> tuple[Verdict, ...]:
    """The verdicts again, now that it is known who else is behind a prefix."""
    reason = NotWeighted.SHARED_PREFIX if service.local else NotWeighted.CLUSTER_POLICY
    return tuple(
        replace(each, unweighted=reason)
        if any((peer, prefix) in lacking for peer in each.peers for prefix in each.prefixes)
        else each
        for each in verdicts
    )


def _node_reason(snapshot: Snapshot) -> Refusal | None:
    """Rule 4."""
    if snapshot.node is None:
        return NotAnnounced.NODE_NOT_FOUND, f"the cluster has no node {snapshot.node_name}"
    refusal = node_reason(snapshot.node, ignore_exclude=snapshot.ignore_exclude)
    if refusal:
        return refusal
    if snapshot.drain and not snapshot.drain.leaving:
        return NotAnnounced.NODE_DRAINED, f"the node is drained (annotation {ANNOTATION})"
    return (NotAnnounced.DATA_PLANE, snapshot.data_plane) if snapshot.data_plane else None


def _advertisements_here(snapshot: Snapshot) -> dict[str, tuple[BGPAdvertisement, ...]]:
    """Per pool, the advertisements that select this node."""
    labels = snapshot.node.labels if snapshot.node else {}
    found: dict[str, tuple[BGPAdvertisement, ...]] = {}
    for pool in snapshot.configuration.pools:
        every = snapshot.configuration.advertisements_for(pool.name)
        found[pool.name] = tuple(each for each in every if each.selects_node(labels))
    return found


_NOT_LOCAL = "externalTrafficPolicy is Local and no endpoint on this node can serve"
_LOCAL_BUT_ENDING = (
    "externalTrafficPolicy is Local, the endpoints on this node are ending, and another node has a ready one"
)
_NO_FAMILY = (
    "none of its BGPPeers carries IPv{version}: a session carries the family of its address, and both with "
    "dualStackAddressFamily or over an interface"
)


def _prefix(address: IPAddress, advertisement: BGPAdvertisement) -> Prefix:
    kind = IPv4Network if address.version == 4 else IPv6Network
    # From an int: twice as fast, and there are many.
    return kind((int(address), advertisement.aggregation(address.version)), strict=False)


def _how(advertisement: BGPAdvertisement, peer: Peer, endpoints: frozenset[str] | None) -> RouteAttributes:
    return RouteAttributes(
        # LOCAL_PREF stays in an AS (RFC 4271 section 5.1.5): to eBGP peers there is nothing to disagree on.
        advertisement.local_pref if peer.internal else None,
        advertisement.communities,
        advertisement.large_communities,
        advertisement.weighted,
        endpoints,
        advertisement.med,
        # And within an AS the path is empty.
        0 if peer.internal else advertisement.prepend,
    )
