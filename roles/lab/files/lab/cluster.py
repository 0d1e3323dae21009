# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's cluster, from outside: kubectl with the kubeconfig that the user gets."""

from __future__ import annotations

import json
import time
from typing import Any

from jinja2 import Environment, StrictUndefined
from shell import CommandError, LabError, each, run
from topology import Host, Lab

# Seconds. Measured on two busy cores: the API answers after 10, all is ready after 30.
API_LIMIT = 120
READY_LIMIT = 180
# An emulated processor boots a node in ten times that.
VIRTUAL_READY_LIMIT = 900


def kubectl(lab: Lab, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
    """Output of kubectl, as the cluster's administrator."""
    program = lab.kubernetes.programs / "kubectl"
    return run(str(program), f"--kubeconfig={lab.folder}/kubeconfig", *arguments, stdin=stdin, check=check)


def wait_for_api(lab: Lab) -> None:
    """Wait until the API server says that it is ready; LabError with what it says after API_LIMIT seconds."""
    end = time.monotonic() + API_LIMIT
    while kubectl(lab, "get", "--raw", "/readyz", check=False).strip() != "ok":
        if time.monotonic() > end:
            where = f"ssh -F {lab.folder}/ssh_config {lab.control_plane.name} journalctl -u kube-apiserver"
            raise LabError(f"the API server is not ready after {API_LIMIT} s; its log: {where}")
        time.sleep(0.3)


def manifests(lab: Lab) -> str:
    """Add what kubeadm would have put into a new cluster: the nodes' pod ranges and kube-proxy."""
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, autoescape=False)
    template = (lab.templates / "cluster" / "kube_proxy.yaml.j2").read_text()
    return environment.from_string(template).render(lab=lab)


def install(lab: Lab) -> None:
    """Create what is missing of it. What exists belongs to the cluster's users and stays as they made it."""
    try:
        kubectl(lab, "create", "-f", "-", stdin=manifests(lab))
    except CommandError as exc:
        if any("(AlreadyExists)" not in line for line in exc.said.splitlines()):
            raise
    each(lambda node: _finish(lab, node), lab.nodes)


def _finish(lab: Lab, node: Host) -> None:
    """A kubelet that was first has made its node object without these. The range can be set once."""
    pods = [str(one) for one in node.pod_ranges]
    labels = {"node-role.kubernetes.io/control-plane": ""} if node.control_plane else {}
    patch: dict[str, Any] = {"metadata": {"labels": labels}, "spec": {"podCIDR": pods[0], "podCIDRs": pods}}
    kubectl(lab, "patch", "node", node.name, "--type=merge", "-p", json.dumps(patch))


def wait_until_ready(lab: Lab) -> None:
    """Wait until every node is Ready and runs kube-proxy."""
    virtual = any(node.virtual for node in lab.nodes)
    limit = f"--timeout={VIRTUAL_READY_LIMIT if virtual else READY_LIMIT}s"
    kubectl(lab, "wait", "--for=condition=Ready", limit, *(f"node/{node.name}" for node in lab.nodes))
    kubectl(lab, "-n", "kube-system", "rollout", "status", "daemonset/kube-proxy", limit)
