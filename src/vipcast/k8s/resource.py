# SPDX-License-Identifier: GPL-3.0-or-later
"""The resources of the API that the daemons read and write, with group, version and plural."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

__all__ = [
    "BFD_PROFILES",
    "BGP_ADVERTISEMENTS",
    "BGP_PEERS",
    "BGP_SESSION_STATES",
    "COMMUNITIES",
    "CONFIGURATION_STATES",
    "CONFIG_MAPS",
    "ENDPOINT_SLICES",
    "IP_ADDRESS_POOLS",
    "L2_ADVERTISEMENTS",
    "LEASES",
    "NAMESPACES",
    "NODES",
    "SECRETS",
    "SERVICES",
    "SERVICE_BGP_STATUSES",
    "SERVICE_L2_STATUSES",
    "Json",
    "Key",
    "Resource",
    "key_of",
]

Json = dict[str, Any]  # an API object as it came; `model` and `decide` turn it into types
Key = tuple[str, str]  # (namespace, name); the namespace of a cluster-wide object is ""


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object and where it lives."""

    group: str  # "" for the core group
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """The apiVersion of its objects: ``v1``, ``metallb.io/v1beta1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """The URL's path: a collection (without `namespace` of all), an object or a part of one."""
        parts = ["apis", self.group] if self.group else ["api"]
        parts.append(self.version)
        if namespace and self.namespaced:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(quote(part, safe="") for part in parts)


def key_of(item: Json) -> Key:
    """The key under which an informer keeps `item`."""
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


SERVICES = Resource("", "v1", "services", "Service")
PODS = Resource("", "v1", "pods", "Pod")
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS = Resource("", "v1", "secrets", "Secret")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
IP_ADDRESS_POOLS = Resource("metallb.io", "v1beta1", "ipaddresspools", "IPAddressPool")
L2_ADVERTISEMENTS = Resource("metallb.io", "v1beta1", "l2advertisements", "L2Advertisement")
BGP_ADVERTISEMENTS = Resource("metallb.io", "v1beta1", "bgpadvertisements", "BGPAdvertisement")
BGP_PEERS = Resource("metallb.io", "v1beta2", "bgppeers", "BGPPeer")
BFD_PROFILES = Resource("metallb.io", "v1beta1", "bfdprofiles", "BFDProfile")
COMMUNITIES = Resource("metallb.io", "v1beta1", "communities", "Community")
CONFIGURATION_STATES = Resource("metallb.io", "v1beta1", "configurationstates", "ConfigurationState")
BGP_SESSION_STATES = Resource("metallb.io", "v1beta1", "bgpsessionstates", "BGPSessionState")
SERVICE_BGP_STATUSES = Resource("metallb.io", "v1beta1", "servicebgpstatuses", "ServiceBGPStatus")
SERVICE_L2_STATUSES = Resource("metallb.io", "v1beta1", "servicel2statuses", "ServiceL2Status")
