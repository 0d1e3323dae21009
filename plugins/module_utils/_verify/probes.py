# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of probes: which ports of which services a client asks, how often, and what must come of it.

**PRIVATE** to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .comparison import Difference
from .expectations import Data, Route, is_announced, service_name, serving
from .layer2 import about
from .sampling import requests_for_share

# A port speaks HTTP by its name, its application protocol or its number; any other is only connected to.
HTTP_PORTS = (80, 8080)


@dataclass(frozen=True)
class Settings:
    """The options of probes.

    `timeout` seconds for a request, `concurrency` at the same time, `miss` see `sampling`.
    """

    timeout: float
    concurrency: int
    miss: float
    requests: int | None = None


def plan(
    declared: Data, services: Sequence[Data], routes: Sequence[Route], settings: Settings
) -> list[dict[str, Any]]:
    """One entry for each client, address and TCP port: options of the module vip_probe and what names it."""
    found = []
    for service in services:
        for address in service["addresses"] if serving(service) else ():
            if is_announced(declared, address, service):
                ports = [port for port in service["ports"] if port["protocol"] == "TCP"]
                owned = {"owned": bool(about(declared, address, service))}
                found += [{**_entry(service, address, port, routes, settings), **owned} for port in ports]
    return [{**entry, "client": client["host"]} for client in declared["clients"] for entry in found]


def _entry(
    service: Data, address: str, port: Data, routes: Sequence[Route], settings: Settings
) -> dict[str, Any]:
    hops = max((len(route.hops) for route in routes if service_name(service) in route.services), default=1)
    return {
        "service": service_name(service),
        "address": address,
        "port": port["port"],
        "protocol": "http" if is_http(port) else "tcp",
        "requests": settings.requests or enough(service, hops, settings.miss),
        "timeout": settings.timeout,
        "concurrency": settings.concurrency,
    }


def is_http(port: Data) -> bool:
    """Return whether plain HTTP is likely spoken on a port of a service."""
    name = port["name"]
    if name == "https" or name.startswith("https-"):
        return False
    named = name == "http" or name.startswith("http-")
    return (
        named or port["app_protocol"] == "http" or (not port["app_protocol"] and port["port"] in HTTP_PORTS)
    )


def answering_pods(service: Data) -> dict[str, str]:
    """Pod to node of the endpoints that get connections: ready ones, or, where none is, terminating ones."""
    ready = {one["pod"]: one["node"] for one in service["endpoints"] if one["ready"]}
    return ready or {one["pod"]: one["node"] for one in serving(service)}


def enough(service: Data, hops: int, miss: float) -> int:
    """Requests after which every next hop and every pod was met, except with probability `miss`.

    With the policy Local a pod shares its node's part of the traffic with the node's other pods; with Cluster
    all pods get the same, whichever node the traffic comes in through.
    """
    return max(requests_for_share(1 / max(hops, 1), max(hops, 1), miss), _for_pods(service, hops, miss))


def _for_pods(service: Data, hops: int, miss: float) -> int:
    pods = answering_pods(service)
    if service["external_traffic_policy"] == "Local":
        nodes = list(pods.values())
        crowd = max((nodes.count(node) for node in nodes), default=1)
        return requests_for_share(1 / (max(hops, 1) * crowd), max(len(pods), 1), miss)
    return requests_for_share(1 / max(len(pods), 1), max(len(pods), 1), miss)


def judge(entry: Data, result: Data, service: Data) -> list[Difference]:
    """Return what a probe's counts say against the service.

    `result` is the module's, or `{unreachable, msg}`.
    """
    where = f"client {entry['client']}"
    what = f"{entry['protocol']} {entry['address']} port {entry['port']} ({entry['service']})"
    if "ok" not in result:
        reason = str(result.get("msg") or "the client cannot be reached")
        return [Difference(where, what, "a probe", "none", reason)]
    found = []
    if result["ok"] < result["requests"]:
        good = f"{result['ok']} of {result['requests']}"
        found.append(Difference(where, what, f"{result['requests']} good answers", good, _why(result)))
    if result["ok"]:
        found += _absent(where, what, result, service, bool(entry.get("owned")))
    return found


def _why(result: Data) -> str:
    bad = [f"{count} x HTTP {status}" for status, count in result["statuses"].items() if status != "200"]
    errors = [
        f"{one['count']} x {one['kind']}, first at request {one['first_request']} ({one['message']})"
        for one in result["errors"]
    ]
    return ", ".join(errors + bad)


def _absent(where: str, what: str, result: Data, service: Data, owned: bool) -> list[Difference]:
    """Nodes with pods of which none answered; only where servers say who they are and clients may roam.

    An address that one node owns at layer 2 meets that node's pods alone where the policy is Local.
    """
    if not result["nodes"] or result["unnamed"] or service["session_affinity"] != "None":
        return []
    expected = set(answering_pods(service).values()) - {""}
    missing = sorted(expected - set(result["nodes"]))
    strangers = sorted(set(result["nodes"]) - expected)
    found = []
    if missing and not (owned and service["external_traffic_policy"] == "Local"):
        reason = f"{result['requests']} requests, and all pods are equally likely"
        if service["external_traffic_policy"] == "Local":
            reason = "no router sends this client's connections to them"
        found.append(Difference(where, what, _answers(expected), f"none from {', '.join(missing)}", reason))
    if strangers:
        reason = "the cluster does not list a pod of this service there"
        found.append(Difference(where, what, _answers(expected), f"one from {', '.join(strangers)}", reason))
    return found


def _answers(nodes: set[str]) -> str:
    return f"answers from {', '.join(sorted(nodes))}"


def index(services: Sequence[Data]) -> Mapping[str, Data]:
    """Services by `namespace/name`."""
    return {service_name(service): service for service in services}
