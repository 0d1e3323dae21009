# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects in which a node says what it does: a BGPSessionState per peer, a ServiceBGPStatus per service.

Pure: verdicts and peers in, whole objects out, as server-side apply takes them. The names of kinds, labels
and the first fields are MetalLB's and frr-k8s', so that what looks for them finds them. An object belongs to
its Node: when that is deleted, the cluster's garbage collector takes the object away.

A ServiceBGPStatus says what is meant to be announced. Whether it was sent depends on the session, and is said
once, by that session's object: a router that comes and goes must not rewrite thousands of objects.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from vipcast.bgp.fsm import State
from vipcast.k8s import Json, Key, Resource
from vipcast.k8s.resource import BGP_SESSION_STATES, NODES, SERVICE_BGP_STATUSES
from vipcast.speaker.bgp.session_status import PeerView, session_status
from vipcast.speaker.decide import Verdict

__all__ = [
    "FRR_K8S",
    "NAMESPACE_LABEL",
    "NODE_LABEL",
    "NO_BFD",
    "OURS",
    "SERVICE_LABEL",
    "Owner",
    "address_status",
    "create",
    "equal_ignoring_time",
    "label_value",
    "object_name",
    "selector",
    "service_object",
    "session_object",
    "trim",
    "with_timestamp",
]

NODE_LABEL = "metallb.io/node"
SERVICE_LABEL, NAMESPACE_LABEL = "metallb.io/service-name", "metallb.io/service-namespace"
FRR_K8S = {"address": "peer", "name": "peerName", "state": "bgpStatus"}
NO_BFD = "N/A"
_ATTEMPTS = frozenset(state.value for state in State if state is not State.ESTABLISHED)
_SESSION_LABEL = "frrk8s.metallb.io/"
# By this our objects are told from MetalLB's, which may run beside us for other services.
OURS = {"app.kubernetes.io/name": "vipcast", "app.kubernetes.io/component": "speaker"}
_LABELS = re.compile(r"(frrk8s\.)?metallb\.io/|app\.kubernetes\.io/(name|component)$")
MAX_LABEL, MAX_NAME = 63, 253  # Kubernetes'
_DIGEST = 10  # hexadecimal digits; of a node's names no two are the same


@dataclass(frozen=True, slots=True)
class Owner:
    """The node that an object is of; `namespace` is where the objects are."""

    node: str
    uid: str
    namespace: str


def session_object(owner: Owner, view: PeerView, drain: str | None = None) -> Json:
    """The BGPSessionState of a peer."""
    status = {"node": owner.node, **_renamed(session_status(view))}
    if drain:
        status["drain"] = drain
    labels = {
        NODE_LABEL: label_value(owner.node),
        f"{_SESSION_LABEL}node": label_value(owner.node),
        f"{_SESSION_LABEL}peer": label_value(_dashed(view)),
        f"{_SESSION_LABEL}vrf": label_value(view.peer.vrf or ""),
    }
    return create(BGP_SESSION_STATES, owner, object_name(owner.node, view.peer.name), labels, status)


def _renamed(entry: Json) -> Json:
    """Return the status, with the names of frr-k8s for what that has too."""
    bfd = entry.pop("bfd", {})
    names = {FRR_K8S.get(name, name): value for name, value in entry.items()}
    detail = {"bfd": bfd} if bfd else {}
    return {**names, "bfdStatus": bfd.pop("state", NO_BFD), **detail}


def service_object(owner: Owner, key: Key, verdicts: tuple[Verdict, ...]) -> Json | None:
    """The ServiceBGPStatus of a service; None where the node is not meant to announce it."""
    if all(verdict.reason and verdict.reason.usual for verdict in verdicts):
        return None
    namespace, name = key
    refusals = [verdict.reason.value for verdict in verdicts if verdict.reason]
    status = {
        "node": owner.node,
        "serviceName": name,
        "serviceNamespace": namespace,
        "peers": sorted({peer for verdict in verdicts for peer in verdict.peers}),
        "addresses": [address_status(verdict) for verdict in verdicts],
        **({"reason": refusals[0]} if refusals else {}),
    }
    labels = {NODE_LABEL: label_value(owner.node), SERVICE_LABEL: name, NAMESPACE_LABEL: namespace}
    return create(SERVICE_BGP_STATUSES, owner, object_name(owner.node, namespace, name), labels, status)


