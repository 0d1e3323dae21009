# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that announcing by BGP and answering at layer 2 have in common. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vipcast.k8s import Key
from vipcast.model.addresses import IPAddress
from vipcast.model.configuration import Configuration
from vipcast.model.pools import Pool
from vipcast.speaker.kube_types import Endpoint, Node, Service
from vipcast.speaker.reasons import NotAnnounced

__all__ = ["NO_ENDPOINTS", "Refusal", "able", "attracting", "node_reason", "ours", "pool_of"]

Refusal = tuple[NotAnnounced, str]  # its name, and words

NO_ENDPOINTS: Refusal = (NotAnnounced.NO_ENDPOINTS, "the service has no endpoint that can serve")


def ours(services: Mapping[Key, Service], lb_class: str | None) -> Iterator[Key]:
    """The services that are to be announced at all: type LoadBalancer, and of our load balancer class."""
    return (key for key, each in services.items() if each.load_balancer and each.lb_class == lb_class)


def pool_of(configuration: Configuration, address: IPAddress) -> Pool | None:
    """The pool that an address lies in."""
    return configuration.pool_of(address)


def able(endpoints: Iterable[Endpoint], version: int) -> list[Endpoint]:
    """The endpoints of a family that can serve."""
    return [each for each in endpoints if each.can_serve and each.family == version]


def attracting(serving: list[Endpoint]) -> list[Endpoint]:
    """The endpoints that new connections should be led to, of those that can serve: with policy Local a node
    attracts them by having one of these.

    KEP-1669: kube-proxy goes on sending to endpoints that serve while they end, and its health check (the
    service's healthCheckNodePort) fails as soon as no endpoint of the node is ready, so that load balancers
    turn away before they are gone. Where no node has a ready one, those that still serve are all there is.
    """
    return [each for each in serving if each.ready] or serving


def node_reason(node: Node, *, ignore_exclude: bool) -> Refusal | None:
    """Return why a node announces nothing, whatever it would announce."""
    if node.network_unavailable:
        return NotAnnounced.NODE_NETWORK_UNAVAILABLE, "the node's condition NetworkUnavailable is True"
    if node.excluded and not ignore_exclude:
        message = "the node is labelled node.kubernetes.io/exclude-from-external-load-balancers"
        return NotAnnounced.NODE_EXCLUDED, message
    return None
