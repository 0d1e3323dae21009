# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests for reading from nodes and static pods what k3s, RKE2, microk8s and k0s keep to themselves."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.detection import (
    network_plugins,
    workload_of,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.distribution import (
    has_flannel,
    hidden_proxies,
    options,
)

VXLAN = {"flannel.alpha.coreos.com/backend-type": "vxlan"}
IPVS = ("--kube-proxy-arg", "proxy-mode=ipvs")


def node(name: str, *arguments: str, program: str = "k3s", **more: t.Any) -> dict[str, t.Any]:
    annotations = {f"{program}.io/node-args": json.dumps(arguments), **more.pop("annotations", {})}
    return {"metadata": {"name": name, "annotations": annotations, **more}}


def static(name: str, *command: str, at: str = "n1") -> dict[str, t.Any]:
    spec = {
        "nodeName": at,
        "containers": [{"name": "kube-proxy", "command": ["kube-proxy"], "args": list(command)}],
    }
    return {"metadata": {"name": name, "namespace": "kube-system"}, "spec": spec}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["server", "--flannel-backend", "none"], {"flannel-backend": ["none"]}),
        (["server", "--flannel-backend=none"], {"flannel-backend": ["none"]}),
        (["agent", "--a", "1", "--a", "2", "--b"], {"a": ["1", "2"], "b": [""]}),
        (["server", "--b", "--a", "x=y"], {"b": [""], "a": ["x=y"]}),
        ([], {}),
    ],
)
def test_options_are_read_in_both_spellings(arguments: list[str], expected: dict[str, list[str]]) -> None:
    assert options(node("n1", *arguments)) == expected


@pytest.mark.parametrize("text", ["garbage", "1", '{"a": 1}'])
def test_what_is_no_list_of_options_has_none(text: str) -> None:
    assert options({"metadata": {"name": "n", "annotations": {"k3s.io/node-args": text}}}) == {}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (node("n1", "server", annotations=VXLAN), ["Flannel"]),
        (node("n1", "server", "--flannel-backend", "none", annotations=VXLAN), []),
        (node("n1", "server"), []),
    ],
)
def test_flannel_inside_of_k3s_is_seen_by_what_it_leaves_on_the_node(
    found: dict[str, t.Any], expected: list[str]
) -> None:
    assert [each["name"] for each in network_plugins([], flannel=has_flannel([found]))] == expected


def test_what_flannel_has_left_does_not_count_beside_another_plugin() -> None:
    """k3s issue 3932: the annotation stays."""
    spec = {"containers": [{"name": "c", "image": "rancher/mirrored-cilium-cilium:v1"}]}
    cilium = workload_of("DaemonSet", {"metadata": {"name": "cilium"}, "spec": {"template": {"spec": spec}}})
    found = network_plugins([cilium], flannel=has_flannel([node("n1", "agent", annotations=VXLAN)]))
    assert [each["name"] for each in found] == ["Cilium"]


@pytest.mark.parametrize(
    ("arguments", "mode", "strict"),
    [
        (["server"], "iptables", False),
        (["agent", *IPVS], "ipvs", False),
        (["agent", *IPVS, "--kube-proxy-arg", "ipvs-strict-arp=true"], "ipvs", True),
        (["agent", *IPVS, "--kube-proxy-arg", "ipvs-strict-arp"], "ipvs", True),
        (["agent", *IPVS, "--kube-proxy-arg=ipvs-strict-arp=false"], "ipvs", False),
    ],
)
def test_kube_proxy_inside_of_k3s_is_told_by_how_the_node_was_started(
    arguments: list[str], mode: str, strict: bool
) -> None:
    assert hidden_proxies([node("n1", *arguments)], []) == [
        {"node": "n1", "of": "k3s", "mode": mode, "strict_arp": strict}
    ]


def test_servers_without_kube_proxy_speak_for_their_agents() -> None:
    assert hidden_proxies([node("n1", "server", "--disable-kube-proxy"), node("n2", "agent")], []) == []


def test_kube_proxy_of_rke2_is_a_static_pod() -> None:
    pods = [
        static("kube-proxy-n1", "--proxy-mode=ipvs", "--ipvs-strict-arp=true"),
        static("kube-proxy-n2", "--proxy-mode=ipvs", at="n2"),
        static("etcd-n1", "--proxy-mode=ipvs"),
    ]
    found = hidden_proxies([node("n1", "server", program="rke2"), node("n2", "agent", program="rke2")], pods)
    assert [(one["of"], one["node"], one["mode"], one["strict_arp"]) for one in found] == [
        ("RKE2", "n1", "ipvs", True),
        ("RKE2", "n2", "ipvs", False),
    ]


def test_kube_proxy_of_microk8s_shows_its_mode_to_nobody() -> None:
    labelled = {"metadata": {"name": "n1", "labels": {"microk8s.io/cluster": "true"}}}
    assert hidden_proxies([labelled], []) == [
        {"node": "n1", "of": "microk8s", "mode": None, "strict_arp": False}
    ]


def test_nodes_of_kubeadm_have_none() -> None:
    assert hidden_proxies([{"metadata": {"name": "n1"}}], []) == []
