# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster is, read from its API: version, permissions, nodes, ranges, CNI plugins, load balancers."""

from __future__ import annotations

import json
import typing as t

from .api import Api, Json, RefusedError
from .detection import Workload, load_balancers, network_plugins, workload_of
from .kinds import SCHEMAS
from .kube_proxy import Place
from .rollout import is_ready
from .settings import parse

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
# What the rollout does: group, resource, verbs. `escalate` and `bind` are covered by trying the roles as a
# dry run.
NEEDED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("", "nodes", ("list",)),
    ("", "namespaces", ("create", "patch")),
    ("", "serviceaccounts", ("create", "patch")),
    ("", "configmaps", ("get", "patch")),
    ("", "services", ("list",)),
    ("", "pods", ("list",)),
    ("", "events", ("list",)),
    ("apps", "deployments", ("create", "patch", "list")),
    ("apps", "daemonsets", ("create", "patch", "list")),
    ("policy", "poddisruptionbudgets", ("create", "patch")),
    ("rbac.authorization.k8s.io", "clusterroles", ("create", "patch")),
    ("rbac.authorization.k8s.io", "clusterrolebindings", ("create", "patch")),
    ("rbac.authorization.k8s.io", "roles", ("create", "patch")),
    ("rbac.authorization.k8s.io", "rolebindings", ("create", "patch")),
    ("apiextensions.k8s.io", "customresourcedefinitions", ("create", "patch", "get")),
    *(("metallb.io", each.plural, ("create", "patch", "delete", "list")) for each in SCHEMAS),
)
# Objects that make Cilium and Calico give addresses to services; without any of them they don't.
ADDRESS_GIVERS = (
    (
        "Cilium's LB IPAM",
        "cilium.io",
        "ciliumloadbalancerippools",
        "delete its CiliumLoadBalancerIPPool objects",
    ),
    (
        "Cilium's BGP control plane",
        "cilium.io",
        "ciliumbgppeeringpolicies",
        "delete its CiliumBGPPeeringPolicy objects",
    ),
    (
        "Cilium's BGP control plane",
        "cilium.io",
        "ciliumbgpclusterconfigs",
        "delete its CiliumBGPClusterConfig objects",
    ),
    (
        "Cilium's L2 announcements",
        "cilium.io",
        "ciliuml2announcementpolicies",
        "delete its CiliumL2AnnouncementPolicy objects",
    ),
)
CALICO_PEERS = ("crd.projectcalico.org", "bgppeers")
CLOUDS = {"aws": "AWS", "azure": "Azure", "gce": "Google Cloud", "digitalocean": "DigitalOcean"}


