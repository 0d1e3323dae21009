# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast status --cluster`: what all speakers have written into the API, put together."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from vipcast.cli.sessions import details, sessions
from vipcast.cli.table import table
from vipcast.k8s import TROUBLE, AccessError, ApiError, Client, Json, Resource, find_access
from vipcast.k8s.resource import BGP_SESSION_STATES, NODES, SERVICE_BGP_STATUSES, SERVICES

__all__ = ["Question", "cluster_lines", "cluster_status"]

NAMED = 4  # nodes by name; of more, their number
_OURS = {"peer": "address", "peerName": "name", "bgpStatus": "state"}


@dataclass(frozen=True, slots=True)
class Question:
    """Whom to ask, and about what."""

    namespace: str
    kubeconfig: str | None = None
    context: str | None = None
    node: str | None = None  # None: all
    lb_class: str | None = None


def cluster_status(question: Question, output: str) -> int:
    """Print it; 0, or 2 where the API server does not say it."""
    try:
        found = asyncio.run(_read(question))
    except AccessError as error:
        print(f"no way to the API server: {error}", file=sys.stderr)
        return 2
    except TROUBLE as error:
        print(f"no status from the cluster: {_explain(error)}", file=sys.stderr)
        return 2
    if output == "json":
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(cluster_lines(found, datetime.now(UTC), wide=output == "wide")))
    return 0


def _explain(error: Exception) -> str:
    if isinstance(error, ApiError) and error.status == 404:
        return "it does not know the kinds that speakers write: was this version rolled out there?"
    return str(error)


async def _read(question: Question) -> Json:
    """`nodes`, `sessions` and `services`, each a list by name."""
    client = Client(find_access(question.kubeconfig, question.context), user_agent="vipcast-status")
    try:
        states = await _items(client, BGP_SESSION_STATES, question.namespace)
        reports = await _items(client, SERVICE_BGP_STATUSES, question.namespace)
        nodes, services = await _items(client, NODES), await _items(client, SERVICES)
    finally:
        await client.close()
    wanted = [_node(item) for item in nodes if question.node in (None, item["metadata"]["name"])]
    mine = [_entry(item) for item in states if question.node in (None, item["status"].get("node"))]
    told = [item["status"] for item in reports if question.node in (None, item["status"].get("node"))]
    return {
        "nodes": sorted(wanted, key=lambda node: str(node["name"])),
        "sessions": sorted(mine, key=lambda entry: (entry["node"], entry["name"])),
        "services": _services(told, _expected(services, question.lb_class)),
    }


async def _items(client: Client, resource: Resource, namespace: str | None = None) -> list[Json]:
    return (await client.list(resource.path(namespace))).items


def _node(item: Json) -> Json:
    conditions = (item.get("status") or {}).get("conditions") or []
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return {"name": item["metadata"]["name"], "ready": ready}


def _entry(item: Json) -> Json:
    """A BGPSessionState in the words of a speaker's own status."""
    status = dict(item["status"])
    state, bfd = status.pop("bfdStatus", "N/A"), status.pop("bfd", {})
    entry = {_OURS.get(name, name): value for name, value in status.items()}
    return entry if state == "N/A" else {**entry, "bfd": {"state": state, **bfd}}


def _expected(items: Iterable[Json], lb_class: str | None) -> Iterator[tuple[str, str]]:
    """The services that speakers should have something to say of."""
    for item in items:
        spec = item.get("spec") or {}
        if spec.get("type") == "LoadBalancer" and spec.get("loadBalancerClass") == lb_class:
            yield item["metadata"]["namespace"], item["metadata"]["name"]


def _services(told: Sequence[Json], expected: Iterable[tuple[str, str]]) -> list[Json]:
    """One for each service, with what each node says of each address."""
    found: dict[tuple[str, str], list[Json]] = {key: [] for key in expected}
    for status in told:
        key = status["serviceNamespace"], status["serviceName"]
        found.setdefault(key, []).extend({"node": status["node"], **each} for each in status["addresses"])
    return [
        {"namespace": namespace, "name": name, "addresses": found[namespace, name]}
        for namespace, name in sorted(found)
    ]


# ---- for people ----


def cluster_lines(found: Json, now: datetime, *, wide: bool = False) -> Iterator[str]:
    """The whole status as lines of text."""
    if found["sessions"]:
        yield from sessions(found["sessions"], now, nodes=True)
    else:
        yield "No speaker has told of a session."
    if wide:
        for entry in found["sessions"]:
            yield ""
            yield from details({**entry, "name": f"{entry['node']} {entry['name']}"})
    yield ""
    yield from _service_lines(found)
    yield from _node_lines(found)


def _service_lines(found: Json) -> Iterator[str]:
    if not found["services"]:
        yield "No LoadBalancer services of ours."
        return
    up = {(each["node"], each["name"]) for each in found["sessions"] if each["state"] == "Established"}
    rows = [row for service in found["services"] for row in _service_rows(service, up)]
    yield from table(("SERVICE", "ADDRESS", "ANNOUNCED", "NODES AND PEERS, OR WHY NOT"), rows)


def _service_rows(service: Json, up: set[tuple[str, str]]) -> Iterator[tuple[str, ...]]:
    name = f"{service['namespace']}/{service['name']}"
    if not service["addresses"]:
        yield name, "-", "no", "no node is meant to announce it: its events say why"
    for address in dict.fromkeys(each.get("address", "-") for each in service["addresses"]):
        entries = [each for each in service["addresses"] if each.get("address", "-") == address]
        yield name, address, *_verdict(entries, up)


def _verdict(entries: Sequence[Json], up: set[tuple[str, str]]) -> tuple[str, str]:
    sent = [each for each in entries if any((each["node"], peer) in up for peer in each.get("peers", ()))]
    waits = [each for each in entries if each["announced"] and each not in sent]
    words = []
    if sent:
        peers = sorted({peer for each in sent for peer in each["peers"] if (each["node"], peer) in up})
        words.append(f"{_named(sent)} to {', '.join(peers)}")
    if waits:
        words.append(f"{_named(waits)}: no session is up")
    refused = [each for each in entries if not each["announced"]]
    for reason, message in dict.fromkeys((each["reason"], each["message"]) for each in refused):
        those = [each for each in refused if (each["reason"], each["message"]) == (reason, message)]
        words.append(f"{_named(those)}: {reason}: {message}")
    return "yes" if sent else "waits" if waits else "no", "; ".join(words)


def _named(entries: Sequence[Json]) -> str:
    nodes = sorted(each["node"] for each in entries)
    return f"{len(nodes)} nodes" if len(nodes) > NAMED else ", ".join(nodes)


def _node_lines(found: Json) -> Iterator[str]:
    telling = {each["node"] for each in found["sessions"]}
    for node in found["nodes"]:
        if node["name"] not in telling:
            yield f"\n{node['name']}: no speaker tells of a session: no pod, or no BGPPeer selects the node"
        elif not node["ready"]:
            yield f"\n{node['name']}: the node is not ready, so what is shown of it may be old"
