# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node should announce, and why not the rest. Pure: a snapshot in, what should be true out.

An address is announced by a node when
1. the service is ours: type LoadBalancer, and of our load balancer class;
2. the address lies in a pool of the configuration;
3. an advertisement of that pool selects the node;
4. the node's network is up and the node isn't labelled as excluded from load balancing;
5. an endpoint of the address's family can serve: any, or with externalTrafficPolicy Local one on the node;
6. an advertisement selects the service, and a peer of that family, which selects the node; and the speaker
   can do what both say.
The first rule that fails gives the refusal its name. The order is MetalLB's, so that the names mean the same.

Announced is the address cut to the aggregation length. One prefix from several advertisements or services is
one route: communities add up; a different local preference is a conflict, and the one that came first stays
(within a service none does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from vipcast.bgp.route import Prefix, Route
from vipcast.k8s import Key
from vipcast.model.addresses import IPAddress
from vipcast.model.advertisements import BGPAdvertisement
from vipcast.model.configuration import Configuration
from vipcast.model.peers import Peer
from vipcast.speaker.reasons import NotAnnounced
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one address of a service; `address` is None where the service has none."""

    address: IPAddress | None
    reason: NotAnnounced | None = None  # None: announced
    message: str = ""
    prefixes: tuple[Prefix, ...] = ()
    peers: tuple[str, ...] = ()

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


_Where = tuple[str, Prefix]  # a peer's name and what it gets
_How = tuple[int | None, frozenset[int]]  # local preference and communities
_Wanted = dict[_Where, _How]
_Pairs = list[tuple[BGPAdvertisement, Peer]]


class _Conflict(Exception):  # noqa: N818 - it carries a refusal, not an error
    """Two preferences for one prefix."""


def decide(snapshot: Snapshot) -> Decision:
    """The whole decision; services are taken by namespace and name, so that luck has no part in it."""
    peers = _peers(snapshot)
    judge = _Judge(snapshot, peers)
    verdicts = {key: judge.service(snapshot.services[key]) for key in sorted(judge.ours())}
    return Decision(peers, _routes(peers, judge.wanted), verdicts)


def _peers(snapshot: Snapshot) -> tuple[Peer, ...]:
    """Who selects this node; nobody does while we don't know what the node is."""
    node = snapshot.node
    return tuple(peer for peer in snapshot.configuration.peers if node and peer.selects_node(node.labels))


def _routes(peers: tuple[Peer, ...], wanted: _Wanted) -> dict[str, frozenset[Route]]:
    routes: dict[str, set[Route]] = {peer.name: set() for peer in peers}
    for (peer, prefix), (preference, communities) in wanted.items():
        routes[peer].add(Route(prefix, preference, communities))
    return {name: frozenset(found) for name, found in routes.items()}


class _Judge:
    """One pass over the services; `wanted` grows."""

    def __init__(self, snapshot: Snapshot, peers: tuple[Peer, ...]) -> None:
        self._snapshot, self._peers = snapshot, peers
        self._node_reason = _node_reason(snapshot)
        self._here = _advertisements_here(snapshot)
        self.wanted: _Wanted = {}

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
        return self._announce(address, chosen)

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

    def _announce(self, address: IPAddress, chosen: list[BGPAdvertisement]) -> Verdict:
        """Rule 6, and what comes of it."""
        pairs = [(adv, peer) for adv in chosen for peer in self._peers if adv.selects_peer(peer.name)]
        if not pairs:
            message = "no BGPPeer that its advertisements name is for this node"
            return Verdict(address, NotAnnounced.NO_MATCHING_PEER, message)
        for narrow, reason, message in _NARROWER:
            pairs = narrow(address, pairs)
            if not pairs:
                return Verdict(address, reason, message.format(version=address.version))
        return self._merge(address, pairs)

    def _merge(self, address: IPAddress, pairs: _Pairs) -> Verdict:
        mine: _Wanted = {}
        try:
            for advertisement, peer in pairs:
                prefix, how = _route(address, advertisement, peer)
                where = peer.name, prefix
                mine[where] = _together(where, how, mine.get(where, how))
            together = {
                where: _together(where, how, self.wanted.get(where, how)) for where, how in mine.items()
            }
        except _Conflict as conflict:
            return Verdict(address, NotAnnounced.CONFLICTING_ADVERTISEMENTS, str(conflict))
        self.wanted |= together
        prefixes = tuple(sorted({prefix for _peer, prefix in mine}))
        return Verdict(address, prefixes=prefixes, peers=tuple(sorted({peer for peer, _prefix in mine})))

    def _pool(self, address: IPAddress) -> str | None:
        return next((pool.name for pool in self._snapshot.configuration.pools if address in pool), None)


def _node_reason(snapshot: Snapshot) -> tuple[NotAnnounced, str] | None:
    """Rule 4."""
    if snapshot.node is None:
        return NotAnnounced.NODE_NOT_FOUND, f"the cluster has no node {snapshot.node_name}"
    if snapshot.node.network_unavailable:
        return NotAnnounced.NODE_NETWORK_UNAVAILABLE, "the node's condition NetworkUnavailable is True"
    if snapshot.node.excluded and not snapshot.ignore_exclude:
        message = "the node is labelled node.kubernetes.io/exclude-from-external-load-balancers"
        return NotAnnounced.NODE_EXCLUDED, message
    return None


def _advertisements_here(snapshot: Snapshot) -> dict[str, tuple[BGPAdvertisement, ...]]:
    """Per pool, the advertisements that select this node."""
    labels = snapshot.node.labels if snapshot.node else {}
    found: dict[str, tuple[BGPAdvertisement, ...]] = {}
    for pool in snapshot.configuration.pools:
        every = snapshot.configuration.advertisements_for(pool.name)
        found[pool.name] = tuple(each for each in every if each.selects_node(labels))
    return found


def _supported(_address: IPAddress, pairs: _Pairs) -> _Pairs:
    return [(advertisement, peer) for advertisement, peer in pairs if not peer.unsupported]


def _of_family(address: IPAddress, pairs: _Pairs) -> _Pairs:
    return [pair for pair in pairs if pair[1].address and pair[1].address.version == address.version]


def _sendable(_address: IPAddress, pairs: _Pairs) -> _Pairs:
    """Without the peers that would get the route with less than all of its advertisements say of it."""
    withheld = {peer.name for advertisement, peer in pairs if advertisement.unsupported}
    return [pair for pair in pairs if pair[1].name not in withheld]


# What narrows the peers of an address down, and what is said when none is left.
_NARROWER: tuple[tuple[Callable[[IPAddress, _Pairs], _Pairs], NotAnnounced, str], ...] = (
    (_supported, NotAnnounced.UNSUPPORTED_PEER, "its BGPPeers need what is not supported yet"),
    (
        _of_family,
        NotAnnounced.NO_PEER_OF_FAMILY,
        "none of its BGPPeers has an IPv{version} address: a session carries its own family",
    ),
    (
        _sendable,
        NotAnnounced.UNSUPPORTED_ADVERTISEMENT,
        "its advertisements have large communities, which are not sent yet, and without them it could reach "
        "too far",
    ),
)


def _route(address: IPAddress, advertisement: BGPAdvertisement, peer: Peer) -> tuple[Prefix, _How]:
    length = advertisement.aggregation(address.version)
    kind = IPv4Network if address.version == 4 else IPv6Network
    prefix = kind((int(address), length), strict=False)  # from an int: twice as fast, and there are many
    # LOCAL_PREF stays in an AS (RFC 4271 section 5.1.5): to eBGP peers there is nothing to disagree on.
    return prefix, (advertisement.local_pref if peer.internal else None, advertisement.communities)


def _together(where: _Where, one: _How, other: _How) -> _How:
    if one[0] != other[0]:
        peer, prefix = where
        words = " and ".join("none" if value is None else str(value) for value in (other[0], one[0]))
        raise _Conflict(f"{prefix} would go to peer {peer} with two local preferences, {words}")
    return one[0], one[1] | other[1]
