# SPDX-License-Identifier: GPL-3.0-or-later
"""The detection of what runs in a cluster, by its images and objects: tables and their readers. Pure."""

from __future__ import annotations

import fnmatch
import typing as t
from dataclasses import dataclass

from .api import Json

SET_LABEL = "vipcast.io/set"


@dataclass(frozen=True)
class Workload:
    """One DaemonSet, Deployment or static pod."""

    kind: str
    namespace: str
    name: str
    images: tuple[str, ...]
    environment: t.Mapping[str, str]
    ours: bool

    @property
    def title(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Known:
    """A program, the images it comes in (patterns without registry), and what it means for us."""

    name: str
    images: tuple[str, ...]
    note: str
    conflicts: bool = True
    environment: t.Mapping[str, str] | None = None
    names: tuple[str, ...] = ()


# Two load balancers would both give addresses to the same services.
LOAD_BALANCERS = (
    Known(
        "MetalLB",
        ("metallb/*", "*/metallb-controller", "*/metallb-speaker"),
        "remove it, its objects can stay",
    ),
    Known(
        "kube-vip for services",
        ("kube-vip/kube-vip", "kube-vip/kube-vip-iptables"),
        "set svc_enable to false in it; for the control plane's address it can stay",
        environment={"svc_enable": "true"},
    ),
    Known("kube-vip's cloud provider", ("kube-vip/kube-vip-cloud-provider",), "remove it"),
    Known(
        "klipper (servicelb of k3s)",
        ("rancher/klipper-lb", "rancher/mirrored-klipper-lb"),
        "start the k3s servers with --disable=servicelb",
        names=("svclb-*",),
    ),
    Known("OpenELB", ("kubesphere/openelb*", "openelb/*"), "remove it"),
    Known("PureLB", ("purelb/*",), "remove it"),
    Known("LoxiLB", ("loxilb-io/kube-loxilb",), "remove it"),
    Known("Porter", ("kubesphere/porter*",), "remove it, it is OpenELB's older name"),
)

# CNI plugins and whether they go together with a load balancer that speaks BGP from the nodes: the verdicts
# of MetalLB's documentation, which is where our datapath comes from. "mostly" has its reason in the note.
YES, MOSTLY, UNKNOWN = "yes", "mostly", "unknown"


@dataclass(frozen=True)
class Plugin:
    """A CNI plugin."""

    name: str
    images: tuple[str, ...]
    verdict: str
    note: str = ""


CALICO_NOTE = (
    "where Calico peers with the same routers itself, a router takes only one session from each node"
)
FLANNEL = Plugin(
    "Flannel",
    (
        *("flannel/flannel", "flannel-io/flannel", "*/flannel"),
        *("rancher/mirrored-flannel*", "rancher/hardened-flannel"),
    ),
    YES,
)
PLUGINS = (
    Plugin(
        "Calico",
        ("calico/node", "rancher/mirrored-calico-node", "rancher/hardened-calico", "k0sproject/calico-node"),
        MOSTLY,
        CALICO_NOTE,
    ),
    Plugin("Cilium", ("cilium/cilium", "rancher/mirrored-cilium-cilium", "canonical/cilium"), YES),
    FLANNEL,
    Plugin("Kube-OVN", ("kubeovn/kube-ovn",), YES),
    Plugin(
        "kube-router",
        ("cloudnativelabs/kube-router", "k0sproject/kube-router"),
        MOSTLY,
        "its own BGP sessions to external peers cannot be used together with ours",
    ),
    Plugin(
        "Weave Net",
        ("weaveworks/weave-kube", "rajch/weave-kube"),
        MOSTLY,
        "whether externalTrafficPolicy Local works depends on its version",
    ),
)
# Calico's policy with flannel's network.
CANAL = Plugin("Canal", (), YES)


def workload_of(kind: str, given: Json) -> Workload:
    """One object of the API as a Workload; `given` is a DaemonSet, a Deployment or a Pod."""
    spec = given["spec"] if kind == "Pod" else given["spec"]["template"]["spec"]
    containers = spec.get("containers") or ()
    environment = {
        each["name"]: str(each.get("value", "")) for one in containers for each in one.get("env") or ()
    }
    metadata = given["metadata"]
    ours = SET_LABEL in (metadata.get("labels") or {})
    images = tuple(repository(one.get("image") or "") for one in containers)
    return Workload(kind, metadata.get("namespace", ""), metadata["name"], images, environment, ours)


def repository(image: str) -> str:
    """An image's name without registry, tag and digest: quay.io/metallb/speaker:v0.14 is metallb/speaker."""
    name = image.split("@", 1)[0]
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        name = rest
    head, slash, last = name.rpartition("/")
    return head + slash + last.split(":", 1)[0]


def _matches(workload: Workload, images: t.Iterable[str], names: t.Iterable[str] = ()) -> bool:
    # A mirror puts its own folders in front: library/metallb/speaker is metallb/speaker too.
    by_image = any(
        fnmatch.fnmatchcase(image, pattern) or fnmatch.fnmatchcase(image, "*/" + pattern)
        for image in workload.images
        for pattern in images
    )
    return by_image or any(fnmatch.fnmatchcase(workload.name, pattern) for pattern in names)


def load_balancers(workloads: t.Iterable[Workload]) -> list[dict[str, t.Any]]:
    """Every load balancer but ours, once, with where it was seen."""
    found: dict[str, dict[str, t.Any]] = {}
    for workload in workloads:
        for known in LOAD_BALANCERS:
            if not workload.ours and _is(workload, known):
                entry = {"name": known.name, "where": workload.title, "note": known.note}
                found.setdefault(known.name, entry)
    return list(found.values())


def _is(workload: Workload, known: Known) -> bool:
    wanted = (known.environment or {}).items()
    if any(workload.environment.get(name, "").lower() != value for name, value in wanted):
        return False
    return _matches(workload, known.images, known.names)


def network_plugins(workloads: t.Iterable[Workload], *, flannel: bool = False) -> list[dict[str, str]]:
    """The CNI plugins that are seen, with their verdicts.

    `flannel`: the nodes show that it runs. Inside of k3s it has no pod; its traces stay when it is replaced
    by another plugin (k3s issue 3932), which then counts.
    """
    agents = [each for each in workloads if each.kind == "DaemonSet"]
    found = [plugin for plugin in PLUGINS if any(_matches(each, plugin.images) for each in agents)]
    if flannel and not found:
        found = [FLANNEL]
    names = {plugin.name for plugin in found}
    if {"Calico", "Flannel"} <= names:
        found = [CANAL, *(plugin for plugin in found if plugin.name not in ("Calico", "Flannel"))]
    return [{"name": each.name, "verdict": each.verdict, "note": each.note} for each in found]


__all__ = [
    "MOSTLY",
    "UNKNOWN",
    "YES",
    "Workload",
    "load_balancers",
    "network_plugins",
    "repository",
    "workload_of",
]
