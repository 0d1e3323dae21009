# SPDX-License-Identifier: GPL-3.0-or-later
"""The command-line options of both daemons."""

from __future__ import annotations

from dataclasses import dataclass, field

from vipcast.layer2.api import EXCLUDED_INTERFACES, Settings
from vipcast.model.defaults import HEALTH_PORT, NAMESPACE

__all__ = ["DATA_PLANE_AUTO", "DATA_PLANE_NONE", "EXCLUDED_INTERFACES", "Options"]

DATA_PLANE_AUTO, DATA_PLANE_NONE = "auto", "none"


@dataclass(frozen=True, slots=True)
class Options:
    """The flags, resolved; addresses as `server.parse_address` takes them."""

    namespace: str = NAMESPACE  # of the configuration's objects
    config_map: str = "config"  # MetalLB's old ConfigMap there; empty: none is looked at
    lb_class: str | None = None  # None: services without a class; otherwise those of exactly this one
    node_name: str = ""  # the speaker's node
    pod_name: str = ""  # the speaker's Pod; empty: it runs in none
    share_within_namespace: bool = False  # an address is shared by services of one namespace only
    release_node_ports: bool = False  # remove those that are left on a service that wants none
    ignore_exclude_lb: bool = False  # announce even where the node's label says not to
    bgp_listen: int | None = None  # TCP port on which routers may connect to the speaker
    data_plane_health: str = DATA_PLANE_AUTO  # or DATA_PLANE_NONE, or a URL: see `speaker.data_plane`
    kubeconfig: str | None = None  # None: the pod's own access, or ~/.kube/config
    context: str | None = None
    log_level: str = "info"
    health_address: str = f"127.0.0.1:{HEALTH_PORT}"
    metrics_address: str = ":9120"
    metrics_access: str = "authorized"  # or "open": who may read the metrics
    metrics_cert_dir: str | None = None  # None: a certificate made at the start
    layer2: Settings = field(default_factory=Settings)
    layer2_key_dir: str | None = None  # folder of the keys for the nodes' heartbeats
    layer2_node_selector: tuple[tuple[str, str], ...] = ()  # labels of the nodes that run `vipcast layer2`
