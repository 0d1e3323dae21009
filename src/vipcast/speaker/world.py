# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that a speaker looks at: from the API's dictionaries to types, once, at the edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vipcast.k8s import Json, Key
from vipcast.model.addresses import IPAddress, parse_address
from vipcast.speaker.drain import ANNOTATION

__all__ = [
    "Endpoint",
    "Node",
    "Service",
    "read_endpoints",
    "read_node",
    "read_service",
    "service_of",
    "slim_node",
    "slim_service",
    "slim_slice",
]

# What keeps a node out of load balancing; its presence counts, not its value (KEP-1143).
EXCLUDE_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"
SERVICE_NAME_LABEL = "kubernetes.io/service-name"
_FAMILIES = {"IPv4": 4, "IPv6": 6}


@dataclass(frozen=True, slots=True)
class Node:
    """The node that the speaker runs on."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    network_unavailable: bool = False
    drain: str | None = None  # value of the annotation of `vipcast.speaker.drain`; None: there is none

    @property
    def excluded(self) -> bool:
        """Whether it is labelled as not taking part in load balancing."""
        return EXCLUDE_LABEL in self.labels


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of a service, in one family."""

    family: int  # 4 or 6
    node: str | None
    can_serve: bool
    address: str = ""
    ready: bool = True  # otherwise it serves only while it ends


@dataclass(frozen=True, slots=True)
class Service:
    """A service as far as announcing it goes."""

    key: Key
    load_balancer: bool = True
    lb_class: str | None = None
    local: bool = False  # externalTrafficPolicy: Local
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    addresses: tuple[IPAddress, ...] = ()
    unusable: tuple[str, ...] = ()  # what is in the status and is no address


def read_node(item: Json) -> Node:
    """From a core/v1 Node."""
    conditions = item.get("status", {}).get("conditions") or []
    unavailable = any(c.get("type") == "NetworkUnavailable" and c.get("status") == "True" for c in conditions)
    metadata = item["metadata"]
    drain = (metadata.get("annotations") or {}).get(ANNOTATION)
    return Node(metadata["name"], metadata.get("labels") or {}, unavailable, drain)


def read_service(key: Key, item: Json) -> Service:
    """From a core/v1 Service."""
    spec = item.get("spec") or {}
    addresses, unusable = _ingress(item)
    return Service(
        key=key,
        load_balancer=spec.get("type") == "LoadBalancer",
        lb_class=spec.get("loadBalancerClass"),
        local=spec.get("externalTrafficPolicy") == "Local",
        labels=item["metadata"].get("labels") or {},
        addresses=addresses,
        unusable=unusable,
    )


def _ingress(item: Json) -> tuple[tuple[IPAddress, ...], tuple[str, ...]]:
    addresses: list[IPAddress] = []
    unusable: list[str] = []
    for entry in (item.get("status") or {}).get("loadBalancer", {}).get("ingress") or []:
        text = entry.get("ip") or entry.get("hostname") or ""
        try:
            addresses.append(parse_address(text))
        except ValueError:
            unusable.append(text)
    return tuple(addresses), tuple(unusable)


def service_of(item: Json) -> Key | None:
    """Which service an EndpointSlice belongs to; None for one that belongs to none."""
    metadata = item["metadata"]
    name = (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL)
    return (metadata.get("namespace", ""), name) if name else None


def read_endpoints(item: Json) -> tuple[Endpoint, ...]:
    """From a discovery.k8s.io/v1 EndpointSlice; none from one of names (FQDN)."""
    family = _FAMILIES.get(item.get("addressType", ""))
    if family is None:
        return ()
    return tuple(
        _endpoint(family, each, each.get("conditions") or {}) for each in item.get("endpoints") or []
    )


def _endpoint(family: int, each: Json, conditions: Mapping[str, bool | None]) -> Endpoint:
    # Of several addresses kube-proxy takes the first, as the API advises.
    address = next(iter(each.get("addresses") or ()), "")
    ready = conditions.get("ready") is not False
    return Endpoint(family, each.get("nodeName"), _can_serve(conditions), address, ready)


def _can_serve(conditions: Mapping[str, bool | None]) -> bool:
    """Ready, or still serving while it ends: kube-proxy sends to the latter where nothing else is left.

    By the API's definition an absent `ready` means true and an absent `serving` means what `ready` means.
    """
    ready = conditions.get("ready")
    return ready is not False or conditions.get("serving") is True


# What is worth keeping of an object: they are the bulk of what a speaker has in memory.
_METADATA = ("name", "namespace", "uid", "resourceVersion", "labels")


def slim_node(item: Json) -> Json:
    """A node's labels, conditions and drain; its list of images alone is larger than all of that."""
    slim = _slim(item)
    slim["metadata"]["annotations"] = _only(item["metadata"].get("annotations"), (ANNOTATION,))
    return {**slim, "status": _only(item.get("status"), ("conditions",))}


def slim_service(item: Json) -> Json:
    """What is decided by, and what an Event needs to name the service."""
    spec = _only(item.get("spec"), ("type", "loadBalancerClass", "externalTrafficPolicy"))
    return {**_slim(item), "spec": spec, "status": _only(item.get("status"), ("loadBalancer",))}


def slim_slice(item: Json) -> Json:
    """Which service, which family, and of every endpoint which and where it is and whether it can serve."""
    endpoints = [_only(each, ("addresses", "conditions", "nodeName")) for each in item.get("endpoints") or []]
    slim = _slim(item)
    slim["metadata"]["labels"] = _only(slim["metadata"].get("labels"), (SERVICE_NAME_LABEL,))
    return {**slim, "addressType": item.get("addressType"), "endpoints": endpoints}


def _slim(item: Json) -> Json:
    named = _only(item, ("apiVersion", "kind"))
    return {**named, "metadata": _only(item["metadata"], _METADATA)}


def _only(part: Json | None, names: tuple[str, ...]) -> Json:
    return {name: part[name] for name in names if name in part} if part else {}
