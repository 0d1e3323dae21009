# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node should announce, and why not the rest. Pure: a snapshot in, what should be true out.

An address is announced by a node when
1. the service is ours: type LoadBalancer, and of our load balancer class;
2. the address lies in a pool of the configuration;
3. an advertisement of that pool selects the node;
4. the node's network is up, and the node isn't labelled as excluded from load balancing nor drained;
5. an endpoint of the address's family can serve: any, or with externalTrafficPolicy Local one on the node;
6. an advertisement selects the service, and a peer, which selects the node and whose session carries that
   family.
The first rule that fails gives the refusal its name. The order is MetalLB's, so that the names mean the same.

Announced is the address cut to the aggregation length. One prefix from several advertisements or services is
one route (`merge`): communities add up; a different local preference is a conflict, and the one that came
first stays (within a service none does).

While the node is leaving (`drain`) everything is announced as before, with the routers asked to look for
another way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network

from vipcast.bgp.route import Prefix, Route
from vipcast.k8s import Key
from vipcast.model.addresses import IPAddress
from vipcast.model.advertisements import BGPAdvertisement
from vipcast.model.configuration import Configuration
from vipcast.model.peers import Peer
from vipcast.speaker.drain import ANNOTATION, Drain
from vipcast.speaker.merge import Conflict, How, Where, route, together
from vipcast.speaker.reasons import NotAnnounced, NotWeighted
from vipcast.speaker.world import Endpoint, Node, Service

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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one address of a service; `address` is None where the service has none."""

    address: IPAddress | None
    reason: NotAnnounced | None = None  # None: announced
    message: str = ""
    prefixes: tuple[Prefix, ...] = ()
    peers: tuple[str, ...] = ()
    unweighted: NotWeighted | None = None  # why a weight that is asked for is missing in some route

    @property
    def announced(self) -> bool:
        """Whether the peers get it."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Decision:
    """Which sessions there should be, their routes, and a verdict per address of every service of ours."""

    peers: tuple[Peer, ...] = ()
    routes: Mapping[str, frozenset[Route]] = field(default_factory=dict)  # by the peer's name
    verdicts: Mapping[Key, tuple[Verdict, ...]] = field(default_factory=dict)
    drain: Drain | None = None

    @property
    def sessions(self) -> tuple[Peer, ...]:
        """The peers that there is to be a session with now: none at the end of a drain."""
        return () if self.drain and self.drain.ended else self.peers


_Wanted = dict[Where, How]
_Pairs = list[tuple[BGPAdvertisement, Peer]]


def decide(snapshot: Snapshot) -> Decision:
    """The whole decision; services are taken by namespace and name, so that luck has no part in it."""
    peers = _peers(snapshot)
    judge = _Judge(snapshot, peers)
    verdicts = {key: judge.service(snapshot.services[key]) for key in sorted(judge.ours())}
    if lacking := judge.lacking():
        verdicts = {key: _unweighted(snapshot.services[key], each, lacking) for key, each in verdicts.items()}
    return Decision(peers, _routes(peers, judge.wanted, snapshot.drain), verdicts, snapshot.drain)


def _peers(snapshot: Snapshot) -> tuple[Peer, ...]:
    """Who selects this node; nobody does while we don't know what the node is."""
    node = snapshot.node
    return tuple(peer for peer in snapshot.configuration.peers if node and peer.selects_node(node.labels))


def _routes(peers: tuple[Peer, ...], wanted: _Wanted, drain: Drain | None) -> dict[str, frozenset[Route]]:
    routes: dict[str, set[Route]] = {peer.name: set() for peer in peers}
    internal = {peer.name: peer.internal for peer in peers}
    leaving = drain is not None and drain.leaving
    for (peer, prefix), how in wanted.items():
        routes[peer].add(route(prefix, how, internal=internal[peer], leaving=leaving))
    return {name: frozenset(found) for name, found in routes.items()}


