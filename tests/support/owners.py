# SPDX-License-Identifier: GPL-3.0-or-later
"""The owners of addresses on the layer-2 lab's segment: by its own hosts, and by the load balancer's word."""

from __future__ import annotations

from typing import Any

from support import segment
from support.declarations import SYSTEM
from support.lab import Lab, eventually
from support.web import ADDRESS, PLACE, SERVICE

# What the service asks for, and what makes room for it.
VIP = ADDRESS
DEMO = {4: "10.31.8.150", 6: "fd00:31:8::150"}
NEIGHBOR = "neighbor"


def answering(lab: Lab, address: str) -> set[str]:
    """The MAC addresses of everyone who answers the neighbor."""
    return segment.answering(lab, NEIGHBOR, address)


def remembered(lab: Lab, address: str) -> str | None:
    """Return where the neighbor sends to."""
    return segment.remembered(lab, NEIGHBOR, address)


def read_macs(lab: Lab) -> dict[str, str]:
    """MAC address of the segment's interface to node."""
    hosts = lab.group("nodes")
    return {lab.run(host, "cat /sys/class/net/eth0/address").strip(): lab.node_name(host) for host in hosts}


def statuses(lab: Lab, name: str = SERVICE, namespace: str = PLACE) -> list[dict[str, Any]]:
    """Return what the owners of a service's addresses say."""
    labels = f"metallb.io/service-name={name},metallb.io/service-namespace={namespace}"
    items = lab.get("servicel2statuses.metallb.io", "-n", SYSTEM, "-l", labels)["items"]
    return [item["status"] for item in items]


def owner(lab: Lab, name: str = SERVICE, namespace: str = PLACE) -> str | None:
    """The one node that says that it owns the service's addresses."""
    found = {status["node"] for status in statuses(lab, name, namespace)}
    return found.pop() if len(found) == 1 else None


def answers_alone(lab: Lab, macs: dict[str, str], address: str = VIP) -> str | None:
    """The node of the one MAC address that answers."""
    found = answering(lab, address)
    return macs.get(found.pop()) if len(found) == 1 else None


def agreed(lab: Lab, macs: dict[str, str], name: str = SERVICE, address: str = VIP) -> str | None:
    """The node that answers, where the status names it too."""
    said = owner(lab, name)
    return said if said and said == answers_alone(lab, macs, address) else None


def settled(lab: Lab, macs: dict[str, str], timeout: float = 30) -> str:
    """The owner, as soon as the segment and the status agree on it."""
    found = eventually(lambda: agreed(lab, macs), timeout=timeout)
    assert found, (statuses(lab), answering(lab, VIP))
    return str(found)


def control_plane(lab: Lab) -> str:
    """The node with the API server."""
    return next(host for host in lab.group("nodes") if lab.variables(host).get("lab_control_plane"))
