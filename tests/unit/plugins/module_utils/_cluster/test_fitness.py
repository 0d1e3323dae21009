# SPDX-License-Identifier: GPL-3.0-or-later
"""Every refusal has a name, and nothing is refused that fits."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from ansible_collections.vipcast.baremetal.plugins.module_utils._cluster.requirements import Wanted, findings

NODES = [
    {"name": "node1", "ready": True, "addresses": ["10.31.8.1"], "pod_cidrs": ["10.8.64.0/24"], "cloud": ""},
    {"name": "node2", "ready": True, "addresses": ["10.31.8.2", "2001:db8::2"], "pod_cidrs": [], "cloud": ""},
]
FIT: dict[str, t.Any] = {
    "version": {"major": 1, "minor": 34, "text": "v1.34.4"},
    "forbidden": [],
    "unread": [],
    "nodes": NODES,
    "service_cidrs": ["10.8.0.0/18"],
    "service_addresses": ["10.8.0.1"],
    "load_balancers": [],
    "network_plugins": [{"name": "Flannel", "verdict": "yes", "note": ""}],
    "kube_proxy": None,
    "kube_proxies_elsewhere": [],
    "peers": [{"namespace": "metallb-system", "name": "r1", "enable_graceful_restart": True}],
}
DECLARED = [{"name": "node1", "host": "node1"}, {"name": "node2", "host": "node2"}]
MINE = Wanted(pools=[{"name": "default", "addresses": ["10.9.0.0/16"]}], nodes=DECLARED)


def named(cluster: dict[str, t.Any], wanted: Wanted = MINE) -> list[tuple[str, bool]]:
    return [(each.name, each.fatal) for each in findings(cluster, wanted)]


def test_a_fit_cluster_has_no_findings() -> None:
    assert findings(FIT, MINE) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"version": {"major": 1, "minor": 22, "text": "v1.22.0"}}, ("kubernetes-too-old", True)),
        ({"version": {"major": 1, "minor": 23, "text": "v1.23.6"}}, ("no-cel", False)),
        ({"forbidden": ["patch daemonsets.apps"]}, ("forbidden", True)),
        ({"unread": ["/api/v1/nodes"]}, ("not-compared", False)),
        (
            {"load_balancers": [{"name": "MetalLB", "where": "x", "note": "y"}]},
            ("another-load-balancer", True),
        ),
        ({"network_plugins": []}, ("unknown-cni", False)),
        ({"network_plugins": [{"name": "Calico", "verdict": "mostly", "note": "x"}]}, ("cni-mostly", False)),
        ({"nodes": [dict(NODES[0], cloud="AWS"), NODES[1]]}, ("public-cloud", False)),
        ({"nodes": NODES[:1]}, ("unknown-node", True)),
        ({"nodes": [dict(NODES[0], ready=False), NODES[1]]}, ("node-not-ready", False)),
        ({"nodes": [*NODES, dict(NODES[0], name="node3")]}, ("node-not-declared", False)),
    ],
)
def test_what_is_wrong_with_a_cluster_has_a_name(
    change: dict[str, t.Any], expected: tuple[str, bool]
) -> None:
    assert named({**FIT, **change}) == [expected]


@pytest.mark.parametrize(
    ("addresses", "overlaps"),
    [
        (["10.31.8.0-10.31.8.1"], "the address 10.31.8.1 of node node1"),
        (["10.8.64.128/25"], "the pods' range 10.8.64.0/24 of node node1"),
        (["10.8.63.0/24"], "the services' range 10.8.0.0/18"),
        (["172.16.0.0/16"], "the pods' range 172.16.0.0/12"),
        (["2001:db8::/64"], "the address 2001:db8::2 of node node2"),
        (["192.0.2.0/25", "192.0.2.127/32"], "192.0.2.0/25 of pool default"),
    ],
)
def test_a_pool_must_not_overlap_what_is_in_use(addresses: list[str], overlaps: str) -> None:
    wanted = Wanted([{"name": "default", "addresses": addresses}], DECLARED, pod_cidrs=["172.16.0.0/12"])
    texts = [each.text for each in findings(FIT, wanted)]
    assert [f"overlaps {overlaps};" in text for text in texts] == [True], texts


PROXY = {"node": "node1", "of": "k3s", "mode": "ipvs", "strict_arp": False}
KEPT = {"mode": "ipvs", "strict_arp": False, "kept_by": "k0s"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"kube_proxies_elsewhere": [PROXY]}, ("no-strict-arp", True)),
        ({"kube_proxies_elsewhere": [{**PROXY, "of": "RKE2"}]}, ("no-strict-arp", True)),
        ({"kube_proxy": KEPT}, ("no-strict-arp", True)),
        (
            {"kube_proxies_elsewhere": [{**PROXY, "of": "microk8s", "mode": None}]},
            ("strict-arp-unknown", False),
        ),
    ],
)
def test_a_kube_proxy_out_of_reach_matters_to_layer_2_alone(
    change: dict[str, t.Any], expected: tuple[str, bool]
) -> None:
    assert named({**FIT, **change}, replace(MINE, layer2=True)) == [expected]
    assert named({**FIT, **change}) == []


@pytest.mark.parametrize(
    "change",
    [
        {"kube_proxies_elsewhere": [{**PROXY, "strict_arp": True}]},
        {"kube_proxies_elsewhere": [{**PROXY, "mode": "iptables"}]},
        {"kube_proxy": {**KEPT, "strict_arp": True}},
        # The role sets it.
        {"kube_proxy": {**KEPT, "kept_by": ""}},
    ],
)
def test_a_kube_proxy_that_is_right_or_can_be_set_right_is_not_named(change: dict[str, t.Any]) -> None:
    assert named({**FIT, **change}, replace(MINE, layer2=True)) == []


def test_where_strict_arp_is_set_is_said_with_file_and_argument() -> None:
    proxies = [{**PROXY, "node": name} for name in ("node1", "node2")]
    (found,) = findings({**FIT, "kube_proxies_elsewhere": proxies}, replace(MINE, layer2=True))
    assert found.text.startswith(
        "kube-proxy is k3s's own on node1, node2, and has mode ipvs without strictARP"
    )
    assert (
        "'kube-proxy-arg: [proxy-mode=ipvs, ipvs-strict-arp=true]' into /etc/rancher/k3s/config.yaml"
        in found.text
    )


def test_a_secret_that_the_pull_needs_is_named_before_pods_wait_for_it() -> None:
    (found,) = findings({**FIT, "absent_secrets": ["lb/registry"]}, MINE)
    assert (found.name, found.fatal) == ("no-pull-secret", True)
    assert "kubectl -n lb create secret docker-registry registry" in found.text


def test_several_problems_are_all_said() -> None:
    cluster = {**FIT, "forbidden": ["list pods"], "nodes": [], "network_plugins": []}
    assert [name for name, _fatal in named(cluster)] == [
        "forbidden",
        "unknown-cni",
        "unknown-node",
        "unknown-node",
    ]


def test_a_node_with_a_slip_in_its_name_is_told_the_nearest() -> None:
    found = findings(FIT, Wanted(nodes=[*DECLARED, {"name": "node-1", "host": "worker"}]))
    assert "host worker: the cluster has no node 'node-1', did you mean node1?" in found[0].text


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ({"name": "r1", "enable_graceful_restart": True}, []),
        ({"name": "r1", "enable_graceful_restart": False}, [("graceful-restart-changed", True)]),
        ({"name": "r2", "enable_graceful_restart": False}, []),
        ({"name": "r1", "namespace": "mine", "enable_graceful_restart": False}, []),
    ],
)
def test_graceful_restart_of_a_peer_that_is_there_does_not_change(
    peer: dict[str, t.Any], expected: list[tuple[str, bool]]
) -> None:
    wanted = Wanted(nodes=DECLARED, peers=[{"namespace": "metallb-system", **peer}])
    assert named(FIT, wanted) == expected