def trim(item: Json) -> Json:
    """Return the part of an object that `equal_ignoring_time` and `with_timestamp` read."""
    metadata = item["metadata"]
    named = {name: metadata.get(name) for name in ("namespace", "name", "resourceVersion")}
    return {"metadata": named, "digest": _digest(item), "since": _since(item)}


def with_timestamp(wanted: Json, present: Json | None, now: str) -> Json:
    """`wanted` with `since` at each address: as it says, else as it is in the object (trim), else `now`."""
    before = present["since"] if present else {}
    for entry in _addresses(wanted):
        entry.setdefault("since", before.get(_state(entry)) or now)
    return wanted


def equal_ignoring_time(wanted: Json, present: Json | None) -> bool:
    """Return whether the object (trim) says what it should."""
    return present is not None and _digest(wanted) == present["digest"]


def label_value(text: str) -> str:
    """Return a text as a label value: other signs become dashes, and a long one is cut and gets a digest."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", text).strip("-._")
    return _cut(plain, MAX_LABEL, text) if len(plain) > MAX_LABEL else plain


def selector(node: str | None) -> str:
    """Return the label selector of our objects: of a node, or of all (None)."""
    wanted = OURS if node is None else {**OURS, NODE_LABEL: label_value(node)}
    return ",".join(f"{name}={value}" for name, value in wanted.items())


def _addresses(item: Json) -> list[Json]:
    return (item.get("status") or {}).get("addresses") or []


def _state(entry: Json) -> tuple[object, ...]:
    return entry.get("address"), entry.get("announced"), entry.get("reason")


def _since(item: Json) -> dict[tuple[object, ...], str]:
    return {_state(each): each["since"] for each in _addresses(item) if "since" in each}


def _steady(status: Json) -> Json:
    """Return the status without what changes while a router is away: attempts and their errors."""
    if status.get("bgpStatus") not in _ATTEMPTS:
        return status
    return {name: value for name, value in status.items() if name not in ("bgpStatus", "lastErrorAt")}


def _digest(item: Json) -> str:
    """Return a digest of what we write in an object; labels of others are left out."""
    metadata = item["metadata"]
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if _LABELS.match(name)}
    written = labels, metadata.get("ownerReferences"), _steady(item.get("status") or {})
    return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()


def address_status(verdict: Verdict) -> Json:
    """Return what becomes of one address."""
    entry: Json = {"announced": verdict.announced}
    if verdict.address is not None:
        entry["address"] = str(verdict.address)
    if verdict.reason:
        return entry | {"reason": verdict.reason.value, "message": verdict.message}
    if verdict.unweighted:
        entry["unweighted"] = verdict.unweighted.value
    return entry | {"prefixes": [str(each) for each in verdict.prefixes], "peers": list(verdict.peers)}


def create(resource: Resource, owner: Owner, name: str, labels: dict[str, str], status: Json) -> Json:
    """An object of ours, whole."""
    reference = {"apiVersion": NODES.api_version, "kind": NODES.kind, "name": owner.node, "uid": owner.uid}
    metadata = {
        "name": name,
        "namespace": owner.namespace,
        "labels": {**OURS, **labels},
        "ownerReferences": [reference],
    }
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "status": status}


def object_name(*parts: str) -> str:
    """Return an object's name from node and subject, with a digest: ``a-b``, ``c`` is not ``a``, ``b-c``."""
    plain = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).lstrip("-")
    return _cut(plain, MAX_NAME, "/".join(parts))


def _cut(text: str, length: int, whole: str) -> str:
    digest = hashlib.sha256(whole.encode()).hexdigest()[:_DIGEST]
    return f"{text[: length - _DIGEST - 1].rstrip('-._')}-{digest}"


def _dashed(view: PeerView) -> str:
    """An address as frr-k8s has it in a label, where a colon may not be: all digits, with dashes."""
    address = view.peer.address
    if address is None:
        return view.peer.interface or ""
    return str(address) if address.version == 4 else address.exploded
