# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what Kubernetes distributions run inside of a program of their own, where no DaemonSet shows it. Pure.

k3s and RKE2 note how each node was started in its annotation ``PROGRAM.io/node-args``; flannel writes its
backend beside it. RKE2's kube-proxy is a static pod, that of k3s and microk8s a part of their one process.
"""

from __future__ import annotations

import json
import typing as t

from .api import Json

FLANNEL_MARK = "flannel.alpha.coreos.com/backend-type"
MICROK8S_LABEL = "microk8s.io/cluster"
K0S_STACK_LABEL = "k0s.k0sproject.io/stack"
# How strictARP is set where no object of the API has it: the file on each node, and what to restart.
RANCHER = (
    "put 'kube-proxy-arg: [proxy-mode=ipvs, ipvs-strict-arp=true]' into /etc/rancher/{0}/config.yaml on each "
    "node, and restart {1} there"
)
HOW = {
    "k3s": RANCHER.format("k3s", "k3s, or k3s-agent"),
    "RKE2": RANCHER.format("rke2", "rke2-server, or rke2-agent"),
    "microk8s": (
        "add the line --ipvs-strict-arp to /var/snap/microk8s/current/args/kube-proxy on each node, and "
        "restart snap.microk8s.daemon-kubelite there"
    ),
    "k0s": "set spec.network.kubeProxy.ipvs.strictARP to true in the k0s configuration of the controllers",
}


def has_flannel(nodes: t.Iterable[Json]) -> bool:
    """Return whether a node has a backend of flannel's, and was not started without it."""
    return any(
        FLANNEL_MARK in notes_of(node) and "none" not in options(node).get("flannel-backend", ())
        for node in nodes
    )


def hidden_proxies(nodes: t.Sequence[Json], static_pods: t.Iterable[Json]) -> list[dict[str, t.Any]]:
    """Each kube-proxy that no ConfigMap configures: its node, whose it is, its mode, and its strictARP.

    The mode is None where nobody shows it.
    """
    found = [_of_pod(pod) for pod in static_pods if pod["metadata"]["name"].startswith("kube-proxy-")]
    # Servers say it for all nodes.
    without = any("disable-kube-proxy" in options(node) for node in nodes)
    for node in nodes:
        given = options(node)
        if "k3s.io/node-args" in notes_of(node) and not without:
            found.append(_proxy(node["metadata"]["name"], "k3s", _pairs(given.get("kube-proxy-arg", ()))))
        elif MICROK8S_LABEL in (node["metadata"].get("labels") or {}):
            found.append(
                {"node": node["metadata"]["name"], "of": "microk8s", "mode": None, "strict_arp": False}
            )
    return found


def _of_pod(pod: Json) -> dict[str, t.Any]:
    words = [
        word
        for one in pod["spec"].get("containers") or ()
        for word in [*(one.get("command") or ()), *(one.get("args") or ())]
    ]
    return _proxy(str(pod["spec"].get("nodeName")), "RKE2", _pairs(word.lstrip("-") for word in words))


def _proxy(node: str, of: str, given: t.Mapping[str, str]) -> dict[str, t.Any]:
    strict = given.get("ipvs-strict-arp", "false")
    return {
        "node": node,
        "of": of,
        "mode": given.get("proxy-mode") or "iptables",
        "strict_arp": strict.lower() in ("", "true"),
    }


def _pairs(words: t.Iterable[str]) -> dict[str, str]:
    """``name=value`` as name and value; a name alone is a switch, and has none."""
    return {name: value for name, _equals, value in (word.lstrip("-").partition("=") for word in words)}


def notes_of(node: Json) -> t.Mapping[str, str]:
    """A node's annotations."""
    return node["metadata"].get("annotations") or {}


def options(node: Json) -> dict[str, list[str]]:
    """The options that k3s or RKE2 was started with on this node: name to values, without dashes."""
    text = notes_of(node).get("k3s.io/node-args") or notes_of(node).get("rke2.io/node-args") or "[]"
    try:
        words = [str(word) for word in json.loads(text)]
    except (ValueError, TypeError):
        return {}
    found: dict[str, list[str]] = {}
    for index, word in enumerate(words):
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            after = (
                words[index + 1] if index + 1 < len(words) and not words[index + 1].startswith("--") else ""
            )
            found.setdefault(name, []).append(value if equals else after)
    return found


__all__ = ["HOW", "K0S_STACK_LABEL", "has_flannel", "hidden_proxies", "options"]
