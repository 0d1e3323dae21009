# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes and LoadBalancer services of a cluster, reduced to what matters for reaching them.

**PRIVATE** to the collection. Nothing here reads what a speaker or a controller claims, but for what only
the cluster can know: which address a service was given or why none, and which node says that it owns it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._cluster.node import is_drained

Json = Mapping[str, Any]

# KEP-1143: a node with this label takes no part in external load balancing.
EXCLUDE_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"
SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"


def read_nodes(items: Iterable[Json]) -> list[dict[str, Any]]:
    """Nodes by name: `{name, ready, drained, excluded, network_unavailable, addresses, reason}`."""
    return sorted((_node(item) for item in items), key=lambda node: str(node["name"]))


def _node(item: Json) -> dict[str, Any]:
    conditions = {one["type"]: one for one in _list(item.get("status"), "conditions")}
    ready = conditions.get("Ready", {})
    is_ready = ready.get("status") == "True"
    return {
        "name": item["metadata"]["name"],
        "ready": is_ready,
        "drained": is_drained(item),
        "addresses": [one["address"] for one in _list(item.get("status"), "addresses") if _is_own(one)],
        "excluded": EXCLUDE_LABEL in (item["metadata"].get("labels") or {}),
        "network_unavailable": conditions.get("NetworkUnavailable", {}).get("status") == "True",
        "reason": "" if is_ready else ready.get("reason") or "NotReady",
    }


def _is_own(address: Json) -> bool:
    """The node's own, in the network that it shares with others."""
    return bool(address.get("type") == "InternalIP")


def read_pools(items: Iterable[Json]) -> list[dict[str, Any]]:
    """Return the IPAddressPools by namespace and name: `{namespace, name, labels, addresses}`."""
    found = [
        {
            "namespace": item["metadata"]["namespace"],
            "name": item["metadata"]["name"],
            "labels": dict(item["metadata"].get("labels") or {}),
            "addresses": [str(text) for text in _list(item.get("spec"), "addresses")],
        }
        for item in items
    ]
    return sorted(found, key=lambda pool: (pool["namespace"], pool["name"]))


def read_services(services: Iterable[Json], slices: Iterable[Json]) -> list[dict[str, Any]]:
    """LoadBalancer services by namespace and name, with their addresses, ports and endpoints."""
    by_service: dict[tuple[str, str], list[Json]] = {}
    for item in slices:
        name = (item["metadata"].get("labels") or {}).get(SERVICE_LABEL)
        if name:
            by_service.setdefault((item["metadata"]["namespace"], name), []).append(item)
    chosen = [item for item in services if item["spec"].get("type") == "LoadBalancer"]
    found = [_service(item, by_service.get(_key(item), [])) for item in chosen]
    return sorted(found, key=lambda one: (one["namespace"], one["name"]))


def _key(item: Json) -> tuple[str, str]:
    return (item["metadata"]["namespace"], item["metadata"]["name"])


def _service(item: Json, slices: list[Json]) -> dict[str, Any]:
    spec, status = item["spec"], item.get("status") or {}
    ingress = _list(status.get("loadBalancer"), "ingress")
    return {
        "namespace": item["metadata"]["namespace"],
        "name": item["metadata"]["name"],
        "labels": dict(item["metadata"].get("labels") or {}),
        "addresses": [one["ip"] for one in ingress if one.get("ip")],
        "load_balancer_class": spec.get("loadBalancerClass"),
        "external_traffic_policy": spec.get("externalTrafficPolicy") or "Cluster",
        "session_affinity": spec.get("sessionAffinity") or "None",
        "ports": [_port(port) for port in spec.get("ports") or []],
        "endpoints": _endpoints(slices),
    }


def _port(port: Json) -> dict[str, Any]:
    return {
        "name": port.get("name") or "",
        "port": port["port"],
        "protocol": port.get("protocol") or "TCP",
        "app_protocol": port.get("appProtocol") or "",
    }


def _endpoints(slices: list[Json]) -> list[dict[str, Any]]:
    """`{node, pod, ready, serving}`, once for each pod: it is in a slice for each family and set of ports."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for item in slices:
        for one in item.get("endpoints") or []:
            endpoint = _endpoint(one)
            found.setdefault((endpoint["node"], endpoint["pod"]), endpoint)
    return [found[key] for key in sorted(found)]


def _endpoint(one: Json) -> dict[str, Any]:
    """Conditions that are not there mean true (discovery.k8s.io/v1): without `serving`, `ready` decides."""
    conditions = one.get("conditions") or {}
    ready = conditions.get("ready") is not False
    serving = conditions.get("serving")
    target = one.get("targetRef") or {}
    addresses = one.get("addresses") or [""]
    return {
        "node": one.get("nodeName") or "",
        "pod": target.get("name") or addresses[0],
        "ready": ready,
        "serving": ready if serving is None else bool(serving),
    }


def read_owners(items: Iterable[Json]) -> list[dict[str, Any]]:
    """`{service, address, node, interfaces, macs, since, foreign}` by service, from ServiceL2Status objects.

    MetalLB's have no addresses: then `address` is None, and all addresses of the service are meant.
    `foreign`: MAC addresses that the owner heard besides its own.
    """
    found = [entry for item in items for entry in _owned(item)]
    return sorted(found, key=lambda one: (one["service"], one["address"] or "", one["node"]))


def _owned(item: Json) -> list[dict[str, Any]]:
    status = item.get("status") or {}
    service = f"{status.get('serviceNamespace', '')}/{status.get('serviceName', '')}"
    addresses = _list(status, "addresses") or [status]
    return [{"service": service, **_owner(one)} for one in addresses if one.get("node")]


def _owner(one: Json) -> dict[str, Any]:
    """Return the address of an entry of `addresses`, or of a status that has none."""
    interfaces = _list(one, "interfaces")
    return {
        "address": one.get("address"),
        "node": one["node"],
        "interfaces": [each["name"] for each in interfaces if each.get("name")],
        "macs": [each["mac"].lower() for each in interfaces if each.get("mac")],
        "since": one.get("since"),
        "foreign": _list(one, "foreign"),
    }


def read_complaints(events: Iterable[Json]) -> dict[str, str]:
    """`namespace/name` of a service to its latest warning: `Reason: message`."""
    latest: dict[str, tuple[str, str]] = {}
    for event in events:
        about = event["involvedObject"]
        key = f"{about.get('namespace', '')}/{about.get('name', '')}"
        # RFC 3339 in UTC, in which the later one is the greater one.
        when = event.get("lastTimestamp") or event.get("eventTime") or ""
        text = f"{event.get('reason', '')}: {event.get('message', '')}"
        latest[key] = max(latest.get(key, ("", "")), (when, text))
    return {key: text for key, (_when, text) in latest.items()}


def with_complaints(services: Iterable[Json], complaints: Mapping[str, str]) -> list[dict[str, Any]]:
    """The services, those without an address with why: their `complaint`, which is empty in all others."""
    return [
        {
            **service,
            "complaint": ""
            if service["addresses"]
            else complaints.get(f"{service['namespace']}/{service['name']}", ""),
        }
        for service in services
    ]


def _list(value: Json | None, key: str) -> list[Any]:
    return list((value or {}).get(key) or [])
