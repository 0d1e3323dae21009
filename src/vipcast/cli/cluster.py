# SPDX-License-Identifier: GPL-3.0-or-later
"""`vipcast status --cluster`: what all speakers have written into the API, put together."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from vipcast.cli.layer2_lines import owners
from vipcast.cli.sessions import details, sessions
from vipcast.cli.table import table
from vipcast.k8s import API_ERRORS, AccessError, ApiError, Client, Json, Resource, find_access
from vipcast.k8s.resource import (
    BGP_SESSION_STATES,
    NODES,
    SERVICE_BGP_STATUSES,
    SERVICE_L2_STATUSES,
    SERVICES,
)
from vipcast.speaker.reporting.status_objects import FRR_K8S, NO_BFD, selector

__all__ = ["Question", "cluster_lines", "cluster_status"]

NAMED = 4  # nodes by name; of more, their number
_NAMES = {theirs: ours for ours, theirs in FRR_K8S.items()}


@dataclass(frozen=True, slots=True)
class Question:
    """The cluster to ask, and the node or service that is asked about."""

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
    except API_ERRORS as error:
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
        states = await _told(client, BGP_SESSION_STATES, question)
        reports = await _told(client, SERVICE_BGP_STATUSES, question)
        owned = await _owned(client, question)
        nodes = (await client.list(NODES.path())).items
        services = (await client.list(SERVICES.path())).items
    finally:
        await client.close()
    wanted = [_node(item) for item in nodes if question.node in (None, item["metadata"]["name"])]
    return {
        "nodes": sorted(wanted, key=lambda node: str(node["name"])),
        "sessions": sorted(map(_entry, states), key=lambda entry: (entry["node"], entry["name"])),
        "services": _with_owners(_services(reports, _expected(services, question.lb_class)), owned),
    }


async def _told(client: Client, resource: Resource, question: Question) -> list[Json]:
    """Return what our speakers wrote, and not what MetalLB's wrote beside them."""
    path = resource.path(question.namespace)
    listing = await client.list(path, label_selector=selector(question.node))
    return [item["status"] for item in listing.items if "status" in item]


async def _owned(client: Client, question: Question) -> list[Json]:
    """Return who answers at layer 2.

    Nobody in a cluster of an older version, which does not know the kind.
    """
    try:
        return await _told(client, SERVICE_L2_STATUSES, question)
    except ApiError as error:
        if error.status != 404:
            raise
        return []


def _with_owners(services: list[Json], owned: Sequence[Json]) -> list[Json]:
    entries: dict[tuple[str, str], list[Json]] = {}
    for status in owned:
        key = status["serviceNamespace"], status["serviceName"]
        entries.setdefault(key, []).extend(status.get("addresses") or ())
    return [{**each, "layer2": entries.get((each["namespace"], each["name"]), [])} for each in services]


def _node(item: Json) -> Json:
    conditions = (item.get("status") or {}).get("conditions") or []
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return {"name": item["metadata"]["name"], "ready": ready}


def _entry(told: Json) -> Json:
    """The status of a BGPSessionState in the words of a speaker's own."""
    status = dict(told)
    state, bfd = status.pop("bfdStatus", NO_BFD), status.pop("bfd", {})
    entry = {_NAMES.get(name, name): value for name, value in status.items()}
    return entry if state == NO_BFD else {**entry, "bfd": {"state": state, **bfd}}


def _expected(items: Iterable[Json], lb_class: str | None) -> list[Json]:
    """The services that speakers should have something to say of, in the words of one that has nothing."""
    return [
        {"namespace": item["metadata"]["namespace"], "name": item["metadata"]["name"], **_silence(item)}
        for item in items
        if (spec := item["spec"]).get("type") == "LoadBalancer" and spec.get("loadBalancerClass") == lb_class
    ]


def _silence(item: Json) -> Json:
    """Return why no speaker might have a word for it: what is usual on most nodes is not told by any."""
    ingress = ((item.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    address = ", ".join(each.get("ip") or each.get("hostname") or "" for each in ingress)
    if not address:
        return {"address": None, "message": "the service has no address yet: its events say why"}
    if item["spec"].get("externalTrafficPolicy") == "Local":
        message = (
            "externalTrafficPolicy is Local and no node that may announce it has an endpoint that can serve"
        )
    else:
        message = "no node announces it: advertisements, or their absence, select none that has a speaker"
    return {"address": address, "message": message}


def _services(told: Sequence[Json], expected: Sequence[Json]) -> list[Json]:
    """One for each service, with what each node says of each address."""
    found: dict[tuple[str, str], Json] = {
        (each["namespace"], each["name"]): {**each, "addresses": []} for each in expected
    }
    for status in told:
        namespace, name = status["serviceNamespace"], status["serviceName"]
        empty = {"namespace": namespace, "name": name, "addresses": []}
        service = found.setdefault((namespace, name), empty)
        service["addresses"] += ({"node": status["node"], **each} for each in status["addresses"])
    return [found[key] for key in sorted(found)]


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
    yield from owners(found["services"], now)
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
    if not service["addresses"] and service.get("layer2"):
        return  # it is in the table of owners
    if not service["addresses"]:
        yield name, service["address"] or "-", "no", service["message"]
    for address in dict.fromkeys(each.get("address", "-") for each in service["addresses"]):
        entries = [each for each in service["addresses"] if each.get("address", "-") == address]
        yield name, address, *_verdict(entries, up)


def _verdict(entries: Sequence[Json], up: set[tuple[str, str]]) -> tuple[str, str]:
    """Return whether a route was sent, and a sentence: by whom to whom, and who did not and why."""
    pairs = [(each["node"], peer) for each in entries for peer in each.get("peers", ())]
    sent, waiting = [pair for pair in pairs if pair in up], [pair for pair in pairs if pair not in up]
    words = [f"{_named(sent)} to {_peers(sent)}"] if sent else []
    if waiting:
        words.append(f"{_named(waiting)} waits for {_peers(waiting)}")
    refused = [each for each in entries if not each["announced"]]
    for why in dict.fromkeys((each["reason"], each["message"]) for each in refused):
        those = [(each["node"], "") for each in refused if (each["reason"], each["message"]) == why]
        words.append(f"{_named(those)}: {': '.join(why)}")
    return "yes" if sent else "waits" if waiting else "no", "; ".join(words)


def _peers(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join(sorted({peer for _node, peer in pairs}))


def _named(pairs: Iterable[tuple[str, str]]) -> str:
    nodes = sorted({node for node, _peer in pairs})
    return f"{len(nodes)} nodes" if len(nodes) > NAMED else ", ".join(nodes)


def _node_lines(found: Json) -> Iterator[str]:
    telling = {each["node"] for each in found["sessions"]}
    if not telling and any(service.get("layer2") for service in found["services"]):
        telling = {node["name"] for node in found["nodes"]}  # a cluster without BGP
    for node in found["nodes"]:
        if node["name"] not in telling:
            yield f"\n{node['name']}: no speaker tells of a session: no pod, or no BGPPeer selects the node"
        elif not node["ready"]:
            yield f"\n{node['name']}: the node is not ready, so what is shown of it may be old"
