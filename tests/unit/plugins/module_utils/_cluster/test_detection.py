# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs are told by their images, from any registry, and ours is told from others."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.detection import (
    load_balancers,
    network_plugins,
    repository,
    workload_of,
)
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.discovery import servicelb


def workload(
    image: str, *, name: str = "x", kind: str = "DaemonSet", labels: t.Any = None, env: t.Any = ()
) -> t.Any:
    spec = {"containers": [{"name": "c", "image": image, "env": [{"name": k, "value": v} for k, v in env]}]}
    metadata = {"name": name, "namespace": "n", "labels": labels or {}}
    return workload_of(kind, {"metadata": metadata, "spec": {"template": {"spec": spec}}})


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nginx", "nginx"),
        ("nginx:1", "nginx"),
        ("quay.io/metallb/speaker:v0.14.9", "metallb/speaker"),
        ("host:5000/metallb/speaker", "metallb/speaker"),
        ("localhost/vipcast:1", "vipcast"),
        ("calico/node@sha256:" + "0" * 64, "calico/node"),
        ("registry.example/mirror/calico/node:v3@sha256:" + "0" * 64, "mirror/calico/node"),
    ],
)
def test_a_repository_is_an_image_without_registry_and_tag(image: str, expected: str) -> None:
    assert repository(image) == expected


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("quay.io/metallb/speaker:v0.12.1", "MetalLB"),
        ("mirror.example/quay/metallb/controller", "MetalLB"),
        ("rancher/klipper-lb:v0.4", "klipper (servicelb of k3s)"),
        ("kubesphere/openelb:v0.5", "OpenELB"),
        ("registry.example/purelb/lbnodeagent:v1", "PureLB"),
        ("ghcr.io/kube-vip/kube-vip-cloud-provider:v1", "kube-vip's cloud provider"),
    ],
)
def test_another_load_balancer_is_found(image: str, name: str) -> None:
    assert [each["name"] for each in load_balancers([workload(image), workload(image, name="y")])] == [name]


def test_ours_is_not_another() -> None:
    assert load_balancers([workload("metallb/speaker", labels={"vipcast.io/set": "load-balancer"})]) == []


def test_kube_vip_for_the_control_plane_alone_is_no_rival() -> None:
    image = "ghcr.io/kube-vip/kube-vip:v0.8"
    assert load_balancers([workload(image, env=[("cp_enable", "true"), ("svc_enable", "false")])]) == []
    assert load_balancers([workload(image, env=[("svc_enable", "true")])])


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (["docker.io/calico/node:v3"], [("Calico", "mostly")]),
        (["docker.io/calico/node:v3", "ghcr.io/flannel-io/flannel:v1"], [("Canal", "yes")]),
        (["quay.io/cilium/cilium:v1"], [("Cilium", "yes")]),
        (["docker.io/cloudnativelabs/kube-router"], [("kube-router", "mostly")]),
        (["kubeovn/kube-ovn:v1"], [("Kube-OVN", "yes")]),
        (["weaveworks/weave-kube:2"], [("Weave Net", "mostly")]),
        (["quay.io/coreos/flannel:v0.14"], [("Flannel", "yes")]),
        (["something/else"], []),
        # As k3s, RKE2, k0s and Canonical's Kubernetes name them.
        (["docker.io/rancher/mirrored-cilium-cilium:v1.19.6"], [("Cilium", "yes")]),
        (["rancher/mirrored-calico-node:v3.30"], [("Calico", "mostly")]),
        (["rancher/hardened-calico:v3.24.5-build20221201"], [("Calico", "mostly")]),
        (
            ["rancher/hardened-calico:v3", "rancher/hardened-flannel:v0.28.5-build20260604"],
            [("Canal", "yes")],
        ),
        (["registry.example/rancher/hardened-flannel:v0.28.5"], [("Flannel", "yes")]),
        (["quay.io/k0sproject/kube-router:v2.5"], [("kube-router", "mostly")]),
        (["quay.io/k0sproject/calico-node:v3.29"], [("Calico", "mostly")]),
        (["ghcr.io/canonical/cilium:1.17"], [("Cilium", "yes")]),
        # Cilium's Envoy is not Cilium.
        (["rancher/mirrored-cilium-cilium-envoy:v1"], []),
    ],
)
def test_a_network_plugin_has_a_verdict(images: list[str], expected: list[tuple[str, str]]) -> None:
    found = network_plugins([workload(image) for image in images])
    assert [(each["name"], each["verdict"]) for each in found] == expected


@pytest.mark.parametrize(
    ("arguments", "rival"),
    [
        ('["server"]', True),
        ('["server","--disable","traefik"]', True),
        ('["server","--disable","servicelb"]', False),
        ('["server","--disable=traefik,servicelb"]', False),
        ('["agent"]', False),
        ("garbage", False),
    ],
)
def test_k3s_serves_load_balancers_itself_unless_told_not_to(arguments: str, rival: bool) -> None:
    node = {"metadata": {"name": "n", "annotations": {"k3s.io/node-args": arguments}}}
    assert bool(servicelb([node])) is rival
