# SPDX-License-Identifier: GPL-3.0-or-later
"""Node ports that are left on a service that wants none.

``allocateLoadBalancerNodePorts: false`` keeps Kubernetes from giving node ports from then on. Those that the
service has already stay, and every node goes on answering on them. The API server lets them be removed by an
update of ``spec.ports`` and by nothing else. ``healthCheckNodePort`` is another thing: with
``externalTrafficPolicy: Local`` it is needed, and it stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vipcast.model.texts import listed

__all__ = ["CONDITION", "LEFT", "RELEASED", "condition", "left", "release"]

CONDITION = "vipcast.io/NodePortsReleased"
LEFT = "NodePortsLeft"  # the reason of the condition and of the event
RELEASED = "NodePortsReleased"  # the reason of the event when they were removed

Json = Mapping[str, Any]


def left(item: Json) -> tuple[int, ...]:
    """The node ports that a load balancer still has though it wants none, in the order of its ports."""
    spec = item.get("spec") or {}
    if spec.get("type") != "LoadBalancer" or spec.get("allocateLoadBalancerNodePorts") is not False:
        return ()
    return tuple(port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort"))


def condition(item: Json) -> tuple[str, str, str] | None:
    """(status, reason, message) of the condition, or None where there is nothing to say."""
    ports = left(item)
    if not ports:
        return None
    message = (
        f"allocateLoadBalancerNodePorts is false, and the service still has the node ports "
        f"{listed(map(str, ports))} from before: every node answers on them; remove nodePort from its "
        "spec.ports, or start the controller with --release-node-ports"
    )
    return ("False", LEFT, message)


def release(item: Json) -> dict[str, Any] | None:
    """A merge patch of exactly this version of the service that removes them; None if there are none.

    The list of ports goes in whole. A strategic merge would tell ports by number alone, and two ports may
    have one number and differ in protocol.
    """
    if not left(item):
        return None
    ports = [
        {name: value for name, value in port.items() if name != "nodePort"} for port in item["spec"]["ports"]
    ]
    metadata = item["metadata"]
    return {
        "metadata": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]},
        "spec": {"ports": ports},
    }
