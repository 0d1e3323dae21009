# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Service of the API, as far as the controller is concerned with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from ..model.addresses import IPAddress, parse_address
from ..model.reasons import RefusalReason
from ..model.texts import echo
from .request import Holder, Refusal, Request, Sharing

__all__ = ["ALLOCATED_FROM", "Relation", "View", "ingress_of", "read_service", "trim"]

PREFIX, OLD_PREFIX = "metallb.io/", "metallb.universe.tf/"
ALLOCATED_FROM = f"{PREFIX}ip-allocated-from-pool"
OLD_ALLOCATED_FROM = f"{OLD_PREFIX}ip-allocated-from-pool"
_READ = ("loadBalancerIPs", "address-pool", "allow-shared-ip")

Json = Mapping[str, Any]


class Relation(Enum):
    """The relation of a service to this controller."""

    OURS = "ours"  # a load balancer of our class
    FOREIGN = "foreign"  # a load balancer of another class: never written to
    NONE = "none"  # not a load balancer (any more): what we wrote is removed


@dataclass(frozen=True)
class View:
    """The request of a service, and the addresses that it shows."""

    key: Holder
    uid: str
    created: str
    relation: Relation
    want: Request | Refusal | None  # None: it is not ours, or its namespace is not known yet
    shown: tuple[IPAddress, ...]
    needs: Request | None = None  # the request without its wishes; None where not even that can be told
    deprecated: tuple[str, ...] = ()  # annotations under their old names

    @property
    def age(self) -> tuple[str, Holder]:
        """Sorts services by creation (the API's times are whole seconds), then by name."""
        return (self.created, self.key)

    @property
    def is_unknown(self) -> bool:
        """Tell whether the service is ours and nothing can be decided for it yet."""
        return self.relation is Relation.OURS and self.want is None


class _RefusedError(Exception):
    """The request of a service is contradictory or cannot be understood."""

    def __init__(self, reason: RefusalReason, message: str) -> None:
        super().__init__(message)
        self.refusal = Refusal(reason, message)


def read_service(
    item: Json,
    lb_class: str | None,
    namespace_labels: Mapping[str, str] | None,
    *,
    within_namespace: bool = False,
) -> View:
    """Return the view of a Service object.

    ``namespace_labels`` is None where the namespace is not known yet: pools may select it by labels, so the
    service has to wait. ``within_namespace``: an address is shared by services of one namespace only.
    """
    metadata, relation = item["metadata"], _relation(item.get("spec") or {}, lb_class)
    annotations = metadata.get("annotations") or {}
    ours = relation is Relation.OURS
    known = ours and namespace_labels is not None
    needs, want = _read_request(item, namespace_labels or {}, within_namespace) if known else (None, None)
    return View(
        key=(metadata["namespace"], metadata["name"]),
        uid=metadata.get("uid", ""),
        created=metadata.get("creationTimestamp") or "",
        relation=relation,
        want=want,
        shown=_addresses(ingress_of(item)),
        needs=needs,
        deprecated=tuple(OLD_PREFIX + name for name in _READ if OLD_PREFIX + name in annotations)
        if ours
        else (),
    )


def _relation(spec: Json, lb_class: str | None) -> Relation:
    if spec.get("type") != "LoadBalancer":
        return Relation.NONE
    return Relation.OURS if (spec.get("loadBalancerClass") or None) == lb_class else Relation.FOREIGN


