# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that announcing by BGP and answering at layer 2 have in common. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vipcast.k8s import Key
from vipcast.model.addresses import IPAddress
from vipcast.model.configuration import Configuration
from vipcast.model.pools import Pool
from vipcast.speaker.reasons import NotAnnounced
from vipcast.speaker.world import Endpoint, Node, Service

__all__ = ["NO_ENDPOINTS", "Refusal", "able", "node_reason", "only_layer2", "ours", "pool_of"]

Refusal = tuple[NotAnnounced, str]  # its name, and words

NO_ENDPOINTS: Refusal = (NotAnnounced.NO_ENDPOINTS, "the service has no endpoint that can serve")


def ours(services: Mapping[Key, Service], lb_class: str | None) -> Iterator[Key]:
    """The services that are to be announced at all: type LoadBalancer, and of our load balancer class."""
    return (key for key, each in services.items() if each.load_balancer and each.lb_class == lb_class)


def pool_of(configuration: Configuration, address: IPAddress) -> Pool | None:
    """The pool that an address lies in."""
    return next((pool for pool in configuration.pools if address in pool), None)


def only_layer2(configuration: Configuration, pool: Pool | None) -> bool:
    """Whether BGP has nothing to say of a pool's addresses: they are answered for on the segment alone."""
    if pool is None or configuration.advertisements_for(pool.name):
        return False
    return bool(configuration.layer2_advertisements_for(pool))


def able(endpoints: Iterable[Endpoint], version: int) -> list[Endpoint]:
    """The endpoints of a family that can serve."""
    return [each for each in endpoints if each.can_serve and each.family == version]


def node_reason(node: Node, *, ignore_exclude: bool) -> Refusal | None:
    """Why a node announces nothing, whatever it would announce."""
    if node.network_unavailable:
        return NotAnnounced.NODE_NETWORK_UNAVAILABLE, "the node's condition NetworkUnavailable is True"
    if node.excluded and not ignore_exclude:
        message = "the node is labelled node.kubernetes.io/exclude-from-external-load-balancers"
        return NotAnnounced.NODE_EXCLUDED, message
    return None
