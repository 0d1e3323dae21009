# SPDX-License-Identifier: GPL-3.0-or-later
"""kube-proxy's configuration, as kubeadm lays it out: a file inside a ConfigMap, read by a DaemonSet's pods.

kube-proxy reads its configuration when it starts. So a change is two things: the ConfigMap, then the pods.
To know after an interruption that the second is still owed, the moment of the change is written as an
annotation into the ConfigMap together with the change, and into the pods' template when they are replaced;
they are equal when nothing is owed.
"""

from __future__ import annotations

import difflib
import typing as t
from dataclasses import dataclass

from .api import MERGE_PATCH, Api, ClusterError, Json, RefusedError
from .entries import title_of
from .fields import as_text, differences
from .settings import edited, merged, parse

CHANGED_AT = "vipcast.io/config-changed-at"
MANAGER = "vipcast"
# Fields of KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1), Kubernetes 1.13 to 1.35, to tell a
# slip of the pen from a field. kube-proxy itself ignores what it does not know.
FIELDS = frozenset(
    (
        *("apiVersion", "kind", "mode", "bindAddress", "bindAddressHardFail", "clientConnection"),
        *("clusterCIDR", "configSyncPeriod", "conntrack", "detectLocal", "detectLocalMode"),
        *("enableProfiling", "featureGates", "healthzBindAddress", "hostnameOverride", "iptables"),
        *("ipvs", "logging", "metricsBindAddress", "nftables", "nodePortAddresses", "oomScoreAdj"),
        *("portRange", "resourceContainer", "showHiddenMetricsForVersion", "udpIdleTimeout"),
        *("windowsRunAsService", "winkernel"),
    )
)


class NoKubeProxyError(ClusterError):
    """There is nothing to manage."""


@dataclass(frozen=True)
class Place:
    """The place of kube-proxy's configuration and of its pods."""

    namespace: str = "kube-system"
    configmap: str = "kube-proxy"
    key: str = "config.conf"
    daemonset: str = "kube-proxy"

    @property
    def configmap_path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/configmaps/{self.configmap}"

    @property
    def daemonset_path(self) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/daemonsets/{self.daemonset}"

    @property
    def title(self) -> str:
        return title_of("ConfigMap", self.namespace, self.configmap)

    @property
    def daemonset_title(self) -> str:
        return title_of("DaemonSet", self.namespace, self.daemonset)


@dataclass(frozen=True)
class Situation:
    """kube-proxy as it was found, and the text that its configuration should be."""

    place: Place
    configmap: Json
    daemonset: Json | None
    text: str
    wanted_text: str
    wanted: Json

    @property
    def values(self) -> Json:
        return parse(self.text, f"{self.place.title} {self.place.key}")

    @property
    def differs(self) -> bool:
        return bool(self.values != merged(self.values, self.wanted))

    @property
    def owed(self) -> str | None:
        """The moment of a change that the pods' template does not know yet."""
        if self.daemonset is None:
            return None
        changed = annotation(self.configmap)
        return changed if changed and changed != annotation(self.daemonset["spec"]["template"]) else None


def annotation(given: Json) -> str | None:
    """The moment of our last change, as a ConfigMap or a pod template has it."""
    return ((given.get("metadata") or {}).get("annotations") or {}).get(CHANGED_AT)


def look(api: Api, place: Place, wanted: Json) -> Situation:
    """Return the kube-proxy that is there. Raises NoKubeProxyError, or ClusterError for an unknown layout."""
    configmap, daemonset = api.find(place.configmap_path), api.find(place.daemonset_path)
    if configmap is None and daemonset is None:
        raise NoKubeProxyError(f"neither {place.title} nor {place.daemonset_title} exists")
    if configmap is None:
        raise ClusterError(
            f"{place.daemonset_title} exists, but {place.title} does not: the options say where it is"
        )
    text = (configmap.get("data") or {}).get(place.key)
    if text is None:
        keys = ", ".join(sorted(configmap.get("data") or {})) or "none"
        raise ClusterError(f"{place.title}: has no key {place.key}; its keys: {keys}")
    new = edited(text, wanted, f"{place.title} {place.key}")
    return Situation(place, configmap, daemonset, text, new, wanted)


def write(api: Api, found: Situation, moment: str) -> None:
    """Put the wanted text and the moment of the change into the ConfigMap, unless somebody was faster."""
    metadata = {
        "annotations": {CHANGED_AT: moment},
        "resourceVersion": found.configmap["metadata"]["resourceVersion"],
    }
    body = {"metadata": metadata, "data": {found.place.key: found.wanted_text}}
    try:
        api.patch(found.place.configmap_path, body, MERGE_PATCH, fieldManager=MANAGER)
    except RefusedError as exc:
        if exc.status == 409:
            raise ClusterError(
                f"{found.place.title}: somebody else changed it at this moment; run again"
            ) from exc
        raise


def restart(api: Api, place: Place, moment: str) -> None:
    """Let the DaemonSet replace its pods."""
    body = {"spec": {"template": {"metadata": {"annotations": {CHANGED_AT: moment}}}}}
    api.patch(place.daemonset_path, body, MERGE_PATCH, fieldManager=MANAGER)


# -- reports -----------------------------------------------------------------------------------------------


def drift_of(found: Situation) -> list[dict[str, str]]:
    """Each value that differs, and pods that have not read the last change."""
    values = found.values
    drift = [
        {
            "what": found.place.title,
            "where": f"{found.place.key} {each.path}",
            "expected": as_text(each.expected),
            "found": as_text(each.found),
        }
        for each in differences(merged(values, found.wanted), values)
    ]
    if found.owed and not drift:
        what = {"what": found.place.daemonset_title, "where": "rollout"}
        drift.append(dict(what, expected=f"pods that read the change of {found.owed}", found="older pods"))
    return drift


def diff_of(found: Situation) -> dict[str, str]:
    """The configuration before and after."""
    header = f"{found.place.title} {found.place.key}"
    texts = {"before": found.text, "after": found.wanted_text if found.differs else found.text}
    return dict(texts, before_header=header, after_header=header)


def unknown_fields(settings: Json) -> t.Iterator[str]:
    """A warning for each setting that no version of kube-proxy is known to have."""
    for field in settings:
        if field not in FIELDS:
            nearest = difflib.get_close_matches(field, FIELDS, 1)
            hint = f"; nearest is {nearest[0]}" if nearest else ""
            yield f"settings: KubeProxyConfiguration has no field {field} that is known here{hint}"


__all__ = [
    "NoKubeProxyError",
    "Place",
    "Situation",
    "annotation",
    "diff_of",
    "drift_of",
    "look",
    "restart",
    "unknown_fields",
    "write",
]