def ingress_of(item: Json) -> list[Json]:
    """``status.loadBalancer.ingress``, whatever is in it."""
    return ((item.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []


def _addresses(ingress: list[Json]) -> tuple[IPAddress, ...]:
    found = []
    for entry in ingress:
        try:
            found.append(parse_address(entry.get("ip") or ""))
        except ValueError:
            continue  # a hostname or nonsense: the plan replaces it
    return tuple(found)


# -- what it asks for --------------------------------------------------------------------------------------


def _read_request(
    item: Json, namespace_labels: Mapping[str, str], within_namespace: bool
) -> tuple[Request | None, Request | Refusal]:
    """Return what the service needs, and the same with its wishes.

    Where the needs can not be told, None is in their place; where needs or wishes can not be told, the
    refusal that says why is the second item.
    """
    needs = None
    try:
        needs = _needs(item, namespace_labels, within_namespace)
        return needs, _with_wishes(needs, item)
    except _RefusedError as error:
        return needs, error.refusal


def _needs(item: Json, namespace_labels: Mapping[str, str], within_namespace: bool) -> Request:
    metadata, spec = item["metadata"], item["spec"]
    families = _families(spec)
    policy = spec.get("ipFamilyPolicy") or "SingleStack"
    if policy == "SingleStack":
        families = families[:1]
    if policy == "RequireDualStack" and len(families) != 2:
        message = "ipFamilyPolicy is RequireDualStack, and the service has one cluster IP only"
        raise _RefusedError(RefusalReason.NO_CLUSTER_IP, message)
    scope = metadata["namespace"] if within_namespace else ""
    return Request(
        holder=(metadata["namespace"], metadata["name"]),
        families=families,
        require_all=policy != "PreferDualStack" or len(families) == 1,
        sharing=_sharing(spec, metadata.get("annotations") or {}, scope),
        labels=metadata.get("labels") or {},
        namespace_labels=namespace_labels,
    )


def _with_wishes(needs: Request, item: Json) -> Request:
    annotations = item["metadata"].get("annotations") or {}
    addresses = _requested_addresses(item["spec"], annotations)
    return replace(needs, addresses=addresses, pool=_annotation(annotations, "address-pool"))


def _families(spec: Json) -> tuple[int, ...]:
    cluster = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
    texts = [text for text in cluster if text not in ("", "None")]
    if not texts:
        message = "the service has no cluster IP; a load balancer needs one"
        raise _RefusedError(RefusalReason.NO_CLUSTER_IP, message)
    return tuple(6 if ":" in text else 4 for text in texts)


def _annotation(annotations: Mapping[str, str], name: str) -> str | None:
    """Return the value under the present prefix, otherwise under the old one.

    `View.deprecated` has the old name. An empty value says nothing, and does not hide the other one.
    """
    return annotations.get(PREFIX + name) or annotations.get(OLD_PREFIX + name) or None


def _requested_addresses(spec: Json, annotations: Mapping[str, str]) -> tuple[IPAddress, ...]:
    listed, single = _annotation(annotations, "loadBalancerIPs"), spec.get("loadBalancerIP") or None
    if listed and single:
        message = f"spec.loadBalancerIP and the annotation {PREFIX}loadBalancerIPs are both set; remove one"
        raise _RefusedError(RefusalReason.CONFLICTING_REQUESTS, message)
    addresses = tuple(_parse(text) for text in (listed.split(",") if listed else [single] if single else []))
    if len({address.version for address in addresses}) != len(addresses):
        message = f"{echo(listed)}: ask for one address, or for one of each family"
        raise _RefusedError(RefusalReason.BAD_REQUEST, message)
    return addresses


def _parse(text: str) -> IPAddress:
    try:
        return parse_address(text.strip())
    except ValueError as error:
        message = f"the address that the service asks for is none: {error}"
        raise _RefusedError(RefusalReason.BAD_REQUEST, message) from error


def _sharing(spec: Json, annotations: Mapping[str, str], scope: str) -> Sharing:
    key = _annotation(annotations, "allow-shared-ip")
    if key is None:
        return Sharing()
    local = spec.get("externalTrafficPolicy") == "Local"
    selector = sorted((spec.get("selector") or {}).items())
    backend = ",".join(f"{name}={value}" for name, value in selector) or "no selector"
    ports = frozenset((port.get("protocol") or "TCP", port["port"]) for port in spec.get("ports") or ())
    return Sharing(key, backend if local else "", ports, scope)


# -- what is kept of it ------------------------------------------------------------------------------------

_SPEC = (
    "type",
    "loadBalancerClass",
    "loadBalancerIP",
    "clusterIP",
    "clusterIPs",
    "ipFamilyPolicy",
    "externalTrafficPolicy",
    "allocateLoadBalancerNodePorts",
    "selector",
    "ports",
)
_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "labels")


def trim(item: dict[str, Any]) -> dict[str, Any]:
    """A Service without what nobody here reads: ten thousand of them are kept in memory."""
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    kept = {name: metadata[name] for name in _METADATA if name in metadata}
    annotations = metadata.get("annotations") or {}
    ours = {name: annotations[name] for name in annotations if name.startswith((PREFIX, OLD_PREFIX))}
    if ours:
        kept["annotations"] = ours
    if spec.get("type") != "LoadBalancer":
        small: dict[str, Any] = {"type": spec.get("type")}
    else:
        small = {name: spec[name] for name in _SPEC if name in spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": kept, "spec": small, "status": status}
