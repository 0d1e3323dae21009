# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that a speaker looks at: from the API's dictionaries to types, once, at the edge."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
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
    "trim_node",
    "trim_service",
    "trim_slice",
]

# What keeps a node out of load balancing; its presence counts, not its value (KEP-1143).
EXCLUDE_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"  # KEP-2268
# With either a service shares its address (`vipcast.ipam`).
SHARING = ("metallb.io/allow-shared-ip", "metallb.universe.tf/allow-shared-ip")
# "false": layer 2 does not move the service's addresses to even out the load.
REBALANCE = "vipcast.io/layer2-rebalance"
SERVICE_NAME_LABEL = "kubernetes.io/service-name"
_FAMILIES = {"IPv4": 4, "IPv6": 6}


@dataclass(frozen=True, slots=True)
class Node:
    """A node, as far as announcing from it goes."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    network_unavailable: bool = False
    drain: str | None = None  # value of the annotation of `vipcast.speaker.drain`; None: there is none
    ready: bool = True
    out_of_service: bool = False  # declared dead by its taint, so that its pods may go elsewhere
    addresses: tuple[IPAddress, ...] = ()  # its own, in the cluster

    @property
    def excluded(self) -> bool:
        """Return whether it is labelled as not taking part in load balancing."""
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
    shares: bool = False  # its addresses may be other services' too
    stays: bool = False  # its addresses are not moved to even out the load


def read_node(item: Json) -> Node:
    """Read a core/v1 Node. One that says nothing of being ready is new, and counts as ready."""
    status, metadata = item.get("status") or {}, item["metadata"]
    conditions = {each.get("type"): each.get("status") for each in status.get("conditions") or ()}
    taints = (item.get("spec") or {}).get("taints") or ()
    return Node(
        metadata["name"],
        metadata.get("labels") or {},
        network_unavailable=conditions.get("NetworkUnavailable") == "True",
        drain=(metadata.get("annotations") or {}).get(ANNOTATION),
        ready=conditions.get("Ready", "True") == "True",
        out_of_service=any(taint.get("key") == OUT_OF_SERVICE for taint in taints),
        addresses=tuple(_internal(status.get("addresses") or ())),
    )


def _internal(entries: Iterable[Json]) -> Iterator[IPAddress]:
    for each in entries:
        if each.get("type") == "InternalIP":
            with contextlib.suppress(ValueError):  # a node that has no usable one is told by its silence
                yield parse_address(each.get("address", ""))


def read_service(key: Key, item: Json) -> Service:
    """Read a core/v1 Service."""
    spec = item.get("spec") or {}
    annotations = item["metadata"].get("annotations") or {}
    addresses, unusable = _ingress(item)
    return Service(
        key=key,
        load_balancer=spec.get("type") == "LoadBalancer",
        lb_class=spec.get("loadBalancerClass"),
        local=spec.get("externalTrafficPolicy") == "Local",
        labels=item["metadata"].get("labels") or {},
        addresses=addresses,
        unusable=unusable,
        shares=any(annotations.get(name) for name in SHARING),
        stays=annotations.get(REBALANCE) == "false",
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
    """Return which service an EndpointSlice belongs to; None for one that belongs to none."""
    metadata = item["metadata"]
    name = (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL)
    return (metadata.get("namespace", ""), name) if name else None


def read_endpoints(item: Json) -> tuple[Endpoint, ...]:
    """Read a discovery.k8s.io/v1 EndpointSlice; one of names (FQDN) has no endpoints for us."""
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
_TOLD = ("NetworkUnavailable", "Ready")
_METADATA = ("name", "namespace", "uid", "resourceVersion", "labels")


def trim_node(item: Json) -> Json:
    """A node's labels, conditions, addresses, taints and drain; its list of images alone is larger than all
    of that, and of its conditions the times change all day."""
    trim, status = _trim(item), item.get("status") or {}
    trim["metadata"]["annotations"] = _only(item["metadata"].get("annotations"), (ANNOTATION,))
    conditions = [
        _only(each, ("type", "status"))
        for each in status.get("conditions") or ()
        if each.get("type") in _TOLD
    ]
    addresses = [each for each in status.get("addresses") or () if each.get("type") == "InternalIP"]
    taints = [
        _only(each, ("key",))
        for each in (item.get("spec") or {}).get("taints") or ()
        if each.get("key") == OUT_OF_SERVICE
    ]
    return {**trim, "spec": {"taints": taints}, "status": {"conditions": conditions, "addresses": addresses}}


def trim_service(item: Json) -> Json:
    """Return what is decided by, and what an Event needs to name the service."""
    trim = _trim(item)
    spec = _only(item.get("spec"), ("type", "loadBalancerClass", "externalTrafficPolicy"))
    if spec.get("type") != "LoadBalancer":
        trim["metadata"].pop("labels", None)
        return {**trim, "spec": spec, "status": {}}
    annotations = item["metadata"].get("annotations") or {}
    if shares := {name: "yes" for name in SHARING if annotations.get(name)}:  # that it has a key is all
        trim["metadata"]["annotations"] = shares
    return {**trim, "spec": spec, "status": _only(item.get("status"), ("loadBalancer",))}


def trim_slice(item: Json) -> Json:
    """Return a slice's service, family and endpoints, and of each its address, node and readiness."""
    endpoints = [
        {**_only(each, ("conditions", "nodeName")), "addresses": (each.get("addresses") or [])[:1]}
        for each in item.get("endpoints") or []
    ]
    trim = _trim(item)
    trim["metadata"]["labels"] = _only(trim["metadata"].get("labels"), (SERVICE_NAME_LABEL,))
    return {**trim, "addressType": item.get("addressType"), "endpoints": endpoints}


def _trim(item: Json) -> Json:
    named = _only(item, ("apiVersion", "kind"))
    return {**named, "metadata": _only(item["metadata"], _METADATA)}


def _only(part: Json | None, names: tuple[str, ...]) -> Json:
    return {name: part[name] for name in names if name in part} if part else {}
