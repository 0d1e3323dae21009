# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory, and the declaration that it makes."""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.vipcast.baremetal.plugins.filter.declaration import declaration

GROUPS = {"nodes": ["n1", "n2"], "routers": ["r1"], "clients": ["c1"], "all": ["n1", "n2", "r1", "c1"]}


SHARED = {"vipcast_cluster_asn": 64513, "vipcast_pools": [{"name": "default", "addresses": ["10.9.0.0/16"]}]}


OWN = {
    "n1": {"ansible_host": "10.31.8.1"},
    "n2": {"ansible_host": "10.31.8.11", "vipcast_node_name": "worker"},
    "r1": {"ansible_host": "10.31.254.251", "vipcast_router_asn": 64512},
    "c1": {"ansible_host": "192.168.64.10"},
}


def hostvars(shared: dict[str, Any] | None = None, **own: dict[str, Any]) -> dict[str, Any]:
    """The inventory above with other variables for all hosts or for one. None takes a variable away."""
    merged = {host: {**SHARED, **OWN[host], **(shared or {}), **own.get(host, {})} for host in OWN}
    return {
        host: {k: v for k, v in values.items() if v is not None}
        for host, values in copy.deepcopy(merged).items()
    }


def read(shared: dict[str, Any] | None = None, **own: dict[str, Any]) -> dict[str, Any]:
    return declaration(hostvars(shared, **own), GROUPS)


def pools(*addresses: str, **more: Any) -> dict[str, Any]:
    return {"vipcast_pools": [{"name": "default", "addresses": list(addresses), **more}]}
