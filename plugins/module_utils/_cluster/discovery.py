# SPDX-License-Identifier: GPL-3.0-or-later
"""The survey of a cluster by its API: version, permissions, nodes, ranges, CNI plugins, load balancers."""

from __future__ import annotations

import json
import re
import typing as t

from .api import Api, Json, RefusedError
from .detection import Workload, load_balancers, network_plugins, workload_of
from .distribution import K0S_STACK_LABEL, has_flannel, hidden_proxies
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
    # The key of the nodes' heartbeats, and the passwords of peers.
    ("", "secrets", ("create", "patch", "get", "list", "delete")),
    ("", "services", ("list",)),
    ("", "pods", ("list",)),
    ("", "events", ("list",)),
    ("apps", "deployments", ("create", "patch", "list")),
    ("apps", "daemonsets", ("create", "patch", "list")),
    ("policy", "poddisruptionbudgets", ("create", "patch")),
    ("networking.k8s.io", "networkpolicies", ("create", "patch")),
    ("flowcontrol.apiserver.k8s.io", "flowschemas", ("create", "patch")),
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
PEERS = "/apis/metallb.io/v1beta2/bgppeers"
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
        static = self._static_pods()
        workloads = self._workloads(static)
        return {
            "version": self._version(),
            "forbidden": self._forbidden(),
            "nodes": [node_of(node) for node in nodes],
            "service_cidrs": self._service_cidrs(),
            "service_addresses": self._service_addresses(),
            "load_balancers": [*load_balancers(workloads), *self._address_givers(), *servicelb(nodes)],
            "network_plugins": self._plugins(workloads, flannel=has_flannel(nodes)),
            "kube_proxy": self._kube_proxy(),
            "kube_proxies_elsewhere": hidden_proxies(nodes, static),
            "peers": [peer_of(peer) for peer in self._items(PEERS)],
            "unread": self._unread,
        }

    def nodes(self) -> list[dict[str, t.Any]]:
        """The nodes alone."""
        return [node_of(node) for node in self._items("/api/v1/nodes")]

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
        return version_of(self._api.get("/version"))

    def _forbidden(self) -> list[str]:
        """Return what the rollout needs and this login may not do, as VERB RESOURCE.GROUP."""
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

    def absent_secrets(self, wanted: t.Iterable[t.Mapping[str, str]]) -> list[str]:
        """Return those of the Secrets that are not there, as NAMESPACE/NAME."""
        places = [(each["namespace"], each["name"]) for each in wanted]
        paths = {f"{where}/{name}": f"/api/v1/namespaces/{where}/secrets/{name}" for where, name in places}
        return [
            title for title, path in paths.items() if self._read(path) is None and path not in self._unread
        ]

    def _static_pods(self) -> list[Json]:
        """The pods of the nodes themselves: nothing else shows a kube-vip or a kube-proxy that runs so."""
        return [each for each in self._items("/api/v1/namespaces/kube-system/pods") if _is_static(each)]

    def _workloads(self, static: t.Iterable[Json]) -> list[Workload]:
        sets = [workload_of("DaemonSet", each) for each in self._items("/apis/apps/v1/daemonsets")]
        deployments = [workload_of("Deployment", each) for each in self._items("/apis/apps/v1/deployments")]
        return [*sets, *deployments, *(workload_of("Pod", each) for each in static)]

    def _address_givers(self) -> list[dict[str, str]]:
        groups = {group["name"]: group for group in self._api.get("/apis").get("groups") or ()}
        found = []
        for name, group, plural, note in ADDRESS_GIVERS:
            count = self._count(groups.get(group), plural)
            if count:
                found.append({"name": name, "where": f"{count} {plural}.{group}", "note": note})
        return found

    def _count(self, group: Json | None, plural: str) -> int:
        """Return how many objects there are of a kind, in whatever version it is served."""
        for version in (group or {}).get("versions") or ():
            items = self._items(f"/apis/{version['groupVersion']}/{plural}")
            if items:
                return len(items)
        return 0

    def _plugins(self, workloads: t.Iterable[Workload], *, flannel: bool) -> list[dict[str, str]]:
        found = network_plugins(workloads, flannel=flannel)
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
        labels = (configmap or {})["metadata"].get("labels") or {}
        return {
            "mode": values.get("mode") or "",
            "strict_arp": bool(ipvs.get("strictARP")),
            # k0s applies its own text again.
            "kept_by": "k0s" if K0S_STACK_LABEL in labels else "",
        }

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


def version_of(answer: Json) -> dict[str, t.Any]:
    """The version of Kubernetes that an API server gives."""
    text = str(answer.get("gitVersion", ""))
    # Managed clusters put a plus sign behind the minor number.
    numbers = ["".join(filter(str.isdigit, str(answer.get(key, "")))) for key in ("major", "minor")]
    if not all(numbers):  # whoever built it has set the version alone
        found = re.match(r"v(\d+)\.(\d+)", text)
        numbers = list(found.groups()) if found else ["0", "0"]
    return {"major": int(numbers[0]), "minor": int(numbers[1]), "text": text}


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


def peer_of(peer: Json) -> dict[str, t.Any]:
    """A BGPPeer, as far as it matters here."""
    metadata = peer["metadata"]
    restarts = (peer.get("spec") or {}).get("enableGracefulRestart")
    return {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "enable_graceful_restart": bool(restarts),
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


__all__ = ["Survey", "node_of", "peer_of", "servicelb", "version_of"]
