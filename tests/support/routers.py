# SPDX-License-Identifier: GPL-3.0-or-later
"""Several routers of a lab, each asked by its name in the inventory."""

from __future__ import annotations

import json
from typing import Any

from support.lab import Lab


def vtysh(lab: Lab, router: str, *commands: str) -> str:
    """Return what FRR's shell on a router prints."""
    return lab.run(router, "vtysh " + " ".join(f"-c '{command}'" for command in commands))


def neighbors(lab: Lab, router: str) -> dict[str, dict[str, Any]]:
    """Return a router's BGP neighbors by address, as FRR describes them."""
    found: dict[str, dict[str, Any]] = json.loads(vtysh(lab, router, "show bgp neighbors json") or "{}")
    return {peer: facts for peer, facts in found.items() if isinstance(facts, dict)}


def established(lab: Lab, router: str) -> set[str]:
    """Return the neighbors whose session is Established."""
    found = neighbors(lab, router)
    return {peer for peer, facts in found.items() if facts.get("bgpState") == "Established"}


def next_hops(lab: Lab, router: str, prefix: str) -> set[str]:
    """Return the next hops of a prefix in a router's kernel."""
    routes = json.loads(lab.run(router, f"ip -j route show {prefix}") or "[]")
    return {hop["gateway"] for route in routes for hop in route.get("nexthops", [route]) if "gateway" in hop}


def node_addresses(lab: Lab) -> set[str]:
    """Return the addresses with which all nodes of the lab peer."""
    return {lab.node_address(host) for host in lab.group("nodes")}


def serves(lab: Lab, router: str, address: str) -> bool:
    """Tell whether a router has a session with every node, and each as a next hop of the address."""
    everyone = node_addresses(lab)
    return established(lab, router) == everyone == next_hops(lab, router, f"{address}/32")
