# SPDX-License-Identifier: GPL-3.0-or-later
"""The service that the source document makes by hand: four web servers and their address."""

from __future__ import annotations

import json
from typing import Any

from support.lab import Lab

__all__ = ["ADDRESS", "PLACE", "SERVICE", "WEB", "apply", "deployment", "service"]

PLACE, SERVICE, WEB = "nginx-quic", "nginx-lb-service", "nginx-lb"
ADDRESS = "10.31.8.100"


def service(**more: Any) -> dict[str, Any]:
    """The web service of the source document: behind an address that is asked for by number."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": SERVICE, "namespace": PLACE},
        "spec": {
            "type": "LoadBalancer",
            "loadBalancerIP": ADDRESS,
            "externalTrafficPolicy": "Cluster",
            "selector": {"app": WEB},
            "ports": [{"protocol": "TCP", "port": 80, "targetPort": "http"}],
            **more,
        },
    }


def deployment(lab: Lab) -> dict[str, Any]:
    """Four replicas of the demonstration's web server."""
    pod = lab.get("deployment", "web-1", "-n", "demo")["spec"]["template"]["spec"]
    labels = {"app": WEB}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": WEB, "namespace": PLACE},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def apply(lab: Lab, *items: dict[str, Any]) -> None:
    for item in items:
        lab.kubectl("apply", "-f", "-", stdin=json.dumps(item))