class _Judge:
    """One pass over the services; `wanted` grows."""

    def __init__(self, snapshot: Snapshot, peers: tuple[Peer, ...]) -> None:
        self._snapshot, self._peers = snapshot, peers
        self._node_reason = _node_reason(snapshot)
        self._here = _advertisements_here(snapshot)
        self.wanted: _Wanted = {}
        self.weighing = any(each.weighted for each in snapshot.configuration.advertisements)

    def ours(self) -> Iterable[Key]:
        """Rule 1."""
        wanted = self._snapshot.lb_class
        services = self._snapshot.services.items()
        return (key for key, each in services if each.load_balancer and each.lb_class == wanted)

    def service(self, service: Service) -> tuple[Verdict, ...]:
        """One verdict per address, and one for what is no address."""
        verdicts = [self._address(service, address) for address in service.addresses]
        for text in service.unusable:
            message = f"the service's status has {text!r}, which is no IP address"
            verdicts.append(Verdict(None, NotAnnounced.BAD_ADDRESS, message))
        return tuple(verdicts) or (Verdict(None, NotAnnounced.NO_ADDRESS, "the service has no address yet"),)

    def _address(self, service: Service, address: IPAddress) -> Verdict:
        pool = self._pool(address)
        # Rules 2 and 3, 4, 5.
        refusal = self._pool_reason(pool) or self._node_reason or self._endpoint_reason(service, address)
        if refusal:
            return Verdict(address, *refusal)
        chosen = [each for each in self._here[pool or ""] if each.selects_service(service.labels)]
        if not chosen:
            message = f"no BGPAdvertisement of pool {pool} selects the service"
            return Verdict(address, NotAnnounced.NO_MATCHING_ADVERTISEMENT, message)
        return self._announce(service, address, chosen)

    def _pool_reason(self, pool: str | None) -> tuple[NotAnnounced, str] | None:
        if self._snapshot.node is None:  # then nothing is known of who selects it
            return self._node_reason
        if pool is None:
            return NotAnnounced.ADDRESS_NOT_IN_POOL, "no IPAddressPool has this address"
        if not self._snapshot.configuration.advertisements_for(pool):
            return NotAnnounced.NO_MATCHING_ADVERTISEMENT, f"no BGPAdvertisement is for pool {pool}"
        if not self._here[pool]:
            return NotAnnounced.NOT_OWNER, f"no BGPAdvertisement of pool {pool} selects this node"
        return None

    def _endpoint_reason(self, service: Service, address: IPAddress) -> tuple[NotAnnounced, str] | None:
        endpoints = self._snapshot.endpoints.get(service.key, ())
        able = [each for each in endpoints if each.can_serve and each.family == address.version]
        if not able:
            return NotAnnounced.NO_ENDPOINTS, "the service has no endpoint that can serve"
        if service.local and not any(each.node == self._snapshot.node_name for each in able):
            message = "externalTrafficPolicy is Local and no endpoint on this node can serve"
            return NotAnnounced.NO_LOCAL_ENDPOINTS, message
        return None

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
        """Those on this node that kube-proxy sends to: who is ready, or else who ends and still serves."""
        if not (self.weighing and service.local):
            return None
        here = [
            each
            for each in self._snapshot.endpoints.get(service.key, ())
            if each.can_serve and each.family == address.version and each.node == self._snapshot.node_name
        ]
        return frozenset(each.address for each in [each for each in here if each.ready] or here)

    def _merge(self, address: IPAddress, pairs: _Pairs, endpoints: frozenset[str] | None) -> Verdict:
        mine: _Wanted = {}
        try:
            for advertisement, peer in pairs:
                where = peer.name, _prefix(address, advertisement)
                how = _how(advertisement, peer, endpoints)
                mine[where] = together(where, how, mine.get(where, how))
            merged = {where: together(where, how, self.wanted.get(where, how)) for where, how in mine.items()}
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

    def _pool(self, address: IPAddress) -> str | None:
        return next((pool.name for pool in self._snapshot.configuration.pools if address in pool), None)


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


def _node_reason(snapshot: Snapshot) -> tuple[NotAnnounced, str] | None:
    """Rule 4."""
    if snapshot.node is None:
        return NotAnnounced.NODE_NOT_FOUND, f"the cluster has no node {snapshot.node_name}"
    if snapshot.node.network_unavailable:
        return NotAnnounced.NODE_NETWORK_UNAVAILABLE, "the node's condition NetworkUnavailable is True"
    if snapshot.node.excluded and not snapshot.ignore_exclude:
        message = "the node is labelled node.kubernetes.io/exclude-from-external-load-balancers"
        return NotAnnounced.NODE_EXCLUDED, message
    if snapshot.drain and not snapshot.drain.leaving:
        return NotAnnounced.NODE_DRAINED, f"the node is drained (annotation {ANNOTATION})"
    return None


def _advertisements_here(snapshot: Snapshot) -> dict[str, tuple[BGPAdvertisement, ...]]:
    """Per pool, the advertisements that select this node."""
    labels = snapshot.node.labels if snapshot.node else {}
    found: dict[str, tuple[BGPAdvertisement, ...]] = {}
    for pool in snapshot.configuration.pools:
        every = snapshot.configuration.advertisements_for(pool.name)
        found[pool.name] = tuple(each for each in every if each.selects_node(labels))
    return found


_NO_FAMILY = (
    "none of its BGPPeers carries IPv{version}: a session carries the family of its address, and both with "
    "dualStackAddressFamily or over an interface"
)


def _prefix(address: IPAddress, advertisement: BGPAdvertisement) -> Prefix:
    kind = IPv4Network if address.version == 4 else IPv6Network
    # From an int: twice as fast, and there are many.
    return kind((int(address), advertisement.aggregation(address.version)), strict=False)


def _how(advertisement: BGPAdvertisement, peer: Peer, endpoints: frozenset[str] | None) -> How:
    return How(
        # LOCAL_PREF stays in an AS (RFC 4271 section 5.1.5): to eBGP peers there is nothing to disagree on.
        advertisement.local_pref if peer.internal else None,
        advertisement.communities,
        advertisement.large_communities,
        advertisement.weighted,
        endpoints,
    )