class Survey:
    """Reads one cluster; every method returns plain data."""

    def __init__(self, api: Api) -> None:
        self._api = api
        # What this login may not read, and so was not compared.
        self._unread: list[str] = []

    def all(self) -> dict[str, t.Any]:
        """Everything."""
        nodes = self._items("/api/v1/nodes")
        workloads = self._workloads()
        return {
            "version": self._version(),
            "forbidden": self._forbidden(),
            "nodes": [node_of(node) for node in nodes],
            "service_cidrs": self._service_cidrs(),
            "service_addresses": self._service_addresses(),
            "load_balancers": [*load_balancers(workloads), *self._address_givers(), *servicelb(nodes)],
            "network_plugins": self._plugins(workloads),
            "kube_proxy": self._kube_proxy(),
            "unread": self._unread,
        }

    def _items(self, path: str, **query: str) -> list[Json]:
        """The objects of a collection; none where the kind is not served."""
        return list((self._read(path, **query) or {}).get("items") or ())

    def _read(self, path: str, **query: str) -> Json | None:
        try:
            return self._api.find(path, **query)
        except RefusedError as exc:
            if exc.status != 403:
                raise
            self._unread.append(path)
            return None

    def _version(self) -> dict[str, t.Any]:
        answer = self._api.get("/version")
        # Managed clusters put a plus sign behind the minor number.
        major, minor = (
            int("".join(filter(str.isdigit, str(answer[key]))) or 0) for key in ("major", "minor")
        )
        return {"major": major, "minor": minor, "text": answer.get("gitVersion", "")}

    def _forbidden(self) -> list[str]:
        """What the rollout needs and this login may not do, as VERB RESOURCE.GROUP."""
        if self._may("*", "*", "*"):
            return []
        wanted = [(verb, resource, group) for group, resource, verbs in NEEDED for verb in verbs]
        return [
            f"{verb} {resource}{'.' + group if group else ''}"
            for verb, resource, group in wanted
            if not self._may(verb, resource, group)
        ]

    def _may(self, verb: str, resource: str, group: str) -> bool:
        attributes = {"verb": verb, "resource": resource, "group": group}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        return bool(self._api.post(REVIEWS, body)["status"].get("allowed"))

    def _workloads(self) -> list[Workload]:
        sets = [workload_of("DaemonSet", each) for each in self._items("/apis/apps/v1/daemonsets")]
        deployments = [workload_of("Deployment", each) for each in self._items("/apis/apps/v1/deployments")]
        pods = self._items("/api/v1/namespaces/kube-system/pods")
        # A static pod belongs to its node: nothing else shows a kube-vip that runs so.
        static = [workload_of("Pod", each) for each in pods if _is_static(each)]
        return [*sets, *deployments, *static]

    def _address_givers(self) -> list[dict[str, str]]:
        groups = {group["name"]: group for group in self._api.get("/apis").get("groups") or ()}
        found = []
        for name, group, plural, note in ADDRESS_GIVERS:
            count = self._count(groups.get(group), plural)
            if count:
                found.append({"name": name, "where": f"{count} {plural}.{group}", "note": note})
        return found

    def _count(self, group: Json | None, plural: str) -> int:
        """How many objects there are of a kind, in whatever version it is served."""
        for version in (group or {}).get("versions") or ():
            items = self._items(f"/apis/{version['groupVersion']}/{plural}")
            if items:
                return len(items)
        return 0

    def _plugins(self, workloads: t.Iterable[Workload]) -> list[dict[str, str]]:
        found = network_plugins(workloads)
        for plugin in found:
            if plugin["name"] == "Calico":
                plugin["note"] = self._calico_note(plugin["note"])
        return found

    def _calico_note(self, note: str) -> str:
        group, plural = CALICO_PEERS
        peers = self._items(f"/apis/{group}/v1/{plural}")
        return note + (f"; it has {len(peers)} BGP peers now" if peers else "; it has no BGP peer now")

    def _kube_proxy(self) -> dict[str, t.Any] | None:
        place = Place()
        configmap = self._read(place.configmap_path)
        text = ((configmap or {}).get("data") or {}).get(place.key)
        if text is None:
            return None
        values = parse(text, place.title)
        ipvs = values.get("ipvs") or {}
        return {"mode": values.get("mode") or "", "strict_arp": bool(ipvs.get("strictARP"))}

    def _service_cidrs(self) -> list[str]:
        """The ranges of services where the API knows them: ServiceCIDR objects, Kubernetes 1.33."""
        found = self._items("/apis/networking.k8s.io/v1/servicecidrs")
        return sorted({cidr for each in found for cidr in each["spec"].get("cidrs") or ()})

    def _service_addresses(self) -> list[str]:
        """The cluster's own services' addresses: the only trace of the range on older versions."""
        service = self._read("/api/v1/namespaces/default/services/kubernetes")
        if service is None:
            return []
        spec = service["spec"]
        return list(spec.get("clusterIPs") or [spec["clusterIP"]])


def node_of(node: Json) -> dict[str, t.Any]:
    """A node, as far as it matters here."""
    status, spec = node.get("status") or {}, node["spec"]
    addresses = [each["address"] for each in status.get("addresses") or () if each["type"] == "InternalIP"]
    info = status.get("nodeInfo") or {}
    provider = str(spec.get("providerID") or "").partition("://")[0]
    return {
        "name": node["metadata"]["name"],
        "ready": is_ready(node),
        "addresses": addresses,
        "pod_cidrs": list(spec.get("podCIDRs") or [each for each in [spec.get("podCIDR")] if each]),
        "cloud": CLOUDS.get(provider, ""),
        "runtime": info.get("containerRuntimeVersion", ""),
        "architecture": info.get("architecture", ""),
        "version": info.get("kubeletVersion", ""),
    }


def servicelb(nodes: t.Iterable[Json]) -> list[dict[str, str]]:
    """k3s's own load balancer, where no service shows it yet: its servers note how they were started."""
    for node in nodes:
        arguments = (node["metadata"].get("annotations") or {}).get("k3s.io/node-args")
        if arguments and _serves_klipper(arguments):
            where = f"Node/{node['metadata']['name']}"
            note = "start the k3s servers with --disable=servicelb"
            return [{"name": "klipper (servicelb of k3s)", "where": where, "note": note}]
    return []


def _serves_klipper(arguments: str) -> bool:
    try:
        given = json.loads(arguments)
    except ValueError:
        return False
    text = " ".join(str(each) for each in given)
    return (
        bool(given)
        and given[0] == "server"
        and "servicelb" not in text.replace("=", " ").replace(",", " ").split()
    )


def _is_static(pod: Json) -> bool:
    return any(owner.get("kind") == "Node" for owner in pod["metadata"].get("ownerReferences") or ())


__all__ = ["Survey", "node_of", "servicelb"]
